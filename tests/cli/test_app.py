"""The tree of commands as a whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from ddcai.cli import app as app_module
from ddcai.cli.app import ErrorsInOneLine, app
from ddcai.errors import DataError
from tests.cli.conftest import Ddcai

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for child, one in command.commands.items():
                yield from walk(f"{name} {child}", one)
        else:
            yield name, command

    yield from walk("ddcai", typer.main.get_command(app))


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"
        else:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert any(line.startswith(name) for line in text.splitlines()), "give an example"


def test_the_documentation_names_no_other_command() -> None:
    headings = [
        line.split("`")[1]
        for line in DOCS.read_text(encoding="utf-8").splitlines()
        if line.startswith("### `ddcai")
    ]
    assert sorted(headings) == sorted(COMMANDS)


def test_help_loads_none_of_the_large_libraries() -> None:
    code = (
        "import sys, ddcai.cli.app; "
        "print([m for m in ('torch', 'flwr', 'tenseal', 'web3', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"


def test_version(ddcai: Ddcai) -> None:
    assert ddcai("--version").stdout.strip() == version("ddcai")


def _app_that_raises(error: Exception) -> typer.Typer:
    broken = typer.Typer(cls=ErrorsInOneLine, pretty_exceptions_enable=False)

    @broken.command()
    def fail() -> None:
        raise error

    @broken.command()
    def other() -> None:
        pass

    return broken


def test_an_error_of_ours_is_one_line_and_exit_code_2() -> None:
    result = CliRunner().invoke(_app_that_raises(DataError("row 3\nis bad")), ["fail"])
    assert result.exit_code == app_module.REFUSED == 2
    assert result.stderr == "error: row 3 is bad\n"
    assert result.stdout == ""


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    result = CliRunner().invoke(_app_that_raises(ZeroDivisionError("fault")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.exit_code == 1
