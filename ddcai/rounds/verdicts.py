"""A window's verdicts, as every party computes them for itself: whose deposits come back.

A round of the window is judged when the model has moved on since: `movement_lag` finalised
rounds later. Where no more rounds follow, the window's last ones are not; ``until`` says up to
which round movement was looked at.

| a contributor with | result |
|---|---|
| an update that no honest one can have sent | forfeits |
| an update in at least half of the judged rounds | is judged by the rule |
| fewer | deposits come back, without points |

The outcome is a document under a digest that the contract holds. It has all that the public
record has not: the key holder's scalars. Whoever has it makes it anew, and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcai import digests, strict_json
from ddcai.assessment import derivation
from ddcai.assessment.scores import SCALE, movement_score
from ddcai.assessment.window import RoundRecord as RoundScore
from ddcai.assessment.window import Verdicts, WindowScores, judge
from ddcai.chain.assessment import WindowRecord
from ddcai.chain.records import RoundRecord, RoundState, bitmap
from ddcai.errors import MalformedError, StoreError, VerificationError
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.judging import Judge, Judged, commitment_of
from ddcai.rounds.party import Party
from ddcai.rounds.scalars import OpenedScalars

_FORMAT = "ddcai-window-1"
Movement = Mapping[int, OpenedScalars]


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Which way the model went after a round, over what was looked at in it.

    Attributes:
        lane: of the ciphertexts' slots.
        positions: among the encrypted values, int64[m], ascending.
        signs: int8[m].
        dimension: coordinates of the part of the model that the round trains.
    """

    lane: int
    positions: NDArray[np.int64]
    signs: NDArray[np.int8]
    dimension: int


@dataclass(frozen=True, kw_only=True)
class MemberOutcome:
    """What a window comes to for one contributor.

    Attributes:
        index: its member index.
        updates: how many of its deposits are in the window.
        judged: in how many judged rounds it was.
        refund: whether they come back.
        points: its weight in what others forfeit, below 2**32.
        failed: which tests it failed; ``range`` for an update of impossible values.
        scores: means that it was judged by; None where it was not.
    """

    index: int
    updates: int
    judged: int
    refund: bool
    points: int
    failed: tuple[str, ...]
    scores: WindowScores | None


@dataclass(frozen=True, kw_only=True)
class WindowVerdicts:
    """A window's verdicts.

    Attributes:
        window: its number.
        until: the finalised round up to which movement was looked at.
        by_contributor: of everybody with an update in it, by address.
        blob: the document.
        digest: `ddcai.digests.window_digest` of it.
    """

    window: int
    until: int
    by_contributor: Mapping[str, MemberOutcome]
    blob: bytes
    digest: bytes

    @property
    def agreed(self) -> tuple[int, ...]:
        """Member indices whose deposits come back, ascending."""
        return tuple(sorted(one.index for one in self.by_contributor.values() if one.refund))

    @property
    def points(self) -> tuple[int, ...]:
        """Their points, in that order."""
        points = {one.index: one.points for one in self.by_contributor.values()}
        return tuple(points[index] for index in self.agreed)

    def message(self, party: Party, attempt: int) -> bytes:
        """The 32 bytes that contributors sign; attempt 1 settles a dispute."""
        return digests.verdict_message(
            party.federation.chain_id,
            party.federation.rules().assessment,
            self.window,
            attempt,
            scores=self.digest,
            agreed=bitmap(self.agreed),
            points=self.points,
        )


class WindowJudge:
    """Computes the verdicts of a federation's windows.

    Args:
        judge: of its rounds; whoever has one that remembers gives it.

    Raises ConfigurationError for a federation without an assessment.
    """

    def __init__(self, party: Party, judge: Judge | None = None) -> None:
        self.party = party
        self._judge = Judge(party) if judge is None else judge
        self.config = self._judge.config
        self.assessment = party.federation.assessment()

    def until(self, window: WindowRecord) -> tuple[int, bool]:
        """The finalised round up to which movement is looked at now, and whether it is the last
        that the rule asks for."""
        seen = self._seen(window.rounds[-1])
        return seen[-1], len(seen) > self.config.movement_lag

    def judged_rounds(self, window: WindowRecord, until: int) -> tuple[int, ...]:
        """The window's rounds whose movement is known at a round, ascending."""
        seen = {number: self._seen(number) for number in window.rounds}
        lag = self.config.movement_lag
        return tuple(number for number, one in seen.items() if len(one) > lag and one[-1] <= until)

    def direction(self, record: RoundRecord) -> Direction:
        """The model's movement from right after a finalised round on, `movement_lag` rounds.

        Raises:
            VerificationError: so many rounds have not been finalised since.
        """
        seen = self._seen(record.number)
        if len(seen) <= self.config.movement_lag or not self._finalised(record.number):
            raise VerificationError(
                f"round {record.number} is judged by what the model does in "
                f"{self.config.movement_lag} finalised rounds after it: they are not there yet"
            )
        before, after = (
            self._judge.trained(record, self._model_after(number))
            for number in (record.number, seen[-1])
        )
        lane, block = self._judge.block(record, before.size)
        signs = derivation.movement_signs(before, after, block)
        return Direction(
            lane=lane, positions=block + COUNT_DIGITS, signs=signs, dimension=before.size
        )

    def noise(self, direction: Direction) -> float:
        """Of the scalar with a direction, for each unit of the direction's length."""
        return self._judge.noise(direction.positions.size, direction.dimension)

    def verdicts(self, window: WindowRecord, until: int, movement: Movement) -> WindowVerdicts:
        """Judges a window.

        Args:
            until: as `until` says.
            movement: scalars of each of `judged_rounds`, and of no other round.

        Raises:
            VerificationError: scalars of other rounds or contributors, or not signed by the key
                holder; or a round's document is not what its scalars lead to.
            BlobMissing, StoreError: something that it rests on cannot be had.
        """
        judged_rounds = self.judged_rounds(window, until)
        if set(movement) != set(judged_rounds):
            raise VerificationError(
                f"window {window.number} up to round {until} is judged by rounds "
                f"{list(judged_rounds)}, but movement was opened for {sorted(movement)}"
            )
        members: dict[str, int] = {}
        updates: dict[str, int] = {}
        scored: dict[str, list[RoundScore]] = {}
        odd: set[str] = set()
        for number in window.rounds:
            record = self.party.federation.round(number)
            judged = self._judge.check(record)
            for item in commitment_of(record).committed:
                members[item.address] = item.index
                updates[item.address] = updates.get(item.address, 0) + 1
            odd |= members.keys() & (set(judged.scalars.by_contributor) - set(judged.scores))
            if number in movement:
                self._score(record, judged, movement[number], scored, odd)
        least = -(-len(judged_rounds) // 2)
        cohort = {
            name: WindowScores.of(scores)
            for name, scores in scored.items()
            if len(scores) >= least and name not in odd
        }
        previous, noisy = self._before(window)
        anchor = self.config.anchor == "root_set"
        found = judge(
            cohort,
            {name: updates[name] * SCALE for name in cohort},
            anchor_judges=anchor and self.config.anchor_judges(*self._root_set()),
            noisy_windows=noisy,
            config=self.config,
        )
        outcomes: dict[str, MemberOutcome] = {}
        for name in sorted(members):
            verdict = found.by_contributor.get(name)
            outcomes[name] = MemberOutcome(
                index=members[name],
                updates=updates[name],
                judged=len(scored.get(name, ())),
                refund=name not in odd and (verdict is None or verdict.refund),
                points=0 if verdict is None else verdict.points_wei,
                failed=("range",) if name in odd else () if verdict is None else verdict.failed,
                scores=None if verdict is None else verdict.scores,
            )
        blob = _document(window, until, previous, movement, found, outcomes)
        return WindowVerdicts(
            window=window.number,
            until=until,
            by_contributor=outcomes,
            blob=blob,
            digest=digests.window_digest(self.party.context(window.rounds[-1]), blob),
        )

    def require_latest(self, window: WindowRecord, verdicts: WindowVerdicts) -> None:
        """Raises VerificationError if the chain has a round by now that would tell more."""
        until, _ = self.until(window)
        if verdicts.until != until:
            raise VerificationError(
                f"window {window.number} was judged by what the model did up to round "
                f"{verdicts.until}, but round {until} is there"
            )

    def check(self, window: WindowRecord, digest: bytes) -> WindowVerdicts:
        """Fetches a document by its digest, and makes it anew.

        Raises:
            VerificationError: it does not follow from its scalars.
            MalformedError: it is no document of this window.
            BlobMissing, StoreError: something that it rests on cannot be had.
        """
        blob = self.document(window, digest)
        verdicts = self.remake(window, blob)
        if verdicts.blob != blob:
            raise VerificationError(
                f"window {window.number}: the scalars do not lead to the verdicts of digest "
                f"{digest.hex()}"
            )
        return verdicts

    def remade(self, window: WindowRecord) -> WindowVerdicts:
        """The verdicts that the scalars of the posted document lead to, whatever it says itself.

        What a dispute is settled by: the same bytes from everybody. Puts them into the store.
        """
        verdicts = self.remake(window, self.document(window, window.scores_digest))
        self.party.store.put(verdicts.digest, verdicts.blob)
        return verdicts

    def remake(self, window: WindowRecord, blob: bytes) -> WindowVerdicts:
        """What the scalars in a document lead to, whatever it says itself. Raises as `check`."""
        number, until, movement = _read(blob)
        if (
            number != window.number
            or not window.rounds[-1] <= until <= self.party.federation.last_round()
            or not self._finalised(until)
        ):
            raise MalformedError(f"the document is none of window {window.number}")
        return self.verdicts(window, until, movement)

    def document(self, window: WindowRecord, digest: bytes) -> bytes:
        """The bytes of a window's document, of a digest.

        Raises:
            BlobMissing, StoreError: they cannot be had, or are others.
        """
        blob = self.party.store.get(digest)
        if digests.window_digest(self.party.context(window.rounds[-1]), blob) != digest:
            raise StoreError(
                f"the store's verdicts of window {window.number} are not those of digest "
                f"{digest.hex()}: fetch them from another copy"
            )
        return blob

    def _score(
        self,
        record: RoundRecord,
        judged: Judged,
        movement: OpenedScalars,
        scored: dict[str, list[RoundScore]],
        odd: set[str],
    ) -> None:
        """Adds a round's scores, and who sent what nobody honest can have sent."""
        movement.check(self.party, record, movement=True)
        signs = self.direction(record).signs
        for name, values in movement.by_contributor.items():
            scores = judged.scores.get(name)
            if scores is None or len(values) != 1:
                odd.add(name)
                continue
            scored.setdefault(name, []).append(
                RoundScore(
                    size=judged.sizes[name],
                    anchor=scores.anchor,
                    movement=movement_score(values[0], scores.squared_length, signs),
                    replay=scores.replay,
                )
            )

    def _root_set(self) -> tuple[int, int]:
        x, _ = self._judge.root_set
        return len(x), len(self.party.config.task.classes)

    def _before(self, window: WindowRecord) -> tuple[bytes | None, int]:
        """The digest of the verdict before, and how many noisy windows in a row it ended."""
        if window.number == 1:
            return None, 0
        earlier = self.assessment.window(window.number - 1)
        if not any(earlier.scores_digest):
            return None, 0
        blob = self.document(earlier, earlier.scores_digest)
        try:
            noisy = strict_json.loads(blob)["noisy_windows"]
            if type(noisy) is not int:
                raise ValueError("noisy_windows")
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedError(f"no verdicts of window {earlier.number}: {error}") from error
        return earlier.scores_digest, noisy

    def _seen(self, number: int) -> tuple[int, ...]:
        """A round, and the finalised ones after it: `movement_lag`, if there are so many."""
        later = range(number + 1, self.party.federation.last_round() + 1)
        return number, *islice(filter(self._finalised, later), self.config.movement_lag)

    def _finalised(self, number: int) -> bool:
        return self.party.federation.round(number).state is RoundState.FINALIZED

    def _model_after(self, number: int) -> bytes:
        """Digest of the model that a finalised round made: the next round's base."""
        federation = self.party.federation
        if number < federation.last_round():
            return federation.round(number + 1).base_model_digest
        return federation.model_digest()


def _document(
    window: WindowRecord,
    until: int,
    previous: bytes | None,
    movement: Movement,
    found: Verdicts,
    outcomes: Mapping[str, MemberOutcome],
) -> bytes:
    """Canonical JSON; scores are exact, multiples of 2**-16."""
    return digests.canonical_json(
        {
            "format": _FORMAT,
            "window": window.number,
            "rounds": list(window.rounds),
            "until": until,
            "previous": None if previous is None else previous.hex(),
            "movement": {str(number): one.to_json() for number, one in movement.items()},
            "noisy_windows": found.noisy_windows,
            "slashes": found.slashes,
            "levels": {
                "movement": asdict(found.movement),
                "anchor": None if found.anchor is None else asdict(found.anchor),
            },
            "verdicts": {name: asdict(one) for name, one in outcomes.items()},
        }
    )


def _read(blob: bytes) -> tuple[int, int, dict[int, OpenedScalars]]:
    """Of a document what cannot be computed: window, until, scalars by round."""
    try:
        value: Any = strict_json.loads(blob)
        if value["format"] != _FORMAT:
            raise ValueError("format")
        movement = {
            int(number): OpenedScalars.from_json(one) for number, one in value["movement"].items()
        }
        window, until = value["window"], value["until"]
        if type(window) is not int or type(until) is not int:
            raise ValueError("window")
        return window, until, movement
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"no verdicts of a window: {error}") from error
