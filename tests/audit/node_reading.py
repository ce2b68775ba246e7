"""Reading a federation's `History` from a node alone, into memory: an index must agree with it."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address

from ddcai.audit.assembly import Assembly
from ddcai.audit.history import History, Registration, RoundHistory, Step
from ddcai.audit.members import members_of
from ddcai.audit.money import claimable_wei
from ddcai.audit.steps import SETTLING, arguments_of
from ddcai.audit.window_reading import read_assessment
from ddcai.audit.windows import AssessmentHistory
from ddcai.chain.assessment import CONTRACT
from ddcai.chain.block_header import prev_randao
from ddcai.chain.events import Event, events
from ddcai.chain.federation import Federation
from ddcai.chain.head import Head, teaching
from ddcai.chain.node.connection import Connection, request, request_many
from ddcai.errors import ChainError

_ATTEMPTS = 5


def read_history(w3: Connection, address: str, from_block: int = 0) -> History:
    """Everything that the chain says of one federation.

    Args:
        w3: a connection (`ddcai.chain.node.connection.connect`).
        address: the federation's contract.
        from_block: a block at or before the deployment; 0 always serves.

    Raises:
        NotAFederation: no federation there.
        ChainUnreachable: no answer.
        ChainError: answers that do not fit together, or a federation that does not rest for
            as long as reading takes.
    """
    federation = Federation.connect(w3, address)
    rules = federation.rules()

    def judging(first: int, last: int) -> list[Event]:
        if not rules.assessed:
            return []
        return events(w3, rules.assessment, first, last, contract_name=CONTRACT)

    for _ in range(_ATTEMPTS):
        block = int(request(w3, "eth_blockNumber", []), 16)
        found = events(w3, federation.address, from_block, block)
        history = _Reader(w3, federation, found, judging(from_block, block)).history()
        # Reads are of the latest block: they belong to these events if no other came since.
        now = int(request(w3, "eth_blockNumber", []), 16)
        later = (block + 1, now)
        if now == block or not (events(w3, federation.address, *later) or judging(*later)):
            return history
    raise ChainError(
        f"the federation {federation.address} went on while it was read, {_ATTEMPTS} times: "
        "audit it again when its round has ended"
    )


class _Reader:
    def __init__(
        self, w3: Connection, federation: Federation, found: list[Event], judging: list[Event]
    ) -> None:
        self._w3, self._federation, self._events, self._judging = w3, federation, found, judging
        self._steps = NodeSteps(w3, [*found, *judging])
        self._of_round: dict[int, list[Event]] = defaultdict(list)
        for event in found:
            if "round" in event.args:
                self._of_round[event.args["round"]].append(event)

    def history(self) -> History:
        federation = self._federation
        members = members_of(self._events, self._steps, federation.address)
        indices = {one.address: one.index for one in members}
        rounds = tuple(self._round(number, indices) for number in sorted(self._of_round))
        rules, current = federation.rules(), federation.model_digest()
        holders = federation.key_holders()
        code = request(self._w3, "eth_getCode", [rules.key_holder, "latest"])
        taught = teaching(self._w3, federation.head_address())
        return History(
            encoder_every=None if taught is None else taught.encoder_every,
            chain_id=federation.chain_id,
            contract=federation.address,
            quorum_scheme=federation.quorum_scheme(),
            quorum=federation.quorum_address(),
            sponsor=federation.sponsor(),
            rules=rules,
            initial_model_digest=rounds[0].base_model_digest if rounds else current,
            model_digest=current,
            last_round=federation.last_round(),
            head_words=Head(self._w3, federation.head_address()).words(),
            balance_wei=federation.balance(),
            members=members,
            rounds=rounds,
            claimable_wei=sum(claimable_wei(federation, round_) for round_ in rounds),
            key_holder_is_contract=code not in ("0x", "", None),
            key_epochs=() if holders is None else holders.epochs(),
            assessment=self._assessment(members, rounds) if rules.assessed else None,
        )

    def _assessment(
        self, members: Sequence[Registration], rounds: Sequence[RoundHistory]
    ) -> AssessmentHistory:
        batches = [(self._judging, self._steps)]
        with tempfile.TemporaryDirectory() as name:
            return in_memory(
                read_assessment(self._federation, batches, members, rounds, Path(name))
            )

    def _round(self, number: int, indices: dict[str, int]) -> RoundHistory:
        assembly = Assembly(number, self._of_round[number], indices, self._steps.of)
        return assembly.round(
            lambda listed: self._federation.list_digest(number),
            lambda block: prev_randao(self._w3, block),
        )


def in_memory(stored: AssessmentHistory) -> AssessmentHistory:
    """The same, without files."""
    return replace(
        stored,
        entries=tuple(stored.entries),
        windows=tuple(stored.windows),
        members=tuple(stored.members),
    )


class NodeSteps:
    """The steps of these events, from a node; each transaction is asked for once."""

    def __init__(self, w3: Connection, found: Sequence[Event]) -> None:
        self._w3 = w3
        hashes = dict.fromkeys(event.tx_hash for event in found)
        self._receipts = self._ask("eth_getTransactionReceipt", hashes)
        self._sharing = Counter(event.tx_hash for event in found if event.name in SETTLING)

    def of(self, event: Event) -> Step:
        """The step that an event tells of."""
        receipt = self._receipts[event.tx_hash]
        gas_used = int(receipt["gasUsed"], 16)
        if event.name in SETTLING:
            gas_used //= self._sharing[event.tx_hash]
        return Step(
            by=to_checksum_address(receipt["from"]),
            time=datetime.fromtimestamp(event.timestamp, UTC),
            block_number=event.block_number,
            tx_hash=event.tx_hash,
            gas_used=gas_used,
        )

    def arguments(
        self, found: Iterable[Event], address: str, signature: str
    ) -> dict[str, tuple[Any, ...]]:
        """What the transactions of these events gave to a function of a contract, by hash."""
        decoded = {}
        hashes = dict.fromkeys(event.tx_hash for event in found)
        for tx_hash, transaction in self._ask("eth_getTransactionByHash", hashes).items():
            to = transaction.get("to")
            if to is None or to_checksum_address(to) != address:
                continue
            data = bytes.fromhex(str(transaction["input"]).removeprefix("0x"))
            given = arguments_of(data, signature)
            if given is not None:
                decoded[tx_hash] = given
        return decoded

    def _ask(self, method: str, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
        wanted = list(hashes)
        answers = dict(
            zip(wanted, request_many(self._w3, [(method, [one]) for one in wanted]), strict=True)
        )
        for tx_hash, answer in answers.items():
            if not answer:
                raise ChainError(
                    f"the node shows an event of {tx_hash}, but not that transaction: it is "
                    "behind, or prunes; use another"
                )
        return answers
