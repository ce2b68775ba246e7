"""Event files say what metrics.jsonl says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from coordinator.journal import Journal
from coordinator.tensorboard import FOLDER, Scalars, require_tensorboard
from ddcai.errors import ConfigurationError
from ddcai.flower import RoundReport


def report(number: int) -> RoundReport:
    return RoundReport(
        round=number,
        contributors=("0xaa", "0xbb", "0xcc"),
        left_out=("0xdd",),
        update_bytes=74_000 + number,
        seconds={"train": 1.5 * number, "seal": 0.25},
        model_digest=bytes(32),
        metrics={"encrypt_s": 0.125},
    )


def read_back(output: Path) -> dict[str, list[tuple[int, float]]]:
    """Values by round, as TensorBoard reads them."""
    events = EventAccumulator(str(output / FOLDER))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in names}


def test_rounds_and_evaluations_are_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", Scalars(tmp_path))
    for number in (1, 2):
        journal.report(report(number))
        journal.evaluation(number, 0.5, 0.25 * number)
    assert read_back(tmp_path) == {
        "seconds/train": [(1, 1.5), (2, 3.0)],
        "seconds/seal": [(1, 0.25), (2, 0.25)],
        "metrics/encrypt_s": [(1, 0.125), (2, 0.125)],
        "round/contributors": [(1, 3), (2, 3)],
        "round/left_out": [(1, 1), (2, 1)],
        "round/update_bytes": [(1, 74_001), (2, 74_002)],
        "evaluation/accuracy": [(1, 0.5), (2, 0.5)],
        "evaluation/log_loss": [(1, 0.25), (2, 0.5)],
    }
    lines = [json.loads(one) for one in (tmp_path / "metrics.jsonl").open()]
    assert [one["event"] for one in lines] == ["round", "evaluation"] * 2


def test_a_coordinator_started_again_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    for number in (1, 2):
        Journal(tmp_path / "metrics.jsonl", Scalars(tmp_path)).report(report(number))
    assert [step for step, _ in read_back(tmp_path)["round/contributors"]] == [1, 2]


def test_without_it_nothing_is_written(tmp_path: Path) -> None:
    Journal(tmp_path / "metrics.jsonl").report(report(1))
    assert [one.name for one in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_where_it_is_not_installed_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"ddcai\[tensorboard\]"):
        require_tensorboard()
    with pytest.raises(ConfigurationError):
        Scalars(tmp_path)
