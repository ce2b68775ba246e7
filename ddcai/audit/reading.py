"""Reading a federation's `History` from a chain, whole and at one moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.audit.history import (
    Commitment,
    Finalisation,
    History,
    Payment,
    Registration,
    RoundHistory,
    Sealing,
    Step,
    dues,
    paid,
)
from ddcai.chain.events import Event, events
from ddcai.chain.federation import Federation
from ddcai.chain.head import Head, teaching
from ddcai.chain.node.connection import Connection, request, request_many
from ddcai.chain.records import bitmap_indices
from ddcai.errors import ChainError

_ATTEMPTS = 5
_REGISTER = keccak(text="register(bytes,bytes)")[:4]
# Events that other rounds' events of the same transaction share the gas with.
_SETTLING = ("Refunded", "Taken")


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
    for _ in range(_ATTEMPTS):
        block = int(request(w3, "eth_blockNumber", []), 16)
        found = events(w3, federation.address, from_block, block)
        history = _Reader(w3, federation, found).history()
        # Reads are of the latest block: they belong to these events if no other came since.
        now = int(request(w3, "eth_blockNumber", []), 16)
        if now == block or not events(w3, federation.address, block + 1, now):
            return history
    raise ChainError(
        f"the federation {federation.address} went on while it was read, {_ATTEMPTS} times: "
        "audit it again when its round has ended"
    )


class _Reader:
    def __init__(self, w3: Connection, federation: Federation, found: list[Event]) -> None:
        self._w3, self._federation, self._events = w3, federation, found
        hashes = list(dict.fromkeys(event.tx_hash for event in found))
        self._receipts = self._ask("eth_getTransactionReceipt", hashes)
        joined = {event.tx_hash for event in found if event.name == "MemberRegistered"}
        self._transactions = self._ask("eth_getTransactionByHash", sorted(joined))
        self._sharing = Counter(event.tx_hash for event in found if event.name in _SETTLING)
        self._of_round: dict[int, dict[str, list[Event]]] = defaultdict(lambda: defaultdict(list))
        for event in found:
            if "round" in event.args:
                self._of_round[event.args["round"]][event.name].append(event)

    def _ask(self, method: str, hashes: list[str]) -> dict[str, dict[str, Any]]:
        """Answers about transactions, by hash; each is asked for once."""
        answers = dict(
            zip(hashes, request_many(self._w3, [(method, [one]) for one in hashes]), strict=True)
        )
        for tx_hash, answer in answers.items():
            if not answer:
                raise ChainError(
                    f"the node shows an event of {tx_hash}, but not that transaction: it is "
                    "behind, or prunes; use another"
                )
        return answers

    def history(self) -> History:
        federation = self._federation
        members = self._members()
        indices = {one.address: one.index for one in members}
        rounds = tuple(self._round(number, indices) for number in sorted(self._of_round))
        rules, current = federation.rules(), federation.model_digest()
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
            claimable_wei=self._claimable(rounds),
            key_holder_is_contract=code not in ("0x", "", None),
        )

    def _members(self) -> tuple[Registration, ...]:
        left = {e.args["member"]: self._step(e) for e in self._events if e.name == "MemberLeft"}
        return tuple(
            Registration(
                address=event.args["member"],
                index=event.args["index"],
                key=event.args["key"],
                proof=self._proof(event),
                step=self._step(event),
                left=left.get(event.args["member"]),
            )
            for event in self._events
            if event.name == "MemberRegistered"
        )

    def _proof(self, event: Event) -> bytes | None:
        transaction = self._transactions[event.tx_hash]
        data = bytes.fromhex(str(transaction["input"]).removeprefix("0x"))
        to = transaction.get("to")
        if to is None or to_checksum_address(to) != self._federation.address:
            return None
        if data[:4] != _REGISTER:
            return None
        try:
            key, proof = abi.decode(["bytes", "bytes"], data[4:])
        except (DecodingError, OverflowError):
            return None
        return bytes(proof) if key == event.args["key"] else None

    def _round(self, number: int, indices: dict[str, int]) -> RoundHistory:
        named = self._of_round[number]
        opened = self._only(number, "RoundOpened")
        if opened is None:
            raise ChainError(
                f"round {number} has events, but was never opened: ask for events from an "
                "earlier block, or use another node"
            )
        sealed = self._only(number, "RoundSealed")
        finalised = self._only(number, "RoundFinalized")
        cancelled = self._only(number, "RoundCancelled")
        return RoundHistory(
            number=number,
            base_model_digest=opened.args["baseModelDigest"],
            submit_deadline=opened.args["submitDeadline"],
            finalize_deadline=opened.args["finalizeDeadline"],
            opened=self._step(opened),
            commitments=self._commitments(named["UpdateSubmitted"], indices),
            sealing=None if sealed is None else self._sealing(sealed),
            finalisation=None if finalised is None else self._finalisation(finalised),
            cancelled=None if cancelled is None else self._step(cancelled),
            refunds=self._payments(named["Refunded"]),
            takes=self._payments(named["Taken"]),
        )

    def _only(self, number: int, name: str) -> Event | None:
        found = self._of_round[number][name]
        if len(found) > 1:
            raise ChainError(f"round {number} has {len(found)} events {name}: use another node")
        return found[0] if found else None

    def _commitments(
        self, found: Iterable[Event], indices: dict[str, int]
    ) -> tuple[Commitment, ...]:
        commitments = [
            Commitment(
                address=event.args["contributor"],
                index=_index(indices, event.args["contributor"]),
                digest=event.args["updateDigest"],
                deposit_wei=event.args["depositWei"],
                step=self._step(event),
            )
            for event in found
        ]
        return tuple(sorted(commitments, key=lambda one: one.index))

    def _sealing(self, event: Event) -> Sealing:
        return Sealing(
            sum_digest=event.args["sumDigest"],
            indices=bitmap_indices(event.args["members"]),
            step=self._step(event),
        )

    def _finalisation(self, event: Event) -> Finalisation:
        return Finalisation(
            model_digest=event.args["modelDigest"],
            opened_digest=event.args["openedDigest"],
            head_digest=event.args["headDigest"],
            signers=bitmap_indices(event.args["signers"]),
            opening_signature=event.args["openingSignature"],
            signature=event.args["signature"],
            step=self._step(event),
        )

    def _payments(self, found: Iterable[Event]) -> tuple[Payment, ...]:
        return tuple(
            Payment(
                address=event.args["contributor"],
                amount_wei=event.args["amountWei"],
                step=self._step(event),
            )
            for event in found
        )

    def _step(self, event: Event) -> Step:
        receipt = self._receipts[event.tx_hash]
        gas_used = int(receipt["gasUsed"], 16)
        if event.name in _SETTLING:
            gas_used //= self._sharing[event.tx_hash]
        return Step(
            by=to_checksum_address(receipt["from"]),
            time=datetime.fromtimestamp(event.timestamp, UTC),
            block_number=event.block_number,
            tx_hash=event.tx_hash,
            gas_used=gas_used,
        )

    def _claimable(
        self, rounds: tuple[RoundHistory, ...]
    ) -> dict[tuple[int, str], tuple[int, int]]:
        """Asks about every contributor and round that the events do not show as paid out."""
        owed = {}
        for round_ in rounds:
            due = dues(round_)
            for one in round_.commitments:
                address = one.address
                had = paid(round_.refunds, address), paid(round_.takes, address)
                if had == due.get(address):
                    continue
                found = self._federation.claimable(round_.number, address)
                if found != (0, 0):
                    owed[round_.number, address] = found
        return owed


def _index(indices: dict[str, int], address: str) -> int:
    if address not in indices:
        raise ChainError(
            f"{address} has submitted, but no event shows that it joined: ask for events from an "
            "earlier block, or use another node"
        )
    return indices[address]
