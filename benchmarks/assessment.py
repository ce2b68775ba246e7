"""What the rule that judges updates does, against every bar that it was built to.

    python benchmarks/assessment.py --jobs 2 [--quick | --more-seeds]

Federations of 20 clients on scikit-learn's digits (perceptron 64-128-64-10, log loss), Dirichlet
0.1, 0.3 and 1, 40 rounds, windows of 10, blocks of 4,096 of 17,226 coordinates; then heart disease
(four hospitals as 12 sites) and SMS spam with the same settings and no tuning. By the integer twin
of what is encrypted (`ddcai.simulation.federation`).

Settings were chosen on seeds 0 and 1. On 100 to 102, held out at first, all bars held but those of
clean HRR (.967 for .98; tenth-percentile client .75 for .95): the movement's share was lowered and
movement made to acquit of the anchor, on seeds 0 to 7. The seeds reported here, 200 to 202, were
not looked at.
Writes results/assessment.json; --quick runs a few seeds of few cells and writes nothing;
--more-seeds runs the one bar that these seeds miss, by less than their interval, on 200 to 217, and
writes results/targeted_flip.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from ddcai.assessment.configuration import Assessment
from ddcai.simulation.federation.comparators import COMPARATORS
from ddcai.simulation.federation.data import Data, load
from ddcai.simulation.federation.many import Job, run_all
from ddcai.simulation.federation.run import ASSESSMENT, Outcome, Setting
from ddcai.simulation.federation.summary import interval, seed_of

RESULTS = Path(__file__).parent / "results" / "assessment.json"
TARGETED = RESULTS.with_name("targeted_flip.json")
TUNED_ON, HELD_OUT = (*range(8), 100, 101, 102), (200, 201, 202)
MORE_SEEDS = tuple(range(200, 218))
ALPHAS = (0.1, 0.3, 1.0)
GROSS = ("label-flip", "sign-flip", "noise", "boosted-flip", "zero", "colluding")
WELL_KNOWN = ("label-flip", "noise", "colluding")  # of them, for comparators
HIDDEN = ("backdoor", "blended-replay", "padded", "adaptive", "sleeper", "mild-targeted-flip")
FRACTIONS = (0.1, 0.2, 0.4)
PROJECTIONS = (2, 4, 8, 16, 32)
NOISES = (0.001, 0.003, 0.01)
NO_ATTACK = "zero"  # with a fraction of 0


@dataclass(frozen=True)
class Cell:
    """A line of a table: a study, an attack and a fraction, over alphas and seeds."""

    study: str
    attack: str
    fraction: float
    rule: str = ASSESSMENT


def digits() -> Data:
    """scikit-learn's 1,797 digits of 8 by 8 pixels."""
    found = load_digits()
    x = (found.data / 16).astype(np.float32)
    return Data(name="digits", x=x, y=found.target.astype(np.int64), classes=10)


def cells() -> dict[str, list[tuple[Cell, Setting]]]:
    """By data set: every cell with its setting."""
    base = Setting()
    rootless = replace(base, root_set=0, rule=replace(base.rule, anchor="movement"))
    small = replace(base, rule=replace(base.rule, block=1024))
    plan: list[tuple[Cell, Setting]] = [(Cell("rule", NO_ATTACK, 0.0), base)]
    plan += [(Cell("rule", attack, f), base) for attack in GROSS for f in FRACTIONS]
    plan += [(Cell("rule", "targeted-flip", 0.2), base)]
    plan += [(Cell("rule", "stale-replay", f), base) for f in FRACTIONS]
    plan += [(Cell("rule", attack, f), base) for attack in HIDDEN for f in (0.2, 0.4)]
    plan += [(Cell("no root set", NO_ATTACK, 0.0), rootless)]
    plan += [(Cell("no root set", attack, f), rootless) for attack in GROSS for f in FRACTIONS]
    plan += [(Cell("block 1024", NO_ATTACK, 0.0), small)]
    plan += [(Cell("block 1024", attack, f), small) for attack in GROSS for f in (0.2, 0.4)]
    half = replace(base, participation=0.5, rounds=60)
    long = replace(base, rounds=100)
    for study, setting in (("half take part", half), ("100 rounds", long)):
        plan += [
            (Cell(study, attack, f), setting)
            for attack, f in ((NO_ATTACK, 0.0), ("label-flip", 0.2), ("noise", 0.2))
        ]
    for count in PROJECTIONS:
        setting = replace(base, rule=replace(base.rule, projections=count))
        attacks = [(NO_ATTACK, 0.0), *((f"boosted-flip:{n}", 0.2) for n in (4, 10))]
        plan += [(Cell(f"projections {count}", attack, f), setting) for attack, f in attacks]
    for noise in NOISES:
        setting = replace(base, rule=replace(base.rule, opening_noise=noise))
        attacks = [(NO_ATTACK, 0.0), ("label-flip", 0.2), ("noise", 0.2)]
        plan += [(Cell(f"opening noise {noise}", attack, f), setting) for attack, f in attacks]
    for rule in COMPARATORS:
        attacks = [(NO_ATTACK, 0.0), *((attack, f) for attack in WELL_KNOWN for f in (0.2, 0.4))]
        plan += [(Cell("comparator", attack, f, rule), base) for attack, f in attacks]
    heart = replace(base, clients=12)
    attacks = [(NO_ATTACK, 0.0), *((attack, 0.25) for attack in (*GROSS, "stale-replay"))]
    others = [(Cell("heart", attack, f), heart) for attack, f in attacks]
    others += [(Cell("heart", attack, f, "fedavg"), heart) for attack, f in attacks]
    sms = [(Cell("sms", attack, min(f, 0.2)), base) for attack, f in attacks]
    sms += [(Cell("sms", attack, min(f, 0.2), "fedavg"), base) for attack, f in attacks]
    return {"digits": plan, "heart": others, "sms": sms}


def run(quick: bool, jobs: int) -> dict[Cell, list[Outcome]]:
    """Runs all cells; outcomes by cell, over alphas and seeds."""
    sources = {"digits": digits(), "heart": load("heart"), "sms": load("sms")}
    seeds = TUNED_ON[:1] if quick else HELD_OUT
    found: dict[Cell, list[Outcome]] = defaultdict(list)
    for name, plan in cells().items():
        alphas = (0.3,) if quick or name == "heart" else ALPHAS
        if quick:
            plan = plan[:3]
        wanted = [
            (
                cell,
                Job(
                    setting=replace(setting, fraction=cell.fraction, alpha=alpha),
                    attack=cell.attack,
                    seed=seed,
                    rule=cell.rule,
                ),
            )
            for cell, setting in plan
            for alpha in alphas
            for seed in seeds
        ]
        started = time.perf_counter()
        done = run_all(sources[name], [job for _, job in wanted], jobs=jobs)
        for (cell, _), outcome in zip(wanted, done, strict=True):
            found[cell].append(outcome)
        taken = time.perf_counter() - started
        print(f"{name}: {len(wanted)} federations in {taken:.0f} s", file=sys.stderr)
    return found


def more_seeds(jobs: int) -> None:
    """The targeted flip on more seeds than the bars were measured on."""
    cell = Cell("more seeds", "targeted-flip", 0.2)
    base = replace(Setting(), fraction=cell.fraction)
    wanted = [
        Job(setting=replace(base, alpha=alpha), attack=cell.attack, seed=seed, rule=cell.rule)
        for seed in MORE_SEEDS
        for alpha in ALPHAS
    ]
    outcomes = run_all(digits(), wanted, jobs=jobs)
    rates = [seed_of(outcome).afr for outcome in outcomes]
    fresh = rates[len(ALPHAS) * len(HELD_OUT) :]
    document = {
        "command": "python benchmarks/assessment.py --more-seeds",
        "seeds": MORE_SEEDS,
        "rule_digest": Assessment().digest().hex(),
        "afr_of_seeds_after_the_bars": rounded(mean(fresh)),
        "afr_by_alpha": {
            str(alpha): rounded(mean(rates[place :: len(ALPHAS)]))
            for place, alpha in enumerate(ALPHAS)
        },
        "cell": row(cell, outcomes),
    }
    TARGETED.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are there."""
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


def row(cell: Cell, outcomes: list[Outcome]) -> dict[str, Any]:
    """A cell as a line of a table."""
    seeds = [seed_of(outcome) for outcome in outcomes]
    line: dict[str, Any] = {"study": cell.study, "rule": cell.rule, "attack": cell.attack}
    line |= {"fraction": cell.fraction, "runs": len(seeds)}
    for name in (
        "hrr",
        "afr",
        "identification",
        "accuracy",
        "success",
        "honest_pay",
        "attacker_pay",
    ):
        middle, half = interval([v for one in seeds if (v := getattr(one, name)) is not None])
        line[name] = rounded(middle)
        line[f"{name}_ci95"] = rounded(half)
    line["accuracy_worst"] = rounded(min(one.accuracy for one in seeds))
    if cell.rule == ASSESSMENT:
        clients = sorted(rate for outcome in outcomes for rate in client_rates(outcome))
        line["client_p10"] = rounded(clients[len(clients) // 10] if clients else None)
        line["first_window"] = window_rates(outcomes, 0)
        line["noisy_windows"] = rounded(
            mean(not one.verdicts.movement.reliable for o in outcomes for one in o.settled)
        )
        sizes = [
            (size, name in outcome.attackers)
            for outcome in outcomes
            for one in outcome.sizes[1:]  # in the first round there is no median yet
            for name, size in one.items()
        ]
        line["honest_oversize"] = rounded(mean(size > 1 for size, bad in sizes if not bad), 6)
        line["attackers_missed"] = rounded(mean(size <= 1 for size, bad in sizes if bad), 6)
    return line


def client_rates(outcome: Outcome) -> list[float]:
    """Refund rate of each honest client."""
    refunds: dict[str, list[bool]] = defaultdict(list)
    for settled in outcome.settled:
        for name in set(settled.due) - outcome.attackers:
            refunds[name].append(settled.verdicts.by_contributor[name].refund)
    return [statistics.fmean(one) for one in refunds.values()]


def window_rates(outcomes: list[Outcome], number: int) -> dict[str, float | None]:
    """HRR and AFR of one window, from 0."""
    verdicts = [
        (name in outcome.attackers, outcome.settled[number].verdicts.by_contributor[name].refund)
        for outcome in outcomes
        if len(outcome.settled) > number
        for name in outcome.settled[number].due
    ]
    return {
        "hrr": rounded(mean(refund for bad, refund in verdicts if not bad)),
        "afr": rounded(mean(not refund for bad, refund in verdicts if bad)),
    }


def rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)


def bars(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every bar, what was measured, and whether it holds."""

    def lines(study: str, attacks: Iterable[str], *fractions: float) -> list[dict[str, Any]]:
        wanted = set(attacks)
        return [
            line
            for line in table
            if line["study"] == study and line["attack"] in wanted and line["fraction"] in fractions
        ]

    def over(name: str, study: str, attacks: Iterable[str], *fractions: float) -> float | None:
        return mean(line[name] for line in lines(study, attacks, *fractions))

    [clean] = lines("rule", [NO_ATTACK], 0.0)
    checks: list[tuple[str, str, float, float | None]] = [
        ("clean: HRR", ">=", 0.98, clean["hrr"]),
        ("clean: HRR of the tenth-percentile client", ">=", 0.95, clean["client_p10"]),
        ("gross: HRR", ">=", 0.97, over("hrr", "rule", GROSS, *FRACTIONS)),
        ("gross, to 20 %: AFR", ">=", 0.97, over("afr", "rule", GROSS, 0.1, 0.2)),
        ("gross, 40 %: AFR", ">=", 0.94, over("afr", "rule", GROSS, 0.4)),
        ("gross: identification", ">=", 0.97, over("identification", "rule", GROSS, *FRACTIONS)),
        ("targeted flip, 20 %: AFR", ">=", 0.50, over("afr", "rule", ["targeted-flip"], 0.2)),
        (
            "targeted flip, 20 %: success",
            "<=",
            0.20,
            over("success", "rule", ["targeted-flip"], 0.2),
        ),
        ("pure replay: AFR", ">=", 0.95, over("afr", "rule", ["stale-replay"], *FRACTIONS)),
        ("no root set, 10 %: AFR", ">=", 0.95, over("afr", "no root set", GROSS, 0.1)),
        ("no root set, 20 %: AFR", ">=", 0.90, over("afr", "no root set", GROSS, 0.2)),
    ]
    for fraction, most in ((0.2, 0.015), (0.4, 0.04)):
        reached = over("accuracy", "rule", GROSS, fraction)
        lost = None if reached is None else clean["accuracy"] - reached
        checks.append((f"gross, {fraction:.0%}: accuracy lost", "<=", most, lost))
    checks += [
        ("gross: honest pay", ">", 0.0, over("honest_pay", "rule", GROSS, *FRACTIONS)),
        ("clean: honest pay", ">", 0.0, clean["honest_pay"]),
        ("gross: attacker pay", "<=", -0.85, over("attacker_pay", "rule", GROSS, *FRACTIONS)),
    ]
    [clean_small] = lines("block 1024", [NO_ATTACK], 0.0)
    checks.append(
        (
            "1024 for 4096 coordinates, clean: change of HRR",
            "<=",
            0.02,
            abs(clean_small["hrr"] - clean["hrr"]),
        )
    )
    for name in ("hrr", "afr"):
        pair = [over(name, study, GROSS, 0.2, 0.4) for study in ("rule", "block 1024")]
        change = None if None in pair else abs(pair[0] - pair[1])
        checks.append(
            (f"1024 for 4096 coordinates, gross: change of {name.upper()}", "<=", 0.02, change)
        )
    holds = {">=": float.__ge__, "<=": float.__le__, ">": float.__gt__}
    return [
        {
            "bar": f"{name} {sign} {bar:g}",
            "measured": rounded(value),
            "pass": value is not None and bool(holds[sign](float(value), bar)),
        }
        for name, sign, bar, value in checks
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="one seed of a few cells")
    parser.add_argument("--more-seeds", action="store_true", help="the targeted flip alone")
    arguments = parser.parse_args()
    if arguments.more_seeds:
        more_seeds(arguments.jobs)
        return 0
    started = time.perf_counter()
    found = run(arguments.quick, arguments.jobs)
    table = [row(cell, outcomes) for cell, outcomes in found.items()]
    for line in table:
        print(
            f"{line['study']:20} {line['rule']:12} {line['attack']:20} {line['fraction']:4} "
            f"HRR {line['hrr']} AFR {line['afr']} accuracy {line['accuracy']} "
            f"(worst {line['accuracy_worst']}) success {line['success']}"
        )
    if arguments.quick:
        return 0
    checked = bars(table)
    for one in checked:
        print(f"{'PASS' if one['pass'] else 'FAIL'}  {one['bar']:60} {one['measured']}")
    document = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "command": f"python benchmarks/assessment.py --jobs {arguments.jobs}",
        "seconds": round(time.perf_counter() - started),
        "settings_chosen_on_seeds": TUNED_ON,
        "reported_seeds": HELD_OUT,
        "alphas": ALPHAS,
        "rule_digest": Assessment().digest().hex(),
        "bars": checked,
        "cells": table,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {RESULTS}", file=sys.stderr)
    return 0 if all(one["pass"] for one in checked) else 1


if __name__ == "__main__":
    sys.exit(main())
