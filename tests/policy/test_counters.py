"""Counters that survive crashes, clocks and other processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import PolicyError, PolicyLimit
from ddcai.policy import counters as module
from ddcai.policy.counters import Counters, Purse


@dataclass
class Clock:
    """A clock that a test moves."""

    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "policy.json"


def test_a_round_counts_once_and_the_day_is_full(path: Path, clock: Clock) -> None:
    counters = Counters(path, clock)
    for number in (3, 4, 3, 4):
        counters.count_round(number, 2)
    with pytest.raises(PolicyLimit, match=r"round 5 would be number 3 of 2026-03-01.*is 2"):
        counters.check_round(5, 2)
    with pytest.raises(PolicyLimit):
        counters.count_round(5, 2)
    counters.check_round(3, 2)
    assert counters.rounds() == {3, 4}
    clock.at += timedelta(days=1)
    counters.count_round(5, 2)
    counters.count_round(3, 2)  # a round of yesterday, again
    counters.count_round(6, 2)
    assert counters.rounds() == {3, 4, 5, 6}


def test_a_new_process_knows_what_the_last_one_counted(path: Path, clock: Clock) -> None:
    Counters(path, clock).count_round(1, 1)
    with pytest.raises(PolicyLimit):
        Counters(path, clock).count_round(2, 1)


def test_a_clock_that_is_moved_back_gives_nothing_back(path: Path, clock: Clock) -> None:
    counters = Counters(path, clock)
    counters.count_round(1, 1)
    counters.reserve(100, 100)
    for days in (1, 400):
        clock.at -= timedelta(days=days)
        with pytest.raises(PolicyLimit):
            counters.count_round(2, 1)
        with pytest.raises(PolicyLimit):
            counters.reserve(1, 100)


def test_payments_are_counted_before_and_put_right_after(path: Path, clock: Clock) -> None:
    purse = Purse(Counters(path, clock), 100)
    first = purse.reserve(80)
    purse.check(20)
    with pytest.raises(PolicyLimit, match=r"21 wei more, with 80 spent on 2026-03-01.*100"):
        purse.check(21)
    with pytest.raises(PolicyLimit):
        purse.reserve(21)
    purse.settle(first, 50)
    purse.reserve(50)
    with pytest.raises(PolicyLimit):
        purse.reserve(1)


def test_yesterday_s_transaction_does_not_lower_today_s_sum(path: Path, clock: Clock) -> None:
    purse = Purse(Counters(path, clock), 100)
    first = purse.reserve(80)
    clock.at += timedelta(days=1)
    purse.reserve(100)
    purse.settle(first, 0)
    with pytest.raises(PolicyLimit):
        purse.reserve(1)


@given(
    amounts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 100), st.booleans())),
    most=st.integers(0, 200),
)
def test_what_is_really_spent_in_a_day_is_never_above_the_limit(
    tmp_path_factory: pytest.TempPathFactory, amounts: list[tuple[int, int, bool]], most: int
) -> None:
    """Against a plain sum: each transaction costs at most what was reserved."""
    path = tmp_path_factory.mktemp("counters") / "policy.json"
    purse, spent, held = Purse(Counters(path, Clock()), most), 0, 0
    for wei, share, known in amounts:
        cost = wei * share // 100
        try:
            reserved = purse.reserve(wei)
        except PolicyLimit:
            assert spent + held + wei > most
            continue
        assert spent + held + wei <= most
        if known:
            purse.settle(reserved, cost)
            spent += cost
        else:  # never heard of again
            held += wei
    assert spent + held <= most


DAMAGED = [
    b"",
    b"{",
    b"null",
    b'{"format":"ddcai-policy-counters-1"}',
    b'{"day":"2026-03-01","format":"other","rounds":{},"spent_wei":"0"}',
    b'{"day":"2026-3-1","format":"ddcai-policy-counters-1","rounds":{},"spent_wei":"0"}',
    b'{"day":7,"format":"ddcai-policy-counters-1","rounds":{},"spent_wei":"0"}',
    b'{"day":"","format":"ddcai-policy-counters-1","rounds":{"x":""},"spent_wei":"0"}',
    b'{"day":"","format":"ddcai-policy-counters-1","rounds":{"1":"x"},"spent_wei":"0"}',
    b'{"day":"","format":"ddcai-policy-counters-1","rounds":{},"spent_wei":"-1"}',
    b'{"day":"","format":"ddcai-policy-counters-1","rounds":{},"spent_wei":0}',
    b'{"day":"","format":"ddcai-policy-counters-1","rounds":[],"spent_wei":"0"}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_no_fresh_start(path: Path, clock: Clock, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    uses: list[Callable[[Counters], object]] = [
        lambda one: one.rounds(),
        lambda one: one.count_round(1, None),
        lambda one: one.reserve(1, 10**30),
        lambda one: one.check_payment(1, 10**30),
    ]
    for use in uses:
        with pytest.raises(PolicyError, match=r"policy\.json are damaged"):
            use(Counters(path, clock))
    assert path.read_bytes() == content


def _reserve_many(path: Path) -> None:
    for _ in range(20):
        Counters(path).reserve(1, 10**6)


def test_processes_do_not_lose_each_other_s_counts(path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_reserve_many, args=(path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    with pytest.raises(PolicyLimit, match="with 80 spent"):
        Counters(path).check_payment(10**6, 10**6)


def _count_and_die(path: Path) -> None:
    Counters(path).count_round(7, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_count_survives_a_kill(path: Path) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_count_and_die, args=(path,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert Counters(path).rounds() == {7}


def test_a_count_that_cannot_be_written_is_an_error(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    counters = Counters(path, clock)
    counters.count_round(1, 2)
    before = path.read_bytes()
    monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        counters.count_round(2, 2)
    assert path.read_bytes() == before


def test_a_hundred_counts_take_little_time(path: Path) -> None:
    counters, started = Counters(path), time.perf_counter()
    for number in range(100):
        counters.count_round(number, None)
    assert time.perf_counter() - started < 10
