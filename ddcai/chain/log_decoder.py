"""Events by their ABI: topics and data to names and values. Needs no node.

What types an ABI has is worked out once, for an index decodes many logs. Addresses become checksum
strings, digests bytes, lists tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.abi import abi_to_signature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.chain import abi_errors
from ddcai.chain.artifact import Artifact
from ddcai.errors import ChainError, MalformedError

WORD = 32
_Read = Callable[[bytes], Any]


@dataclass(frozen=True)
class _Shape:
    name: str
    inputs: tuple[tuple[str, str], ...]  # name, type
    topics: tuple[tuple[int, _Read], ...]  # position among the inputs
    data: tuple[int, ...]
    words: tuple[_Read, ...] | None  # None where the data are no plain words


class LogDecoder:
    """The events and functions of contracts of one kind.

    Args:
        artifacts: several where a kind has variants. An event of the same name has the same
            arguments in all.
    """

    def __init__(self, artifacts: Iterable[Artifact]) -> None:
        self._shapes: dict[str, _Shape] = {}
        self._functions: dict[bytes, str] = {}
        for entry in (entry for one in artifacts for entry in one.abi):
            if entry["type"] == "event":
                self._shapes["0x" + keccak(text=abi_to_signature(entry)).hex()] = _shape(entry)  # type: ignore[arg-type]
            elif entry["type"] == "function":
                self._functions[abi_errors.selector(entry)] = entry["name"]
        self._types = {shape.name: dict(shape.inputs) for shape in self._shapes.values()}

    def types(self, event: str) -> dict[str, str]:
        """The ABI types of an event's arguments, by name; KeyError if no contract has it."""
        return self._types[event]

    def topic(self, event: str) -> str:
        """The first topic of an event, as hex; KeyError if no contract has it."""
        for topic, shape in self._shapes.items():
            if shape.name == event:
                return topic
        raise KeyError(event)

    def function(self, data: bytes) -> str | None:
        """The name of the function that call data are for; None for one that is not in the ABI."""
        return self._functions.get(data[:4])

    def decode(self, log: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of an event; None if the ABI does not know it.

        Args:
            log: as ``eth_getLogs`` gives it.

        Raises:
            ChainError: the log is not what the ABI says.
        """
        try:
            data = bytes.fromhex(log["data"][2:])
            return self.decode_raw([bytes.fromhex(topic[2:]) for topic in log["topics"]], data)
        except (MalformedError, ValueError) as error:
            raise ChainError(f"{error} of {log.get('address')}: use another node") from error

    def decode_raw(self, topics: Sequence[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
        """The same of a log's bytes, as a receipt has them.

        Raises:
            MalformedError: topics or data that the event's types do not have.
        """
        shape = self._shapes.get("0x" + topics[0].hex()) if topics else None
        if shape is None:
            return None
        try:
            return shape.name, _values(shape, topics, data)
        except (DecodingError, OverflowError, ValueError) as error:
            raise MalformedError(f"malformed event {shape.name} ({error})") from error


def _values(shape: _Shape, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    if len(topics) != len(shape.topics) + 1:
        raise ValueError(f"{len(topics)} topics")
    values: list[Any] = [None] * len(shape.inputs)
    for topic, (position, read) in zip(topics[1:], shape.topics, strict=True):
        values[position] = read(_word(topic))
    if shape.words is None:
        types = [shape.inputs[position][1] for position in shape.data]
        decoded = abi.decode(types, data)
        for position, kind, value in zip(shape.data, types, decoded, strict=True):
            values[position] = _shown(kind, value)
    else:
        if len(data) != len(shape.words) * WORD:
            raise ValueError(f"{len(data)} bytes of data")
        for place, (position, read) in enumerate(zip(shape.data, shape.words, strict=True)):
            values[position] = read(_word(data[place * WORD : (place + 1) * WORD]))
    return {name: value for (name, _), value in zip(shape.inputs, values, strict=True)}


def _shape(entry: dict[str, Any]) -> _Shape:
    inputs = tuple((one["name"], one["type"]) for one in entry["inputs"])
    indexed = [bool(one.get("indexed")) for one in entry["inputs"]]
    data = tuple(place for place, is_topic in enumerate(indexed) if not is_topic)
    readers = [_reader(kind) for _, kind in inputs]
    words = [readers[place] for place in data]
    topics = []
    for place, (read, is_topic) in enumerate(zip(readers, indexed, strict=True)):
        if is_topic and read is not None:
            topics.append((place, read))
        elif is_topic:
            raise ChainError(f"{entry['name']} has a topic that is only a hash of its argument")
    return _Shape(
        name=entry["name"],
        inputs=inputs,
        topics=tuple(topics),
        data=data,
        words=None if None in words else tuple(read for read in words if read is not None),
    )


def _reader(kind: str) -> _Read | None:
    """How one word is read; None for a type that takes more than a word."""
    if kind == "address":
        return _address
    if kind == "bool":
        return _bool
    if kind == "bytes32":
        return bytes
    if kind.startswith("uint") and not kind.endswith("]"):
        return partial(_unsigned, bits=int(kind[4:]))
    if kind == "int256":
        return partial(int.from_bytes, byteorder="big", signed=True)
    return None


def _word(raw: bytes) -> bytes:
    if len(raw) != WORD:
        raise ValueError(f"a word has {WORD} bytes, not {len(raw)}")
    return raw


def _unsigned(word: bytes, bits: int) -> int:
    value = int.from_bytes(word, "big")
    if value >> bits:
        raise ValueError(f"{value} has more than {bits} bits")
    return value


def _bool(word: bytes) -> bool:
    return bool(_unsigned(word, 1))


@lru_cache(maxsize=4096)
def _address(word: bytes) -> str:
    if any(word[:12]):
        raise ValueError("an address has 20 bytes")
    return str(to_checksum_address(word[12:]))


def _shown(kind: str, value: Any) -> Any:
    if kind.endswith("[]"):
        return tuple(_shown(kind[:-2], item) for item in value)
    return to_checksum_address(value) if kind == "address" else value
