"""The messages between strategy and mod: typed here, plain Flower records on the wire.

Every message names chain, contract and round; a node compares them with its own deployment
file and with the chain, and believes neither the message nor its sender.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from ddcai.digests import RoundContext
from ddcai.errors import DdcaiError, MalformedError
from ddcai.models.state import State

TRAIN = "train"
EVALUATE = "evaluate"
IDENTIFY, OPEN_SUM, ATTEST, SETTLE = "identify", "open_sum", "attest", "settle"
QUERIES = (IDENTIFY, OPEN_SUM, ATTEST, SETTLE)

ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"  # as Flower's own strategies have them
_ROUND, _UPDATE, _REPLY, _REFUSED = "ddcai-round", "ddcai-update", "ddcai-reply", "ddcai-refused"
_CIPHERTEXT = "ciphertext"


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
    record = content.config_records.get(_ROUND)
    try:
        if record is None:
            raise KeyError(_ROUND)
        chain_id, contract, number = record["chain-id"], record["contract"], record["round"]
        if not isinstance(number, int) or not isinstance(contract, str) or number < 0:
            raise TypeError(_ROUND)
        return RoundContext(chain_id=int(str(chain_id)), contract=contract, round=number)
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


def to_arrays(model: State) -> ArrayRecord:
    """A model as the record that Flower apps train on."""
    return ArrayRecord({name: Array(np.ascontiguousarray(value)) for name, value in model.items()})


def from_arrays(record: ArrayRecord) -> State:
    """A record's arrays, in their order."""
    return {name: array.numpy() for name, array in record.items()}


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
        """Reads a reply, strictly: one uint8 array, one account, finite numbers.

        Raises:
            MalformedError: for anything else, plaintext arrays above all.
        """
        if set(content) != {_UPDATE, _REPLY, METRICS}:
            raise MalformedError(f"a reply with records {sorted(content)}: not an update")
        try:
            arrays = content.array_records[_UPDATE]
            record = content.config_records[_REPLY]
            metrics = content.metric_records[METRICS]
        except KeyError as error:
            raise MalformedError(f"record {error} is of another type") from error
        if set(arrays) != {_CIPHERTEXT}:
            raise MalformedError(f"arrays {sorted(arrays)}: only a ciphertext is taken")
        array = arrays[_CIPHERTEXT]
        if array.dtype != "uint8" or len(array.shape) != 1:
            raise MalformedError(f"a {array.dtype} array: only ciphertext bytes are taken")
        contributor = record.get("contributor")
        if set(record) != {"contributor"} or not isinstance(contributor, str):
            raise MalformedError("the reply does not name its contributor")
        numbers: dict[str, float] = {}
        for name, value in metrics.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise MalformedError(f"metric {name!r} is no finite number")
            numbers[name] = float(value)
        return cls(contributor=contributor, ciphertext=array.numpy().tobytes(), metrics=numbers)


def reply_record(fields: Mapping[str, bytes]) -> RecordDict:
    """A reply of named byte strings."""
    return RecordDict({_REPLY: _bytes_record(fields)})


def read_reply(content: RecordDict, names: Iterable[str]) -> dict[str, bytes]:
    """The named byte strings of a reply or instruction; all must be there.

    Raises:
        MalformedError: if one is missing or of another type.
    """
    record = content.config_records.get(_REPLY)
    fields: dict[str, bytes] = {}
    for name in names:
        value = None if record is None else record.get(name)
        if not isinstance(value, bytes):
            raise MalformedError(f"the message has no bytes named {name!r}")
        fields[name] = value
    return fields


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


def refused(message: Message) -> str | None:
    """Why a node did not do as asked, in one line; None if it did."""
    if message.has_error():
        return f"Flower error {message.error.code}"
    record = message.content.config_records.get(_REFUSED)
    if record is None:
        return None
    return f"{record.get('kind')!s}: {record.get('meaning')!s}"
