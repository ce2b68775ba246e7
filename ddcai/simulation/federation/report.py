"""A simulated federation as files: numbers, accuracy over rounds, money over windows."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddcai.keyfile import write_atomically
from ddcai.simulation.federation.referee import DEPOSIT_WEI
from ddcai.simulation.federation.run import ASSESSMENT, Outcome
from ddcai.simulation.federation.summary import Row
from ddcai.simulation.report import COLOURS, csv_text, page, pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcomes = Mapping[str, Sequence[Outcome]]


def write(
    outcomes: Outcomes, rows: Sequence[Row], folder: Path, title: str, setting: object
) -> dict[str, Path]:
    """Writes ``summary.json``, ``accuracy.csv``, ``verdicts.csv``, ``plot.png``, ``plot.html``.

    Args:
        outcomes: by rule, one a seed.
        rows: their summaries.
        folder: is made where it is missing.
        title: of the plot.
        setting: what was simulated, a JSON value.

    Returns:
        The paths, by file name.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    png, svg = pictures(lambda: _figure(outcomes, title))
    summary = {"setting": setting, "rules": [dataclasses.asdict(row) for row in rows]}
    content = {
        "summary.json": (json.dumps(summary, indent=2) + "\n").encode(),
        "accuracy.csv": accuracy_csv(outcomes).encode(),
        "verdicts.csv": verdicts_csv(outcomes).encode(),
        "plot.png": png,
        "plot.html": page(title, _body(rows, svg)).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        write_atomically(folder / name, data, mode=0o644)
    return {name: folder / name for name in content}


def accuracy_csv(outcomes: Outcomes) -> str:
    """A line for each rule, seed and round: accuracy on the test set, the first model's too."""
    rows = [["rule", "seed", "round", "accuracy"]]
    for rule, seeds in outcomes.items():
        for outcome in seeds:
            rows += [
                [rule, str(outcome.seed), str(round_), f"{accuracy:.6f}"]
                for round_, accuracy in enumerate(outcome.accuracy)
            ]
    return csv_text(rows)


def verdicts_csv(outcomes: Outcomes) -> str:
    """A line for each verdict of the assessment, with its scores and what it paid, in wei."""
    head = ["seed", "round", "contributor", "attacker", "refund", "failed"]
    rows = [[*head, "size", "anchor", "movement", "replay", "points_wei", "paid_wei"]]
    for outcome in outcomes.get(ASSESSMENT, ()):
        for settled in outcome.settled:
            for name in settled.due:
                one = settled.verdicts.by_contributor[name]
                scores = one.scores
                rows.append(
                    [
                        str(outcome.seed),
                        str(settled.round),
                        name,
                        str(int(name in outcome.attackers)),
                        str(int(one.refund)),
                        " ".join(one.failed),
                        *(
                            f"{score:.6f}"
                            for score in (
                                scores.size,
                                scores.anchor,
                                scores.movement,
                                scores.replay,
                            )
                        ),
                        str(one.points_wei),
                        str(settled.paid_wei[name]),
                    ]
                )
    return csv_text(rows)


def _figure(outcomes: Outcomes, title: str) -> Figure:
    from matplotlib.figure import Figure

    judged = outcomes.get(ASSESSMENT, ())
    figure = Figure(figsize=(9, 6 if judged else 4), layout="constrained")
    axes = figure.subplots(2 if judged else 1, 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(title)
    for place, (rule, seeds) in enumerate(outcomes.items()):
        curves = np.array([outcome.accuracy for outcome in seeds])
        rounds = np.arange(curves.shape[1])
        colour = COLOURS[place % len(COLOURS)]
        axes[0].plot(rounds, curves.mean(axis=0), color=colour, label=rule)
        if len(seeds) > 1:
            low, high = curves.min(axis=0), curves.max(axis=0)
            axes[0].fill_between(rounds, low, high, color=colour, alpha=0.12, linewidth=0)
    axes[0].set_ylabel("test accuracy, mean and range")
    axes[0].legend(loc="lower right", ncols=2)
    if judged:
        for kind, colour in (("honest", COLOURS[0]), ("attacker", COLOURS[1])):
            when, balances = balance(judged, attackers=kind == "attacker")
            if balances:
                when, balances = [*when, len(judged[0].accuracy) - 1], [*balances, balances[-1]]
                axes[1].step(when, balances, where="post", color=colour, label=kind)
        axes[1].axhline(0, color="#999999", linewidth=0.5)
        axes[1].set_ylabel("balance, deposits of a window")
        axes[1].legend(loc="lower left")
    axes[-1].set_xlabel("round")
    for one in axes:
        one.grid(alpha=0.3)
    return figure


def balance(outcomes: Sequence[Outcome], *, attackers: bool) -> tuple[list[int], list[float]]:
    """What a contributor has gained so far, on average, in deposits: rounds, and balances."""
    gained: dict[int, float] = {0: 0.0}
    count = sum(
        len(one.attackers) if attackers else len(one.names) - len(one.attackers) for one in outcomes
    )
    if not count:
        return [], []
    for outcome in outcomes:
        for settled in outcome.settled:
            paid = sum(
                wei
                for name, wei in settled.paid_wei.items()
                if (name in outcome.attackers) == attackers
            )
            gained[settled.round] = gained.get(settled.round, 0.0) + paid / DEPOSIT_WEI / count
    rounds = sorted(gained)
    return rounds, np.cumsum([gained[round_] for round_ in rounds]).tolist()


def _body(rows: Sequence[Row], svg: str) -> str:
    columns = ["hrr", "afr", "identification", "accuracy", "attack_success"]
    columns += ["honest_pay", "attacker_pay"]
    header = "".join(f"<th scope=col>{name.replace('_', ' ')}</th>" for name in ("rule", *columns))
    lines = "".join(
        f"<tr><th scope=row>{html.escape(row.rule)}</th>"
        + "".join(f"<td>{_with_interval(row, name)}</td>" for name in columns)
        + "</tr>"
        for row in rows
    )
    return f"""<figure role="img"
aria-label="Test accuracy, and balances of honest contributors and attackers">{svg}</figure>
<p>Means over {rows[0].seeds} seeds, with 95 % confidence intervals; payouts in deposits of a
window.</p>
<table><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>
"""


def _with_interval(row: Row, name: str) -> str:
    mean, half = getattr(row, name), getattr(row, f"{name}_ci95")
    if mean is None:
        return "-"
    return f"{mean:.3f}" if half is None else f"{mean:.3f} &plusmn; {half:.3f}"


__all__ = ["accuracy_csv", "balance", "verdicts_csv", "write"]
