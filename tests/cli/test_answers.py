"""Every question has the same options, declared once; `tests/cli/test_audit.py` asks them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import typer

from ddcai.cli.answers import DEFAULT_INDEX, Asked, question
from ddcai.cli.audit_questions import QUESTIONS
from tests.cli.conftest import VARIABLES

SHARED = [field.name for field in fields(Asked)]


def command(function: object) -> typer.core.TyperCommand:
    app = typer.Typer(add_completion=False)
    app.command()(function)  # type: ignore[type-var]
    found = typer.main.get_command(app)
    assert isinstance(found, typer.core.TyperCommand)
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_shared_options_follow_the_question_s_own(name: str) -> None:
    parameters = command(QUESTIONS[name]).params
    assert [one.name for one in parameters][-len(SHARED) :] == SHARED
    variables = {one.name: one.envvar for one in parameters if one.envvar}
    assert variables == {
        "deployment": "DDCAI_DEPLOYMENT",
        "rpc_url": "ETH_RPC_URL",
        "index": "DDCAI_INDEX",
    }


def test_a_question_gets_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DDCAI_INDEX", "kept.sqlite")
    got: list[tuple[Asked, int, str]] = []

    @question
    def example(asked: Asked, number: int, what: str = "none") -> None:
        """An example."""
        got.append((asked, number, what))

    given = command(example)
    given.main(["3", "--offline", "--format", "csv", "--out", "rows"], standalone_mode=False)
    monkeypatch.delenv("DDCAI_INDEX")
    given.main(["4", "--what", "all", "--contract", "0x12"], standalone_mode=False)
    told = Asked(offline=True, format_="csv", out=Path("rows"), index=Path("kept.sqlite"))
    assert got == [(told, 3, "none"), (Asked(contract="0x12"), 4, "all")]
    assert got[1][0].index == DEFAULT_INDEX
    assert (example.__name__, given.help) == ("example", "An example.")
