"""That one update is part of a model, for an outsider: four events and their proofs, in a file.

| event | what it shows |
|---|---|
| MemberRegistered | the contributor's index, which it keeps for ever |
| UpdateSubmitted | the update's digest, from the contributor's own account |
| RoundSealed | that this index is on the list of updates that the round's sum is of |
| RoundFinalized | the model that the round led to, as the quorum signed it |

A contract finalises no round that was cancelled, and no list that was not sealed before. What a
receipt does not show: that the contract is the federation that somebody means (compare its
address), and that the model was computed from the sum (``ddcai audit verify`` shows that).
Only digests are in it; whoever reads it learns what everybody can read on chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ddcai import strict_json
from ddcai.audit.report import strict
from ddcai.chain import artifact
from ddcai.chain.log_decoder import LogDecoder
from ddcai.chain.receipt_proof import LogProof, ProvenLog
from ddcai.chain.records import bitmap_indices
from ddcai.errors import MalformedError, VerificationError

FORMAT = "ddcai-inclusion-receipt-1"
# In the order in which they happen.
EVENTS = ("MemberRegistered", "UpdateSubmitted", "RoundSealed", "RoundFinalized")
MAX_BYTES = 1 << 20
_PROOF_NAMES = {"header", "transaction_index", "nodes", "position"}
_NAMES = {
    *("format", "chain_id", "contract", "round", "contributor"),
    *("update_digest", "model_digest", "events"),
}


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """What a receipt proves.

    Attributes:
        chain_id: the chain that its blocks are said to be of; only a node can tell.
        contract: the federation's address.
        contributor, member_index: whose update it is.
        update_digest: of the encrypted update, bound to chain, contract, round and contributor.
        sum_digest: of the encrypted sum that the update is part of.
        model_digest: of the model that the sum led to.
        updates: how many updates that sum is of.
        finalised: when, unix seconds.
        blocks: hash of each block that the proof rests on, by number, ascending.
    """

    chain_id: int
    contract: str
    round: int
    contributor: str
    member_index: int
    update_digest: bytes
    sum_digest: bytes
    model_digest: bytes
    updates: int
    finalised: int
    blocks: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, kw_only=True)
class InclusionReceipt:
    """The file.

    Attributes:
        proofs: by the names of `EVENTS`.
    """

    chain_id: int
    contract: str
    round: int
    contributor: str
    update_digest: bytes
    model_digest: bytes
    proofs: Mapping[str, LogProof]

    def check(self) -> Inclusion:
        """What it proves, if the blocks named there are of the chain.

        Raises:
            MalformedError: a header, node, receipt or event that is none.
            VerificationError: the proofs do not show what the file says.
        """
        decoder = LogDecoder([artifact.load("Federation")])
        logs = {name: self.proofs[name].log() for name in EVENTS}
        registered, submitted, sealed, finalised = (
            self._event(decoder, name, logs[name]) for name in EVENTS
        )
        self._compare("contributor", registered["member"], self.contributor)
        self._compare("contributor", submitted["contributor"], self.contributor)
        for event in (submitted, sealed, finalised):
            self._compare("round", event["round"], self.round)
        self._compare("update_digest", submitted["updateDigest"], self.update_digest)
        self._compare("model_digest", finalised["modelDigest"], self.model_digest)
        index, listed = registered["index"], bitmap_indices(sealed["members"])
        if index not in listed:
            raise VerificationError(
                f"the update of {self.contributor}, member {index}, is not on the sealed list of "
                f"round {self.round}, which has {len(listed)} members"
            )
        return Inclusion(
            chain_id=self.chain_id,
            contract=self.contract,
            round=self.round,
            contributor=self.contributor,
            member_index=index,
            update_digest=self.update_digest,
            sum_digest=sealed["sumDigest"],
            model_digest=self.model_digest,
            updates=len(listed),
            finalised=logs["RoundFinalized"].timestamp,
            blocks=tuple(sorted({(log.block_number, log.block_hash) for log in logs.values()})),
        )

    def _event(self, decoder: LogDecoder, name: str, log: ProvenLog) -> dict[str, Any]:
        """Arguments of an event that this contract emitted."""
        self._compare(f"contract of {name}", log.address, self.contract)
        decoded = decoder.decode_raw(log.topics, log.data)
        if decoded is None or decoded[0] != name:
            found = "another event" if decoded is None else decoded[0]
            raise VerificationError(f"the proof of {name} proves {found}")
        return decoded[1]

    def _compare(self, what: str, proven: object, said: object) -> None:
        if proven != said:
            shown = [
                "0x" + one.hex() if isinstance(one, bytes) else str(one) for one in (said, proven)
            ]
            raise VerificationError(f"{what} is {shown[0]}, but the proof is of {shown[1]}")

    # The file.

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "round": self.round,
            "contributor": self.contributor,
            "update_digest": "0x" + self.update_digest.hex(),
            "model_digest": "0x" + self.model_digest.hex(),
            "events": {
                name: {
                    "header": "0x" + proof.header.hex(),
                    "transaction_index": proof.transaction_index,
                    "nodes": ["0x" + node.hex() for node in proof.nodes],
                    "position": proof.position,
                }
                for name, proof in self.proofs.items()
            },
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Reads what `to_json` made; `check` says whether it is true.

        Raises:
            MalformedError: anything else.
        """
        values = strict.object_("a receipt", content, _NAMES)
        if values["format"] != FORMAT:
            raise MalformedError(f"format is {values['format']!r}: expected {FORMAT!r}")
        events = strict.object_("events", values["events"], set(EVENTS))
        return cls(
            chain_id=strict.number("chain_id", values["chain_id"]),
            contract=strict.address("contract", values["contract"]),
            round=strict.number("round", values["round"]),
            contributor=strict.address("contributor", values["contributor"]),
            update_digest=strict.digest("update_digest", values["update_digest"]),
            model_digest=strict.digest("model_digest", values["model_digest"]),
            proofs={name: _proof(name, events[name]) for name in EVENTS},
        )

    def save(self, path: Path) -> None:
        """Writes the file, in the place of one that is there."""
        strict.write(path, (json.dumps(self.to_json(), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ConfigurationError: it cannot be read.
            MalformedError: not such a file.
        """
        raw = strict.read(path, MAX_BYTES)
        try:
            return cls.from_json(strict_json.loads(raw))
        except (MalformedError, ValueError) as error:
            raise MalformedError(f"{path} is no receipt of `audit receipt`: {error}") from error


def _proof(name: str, value: Any) -> LogProof:
    values = strict.object_(name, value, _PROOF_NAMES)
    nodes = values["nodes"]
    if not isinstance(nodes, list):
        raise MalformedError(f"nodes of {name} is {str(nodes)[:80]!r}: give a list")
    return LogProof(
        header=strict.bytes_(f"header of {name}", values["header"]),
        transaction_index=strict.number(
            f"transaction_index of {name}", values["transaction_index"]
        ),
        nodes=tuple(strict.bytes_(f"a node of {name}", node) for node in nodes),
        position=strict.number(f"position of {name}", values["position"]),
    )
