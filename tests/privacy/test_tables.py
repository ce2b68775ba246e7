"""docs/privacy.md says what benchmarks/results/privacy.json says, and that is what is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import privacy as benchmark
from ddcai.simulation.federation.data import load

ROOT = Path(__file__).parent.parent.parent
DOCUMENT: dict[str, Any] = json.loads(
    (ROOT / "benchmarks" / "results" / "privacy.json").read_text(encoding="utf-8")
)
TEXT = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")


def rows(data: str) -> list[str]:
    """A table's lines: noise, epsilon, and each study's accuracy."""
    studies = [one for one in DOCUMENT["studies"] if one["study"].startswith(data)]

    def cells(line: int) -> str:
        shown = [one["lines"][line] for one in studies]
        return " | ".join(f"{one['accuracy']:.3f} ± {one['accuracy_ci95']:.3f}" for one in shown)

    found = [f"| none | | {cells(0)} |"]
    for place, line in enumerate(studies[0]["lines"][1:], 1):
        found.append(f"| {line['noise_multiplier']:g} | {line['epsilon']:.1f} | {cells(place)} |")
    alone = " | ".join(f"{one['alone']:.3f} ± {one['alone_ci95']:.3f}" for one in studies)
    return [*found, f"| each alone | | {alone} |"]


@pytest.mark.parametrize("data", ["heart", "digits"])
def test_every_row_is_in_the_document(data: str) -> None:
    assert "\n".join(rows(data)) in TEXT


def test_epsilon_is_today_s_and_the_seeds_are_held_out() -> None:
    for study, found in zip(benchmark.STUDIES, DOCUMENT["studies"], strict=True):
        assert found["study"] == study.name
        for line in found["lines"][1:]:
            expected = benchmark.epsilon_of(study, line["noise_multiplier"])
            assert line["epsilon"] == round(expected, 3)
    assert not set(DOCUMENT["reported_seeds"]) & set(DOCUMENT["recipes_chosen_on_seeds"])


def test_a_run_without_noise_learns_and_one_with_much_does_not() -> None:
    study, data = benchmark.STUDIES[0], load("heart")
    silent, loud = (benchmark.federate(study, data, noise, seed=7) for noise in (None, 40.0))
    assert silent == benchmark.federate(study, data, None, seed=7)
    assert silent.accuracy > 0.75 > loud.accuracy
    assert np.isfinite(benchmark.alone(study, data, seed=7))
