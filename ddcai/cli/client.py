"""``ddcai client``: a contributor, or the key holder, as a Flower SuperNode."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STATE,
    DEFAULT_STORE,
    AccountOption,
    BlsKeyOption,
    DeploymentOption,
    EncryptionKeyOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StateOption,
    StoreOption,
)
from ddcai.cli.output import say
from ddcai.errors import ConfigurationError

Role = Literal["contributor", "keyholder"]


def client(
    deployment: DeploymentOption,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The site's file: .csv, .parquet or .npz. Stays here."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", help="The label column in this file; by default the federation's task.label."
        ),
    ] = None,
    role: Annotated[
        Role, typer.Option("--role", help="Train and attest, or open sums.")
    ] = "contributor",
    superlink: Annotated[
        str, typer.Option("--superlink", help="The coordinator's SuperLink, HOST:PORT.")
    ] = "127.0.0.1:9191",
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Talk to a SuperLink on another machine without TLS."),
    ] = False,
    root_certificates: Annotated[
        Path | None,
        typer.Option("--root-certificates", help="PEM file to check the SuperLink's TLS by."),
    ] = None,
    node_key: Annotated[
        Path | None,
        typer.Option("--node-key", help="This node's private key, if the SuperLink wants one."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="Local port for the node's own use; 0: any free one."
        ),
    ] = 0,
    allowed_metrics: Annotated[
        str,
        typer.Option(
            "--allowed-metrics",
            help="More metrics of the app that may leave this node, by name, between commas.",
        ),
    ] = "",
    scalar_budget: Annotated[
        int,
        typer.Option(
            "--scalar-budget",
            envvar="DDCAI_SCALAR_BUDGET",
            min=0,
            max=10**9 - 1,
            help="Key holder, where updates are judged: scalars of one contributor ever opened.",
        ),
    ] = 4096,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Check everything, then stop.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    bls_key: BlsKeyOption = None,
    encryption_key: EncryptionKeyOption = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Take part in a federation's rounds until interrupted.

    Checks first: the data, the key files, the chain, the membership, and the balance for
    deposit and gas. Then starts a Flower SuperNode that runs the ClientApp installed here,
    whatever app the coordinator sends. What leaves is a ciphertext, its digest, a signature
    and two facts about the work: the seconds of encryption and the clamped share.
    """
    from ddcai.cli.parties import attesting_key_file, keystore_file, open_account, password
    from ddcai.cli.processes import is_loopback, split_address
    from ddcai.cli.readiness import check_contributor, check_data, check_key_holder, only_one
    from ddcai.rounds.party import Settings, state_folder

    host, _ = split_address(superlink)
    if root_certificates is None and not insecure and not is_loopback(host):
        raise ConfigurationError(
            f"superlink is {superlink!r}, on another machine: give --root-certificates for TLS, or "
            "accept an open connection with --insecure"
        )
    file = keystore_file(keystore, account)
    contributes = role == "contributor"
    if contributes:
        address = open_account(file, password(password_file), account).address
        bls_key = attesting_key_file(bls_key, file, address, deployment, rpc_url)
    settings = Settings(
        deployment=_absolute(deployment),
        rpc_url=rpc_url,
        store=store_url(store),
        keystore=_absolute(file),
        password_file=_absolute(password_file),
        bls_key=_absolute(bls_key) if contributes else "",
        encryption_key="" if contributes else _absolute(encryption_key),
        state=_absolute(state),
        role=role,
        scalar_budget=str(scalar_budget),
    )
    node_config: dict[str, str] = settings.to_mapping()
    if contributes:
        if data is None:
            raise ConfigurationError("data is not set: give the site's file with --data")
        examples = check_data(settings, data, label)
        say(f"{data}: {examples} examples")
        node_config["data"] = _absolute(data)
        if label is not None:
            node_config["label"] = label
        if allowed_metrics:
            node_config["allowed-metrics"] = allowed_metrics
        party = check_contributor(settings)
    else:
        party = check_key_holder(settings)
    folder = state_folder(settings, party) / party.address.lower()
    with only_one(folder, party.address):
        say(f"{role} {party.address} of {party.federation.address}: ready")
        if check_only:
            return
        flags = _tls_flags(root_certificates, node_key)
        _run_node(superlink, port, flags, node_config, folder)


def _run_node(
    superlink: str, port: int, flags: list[str], node_config: Mapping[str, str], folder: Path
) -> None:
    """Runs a SuperNode until it ends or this process is told to stop."""
    import os

    from clients.pinned import write_program
    from ddcai.cli.processes import Child, flower_environment, free_port, program, stop_on_signals

    code: int | None = None
    with tempfile.TemporaryDirectory(prefix="flower-", dir=folder) as home_:
        home = Path(home_)
        config = home / "node.toml"
        config.write_text(to_toml(node_config), encoding="utf-8")
        pinned = write_program(home / "bin")
        environment = flower_environment(home)
        environment["PATH"] = os.pathsep.join([str(pinned.parent), environment["PATH"]])
        command = [program("flower-supernode"), "--superlink", superlink]
        command += ["--port", str(port or free_port()), "--node-config", str(config), *flags]
        with stop_on_signals(), Child(command, environment) as node:
            code = node.process.wait()
    if code:
        say(f"error: the SuperNode ended with code {code}: see its messages above")
        raise typer.Exit(1)
    say("stopped")


def _tls_flags(root_certificates: Path | None, node_key: Path | None) -> list[str]:
    if root_certificates is None:
        return ["--insecure"]
    flags = ["--root-certificates", str(root_certificates)]
    if node_key is not None:
        flags += ["--auth-supernode-private-key", str(node_key)]
    return flags


def to_toml(values: Mapping[str, str | int]) -> str:
    """TOML lines; a JSON string is a TOML string."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def store_url(store: str) -> str:
    """A store's address that means the same in another working folder."""
    return store if "://" in store else str(Path(store).expanduser().absolute())


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().absolute())
