"""`ddcai federation plan`."""

from __future__ import annotations

from pathlib import Path

from ddcai.data.heart_disease import FOLDER
from tests.cli.conftest import Ddcai, assert_refused

CONFIG = FOLDER / "federation.toml"


def test_every_set_that_fits_is_shown_and_the_smallest_named(ddcai: Ddcai) -> None:
    answer = ddcai("federation", "plan", "--config", CONFIG, "--format", "json")
    assert answer.code == 0, answer.stderr
    rows = {row["parameter_set"]: row for row in answer.json}
    assert "bfv-4096-3x19" not in rows  # no room for the noise of several holders
    assert rows["bfv-8192-3x20"]["rounds_per_key"] > 100_000
    assert rows["compact-64-3x17"]["rounds_per_key"] is None
    assert "compact-64-3x18: encryption.max_contributors is 64" in answer.stderr
    smallest = min(rows.values(), key=lambda row: row["bytes_per_update"])["parameter_set"]
    assert f"smallest update: {smallest}; " in answer.stderr
    assert smallest == "compact-64-3x17"


def test_a_judged_federation_has_two_sets(ddcai: Ddcai, tmp_path: Path) -> None:
    text = CONFIG.read_text().replace('"examples"', '"uniform"')
    judged = tmp_path / "federation.toml"
    judged.write_text(text + '\n[assessment]\nanchor = "movement"\n')
    answer = ddcai("federation", "plan", "--config", judged, "--format", "json")
    names = [row["parameter_set"] for row in answer.json]
    assert names == ["bfv-8192-2x30", "compact-128-3x36"], answer.stderr
    assert "compact-64-3x17: opens no scalars" in answer.stderr
    assert "smallest update: compact-128-3x36; " in answer.stderr


def test_holders_that_cannot_be_are_refused(ddcai: Ddcai) -> None:
    answer = ddcai("federation", "plan", "--config", CONFIG, "--threshold", 1)
    assert_refused(answer, "a threshold of 1")
