"""A memory that does not grow with windows, while they are read and while they are verified."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Status
from ddcai.audit.history import History, RoundHistory, Step
from ddcai.audit.judged import JudgedRounds
from ddcai.audit.stored import Stored
from ddcai.audit.verdicts import JudgedWindows
from ddcai.audit.window_money import check_windows
from ddcai.audit.window_reading import read_assessment
from ddcai.audit.windows import AssessmentHistory
from ddcai.chain.assessment import MemberVerdict, WindowRecord
from ddcai.chain.events import Event
from ddcai.chain.federation import Federation
from ddcai.chain.records import WindowRules, bitmap
from ddcai.store import Store
from tests.audit.node_reading import in_memory
from tests.audit.walking import BOND_WEI, BOUNTY_WEI, DEPOSIT_WEI, Walk, of

# Events that come at once.
BATCH = 50
POINTS = {0: 3, 1: 4}
POT_WEI = DEPOSIT_WEI + 2 * BOUNTY_WEI
SHARES_WEI = {index: POT_WEI * points // 7 for index, points in POINTS.items()}


class ManyWindows:
    """A federation, and its contract that judges, with as many windows as wanted.

    Each has a round of three updates, of which one is forfeited; the first of the others has
    claimed, and so has who posted the verdict.
    """

    def __init__(self, history: History, count: int) -> None:
        self.history, self.count = history, count
        self.address, self._like = of(history).address, of(history).windows[0]
        self._names = [one.address for one in history.members]

    # As the node tells it.

    def assessment(self) -> ManyWindows:
        return self

    def rules(self) -> WindowRules:
        return of(self.history).rules

    def window_count(self) -> int:
        return self.count

    def window(self, number: int) -> WindowRecord:
        return dataclasses.replace(self._like, number=number, rounds=(number,))

    def updates_of(self, number: int, indices: Iterable[int]) -> dict[int, int]:
        return dict.fromkeys(indices, 1)

    def verdicts(self, number: int, indices: Iterable[int]) -> dict[int, MemberVerdict]:
        return {index: MemberVerdict(index in POINTS, POINTS.get(index, 0)) for index in indices}

    def claimable(self, number: int, address: str) -> tuple[int, int]:
        return (DEPOSIT_WEI, SHARES_WEI[1]) if address == self._names[1] else (0, 0)

    def owed_wei(self, account: str) -> int:
        return BOND_WEI * self.count

    def pool_wei(self) -> int:
        return 0

    def balance(self, address: str) -> int:
        paid_out_wei = DEPOSIT_WEI + SHARES_WEI[0]
        return self.count * (3 * DEPOSIT_WEI + BOND_WEI + 2 * BOUNTY_WEI - paid_out_wei)

    # As the index tells it.

    def rounds(self) -> Iterator[RoundHistory]:
        like = self.history.rounds[1]
        for number in range(1, self.count + 1):
            yield dataclasses.replace(like, number=number)

    def batches(self) -> Iterator[tuple[list[Event], ManyWindows]]:
        left = self._events()
        while found := list(islice(left, BATCH)):
            yield found, self

    def of(self, event: Event) -> Step:
        return of(self.history).entries[0].step

    def arguments(self, *given: Any) -> dict[str, tuple[Any, ...]]:
        return {}

    def _events(self) -> Iterator[Event]:
        name, poster = self._names[0], self._like.poster
        yield self._event("Funded", sponsor=poster, amountWei=2 * BOUNTY_WEI * self.count)
        for window in range(1, self.count + 1):
            yield self._event("RoundTaken", window=window, round=window, updates=3)
            yield self._event(
                "VerdictPosted",
                window=window,
                poster=poster,
                potWei=POT_WEI,
                scoresDigest=bytes(32),
                agreed=tuple(bitmap(POINTS)),
                points=tuple(POINTS.values()),
            )
            yield self._event("Refunded", window=window, contributor=name, amountWei=DEPOSIT_WEI)
            yield self._event("Taken", window=window, contributor=name, amountWei=SHARES_WEI[0])
            yield self._event("BondReleased", window=window, account=poster, amountWei=BOND_WEI)

    def _event(self, name: str, **args: Any) -> Event:
        step = self.of(cast(Event, None))
        return Event(
            name=name,
            args=args,
            block_number=step.block_number,
            tx_hash=step.tx_hash,
            log_index=0,
            timestamp=0,
        )


def read(made: ManyWindows, folder: Path) -> History:
    folder.mkdir(exist_ok=True)
    history = made.history
    rounds = Stored.write(folder / "rounds", made.rounds())
    federation = cast(Federation, made)
    assessment = read_assessment(federation, made.batches(), history.members, rounds, folder)
    return dataclasses.replace(history, rounds=rounds, assessment=assessment)


def check(history: History, store: Store) -> None:
    """All money is there; verdicts' documents are not."""
    assessment = of(history)
    assert all(claim.passed for claim in check_windows(history, assessment))
    blobs = Blobs(store)
    rounds = JudgedRounds(history, blobs, None)
    for claim in JudgedWindows(history, assessment, blobs, rounds).claims():
        assert claim.status in (Status.MISSING, Status.SKIPPED)


def test_memory_does_not_grow_with_windows(walk: Walk, tmp_path: Path) -> None:
    """More windows than are kept: with facts in files hardly more memory, else more by the facts.

    Hardly: Python keeps up to 2,000 freed tuples of each length.
    """
    history, store = walk.histories["claimed"], Store(str(tmp_path / "blobs"))

    def peak(count: int, keep: Callable[[AssessmentHistory], AssessmentHistory]) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            found = read(ManyWindows(history, count), tmp_path / f"{count}")
            check(dataclasses.replace(found, assessment=keep(of(found))), store)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = 50, 400
    peak(few, lambda facts: facts)  # what is imported and cached once
    growth = peak(many, lambda facts: facts) - peak(few, lambda facts: facts)
    assert growth < 500 * (many - few)
    # The same measurement sees facts that are kept.
    assert peak(many, in_memory) - peak(few, in_memory) > 2000 * (many - few)


def test_another_process_gets_the_paths_alone(walk: Walk, tmp_path: Path) -> None:
    assessment = of(read(ManyWindows(walk.histories["claimed"], 100), tmp_path / "facts"))
    # Who asked for a window has its places, in a file that no other process can open.
    assert [one.name for one in assessment.of(7, "Taken", "RoundTaken")] == ["RoundTaken", "Taken"]
    sent = pickle.dumps(assessment)
    assert len(sent) < 2000
    received = pickle.loads(sent)
    assert in_memory(received) == in_memory(assessment)
    assert received.verdicts(7) == assessment.verdicts(7)
