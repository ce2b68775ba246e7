"""Reading a federation's `History` from a chain, whole and at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ddcai.audit.history import (
    Commitment,
    Finalisation,
    History,
    Judging,
    Payment,
    Registration,
    RoundHistory,
    Sealing,
    dues,
    paid,
)
from ddcai.audit.steps import Steps
from ddcai.audit.window_reading import read_assessment
from ddcai.chain.assessment import CONTRACT
from ddcai.chain.block_header import prev_randao
from ddcai.chain.events import Event, events
from ddcai.chain.federation import Federation
from ddcai.chain.head import Head, teaching
from ddcai.chain.node.connection import Connection, request
from ddcai.chain.records import bitmap_indices
from ddcai.errors import ChainError

_ATTEMPTS = 5
_REGISTER = "register(bytes,bytes)"


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
        self._steps = Steps(w3, [*found, *judging])
        joined = (event for event in found if event.name == "MemberRegistered")
        self._registered = self._steps.arguments(joined, federation.address, _REGISTER)
        self._of_round: dict[int, dict[str, list[Event]]] = defaultdict(lambda: defaultdict(list))
        for event in found:
            if "round" in event.args:
                self._of_round[event.args["round"]][event.name].append(event)

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
            assessment=(
                read_assessment(federation, self._judging, self._steps, members, rounds)
                if rules.assessed
                else None
            ),
        )

    def _members(self) -> tuple[Registration, ...]:
        left = {e.args["member"]: self._steps.of(e) for e in self._events if e.name == "MemberLeft"}
        return tuple(
            Registration(
                address=event.args["member"],
                index=event.args["index"],
                key=event.args["key"],
                proof=self._proof(event),
                step=self._steps.of(event),
                left=left.get(event.args["member"]),
            )
            for event in self._events
            if event.name == "MemberRegistered"
        )

    def _proof(self, event: Event) -> bytes | None:
        key, proof = self._registered.get(event.tx_hash, (None, None))
        return proof if key == event.args["key"] else None

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
            opened=self._steps.of(opened),
            commitments=self._commitments(named["UpdateSubmitted"], indices),
            judging=self._judged(number),
            sealing=None if sealed is None else self._sealing(sealed),
            finalisation=None if finalised is None else self._finalisation(finalised),
            cancelled=None if cancelled is None else self._steps.of(cancelled),
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
                step=self._steps.of(event),
            )
            for event in found
        ]
        return tuple(sorted(commitments, key=lambda one: one.index))

    def _judged(self, number: int) -> Judging | None:
        committed = self._only(number, "RoundCommitted")
        if committed is None:
            return None
        drawn = self._only(number, "RoundDrawn")
        assessed = self._only(number, "RoundAssessed")
        draw_block = committed.args["drawBlock"]
        return Judging(
            indices=bitmap_indices(committed.args["members"]),
            list_digest=self._federation.list_digest(number),
            draw_block=draw_block,
            committed=self._steps.of(committed),
            prev_randao=None if drawn is None else prev_randao(self._w3, draw_block),
            randomness=None if drawn is None else drawn.args["randomness"],
            drawn=None if drawn is None else self._steps.of(drawn),
            scores_digest=None if assessed is None else assessed.args["scoresDigest"],
        )

    def _sealing(self, event: Event) -> Sealing:
        return Sealing(
            sum_digest=event.args["sumDigest"],
            indices=bitmap_indices(event.args["members"]),
            step=self._steps.of(event),
        )

    def _finalisation(self, event: Event) -> Finalisation:
        return Finalisation(
            model_digest=event.args["modelDigest"],
            opened_digest=event.args["openedDigest"],
            head_digest=event.args["headDigest"],
            signers=bitmap_indices(event.args["signers"]),
            opening_signature=event.args["openingSignature"],
            signature=event.args["signature"],
            step=self._steps.of(event),
        )

    def _payments(self, found: Iterable[Event]) -> tuple[Payment, ...]:
        return tuple(
            Payment(
                address=event.args["contributor"],
                amount_wei=event.args["amountWei"],
                step=self._steps.of(event),
            )
            for event in found
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
