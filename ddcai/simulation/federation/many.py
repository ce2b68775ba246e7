"""Many simulations over several processes."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddcai.models.entry_points import resolve
from ddcai.simulation.federation.attackers import make_attacker
from ddcai.simulation.federation.custody import Encrypted
from ddcai.simulation.federation.data import Data
from ddcai.simulation.federation.run import ASSESSMENT, Outcome, Setting, simulate


@dataclass(frozen=True, kw_only=True)
class Job:
    """One federation to simulate: its setting, the attack's name, the seed and the rule.

    Attributes:
        encrypted: by ciphertexts; the comparators, which read every update, stay without.
    """

    setting: Setting
    attack: str
    seed: int
    rule: str = ASSESSMENT
    encrypted: bool = False


def run_all(
    data: Data,
    jobs_wanted: Sequence[Job],
    *,
    jobs: int = 1,
    advance: Callable[[float], None] = lambda share: None,
) -> list[Outcome]:
    """Runs all, in ``jobs`` processes; the outcomes are the same for any number of them.

    Returns:
        One for each, in their order.
    """
    outcomes: list[Outcome] = []
    total = len(jobs_wanted)
    if jobs == 1:
        for job in jobs_wanted:
            before = len(outcomes)
            outcomes.append(_run(data, job, lambda share: advance((before + share) / total)))  # noqa: B023 (called at once)
        return outcomes
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(jobs, total), _keep, (data,)) as pool:
        for outcome in pool.imap(_run_kept, jobs_wanted):
            outcomes.append(outcome)
            advance(len(outcomes) / total)
    return outcomes


def _run(data: Data, job: Job, advance: Callable[[float], None]) -> Outcome:
    attacker = make_attacker(job.attack, resolve)
    with tempfile.TemporaryDirectory() as folder:
        custody = Encrypted(Path(folder)) if job.encrypted and job.rule == ASSESSMENT else None
        return simulate(
            data,
            job.setting,
            attacker,
            seed=job.seed,
            rule=job.rule,
            custody=custody,
            advance=advance,
        )


_kept: list[Data] = []  # one a process: sent once, not with every job


def _keep(data: Data) -> None:
    _kept.append(data)


def _run_kept(job: Job) -> Outcome:
    return _run(_kept[0], job, lambda share: None)


__all__ = ["Job", "run_all"]
