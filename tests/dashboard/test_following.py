"""Staleness: since when, why, and that the reader is not told where the endpoint is."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ddcai.dashboard.following import Following
from ddcai.errors import ChainError, ChainUnreachable, DdcaiError

SECRET = "https://node.example/v3/key"


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came")


def test_an_endpoint_that_goes_away_and_comes_back() -> None:
    trouble: list[DdcaiError] = []

    def synchronise() -> None:
        if trouble:
            raise trouble[0]

    following = Following(synchronise, poll_s=0.005)
    assert following.freshness.reached is None
    following.start()
    until(lambda: following.freshness.reached is not None)
    assert following.freshness.trouble == ""
    trouble.append(ChainUnreachable(SECRET))
    until(lambda: following.freshness.stale_since is not None)
    stale = following.freshness
    assert (stale.trouble, stale.reached) == ("unreachable", stale.stale_since)
    assert SECRET not in repr(stale)
    trouble[0] = ChainError(SECRET)
    until(lambda: following.freshness.trouble == "refused")
    assert following.freshness.stale_since == stale.stale_since
    trouble.clear()
    until(lambda: following.freshness.stale_since is None)
    following.stop()
    assert following.freshness.trouble == ""


def test_an_endpoint_that_never_answered_is_stale_since_the_start() -> None:
    def synchronise() -> None:
        raise ChainUnreachable("nobody there")

    following = Following(synchronise, poll_s=60)
    following.start()
    until(lambda: following.freshness.stale_since is not None)
    following.stop()
    assert following.freshness.reached is None
