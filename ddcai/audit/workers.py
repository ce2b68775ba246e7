"""Rounds checked by several processes, and their claims in the order of the rounds."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from itertools import chain, islice

from ddcai.audit.history import History
from ddcai.audit.round_checks import Checked, RoundChecks
from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError
from ddcai.store import Store

# Rounds that a process has before it: one being checked, one waiting.
_AHEAD = 2
_checks: RoundChecks | None = None


@contextmanager
def in_order(
    history: History,
    store: Store,
    config: FederationConfig | None,
    places: Iterable[int],
    workers: int,
) -> Iterator[Iterator[Checked]]:
    """The claims about the rounds at these places, in this order.

    Args:
        places: taken as they come to be checked.
        workers: processes; with 1, or one round, all is done in this one.
    """
    if workers < 1:
        raise ConfigurationError(f"{workers} workers check nothing: give --workers 1 or more")
    left = iter(places)
    first = list(islice(left, 2))
    left = chain(first, left)
    if min(workers, len(first)) < 2:
        checks = RoundChecks(history, store, config)
        yield (checks.check(place) for place in left)
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(history, store.url, config),
    )
    try:
        yield _results(pool, left, workers * _AHEAD)
    finally:
        pool.shutdown(cancel_futures=True)


def _results(pool: ProcessPoolExecutor, left: Iterator[int], most: int) -> Iterator[Checked]:
    """At most so many are under way or done and not yet taken."""
    waiting: deque[Future[Checked]] = deque()
    try:
        while True:
            for place in left:
                waiting.append(pool.submit(_check, place))
                if len(waiting) == most:
                    break
            if not waiting:
                return
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ConfigurationError(
            "a worker ended before its round was checked, perhaps for want of memory: give fewer "
            "--workers"
        ) from error


def bases(history: History, config: FederationConfig | None) -> Iterator[bytes]:
    """What each round's claims rest on, but for the blobs: 32 bytes a round.

    The rules, the keys, and everything that the chain says of that round and of those before it.
    """
    members = [(one.index, one.address, one.key) for one in history.members]
    rests_on: tuple[object, ...] = (
        version("ddcai"),
        history.chain_id,
        history.contract,
        history.quorum_scheme,
        history.quorum,
        history.rules,
        history.initial_model_digest,
        history.key_holder_is_contract,
        config is None,
    )
    last = sha256(repr(rests_on).encode()).digest()
    for round_ in history.rounds:
        listed = {one.index for one in round_.commitments}
        keys = [member for member in members if member[0] in listed]
        epochs = [
            one for one in history.key_epochs if one.registered_block <= round_.opened.block_number
        ]
        # What was paid out since is of no matter to what was computed.
        unpaid = replace(round_, refunds=(), takes=())
        last = sha256(last + repr((unpaid, keys, epochs[-1:])).encode()).digest()
        yield last


def _start(history: History, store_url: str, config: FederationConfig | None) -> None:
    global _checks
    _checks = RoundChecks(history, Store(store_url), config)


def _check(place: int) -> Checked:
    assert _checks is not None
    return _checks.check(place)
