"""``ddcai config``: the configuration file of a machine's coordinator and client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import click
import typer

from ddcai.cli import config_file
from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit, say, say_error

group = typer.Typer(
    help="The TOML file that sets the options of `ddcai coordinator` and `ddcai client`.",
    no_args_is_help=True,
)

FAULTS = 2


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of the file: a row of ``ddcai config keys``."""

    section: str
    key: str
    value: str
    default: str
    variables: str
    what: str


@group.command()
def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file that --config is to name.")],
    format_: FormatOption = "table",
) -> None:
    """Name everything that is wrong in a file; exit code 2 if something is.

    Unknown sections and keys, values of another type or out of range, files that are not there,
    secrets. Whether the chain answers and the keys open is for `ddcai client --check-only`.
    """
    faults = config_file.check(file, sections(context.find_root().command))
    if format_ == "json":
        emit(faults, format_)
    for fault in faults:
        say_error(f"{file}: {fault}")
    if faults:
        raise typer.Exit(FAULTS)
    say(f"{file}: good")


@group.command("keys")
def list_keys(context: typer.Context, format_: FormatOption = "table") -> None:
    """List every key of the file: its value, its default and its environment variables."""
    rows = [
        Key(
            section=section,
            key=name,
            value=config_file.kind(option),
            default=default(option),
            variables=", ".join(cast(list[str], option.envvar)),
            what=str(option.help),
        )
        for section, command in sections(context.find_root().command).items()
        for name, option in config_file.keys(command).items()
    ]
    emit(rows, format_)


def default(option: click.Option) -> str:
    """An option's default in words; ``must be given`` where there is none and must be one."""
    if option.required:
        return "must be given"
    if option.default is None or option.multiple:
        return "none"
    return str(option.default).lower() if option.is_flag else str(option.default)


def sections(root: click.Command) -> dict[str, click.Command]:
    """The commands that the file is for, by section."""
    commands = cast(click.Group, root).commands
    return {name: commands[name] for name in config_file.SECTIONS}
