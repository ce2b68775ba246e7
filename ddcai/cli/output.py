"""What commands print: rows as a table or JSON on stdout, everything else on stderr.

The same rows make both forms. JSON has digests in full (0x and hex), amounts in wei, times in
ISO 8601 UTC; a table shortens digests and shows ether.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click
import typer
from rich.console import Console
from rich.table import Table

from ddcai.cli.options import Format
from ddcai.event_log import event, line, plain

_LONG_HEX = re.compile(r"0x[0-9a-f]{64,}")
FORM_KEY = "ddcai.log-format"  # in a command's context: how it logs
WIDE = 240  # columns where the output is no terminal: a line is a row, however long


def talk() -> Console:
    """The console for progress and explanations: stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """One line on stderr; an event where the command logs events as JSON."""
    write_line(_line("INFO", "said", message) or plain(message))


def say_error(message: str) -> None:
    """One line on stderr, after ``error:``; as `say`."""
    message = " ".join(message.split())
    write_line(_line("ERROR", "error", message) or f"error: {plain(message)}")


def write_line(text: str) -> None:
    """A line on stderr as it is."""
    typer.echo(text, err=True)


def _line(level: str, name: str, message: str) -> str:
    context = click.get_current_context(silent=True)
    if context is None or context.meta.get(FORM_KEY) != "json":
        return ""
    return line(event(level, name, message), "json")


def emit(rows: Sequence[Any], format_: Format, *, title: str = "", empty: str = "nothing") -> None:
    """Prints rows (dataclasses or mappings, all with the same fields) on stdout."""
    plain = [fields(row) for row in rows]
    if format_ == "json":
        _print_json([json_value(row) for row in plain])
    elif not plain:
        say(empty)
    else:
        table = Table(title=title or None, title_justify="left")
        for name, value in plain[0].items():
            numeric = isinstance(value, int | float) and not isinstance(value, bool | Enum)
            table.add_column(_heading(name), justify="right" if numeric else "left")
        for row in plain:
            table.add_row(*(_cell(name, value) for name, value in row.items()))
        stdout().print(table)


def emit_one(row: Any, format_: Format, *, title: str = "") -> None:
    """Prints one object on stdout: a JSON object, or a line a field."""
    plain = fields(row)
    if format_ == "json":
        _print_json(json_value(plain))
        return
    table = Table(title=title or None, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in plain.items():
        table.add_row(_heading(name), _cell(name, value, short=False))
    stdout().print(table)


def fields(row: Any) -> dict[str, Any]:
    """A row's values by name."""
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {item.name: getattr(row, item.name) for item in dataclasses.fields(row)}
    if isinstance(row, Mapping):
        return dict(row)
    raise TypeError(f"a {type(row).__name__} is no row")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def json_value(value: Any) -> Any:
    """A row, or what is in one, as JSON takes it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value if isinstance(value, str) else value.name.lower()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json_value(fields(value))
    return value


def _heading(name: str) -> str:
    return name.removesuffix("_wei").replace("_", " ")


def _cell(name: str, value: Any, *, short: bool = True) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        value = "0x" + value.hex()
    if isinstance(value, str) and _LONG_HEX.fullmatch(value):
        return value[:12] + ".." if short else value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value, str) else value.name.lower()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_wei"):
        from ddcai.chain.transactions import ether

        return ether(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell("", item, short=short) for item in value) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell('', item, short=short)}" for key, item in value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _cell("", fields(value), short=short)
    return str(value)


def in_words(seconds: float) -> str:
    """A time as people read it: ``1 h 02 min``, ``3 min 05 s``, ``12 s``; nothing below 0."""
    hours, rest = divmod(max(0, int(seconds)), 3600)
    if hours:
        return f"{hours} h {rest // 60:02} min"
    minutes, rest = divmod(rest, 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def stdout() -> Console:
    """The console for results."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)
