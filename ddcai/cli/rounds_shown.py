"""How many of a run's rounds are over, and how long the others will take: beside the run's log."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ddcai.cli.progress import Progress
from ddcai.errors import ChainError

if TYPE_CHECKING:
    from ddcai.audit.standing import Awaited, Standing

POLL_S = 2.0
_OVER = ("finalized", "cancelled")


@contextmanager
def rounds_shown(
    read: Callable[[], Standing], rounds: int, *, poll_s: float = POLL_S
) -> Iterator[Progress]:
    """Shows a federation's rounds while the block runs, as the chain has them.

    An endpoint that goes away for a while is no error here: the run itself says so.

    Args:
        read: how the federation stands; called in another thread, one call at a time.
        rounds: the number of the last round to run. Earlier ones count as done, but not for the
            time left.

    Raises:
        ChainError: the first time that the chain is asked.
    """
    first = read()
    stopped = threading.Event()
    total = max(rounds, _over(first))
    with Progress(_words(first), total, "rounds", begun=_over(first)) as shown:

        def look() -> None:
            with suppress(ChainError):
                standing = read()
                if shown.is_bar or _over(standing) != shown.done:
                    shown.reach(_over(standing), what=_words(standing))

        def follow() -> None:
            while not stopped.wait(poll_s):
                look()

        thread = threading.Thread(target=follow, name="rounds", daemon=True)
        thread.start()
        try:
            yield shown
        finally:
            stopped.set()
            thread.join()
        look()


def _over(standing: Standing) -> int:
    return standing.round if standing.state in _OVER else max(0, standing.round - 1)


def _words(standing: Standing) -> str:
    """Round and who is waited for, in few words: the log has the accounts."""
    if standing.state in ("none", *_OVER):
        return "between rounds"
    counted = Counter(one.role for one in standing.waiting)
    return f"round {standing.round}, waits for {_who(counted, standing.waiting)}"


def _who(counted: Counter[str], waiting: tuple[Awaited, ...]) -> str:
    if not waiting:
        return "nobody"
    if len(waiting) == 1:
        return f"{waiting[0].role} {waiting[0].account}"
    return ", ".join(
        f"{count} {role}s" if count > 1 else f"the {role}" for role, count in counted.items()
    )
