"""``ddcai coordinator``: a SuperLink, and the run of the ServerApp on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.client import store_url, to_toml
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    DeploymentOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit_one, say
from ddcai.errors import ConfigurationError

RUN_FAILED = 1


def coordinator(
    deployment: DeploymentOption,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", min=1, help="Number of the last round to run; earlier ones count."
        ),
    ] = 10,
    superlink: Annotated[
        str | None,
        typer.Option("--superlink", help="Use a SuperLink that runs already, HOST:PORT."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Interface that the SuperLink listens on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port that the SuperLink listens on.")
    ] = 9191,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Serve, or talk to, other machines without TLS."),
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="PEM file of the SuperLink's own.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="PEM file of its private key.")
    ] = None,
    root_certificates: Annotated[
        Path | None,
        typer.Option("--root-certificates", help="PEM file that certificate is checked by."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", help="Folder for metrics.jsonl, model.safetensors and the SuperLink's log."
        ),
    ] = Path("ddcai-output"),
    test_data: Annotated[
        Path | None,
        typer.Option("--test-data", help="File to measure the model on after each round."),
    ] = None,
    root_set: Annotated[
        Path | None,
        typer.Option(
            "--root-set",
            help="Where updates are judged: the file of `federation root-set`.",
        ),
    ] = None,
    join_timeout_s: Annotated[
        int,
        typer.Option("--join-timeout-s", min=1, help="Seconds to wait for all members to connect."),
    ] = 300,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Run a federation's rounds; the exit code is 0 only if the last one was finished.

    Starts a Flower SuperLink, submits the ServerApp to it, shows its log until it ends, and
    stops the SuperLink again. Started again after a crash, it goes on with the round under
    way. Holds no decryption key.
    """
    from ddcai.cli.flower_run import Link, run_app
    from ddcai.cli.parties import keystore_file
    from ddcai.cli.processes import is_loopback, split_address
    from ddcai.cli.readiness import check_coordinator
    from ddcai.data.loading import load
    from ddcai.rounds.party import Settings

    tls = (tls_certificate, tls_key, root_certificates)
    if superlink is not None:
        host, port = split_address(superlink)
        if tls_certificate or tls_key:
            raise ConfigurationError("--tls-certificate is for a SuperLink of our own: drop it")
    elif any(tls) and not all(tls):
        raise ConfigurationError(
            "TLS needs all of --tls-certificate, --tls-key and --root-certificates"
        )
    if not root_certificates and not insecure and not is_loopback(host):
        raise ConfigurationError(
            f"host is {host!r}, which other machines reach: give TLS certificates, or accept open "
            "connections with --insecure"
        )
    settings = Settings(
        deployment=str(deployment.absolute()),
        rpc_url=rpc_url,
        store=store_url(store),
        keystore=str(keystore_file(keystore, account).absolute()),
        password_file=str(password_file.absolute()) if password_file else "",
    )
    party = check_coordinator(settings, root_set)
    if test_data is not None:
        load(test_data, party.config, for_training=False)
    output.mkdir(parents=True, exist_ok=True)
    run_config: dict[str, str | int] = {
        **{name: value for name, value in settings.to_mapping().items() if name in _RUN_SETTINGS},
        "num-server-rounds": rounds,
        "join-timeout-s": join_timeout_s,
        "output": str(output.absolute()),
        "test-data": str(test_data.absolute()) if test_data else "",
        "root-set": str(root_set.absolute()) if root_set else "",
    }
    link = Link(
        host=host,
        port=port,
        start=superlink is None,
        certificate=tls_certificate,
        key=tls_key,
        root_certificates=root_certificates,
        log=output / "superlink.log",
    )
    say(f"coordinator {party.address} of {party.federation.address}: ready")
    outcome = run_app(link, to_toml(run_config))
    federation = party.federation
    emit_one(
        {
            "status": outcome,
            "last_round": federation.last_round(),
            "model_digest": federation.model_digest(),
            "output": output,
        },
        format_,
    )
    if outcome != "finished:completed":
        say(f"error: the run ended as {outcome}: see its log above and {link.log}")
        raise typer.Exit(RUN_FAILED)


_RUN_SETTINGS = ("deployment", "rpc-url", "store", "keystore", "password-file")
