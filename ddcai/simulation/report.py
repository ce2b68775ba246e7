"""A simulation as files: every hour as CSV, and the plot that the first system is known for."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.errors import ConfigurationError
from ddcai.keyfile import write_atomically
from ddcai.simulation.incentive import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people who do not see all colours tell apart; and one more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
STYLES = ("-", "--", "-.", ":")


def write(outcome: Outcome, folder: Path, title: str) -> dict[str, Path]:
    """Writes ``hours.csv``, ``agents.csv``, ``plot.png`` and ``plot.html`` into a folder.

    Returns:
        The paths, by file name.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    png, svg = pictures(lambda: _figure(outcome, title))
    content = {
        "hours.csv": hours_csv(outcome).encode(),
        "agents.csv": agents_csv(outcome).encode(),
        "plot.png": png,
        "plot.html": _page(outcome, title, svg).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        write_atomically(folder / name, data, mode=0o644)
    return {name: folder / name for name in content}


def hours_csv(outcome: Outcome) -> str:
    """A line an hour: day, accuracy, and each agent's balance as a share of its start."""
    rows = [["day", "accuracy", *(f"balance {name}" for name in outcome.names)]]
    rows += [
        [f"{one.day:.6f}", f"{one.accuracy:.6f}", *(f"{share:.6f}" for share in one.balances)]
        for one in outcome.moments
    ]
    return csv_text(rows)


def agents_csv(outcome: Outcome) -> str:
    """A line an agent: how it ended."""
    names = [
        "agent",
        "contributions",
        "deposit_wei",
        "balance",
        "balance_wei",
        "locked_wei",
        "points",
    ]
    return csv_text(
        [names, *([str(getattr(one, name)) for name in names] for one in outcome.summaries)]
    )


def csv_text(rows: list[list[str]]) -> str:
    """Rows as CSV, with line feeds."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def pictures(draw: Callable[[], Figure]) -> tuple[bytes, str]:
    """A figure as PNG and as SVG, in the same bytes for the same figure.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigurationError(
            "plots need matplotlib: install ddcai with the extra `plots`"
        ) from error
    png, svg = io.BytesIO(), io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "ddcai", "svg.fonttype": "none"}):
        figure = draw()
        figure.savefig(png, format="png", dpi=120)
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return png.getvalue(), re.sub(r"^.*?(?=<svg)", "", svg.getvalue().decode(), flags=re.DOTALL)


def _figure(outcome: Outcome, title: str) -> Figure:
    from matplotlib.figure import Figure

    days = [one.day for one in outcome.moments]
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    figure.suptitle(title)
    above.plot(days, [one.accuracy for one in outcome.moments], color="black")
    above.set_ylabel("test accuracy")
    above.set_ylim(0.4, 1.0)
    for place, name in enumerate(outcome.names):
        below.plot(
            days,
            [100 * one.balances[place] for one in outcome.moments],
            color=COLOURS[place % len(COLOURS)],
            linestyle=STYLES[place // len(COLOURS) % len(STYLES)],
            label=name,
        )
    below.set_ylabel("balance, % of the start")
    below.set_xlabel("days")
    below.axhline(100, color="#999999", linewidth=0.5)
    below.legend(loc="upper left", ncols=2)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure


def _page(outcome: Outcome, title: str, svg: str) -> str:
    heads = ("agent", "contributions", "balance, % of the start", "points")
    lines = "".join(
        f"<tr><th scope=row>{html.escape(one.agent)}</th><td>{one.contributions}</td>"
        f"<td>{100 * one.balance:.1f}</td><td>{one.points}</td></tr>"
        for one in outcome.summaries
    )
    header = "".join(f"<th scope=col>{head}</th>" for head in heads)
    return page(
        title,
        f"""<figure role="img"
aria-label="Test accuracy, and each agent's balance, over days">{svg}</figure>
<p>Accuracy on the test set: {outcome.accuracy_start:.3f} at the start,
{outcome.accuracy_end:.3f} at the end, {outcome.accuracy_least:.3f} at worst.</p>
<table><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>
""",
    )


def page(title: str, body: str) -> str:
    """An HTML page that needs nothing else."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25rem .75rem; border-bottom: 1px solid #ccc; text-align: right; }}
th:first-child {{ text-align: left; }}
</style>
<h1>{html.escape(title)}</h1>
{body}</html>
"""
