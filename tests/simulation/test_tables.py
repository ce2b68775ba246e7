"""The tables of docs/simulation.md say what benchmarks/results/incentive.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
RESULTS: dict[str, Any] = json.loads(
    (ROOT / "benchmarks" / "results" / "incentive.json").read_text(encoding="utf-8")
)


def test_every_group_of_agents_is_a_row() -> None:
    for key, found in RESULTS["twins"].items():
        balances = ", ".join(
            f"{name} {100 * one['balance_mean']:.0f}" for name, one in found["agents"].items()
        )
        lost = f"{100 * found['accuracy_lost_mean']:.1f} ({100 * found['accuracy_lost_most']:.1f})"
        assert f"| {key} | {balances} | {lost} |" in TEXT
    assert len(RESULTS["twins"]) == 16


def test_both_runs_against_the_contracts_are_rows() -> None:
    for name, found in RESULTS["contracts"].items():
        honest, flipper = found["agents"]
        row = (
            f"| {name} | {100 * honest['balance']:.0f} | {100 * flipper['balance']:.0f} "
            f"| {honest['contributions']} / {flipper['contributions']} "
            f"| {flipper['deposit_wei'] / honest['deposit_wei']:.1f} "
            f"| {found['accuracy_start']:.3f} | {found['accuracy_end']:.3f} "
            f"| {found['accuracy_least']:.3f} | {found['gas_each']['contribute'] // 1000}k |"
        )
        assert row in TEXT


def test_the_published_outcome_is_what_was_measured_on_sms() -> None:
    sms = RESULTS["contracts"]["sms"]
    honest, flipper = sms["agents"]
    assert honest["balance"] > 1.9
    assert flipper["balance"] < 0.1
    assert sms["accuracy_start"] - sms["accuracy_least"] < 0.02
