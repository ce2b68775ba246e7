"""The benchmark of whole rounds against contributors and parameters, in its short form."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # Its coordinator is a process that imports it by name.
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("scale")


def test_a_round_is_measured(scale: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    scale.main(["--quick", "--output", str(path)])
    (point,) = json.loads(path.read_text())["points"]
    assert point["contributors"] == point["contributors_sealed"] == 3
    assert point["bytes_up"] > 3 * point["update_bytes"] > 0
    assert point["bytes_down"] > 0
    assert point["gas_by_call"].keys() == {
        "openRound",
        "submitUpdate",
        "sealRound",
        "finalizeRound",
        "refund",
    }
    assert point["gas"] == sum(point["gas_by_call"].values())
    assert point["coordinator_peak_mb"] > point["libraries_mb"] > 0
    assert all(point[name] > 0 for name in scale.MEASURED)
    before = path.read_bytes()
    scale.main(["--quick", "--output", str(path)])  # what is there is not measured again
    assert path.read_bytes() == before


def test_growth_is_the_exponent(scale: ModuleType) -> None:
    def point(contributors: int, parameters: int) -> dict[str, object]:
        size = contributors**2 * parameters**0.5
        return {
            "set": "one",
            "contributors": contributors,
            "parameters": parameters,
            **dict.fromkeys(scale.MEASURED, 3 * size),
        }

    found = [point(4, 10), point(40, 10), point(400, 10), point(4, 1000)]
    assert set(scale.growth(found, "contributors")["one"].values()) == {2.0}
    assert set(scale.growth(found, "parameters")["one"].values()) == {0.5}
    assert scale.growth(found[:1], "contributors") == {}


def test_the_document_says_what_was_measured(scale: ModuleType, tmp_path: Path) -> None:
    measured = json.loads((BENCHMARKS / "results" / "scale.json").read_text())
    found = measured["points"]
    text = (BENCHMARKS.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    assert [row for row in scale.tables(found) if row not in text.splitlines()] == []
    for along, fitted in measured["growth"].items():
        assert scale.growth(found, along) == fitted
    assert max(one["coordinator_peak_mb"] for one in found) < 1500
    scale.plot(found, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
