"""``ddcai doctor``: whether a party could take part, found out before it starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import click
import typer
from click.core import ParameterSource

from ddcai.cli import config_file
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STATE,
    DEFAULT_TLS,
    AccountOption,
    BlsKeyOption,
    EncryptionKeyOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StateOption,
)
from ddcai.cli.output import emit, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.cli.doctor_checks import Asked

FAILED = 2
Role = Literal["contributor", "keyholder", "coordinator"]


def doctor(
    context: typer.Context,
    role: Annotated[Role, typer.Option("--role", help="What the party is to do.")] = "contributor",
    config: Annotated[
        Path | None,
        typer.Option(
            config_file.NAME,
            envvar=config_file.VARIABLE,
            help="TOML file that sets these options, in its section client, or coordinator for "
            "that role. Flags and variables count before it.",
        ),
    ] = None,
    deployment: Annotated[
        Path | None,
        typer.Option("--deployment", envvar="DDCAI_DEPLOYMENT", help="The federation's file."),
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    bls_key: BlsKeyOption = None,
    encryption_key: EncryptionKeyOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", envvar="DDCAI_STORE", help="Blob store: a folder, or an fsspec URL."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The site's file: .csv, .parquet or .npz.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="The label column, where it is not the federation's."),
    ] = None,
    superlink: Annotated[
        str | None, typer.Option("--superlink", help="The coordinator's SuperLink, HOST:PORT.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="For trials: the SuperLink has no TLS.")
    ] = False,
    ca_certificate: Annotated[
        Path,
        typer.Option("--ca-certificate", help="PEM file to check the SuperLink's TLS by."),
    ] = DEFAULT_TLS / "ca.pem",
    policy: Annotated[
        Path | None,
        typer.Option("--policy", envvar="DDCAI_POLICY", help="The node's own limits, a TOML file."),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="For how many rounds money and disk must last.")
    ] = 1,
    state: StateOption = DEFAULT_STATE,
    format_: FormatOption = "table",
) -> None:
    """Check everything that a party needs; exit code 2 if a check fails.

    A line a check: ok, warn or fail, what was found, and the remedy. What is not given is not
    checked, and said so. Sends no transaction and changes no file.
    """
    from ddcai.cli.doctor_checks import Asked, Examination

    asked = Asked(
        role=role,
        deployment=_text(deployment),
        rpc_url=rpc_url,
        keystore=_text(keystore),
        account=_text(account),
        password_file=_text(password_file),
        bls_key=_text(bls_key),
        encryption_key=_text(encryption_key),
        store=_text(store),
        data=_text(data),
        label=_text(label),
        superlink=_text(superlink),
        insecure=insecure,
        ca_certificate=_text(ca_certificate),
        policy=_text(policy),
        rounds=rounds,
        state=_text(state),
    )
    if config is not None:
        asked = _filled(asked, config, context)
    lines = list(Examination(asked).lines())
    emit(lines, format_, title="doctor")
    counts = {
        status: sum(one.status == status for one in lines) for status in ("ok", "warn", "fail")
    }
    say(", ".join(f"{count} {status}" for status, count in counts.items()))
    if counts["fail"]:
        raise typer.Exit(FAILED)


def _text(value: Path | str | None) -> str:
    return "" if value is None else str(value)


def _filled(asked: Asked, path: Path, context: click.Context) -> Asked:
    """The options that nothing else sets, from the section of a file."""
    section = "coordinator" if asked.role == "coordinator" else "client"
    root = cast(click.Group, context.find_root().command)
    faults = config_file.check(path, {section: root.commands[section]})
    if faults:
        raise ConfigurationError(f"{path}: " + "; ".join(str(one) for one in faults))
    found = config_file.section(path, section)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(asked):
        key = item.name.replace("_", "-")
        if key in found and context.get_parameter_source(item.name) is ParameterSource.DEFAULT:
            values[item.name] = found[key]
    return dataclasses.replace(asked, **values)
