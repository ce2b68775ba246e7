"""``ddcai simulate federation``: what the rule makes of attackers, before anybody deploys it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit, say
from ddcai.errors import ConfigurationError


def federation(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="heart, sms, an .npz with x and y, or a CSV of numbers with the class index last.",
        ),
    ] = "heart",
    attack: Annotated[
        str, typer.Option("--attack", help="Which attackers; a name, or module:class.")
    ] = "label-flip",
    fraction: Annotated[
        float, typer.Option("--fraction", min=0, max=0.9, help="Share of clients that attack.")
    ] = 0.2,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="assessment, fedavg, krum, multi-krum, trimmed-mean, median or fltrust; once "
            "for each. By default assessment and fedavg.",
        ),
    ] = None,
    clients: Annotated[int, typer.Option("--clients", min=2, max=5000, help="How many.")] = 20,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=10_000, help="How many.")] = 40,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Dirichlet partition: the smaller, the less alike.")
    ] = 0.3,
    participation: Annotated[
        float, typer.Option("--participation", help="Chance to take part in a round.")
    ] = 1.0,
    root_set: Annotated[
        int, typer.Option("--root-set", min=0, help="Public samples; 0: gate on past movement.")
    ] = 200,
    projections: Annotated[
        int | None,
        typer.Option("--projections", help="Random vectors by which the size is estimated."),
    ] = None,
    block: Annotated[int | None, typer.Option("--block", help="Coordinates looked at.")] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Batches that a client trains in a round.")
    ] = 16,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Of local training.")
    ] = 0.1,
    bounty: Annotated[
        float, typer.Option("--bounty", help="A contributor and window, in deposits.")
    ] = 0.05,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="How many.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first one.")] = 0,
    encrypted: Annotated[
        bool,
        typer.Option(
            "--encrypted", help="Open scalars and sums of real ciphertexts: the same, slower."
        ),
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, help="Processes.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for summary.json, accuracy.csv, verdicts.csv, plot.png and plot.html.",
        ),
    ] = None,
    format_: FormatOption = "table",
) -> None:
    """Train a federation with attackers, judge every update, and pay.

    On the integers that clients would encrypt, by the rule that a federation runs. HRR is the
    honest refund rate, AFR the attacker forfeiture rate, over contributors and windows;
    identification the share of verdicts that are right; payouts are in deposits of a window.
    The comparators read every update and know the number of attackers.
    """
    import dataclasses
    import os

    from ddcai.assessment.configuration import Assessment
    from ddcai.cli.progress import Progress
    from ddcai.models.entry_points import resolve
    from ddcai.simulation.federation import report
    from ddcai.simulation.federation.attackers import make_attacker
    from ddcai.simulation.federation.data import load
    from ddcai.simulation.federation.many import Job, run_all
    from ddcai.simulation.federation.network import Recipe
    from ddcai.simulation.federation.run import RULES, Setting
    from ddcai.simulation.federation.summary import row_of

    rules = list(dict.fromkeys(rule or ["assessment", "fedavg"]))
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise ConfigurationError(f"rule is {unknown[0]!r}: give one of {', '.join(RULES)}")
    make_attacker(attack, resolve)
    default = Assessment()
    setting = Setting(
        clients=clients,
        rounds=rounds,
        alpha=alpha,
        fraction=fraction,
        participation=participation,
        root_set=root_set,
        recipe=Recipe(steps=steps, learning_rate=learning_rate),
        rule=Assessment(
            anchor="root_set" if root_set else "movement",
            block=default.block if block is None else block,
            projections=default.projections if projections is None else projections,
        ),
        bounty=bounty,
    )
    chosen = load(data)
    wanted = [
        Job(setting=setting, attack=attack, seed=number, rule=name, encrypted=encrypted)
        for name in rules
        for number in range(seed, seed + seeds)
    ]
    with Progress(f"{len(wanted)} runs") as progress:
        done = run_all(
            chosen,
            wanted,
            jobs=min(jobs, os.cpu_count() or 1),
            advance=progress.reach,
        )
    outcomes = {
        name: [one for job, one in zip(wanted, done, strict=True) if job.rule == name]
        for name in rules
    }
    rows = [row_of(name, outcomes[name]) for name in rules]
    title = f"{chosen.name}: {attack} {setting.attackers} of {clients}, {rounds} rounds"
    emit(rows, format_, title=title)
    for row in rows:
        say(f"{row.rule}: accuracy {row.accuracy:.3f} after {rounds} rounds, {seeds} seeds")
    if out is not None:
        described = {
            "data": chosen.name,
            "attack": attack,
            "seeds": list(range(seed, seed + seeds)),
            "encrypted": encrypted,
            **dataclasses.asdict(setting),
        }
        for path in report.write(outcomes, rows, out, title, described).values():
            say(f"written: {path}")
