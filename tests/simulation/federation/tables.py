"""The tables of docs/assessment.md, as lines, from benchmarks/results/assessment.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent.parent
Line = dict[str, Any]


def results() -> dict[str, Any]:
    """The committed measurements."""
    path = ROOT / "benchmarks" / "results" / "assessment.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def more_seeds() -> dict[str, Any]:
    """benchmarks/results/targeted_flip.json."""
    path = ROOT / "benchmarks" / "results" / "targeted_flip.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def more_seeds_rows() -> Iterable[str]:
    """The targeted flip on more seeds."""
    found = more_seeds()
    later, cell = found["afr_of_seeds_after_the_bars"], found["cell"]
    alphas = " | ".join(number(one) for one in found["afr_by_alpha"].values())
    yield f"| {rate(cell, 'afr')} | {number(later)} | {alphas} | {rate(cell, 'hrr')} |"


def cost_rows() -> Iterable[str]:
    """Of benchmarks/results/judging.json."""
    path = ROOT / "benchmarks" / "results" / "judging.json"
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        sides = ("plain", "judged")
        seconds = " | ".join(f"{statistics.fmean(case[f'{one}_round_s']):.1f}" for one in sides)
        gas = " | ".join(f"{case['gas_per_round'][one] / 1000:,.0f}k" for one in sides)
        size = " | ".join(f"{case['bytes_per_update'][one] / 1e6:.2f} MB" for one in sides)
        yield (
            f"| {case['contributors']} | {seconds} "
            f"| {case['added_s_per_contributor_and_round']:.2f} | {size} | {gas} "
            f"| {case['added_gas_per_contributor_and_round'] / 1000:.0f}k |"
        )


def tables(document: dict[str, Any]) -> dict[str, list[str]]:
    """Each table's rows, by name."""
    cells: list[Line] = document["cells"]
    return {
        "bars": [
            f"| {one['bar']} | {number(one['measured'])} | {'yes' if one['pass'] else '**no**'} |"
            for one in document["bars"]
        ],
        "rule": [attack_row(line) for line in cells if line["study"] == "rule"],
        "no root set": [attack_row(line) for line in cells if line["study"] == "no root set"],
        "comparators": list(comparator_rows(cells)),
        "projections": list(projection_rows(cells)),
        "noise": list(noise_rows(cells)),
        "variants": [
            f"| {line['study']} | {attack(line)} | {rate(line, 'hrr')} | {rate(line, 'afr')} "
            f"| {line['accuracy']:.3f} |"
            for line in cells
            if line["study"] in ("half take part", "100 rounds")
        ],
        "others": list(other_rows(cells)),
        "cost": list(cost_rows()),
        "more seeds": list(more_seeds_rows()),
    }


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def rate(line: Line, name: str) -> str:
    half = line[f"{name}_ci95"]
    if line[name] is None:
        return "-"
    return number(line[name]) if not half else f"{line[name]:.3f} ± {half:.3f}"


def attack(line: Line) -> str:
    return "none" if not line["fraction"] else f"{line['attack']} {line['fraction']:.0%}"


def attack_row(line: Line) -> str:
    return (
        f"| {attack(line)} | {rate(line, 'hrr')} | {rate(line, 'afr')} "
        f"| {number(line['identification'])} | {line['accuracy']:.3f} "
        f"({line['accuracy_worst']:.3f}) | {number(line['success'])} "
        f"| {number(line['honest_pay'])} | {number(line['attacker_pay'])} |"
    )


def comparator_rows(cells: list[Line]) -> Iterable[str]:
    gross = sorted({line["attack"] for line in cells if line["study"] == "comparator"})
    for rule in dict.fromkeys(line["rule"] for line in cells if line["study"] == "comparator"):
        yield accuracy_row(
            rule, [c for c in cells if c["rule"] == rule and c["study"] == "comparator"]
        )
    ours = [c for c in cells if c["study"] == "rule" and c["attack"] in gross]
    yield accuracy_row("assessment", ours)


def accuracy_row(rule: str, lines: list[Line]) -> str:
    parts = []
    for fraction in (0.0, 0.2, 0.4):
        there = [line for line in lines if line["fraction"] == fraction]
        mean = statistics.fmean(line["accuracy"] for line in there)
        worst = min(line["accuracy_worst"] for line in there)
        parts.append(f"{mean:.3f} ({worst:.3f})")
    return f"| {rule} | {' | '.join(parts)} |"


def projection_rows(cells: list[Line]) -> Iterable[str]:
    studies = [c["study"] for c in cells if c["study"].startswith("projections ")]
    for study in dict.fromkeys(studies):
        lines = {line["attack"]: line for line in cells if line["study"] == study}
        clean = lines.pop("zero")
        missed = " | ".join(f"{100 * line['attackers_missed']:.2f}" for line in lines.values())
        afr = " | ".join(number(line["afr"]) for line in lines.values())
        yield (
            f"| {study.removeprefix('projections ')} | {rate(clean, 'hrr')} "
            f"| {100 * clean['honest_oversize']:.2f} | {missed} | {afr} |"
        )


def noise_rows(cells: list[Line]) -> Iterable[str]:
    studies = [c["study"] for c in cells if c["study"].startswith("opening noise ")]
    plain = [c for c in cells if c["study"] == "rule" and c["fraction"] in (0.0, 0.2)]
    noisy = {c["attack"] for c in cells if c["study"].startswith("opening noise ")}
    groups = {"0": [line for line in plain if line["attack"] in noisy]}
    for study in dict.fromkeys(studies):
        name = study.removeprefix("opening noise ")
        groups[name] = [line for line in cells if line["study"] == study]
    for name, lines in groups.items():
        [clean] = [line for line in lines if not line["fraction"]]
        bad = [line for line in lines if line["fraction"]]
        hrr, afr, accuracy = (
            statistics.fmean(line[key] for line in bad) for key in ("hrr", "afr", "accuracy")
        )
        yield (
            f"| {name} | {number(clean['hrr'])} | {hrr:.3f} | {afr:.3f} "
            f"| {clean['accuracy']:.3f} | {accuracy:.3f} |"
        )


def other_rows(cells: list[Line]) -> Iterable[str]:
    for line in cells:
        if line["study"] not in ("heart", "sms") or line["rule"] != "assessment":
            continue
        [plain] = [
            other
            for other in cells
            if (other["study"], other["attack"], other["fraction"], other["rule"])
            == (line["study"], line["attack"], line["fraction"], "fedavg")
        ]
        first = line["first_window"]
        yield (
            f"| {line['study']} | {attack(line)} | {number(line['hrr'])} | {number(line['afr'])} "
            f"| {number(first['hrr'])} | {number(first['afr'])} | {line['noisy_windows']:.2f} "
            f"| {line['accuracy']:.3f} | {plain['accuracy']:.3f} |"
        )
