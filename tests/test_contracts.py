"""What can be said of the contracts' tests without running them: forge does that (`npm test`)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parent.parent / "contracts"
SOURCES = sorted((CONTRACTS / "src").rglob("*.sol"))
TESTS = sorted((CONTRACTS / "test").rglob("*.sol"))
FAULTS = json.loads((CONTRACTS / "mutations.json").read_text())
ERRORS = sorted(
    {
        (path.relative_to(CONTRACTS).as_posix(), name)
        for path in SOURCES
        for name in re.findall(r"^\s*error (\w+)\(", path.read_text(), re.MULTILINE)
    }
)
FUNCTIONS = sorted(
    {
        (path.relative_to(CONTRACTS).as_posix(), name)
        for path in SOURCES
        for name, rest in re.findall(r"^\s*function (\w+)\(([^;{]*)[;{]", path.read_text(), re.M)
        if re.search(r"\b(external|public)\b", rest)
    }
)
# Never reaches a caller: it carries an answer out of a call that is undone.
NO_REFUSAL = "Attempted"


def _untested(names: list[tuple[str, str]]) -> list[str]:
    tested = "\n".join(path.read_text() for path in TESTS)
    return [f"{where}: {name}" for where, name in names if not re.search(rf"\b{name}\b", tested)]


def test_every_error_is_named_by_a_test() -> None:
    assert len(ERRORS) > 60
    assert _untested([one for one in ERRORS if one[1] != NO_REFUSAL]) == []


def test_every_function_is_named_by_a_test() -> None:
    assert len(FUNCTIONS) > 150
    assert _untested(FUNCTIONS) == []


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["fault"] for fault in FAULTS])
def test_a_listed_fault_can_be_planted(fault: dict[str, str]) -> None:
    source = (CONTRACTS / fault["file"]).read_text()
    assert source.count(fault["find"]) == 1
    assert fault["replace"] != fault["find"]
    assert (CONTRACTS / fault["test"]).is_file()


def test_the_faults_are_listed_in_the_docs() -> None:
    text = (CONTRACTS.parent / "docs" / "contracts.md").read_text()
    assert len(FAULTS) >= 10
    assert [fault["fault"] for fault in FAULTS if fault["fault"] not in text] == []


def _short(gas: str) -> str:
    number = int(gas)
    return f"{number / 1e6:.2f}M" if number >= 1_000_000 else f"{round(number / 1000)}k"


def _snapshot(name: str) -> dict[str, str]:
    values: dict[str, str] = json.loads((CONTRACTS / "snapshots" / f"{name}.json").read_text())
    return values


def _document() -> str:
    return (CONTRACTS.parent / "docs" / "contracts.md").read_text()


def test_the_table_of_contributions_is_the_snapshot() -> None:
    section = _document().split("## Gas against the first system")[1].split("\n## ")[0]
    measured = _snapshot("Contributions")
    columns = ("deploy (create, load, seal)", "contribute", "refund", "report", "predict")
    models = {name.rsplit(", ", 1)[0] for name in measured if name.endswith(", predict")}
    assert len(models) == 6
    for model in models:
        [row] = [line for line in section.splitlines() if line.startswith(f"| {model} |")]
        cells = [cell.split("(")[0].strip() for cell in row.split("|")[2:-1]]
        assert cells == [_short(measured[f"{model}, {column}"]) for column in columns]


def test_gas_that_is_told_in_the_text_is_the_snapshot() -> None:
    head, points = _snapshot("PerceptronHead"), _snapshot("Points")
    shapes = ("16x2", "64x2", "384x2", "128x10")
    told = "; ".join(_short(head[f"predict, {shape}"]) for shape in shapes)
    assert f"| `predict` {'; '.join(shapes)} | {told} |" in _document()
    for name, amount in (("Points", "62,000"), ("SelfAssessment", "60,000")):
        assert f"{round(int(points[f'farming a point, {name}']) / 1000)},000" == amount
        assert amount in _document()


def test_targets_that_are_met_stay_met() -> None:
    """Whole transactions; docs/contracts.md says of the others what stands in the way."""
    head, models = _snapshot("PerceptronHead"), _snapshot("Contributions")
    assert int(head["predict, 64x2"]) <= 46_000
    assert int(head["predict, 384x2"]) <= 150_000
    assert int(models["dense Perceptron 64, contribute"]) <= 160_000
    assert int(models["dense Perceptron 384, contribute"]) <= 420_000
    assert int(models["sparse Perceptron 1000/20, deploy (create, load, seal)"]) <= 4_000_000
