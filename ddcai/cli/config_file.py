"""The configuration of a machine's coordinator and client: one TOML file, ``--config``.

A section a command, ``[coordinator]`` and ``[client]``, and in it the command's own options
without their dashes: ``join-timeout-s = 300``. There is no other list of what may stand there. An
option given as a flag counts before its variable, that before the file, that before its default.
Paths are as on the command line, from the folder where the command is started. What a federation's
members agree on is another file, ``federation.toml`` (`ddcai.configuration`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from typer.core import TyperOption

from ddcai.errors import ConfigurationError
from ddcai.strict_toml import loads, read, shown

SECTIONS = ("coordinator", "client")
NAME = "--config"
VARIABLE = "DDCAI_CONFIG"
# What is asked of one run, not of a machine.
_NOT_HERE = {"check-only"}
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    click.types.BoolParamType: ((bool,), "true or false"),
    click.types.IntParamType: ((int,), "a whole number"),
    click.types.FloatParamType: ((int, float), "a number"),
}
_SECRETS = ("password", "passphrase", "secret", "private-key", "mnemonic")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong in a file.

    Attributes:
        where: ``[section]`` and key; empty for the file itself.
        fault: what is wrong. Values that could be secrets are not repeated.
        remedy: what to do.
    """

    where: str
    fault: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where} {self.fault}: {self.remedy}".strip()


def keys(command: click.Command) -> dict[str, click.Option]:
    """What may stand in a command's section: its options by key."""
    found = {
        max(option.opts, key=len).lstrip("-"): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value
    }
    return {name: option for name, option in found.items() if name not in _NOT_HERE}


def kind(option: click.Option) -> str:
    """What a key's value is, in words."""
    _, words = _kind(option)
    if isinstance(option.type, click.Choice):
        words = "one of " + ", ".join(f'"{one}"' for one in option.type.choices)
    elif _is_path(option):
        words = "a path"
    return f"a list, each {words}" if option.multiple else words


def is_made(option: click.Option) -> bool:
    """Whether a path is one that the command makes, so that nothing need be there before."""
    return bool(getattr(option.type, "writable", False))


def check(path: Path, commands: Mapping[str, click.Command]) -> list[Fault]:
    """Everything that is wrong in a file: keys, types, ranges, files that are not there.

    Args:
        commands: by section.
    """
    try:
        document = loads(read(path, "the configuration"))
    except ConfigurationError as error:
        return [Fault(where="", fault=str(error), remedy="give a TOML file")]
    return [fault for name, value in document.items() for fault in _section(name, value, commands)]


def add_option(command: click.Command) -> None:
    """Gives a command ``--config``, which fills the options that nothing else sets.

    Raises:
        ConfigurationError: when it is used: any fault of the file, or no section of the command.
    """

    def use(context: click.Context, _: click.Parameter, path: Path | None) -> None:
        if path is None:
            return
        name = str(command.name)
        faults = check(path, {name: command})
        if faults:
            raise ConfigurationError(f"{path}: " + "; ".join(str(one) for one in faults))
        options = keys(command)
        context.default_map = {
            str(options[key].name): value for key, value in section(path, name).items()
        }

    command.params.append(
        TyperOption(
            param_decls=[NAME],
            type=click.Path(path_type=Path),
            envvar=VARIABLE,
            expose_value=False,
            is_eager=True,
            callback=use,
            help=f"TOML file that sets these options, in its section {command.name}. "
            "Flags and variables count before it.",
        )
    )


def section(path: Path, name: str) -> dict[str, Any]:
    """A command's section of a file that `check` found good; ConfigurationError without one."""
    document = loads(read(path, "the configuration"))
    if name not in document:
        raise ConfigurationError(f"{path} has no [{name}]: add it, or give another file")
    return dict(document[name])


def _section(name: str, value: object, commands: Mapping[str, click.Command]) -> Iterator[Fault]:
    if name not in SECTIONS:
        yield Fault(
            where=shown(name),
            fault="is no section",
            remedy=f"known are {', '.join(SECTIONS)}; what a federation's members agree on stands "
            "in its own file, for `federation deploy --config`",
        )
    elif not isinstance(value, dict):
        yield Fault(where=name, fault="is no table", remedy=f"write [{name}]")
    elif name in commands:
        options = keys(commands[name])
        for key, one in value.items():
            where = f"[{name}] {key if key in options else shown(key)}"
            if key not in options:
                yield Fault(where=where, fault="is no key", remedy=_instead(key, options))
            elif (found := _value(options[key], one)) is not None:
                yield Fault(where=where, fault=found[0], remedy=found[1])


def _instead(key: str, options: Mapping[str, click.Option]) -> str:
    if any(word in key.lower().replace("_", "-") for word in _SECRETS):
        return "no secret stands here: give the path of its file, such as password-file"
    close = difflib.get_close_matches(key, options, n=1)
    meant = f"{close[0]} is; " if close else ""
    return f"{meant}all keys: `ddcai config keys`"


def _kind(option: click.Option) -> tuple[tuple[type, ...], str]:
    for click_type, found in _KINDS.items():
        if isinstance(option.type, click_type):
            return found
    return (str,), "a string"


def _value(option: click.Option, value: object) -> tuple[str, str] | None:
    """What is wrong with a value, and the remedy."""
    if option.multiple:
        if not isinstance(value, list):
            return f"is {_toml_type(value)}", f"give {kind(option)}"
        return next((found for one in value if (found := _one(option, one))), None)
    return _one(option, value)


def _one(option: click.Option, value: Any) -> tuple[str, str] | None:
    types, _ = _kind(option)
    if type(value) not in types:
        return f"is {_toml_type(value)}", f"give {kind(option)}"
    if isinstance(value, str) and urlsplit_password(value):
        return "carries a password", "no secret stands here: leave it out of the address"
    try:
        option.type.convert(value, option, None)
    except ValueError:  # a path with a zero byte
        return f"{shown(value)} is not there", "no path is like that: correct it"
    except click.BadParameter as error:
        return "cannot be that", " ".join(error.message.split())
    if _is_path(option) and not is_made(option) and not _exists(value):
        # A password where its file is meant is not printed.
        what = "names no file" if "password" in str(option.name) else f"{value} is not there"
        return what, "make it, or correct the path (from the folder where the command is started)"
    return None


def urlsplit_password(value: str) -> bool:
    """Whether a string is an address with a password in it: ``https://name:word@host``."""
    try:
        return urlsplit(value).password is not None
    except ValueError:
        return False


def _is_path(option: click.Option) -> bool:
    return isinstance(option.type, click.Path)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long
        return False


def _toml_type(value: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
