"""The messages between strategy and mod: typed here, plain Flower records on the wire.

Every message names chain, contract and round; a node compares them with its own deployment
file and with the chain, and believes neither the message nor its sender.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Self, TypeVar

import numpy as np
from eth_utils.address import is_address, is_checksum_address, to_checksum_address
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.constant import SType

from ddcai.digests import RoundContext
from ddcai.errors import DdcaiError, MalformedError
from ddcai.models.state import State

TRAIN = "train"
EVALUATE = "evaluate"
IDENTIFY, OPEN_SUM, ATTEST, SETTLE = "identify", "open_sum", "attest", "settle"
OPEN_SCALARS, OPEN_MOVEMENT, ATTEST_VERDICT = "open_scalars", "open_movement", "attest_verdict"
QUERIES = (IDENTIFY, OPEN_SUM, OPEN_SCALARS, OPEN_MOVEMENT, ATTEST, ATTEST_VERDICT, SETTLE)

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"  # as Flower's own strategies have them
_ROUND, _UPDATE, _REPLY, _REFUSED = "ddcai-round", "ddcai-update", "ddcai-reply", "ddcai-refused"
_CIPHERTEXT = "ciphertext"

_Record = TypeVar("_Record", ArrayRecord, ConfigRecord, MetricRecord)

_NPY_HEADER_BYTES = 128  # of a vector, in version 1.0 of numpy's format
_CHAIN_ID = re.compile(r"[0-9]{1,77}")  # 77 digits fit 256 bits
_METRIC_NAME = re.compile(r"[ \w.,:/+-]{1,64}", re.ASCII)
_MOST_METRICS, _LARGEST_METRIC = 64, 1e15
_LONGEST_SHOWN = 200


def round_record(context: RoundContext) -> ConfigRecord:
    """The record that names chain, contract and round."""
    return ConfigRecord(
        {
            "chain-id": str(context.chain_id),
            "contract": context.contract,
            "round": context.round,
        }
    )


def round_context(content: RecordDict) -> RoundContext:
    """Reads the record that names chain, contract and round.

    Raises:
        MalformedError: if it is missing or of another form: not a ddcai coordinator.
    """
    record = record_of(content, _ROUND, ConfigRecord)
    try:
        if record is None:
            raise KeyError(_ROUND)
        chain_id, contract, number = record["chain-id"], record["contract"], record["round"]
        if type(number) is not int or not 0 <= number < 2**63 or not is_address(contract):
            raise TypeError(_ROUND)
        if not isinstance(chain_id, str) or _CHAIN_ID.fullmatch(chain_id) is None:
            raise TypeError(_ROUND)
        return RoundContext(
            chain_id=int(chain_id), contract=to_checksum_address(str(contract)), round=number
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError("the message does not name chain, contract and round") from error


def instruction(
    context: RoundContext,
    *,
    config: ConfigRecord | None = None,
    arrays: ArrayRecord | None = None,
    reply: Mapping[str, bytes] | None = None,
) -> RecordDict:
    """The content of a message from the strategy; ``reply`` carries named byte strings."""
    content = RecordDict({_ROUND: round_record(context)})
    if arrays is not None:
        content[ARRAYS] = arrays
    if config is not None:
        content[CONFIG] = config
    if reply is not None:
        content[_REPLY] = _bytes_record(reply)
    return content


def record_of(content: RecordDict, name: str, kind: type[_Record]) -> _Record | None:
    """The record of that name; None if there is none, or one of another type.

    Flower's own ``array_records``, ``config_records`` and ``metric_records`` make an object that
    refers to itself: the message that they are of stays in memory until the garbage collector
    comes, which counts objects and not their bytes. Of large updates dozens would stay.
    """
    record = content.get(name)
    return record if isinstance(record, kind) else None


def to_arrays(model: State) -> ArrayRecord:
    """A model as the record that Flower apps train on."""
    return ArrayRecord({name: Array(np.ascontiguousarray(value)) for name, value in model.items()})


def from_arrays(record: ArrayRecord) -> State:
    """A record's arrays, in their order.

    Raises:
        MalformedError: one is none that numpy reads.
    """
    try:
        return {name: array.numpy() for name, array in record.items()}
    except Exception as error:  # numpy's reader raises whatever the bytes lead it to
        raise MalformedError(f"the arrays cannot be read: {type(error).__name__}") from error


@dataclass(frozen=True, kw_only=True)
class UpdateReply:
    """What a contributor sends for a round: all that ever leaves it while training.

    Attributes:
        contributor: its account.
        ciphertext: the update in wire form.
        metrics: numbers about the work, each allowed by the node.
    """

    contributor: str
    ciphertext: bytes
    metrics: dict[str, float]

    def to_content(self) -> RecordDict:
        """As Flower records."""
        ciphertext = Array(np.frombuffer(self.ciphertext, dtype=np.uint8))
        return RecordDict(
            {
                _UPDATE: ArrayRecord({_CIPHERTEXT: ciphertext}),
                _REPLY: ConfigRecord({"contributor": self.contributor}),
                METRICS: MetricRecord(dict(self.metrics)),
            }
        )

    @classmethod
    def from_content(cls, content: RecordDict) -> Self:
        """Reads a reply, strictly: one uint8 array, one account; metrics that are unfit to be
        shown are left out, as they are no reason to lose an update.

        Raises:
            MalformedError: for anything else, plaintext arrays above all.
        """
        if set(content) != {_UPDATE, _REPLY, METRICS}:
            raise MalformedError(f"a reply with records {sorted(content)}: not an update")
        arrays = record_of(content, _UPDATE, ArrayRecord)
        record = record_of(content, _REPLY, ConfigRecord)
        metrics = record_of(content, METRICS, MetricRecord)
        if arrays is None or record is None or metrics is None:
            raise MalformedError("a record of a reply is of another type than an update's")
        if set(arrays) != {_CIPHERTEXT}:
            raise MalformedError(f"arrays {sorted(arrays)}: only a ciphertext is taken")
        contributor = record.get("contributor")
        if set(record) != {"contributor"} or not is_checksum_address(contributor):
            raise MalformedError("the reply does not name its contributor")
        return cls(
            contributor=str(contributor),
            ciphertext=_plain_bytes(arrays[_CIPHERTEXT]),
            metrics=_numbers(metrics),
        )


def _plain_bytes(array: Array) -> bytes:
    """The bytes of a uint8 vector, in the one form that numpy writes; nothing is unpickled.

    The array's own words about its type and shape are not believed.
    """
    if array.stype != SType.NUMPY or len(array.data) < _NPY_HEADER_BYTES:
        raise MalformedError("not a numpy array of ciphertext bytes")
    body = array.data[_NPY_HEADER_BYTES:]
    expected = BytesIO()
    np.lib.format.write_array_header_1_0(
        expected, {"descr": "|u1", "fortran_order": False, "shape": (len(body),)}
    )
    if array.data[:_NPY_HEADER_BYTES] != expected.getvalue():
        raise MalformedError("an array of something else than bytes: only ciphertexts are taken")
    return body


def _numbers(metrics: MetricRecord) -> dict[str, float]:
    """Metrics as few finite numbers with names that a log or a table can show; no others."""
    return {
        name: float(value)
        for name, value in list(metrics.items())[:_MOST_METRICS]
        if _METRIC_NAME.fullmatch(name)
        and isinstance(value, int | float)
        and abs(value) <= _LARGEST_METRIC
    }


def reply_record(fields: Mapping[str, bytes]) -> RecordDict:
    """A reply of named byte strings."""
    return RecordDict({_REPLY: _bytes_record(fields)})


def read_reply(content: RecordDict, names: Iterable[str]) -> dict[str, bytes]:
    """The named byte strings of a reply or instruction; all must be there.

    Raises:
        MalformedError: if one is missing or of another type.
    """
    record = record_of(content, _REPLY, ConfigRecord)
    fields: dict[str, bytes] = {}
    for name in names:
        value = None if record is None else record.get(name)
        if not isinstance(value, bytes):
            raise MalformedError(f"the message has no bytes named {name!r}")
        fields[name] = value
    return fields


def reply_bytes(content: RecordDict) -> dict[str, bytes]:
    """All named byte strings of a reply."""
    record = record_of(content, _REPLY, ConfigRecord) or ConfigRecord()
    return {name: value for name, value in record.items() if isinstance(value, bytes)}


_BITMAP_BYTES = 8
_RESPONDERS, _SHARE = "responders", "share-{}"


def numbers_to_bytes(numbers: Iterable[int]) -> bytes:
    """Holders' numbers, each below 64, as a bitmap of 8 bytes."""
    return sum(1 << number for number in set(numbers)).to_bytes(_BITMAP_BYTES, "big")


def numbers_from_bytes(bitmap: bytes) -> tuple[int, ...]:
    """Reads what `numbers_to_bytes` gives. Raises MalformedError for anything else."""
    if len(bitmap) != _BITMAP_BYTES:
        raise MalformedError(f"a list of holders has {_BITMAP_BYTES} bytes, not {len(bitmap)}")
    word = int.from_bytes(bitmap, "big")
    return tuple(number for number in range(8 * _BITMAP_BYTES) if word >> number & 1)


def holders_question(
    fields: Mapping[str, bytes], responders: Iterable[int], shares: Mapping[int, bytes]
) -> dict[str, bytes]:
    """The fields of a question to key holders that open together.

    Args:
        fields: those of the question itself.
        responders: numbers of the holders that take part.
        shares: theirs, by number, where they are to be put together; none where they are asked for.
    """
    carried = {_SHARE.format(number): share for number, share in shares.items()}
    return {**fields, _RESPONDERS: numbers_to_bytes(responders), **carried}


def read_holders_question(content: RecordDict) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """The responders and the shares of such a question.

    Raises:
        MalformedError: it names no responders, or a share is none of theirs.
    """
    responders = numbers_from_bytes(read_reply(content, (_RESPONDERS,))[_RESPONDERS])
    carried = reply_bytes(content)
    present = [number for number in responders if _SHARE.format(number) in carried]
    names = {_SHARE.format(number): number for number in present}
    return responders, {names[name]: one for name, one in read_reply(content, names).items()}


def _bytes_record(fields: Mapping[str, bytes]) -> ConfigRecord:
    return ConfigRecord(dict(fields))


def refusal(error: BaseException) -> RecordDict:
    """A refusal: the error's kind and what the kind means, never its own message.

    Messages name files, rows and values of the node's data; they stay in the node's log.
    """
    known = isinstance(error, DdcaiError)
    meaning = (type(error).__doc__ or "").strip().splitlines()[0] if known else ""
    return RecordDict(
        {
            _REFUSED: ConfigRecord(
                {"kind": type(error).__name__, "meaning": meaning or "An unexpected error."}
            )
        }
    )


@dataclass(frozen=True)
class Refused:
    """That a node did not do as asked.

    Attributes:
        kind: an error's name from `ddcai.errors`, another word, or empty where Flower could
            not deliver the question or the answer.
        why: one line for a log. Written by the node, so shortened and without control
            characters.
    """

    kind: str
    why: str

    def __str__(self) -> str:
        return self.why


def refused(message: Message) -> Refused | None:
    """Why a node did not do as asked; None if it did."""
    if message.has_error():
        return Refused("", f"Flower error {message.error.code}")
    record = record_of(message.content, _REFUSED, ConfigRecord)
    if record is None:
        return None
    kind, meaning = (_shown(record.get(name)) for name in ("kind", "meaning"))
    return Refused(kind, f"{kind}: {meaning}")


def _shown(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text)[:_LONGEST_SHOWN])
