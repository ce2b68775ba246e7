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
