"""``ddcai coordinator``: a SuperLink, and the run of the ServerApp on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.client import store_url, to_toml
from ddcai.cli.events import Events, LogFormatOption
from ddcai.cli.options import (
    DEFAULT_METRICS_HOST,
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    DEFAULT_TLS,
    AccountOption,
    DeploymentOption,
    FormatOption,
    KeystoreOption,
    MetricsHostOption,
    MetricsPortOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit_one, say, write_line
from ddcai.errors import ConfigurationError

RUN_FAILED = 1
INSECURE = (
    "WARNING: --insecure is for trials. Without TLS whoever is on the line reads the models and "
    "alters messages; any node may connect, and is told from others by its account alone."
)
_EVERYWHERE = ("0.0.0.0", "::")


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
        typer.Option("--insecure", help="For trials: no TLS, and any node may connect."),
    ] = False,
    tls: Annotated[
        Path,
        typer.Option(
            "--tls",
            writable=True,
            help="Folder of the SuperLink's certificate, made when missing; ca.pem is for clients.",
        ),
    ] = DEFAULT_TLS,
    tls_host: Annotated[
        list[str] | None,
        typer.Option("--tls-host", help="Name or address by which clients reach the SuperLink."),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option("--tls-certificate", help="PEM file of another certificate than --tls has."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="PEM file of its private key.")
    ] = None,
    ca_certificate: Annotated[
        Path | None,
        typer.Option(
            "--ca-certificate",
            help="PEM file to check that certificate by, or the one of --superlink.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            writable=True,
            help="Folder for metrics.jsonl, model.safetensors and the SuperLink's log.",
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
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write the rounds' numbers for TensorBoard, too."),
    ] = False,
    join_timeout_s: Annotated[
        int,
        typer.Option("--join-timeout-s", min=1, help="Seconds to wait for all members to connect."),
    ] = 300,
    leave_out_key_holder: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out-key-holder",
            help="Address of a key holder that is not asked, such as one that computes falsely.",
        ),
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
    log_format: LogFormatOption = "text",
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = DEFAULT_METRICS_HOST,
) -> None:
    """Run a federation's rounds; the exit code is 0 only if the last one was finished.

    Starts a Flower SuperLink with TLS, that only nodes whose keys members and key holders bound
    on chain may connect to, submits the ServerApp to it, shows its log, how many rounds are
    over and the time left until it ends, and stops the SuperLink again. Started again after a
    crash, it goes on with the round under way. Holds no decryption key.
    """
    from coordinator.tensorboard import require_tensorboard
    from ddcai.cli.flower_run import Link, run_app
    from ddcai.cli.parties import check_addresses, keystore_file
    from ddcai.cli.processes import split_address
    from ddcai.cli.readiness import check_coordinator, say_single_key_holder
    from ddcai.cli.rounds_shown import rounds_shown
    from ddcai.cli.watch import reader
    from ddcai.data.loading import load
    from ddcai.rounds.party import Party, Settings

    if tensorboard:
        require_tensorboard()
    if superlink is not None:
        host, port = split_address(superlink)
    link = Link(
        host=host,
        port=port,
        start=superlink is None,
        log=output / "superlink.log",
        **_tls(
            insecure, superlink, host, tls, tls_host or [], tls_certificate, tls_key, ca_certificate
        ),
    )
    settings = Settings(
        deployment=str(deployment.absolute()),
        rpc_url=rpc_url,
        store=store_url(store),
        keystore=str(keystore_file(keystore, account).absolute()),
        password_file=str(password_file.absolute()) if password_file else "",
    )
    left_out = check_addresses("leave-out-key-holder", leave_out_key_holder or [])
    party = check_coordinator(settings, root_set)
    say_single_key_holder(party)
    if test_data is not None:
        load(test_data, party.config, for_training=False)
    output.mkdir(parents=True, exist_ok=True)
    run_config: dict[str, str | int | bool] = {
        **{name: value for name, value in settings.to_mapping().items() if name in _RUN_SETTINGS},
        "num-server-rounds": rounds,
        "join-timeout-s": join_timeout_s,
        "output": str(output.absolute()),
        "test-data": str(test_data.absolute()) if test_data else "",
        "root-set": str(root_set.absolute()) if root_set else "",
        "tensorboard": tensorboard,
        "leave-out-key-holders": ",".join(left_out),
        "require-node-keys": link.secured,
    }
    if link.secured:
        say(f"TLS by {link.certificate or superlink}: clients need {link.root_certificates}")
    else:
        say(INSECURE)
    say(f"coordinator {party.address} of {party.federation.address}: ready")
    with ExitStack() as stack:
        write: Callable[[str], None] = write_line
        if log_format == "text":
            shown = rounds_shown(reader(None, deployment, rpc_url), rounds)
            write = stack.enter_context(shown).log
        events = stack.enter_context(Events(log_format, rpc_url=rpc_url, write=write).listening())
        stack.enter_context(events.serving("coordinator", metrics_host, metrics_port))
        admits = Party.connect(settings) if link.secured else None
        outcome = run_app(link, to_toml(run_config), events.foreign, events.environment, admits)
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


def _tls(
    insecure: bool,
    superlink: str | None,
    host: str,
    folder: Path,
    names: list[str],
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
) -> dict[str, Path | None]:
    """The certificates of a `Link`: none, those given, or our own, made when missing."""
    from ddcai.cli.certificates import LOCAL, check_authority, own_certificates

    own = (certificate, key)
    if insecure:
        if any((*own, authority)):
            raise ConfigurationError("--insecure is without TLS: drop it, or the certificates")
        return {"certificate": None, "key": None, "root_certificates": None}
    if superlink is not None:
        if any(own):
            raise ConfigurationError("--tls-certificate is for a SuperLink of our own: drop it")
        authority = authority or folder / "ca.pem"
    elif any((*own, authority)):
        if not (certificate and key and authority):
            raise ConfigurationError(
                "give all of --tls-certificate, --tls-key and --ca-certificate, or none of them "
                "for a certificate that is made here"
            )
    else:
        made = own_certificates(folder, [*names, *({host} - {*_EVERYWHERE})])
        if host in _EVERYWHERE and set(made.names) <= set(LOCAL):
            raise ConfigurationError(
                f"host is {host!r}, and the certificate in {folder} is for this machine alone: say "
                "by --tls-host by which name or address clients reach it"
            )
        certificate, key, authority = made.certificate, made.key, made.authority
    check_authority(authority)
    return {"certificate": certificate, "key": key, "root_certificates": authority}


_RUN_SETTINGS = ("deployment", "rpc-url", "store", "keystore", "password-file")
