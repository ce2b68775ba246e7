"""``ddcai client``: a contributor, or the key holder, as a Flower SuperNode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from ddcai.cli.events import Events, LogFormatOption
from ddcai.cli.options import (
    DEFAULT_METRICS_HOST,
    DEFAULT_RPC_URL,
    DEFAULT_STATE,
    DEFAULT_STORE,
    DEFAULT_TLS,
    AccountOption,
    BlsKeyOption,
    DeploymentOption,
    EncryptionKeyOption,
    KeystoreOption,
    MetricsHostOption,
    MetricsPortOption,
    PasswordFileOption,
    RpcUrlOption,
    StateOption,
    StoreOption,
)
from ddcai.cli.output import say
from ddcai.errors import ConfigurationError

INSECURE = (
    "WARNING: --insecure is for trials. Without TLS nothing shows that this is the coordinator, "
    "and whoever is on the line reads the models and alters messages."
)
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
        typer.Option("--insecure", help="For trials: talk to a SuperLink that has no TLS."),
    ] = False,
    ca_certificate: Annotated[
        Path,
        typer.Option(
            "--ca-certificate",
            help="PEM file to check the SuperLink's TLS by: ca.pem from the coordinator.",
        ),
    ] = DEFAULT_TLS / "ca.pem",
    node_key: Annotated[
        Path | None,
        typer.Option(
            "--node-key",
            envvar="DDCAI_NODE_KEY",
            help="This node's private key; by default one in the state folder, made when missing.",
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="Local port for the node's own use; 0: any free one."
        ),
    ] = 0,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            envvar="DDCAI_POLICY",
            help="This node's own limits, a TOML file: what may leave, rounds, money, privacy.",
        ),
    ] = None,
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
    log_format: LogFormatOption = "text",
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = DEFAULT_METRICS_HOST,
) -> None:
    """Take part in a federation's rounds until interrupted.

    Checks first: the data, the key files, the chain, the membership, and the balance for
    deposit and gas. Makes a node key, once, and binds it to the account on chain, for about
    86,000 gas. Then starts a Flower SuperNode that runs the ClientApp installed here,
    whatever app the coordinator sends. What leaves is a ciphertext, its digest, a signature
    and two facts about the work: the seconds of encryption and the clamped share; or less, as
    the policy says, which nothing that a coordinator sends can change.
    """
    from ddcai.cli.certificates import check_authority, check_server
    from ddcai.cli.parties import attesting_key_file, keystore_file, open_account, password
    from ddcai.cli.processes import split_address
    from ddcai.cli.readiness import (
        bind_node_key,
        check_contributor,
        check_data,
        check_key_holder,
        only_one,
        say_policy,
        say_single_key_holder,
    )
    from ddcai.cli.supernode import run_node
    from ddcai.rounds.party import Settings, state_folder

    host, its_port = split_address(superlink)
    if insecure:
        say(INSECURE)
    else:
        check_authority(ca_certificate)
        check_server(host, its_port, ca_certificate)
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
        policy=_absolute(policy),
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
        party = check_contributor(settings)
    else:
        party = check_key_holder(settings)
    folder = state_folder(settings, party) / party.address.lower()
    if policy is not None:
        say_policy(policy)
    with only_one(folder, party.address):
        say_single_key_holder(party)
        say(f"{role} {party.address} of {party.federation.address}: ready")
        node_key = folder / "node-key" if node_key is None else node_key.absolute()
        if check_only:
            return
        bind_node_key(party, node_key)
        node_config["node-key"] = str(node_key)
        flags = ["--insecure"]
        if not insecure:
            flags = ["--root-certificates", str(ca_certificate)]
            flags += ["--auth-supernode-private-key", str(node_key)]
        events = Events(log_format, rpc_url=rpc_url)
        with events.serving("client", metrics_host, metrics_port):
            run_node(superlink, port, flags, node_config, folder, events)


def to_toml(values: Mapping[str, str | int | bool]) -> str:
    """TOML lines; a JSON string is a TOML string, but for its escapes of half characters."""
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items()
    )


def store_url(store: str) -> str:
    """A store's address that means the same in another working folder."""
    return store if "://" in store else str(Path(store).expanduser().absolute())


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().absolute())
