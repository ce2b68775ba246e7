"""A round's history, put together from its events; who read these does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from ddcai.audit.history import (
    Commitment,
    Finalisation,
    Judging,
    Payment,
    RoundHistory,
    Sealing,
    Step,
)
from ddcai.chain.events import Event
from ddcai.chain.records import bitmap_indices
from ddcai.errors import ChainError


class Assembly:
    """The events of one round, by name.

    Args:
        number: the round's.
        found: the federation's events that name this round, in their order.
        indices: members by account.
        step_of: the step that an event tells of (`ddcai.audit.steps.Steps`).
    """

    def __init__(
        self,
        number: int,
        found: Iterable[Event],
        indices: Mapping[str, int],
        step_of: Callable[[Event], Step],
    ) -> None:
        self.number, self._indices, self._step_of = number, indices, step_of
        self._named: dict[str, list[Event]] = defaultdict(list)
        for event in found:
            self._named[event.name].append(event)

    def round(
        self,
        list_digest: Callable[[Sequence[Commitment]], bytes],
        prev_randao: Callable[[int], bytes | None] = lambda block: None,
    ) -> RoundHistory:
        """The round.

        Args:
            list_digest: of a committed list, as the history shall have it.
            prev_randao: the RANDAO value of a block; None where it is not known.

        Raises:
            ChainError: events that do not fit together.
        """
        opened = self._only("RoundOpened")
        if opened is None:
            raise ChainError(
                f"round {self.number} has events, but was never opened: ask for events from an "
                "earlier block, or use another node"
            )
        sealed = self._only("RoundSealed")
        finalised = self._only("RoundFinalized")
        cancelled = self._only("RoundCancelled")
        commitments = self._commitments()
        return RoundHistory(
            number=self.number,
            base_model_digest=opened.args["baseModelDigest"],
            submit_deadline=opened.args["submitDeadline"],
            finalize_deadline=opened.args["finalizeDeadline"],
            opened=self._step_of(opened),
            commitments=commitments,
            judging=self._judging(commitments, list_digest, prev_randao),
            sealing=None if sealed is None else self._sealing(sealed),
            finalisation=None if finalised is None else self._finalisation(finalised),
            cancelled=None if cancelled is None else self._step_of(cancelled),
            refunds=self._payments("Refunded"),
            takes=self._payments("Taken"),
        )

    def _only(self, name: str) -> Event | None:
        found = self._named[name]
        if len(found) > 1:
            raise ChainError(
                f"round {self.number} has {len(found)} events {name}: use another node"
            )
        return found[0] if found else None

    def _commitments(self) -> tuple[Commitment, ...]:
        commitments = [
            Commitment(
                address=event.args["contributor"],
                index=self._index(event.args["contributor"]),
                digest=event.args["updateDigest"],
                deposit_wei=event.args["depositWei"],
                step=self._step_of(event),
            )
            for event in self._named["UpdateSubmitted"]
        ]
        return tuple(sorted(commitments, key=lambda one: one.index))

    def _index(self, address: str) -> int:
        if address not in self._indices:
            raise ChainError(
                f"{address} has submitted, but no event shows that it joined: ask for events from "
                "an earlier block, or use another node"
            )
        return self._indices[address]

    def _judging(
        self,
        commitments: tuple[Commitment, ...],
        list_digest: Callable[[Sequence[Commitment]], bytes],
        prev_randao: Callable[[int], bytes | None],
    ) -> Judging | None:
        committed = self._only("RoundCommitted")
        if committed is None:
            return None
        drawn = self._only("RoundDrawn")
        assessed = self._only("RoundAssessed")
        draw_block = committed.args["drawBlock"]
        indices = bitmap_indices(committed.args["members"])
        listed = frozenset(indices)
        return Judging(
            indices=indices,
            list_digest=list_digest([one for one in commitments if one.index in listed]),
            draw_block=draw_block,
            committed=self._step_of(committed),
            prev_randao=None if drawn is None else prev_randao(draw_block),
            randomness=None if drawn is None else drawn.args["randomness"],
            drawn=None if drawn is None else self._step_of(drawn),
            scores_digest=None if assessed is None else assessed.args["scoresDigest"],
        )

    def _sealing(self, event: Event) -> Sealing:
        return Sealing(
            sum_digest=event.args["sumDigest"],
            indices=bitmap_indices(event.args["members"]),
            step=self._step_of(event),
        )

    def _finalisation(self, event: Event) -> Finalisation:
        return Finalisation(
            model_digest=event.args["modelDigest"],
            opened_digest=event.args["openedDigest"],
            head_digest=event.args["headDigest"],
            signers=bitmap_indices(event.args["signers"]),
            opening_signature=event.args["openingSignature"],
            signature=event.args["signature"],
            step=self._step_of(event),
        )

    def _payments(self, name: str) -> tuple[Payment, ...]:
        return tuple(
            Payment(
                address=event.args["contributor"],
                amount_wei=event.args["amountWei"],
                step=self._step_of(event),
            )
            for event in self._named[name]
        )
