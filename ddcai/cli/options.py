"""Options that several commands share: one name, one variable, one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Format = Literal["table", "json"]

FormatOption = Annotated[
    Format, typer.Option("--format", help="How to print the result on stdout.")
]
RpcUrlOption = Annotated[
    str,
    typer.Option("--rpc-url", envvar="ETH_RPC_URL", help="JSON-RPC endpoint of the chain."),
]
KeystoreOption = Annotated[
    Path | None,
    typer.Option(
        "--keystore",
        envvar="ETH_KEYSTORE",
        help="Keystore (geth v3) of the account that acts, or a folder of keystores "
        "together with --account.",
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option("--account", help="Address of the account, where --keystore is a folder."),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        envvar="ETH_PASSWORD",
        help="File with the password that opens the key files. "
        "Passwords are never given as arguments.",
    ),
]
NewPasswordFileOption = Annotated[
    Path,
    typer.Option(
        "--password-file",
        envvar="ETH_PASSWORD",
        help="File with the password that will protect the new key files.",
    ),
]
LightKdfOption = Annotated[
    bool,
    typer.Option(
        "--light-kdf", help="Cheap key derivation, quick to open and to guess: for trials only."
    ),
]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="DDCAI_STORE",
        help="Blob store: a folder, or an fsspec URL such as s3://bucket/prefix.",
    ),
]
DeploymentOption = Annotated[
    Path,
    typer.Option(
        "--deployment",
        envvar="DDCAI_DEPLOYMENT",
        help="The federation's deployment file, deployments/<chainId>-<name>.json.",
    ),
]
BlsKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--bls-key",
        envvar="DDCAI_BLS_KEY",
        help="Attestation key file; by default the one that `account new` wrote beside the "
        "keystore.",
    ),
]
EncryptionKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--encryption-key",
        envvar="DDCAI_ENCRYPTION_KEY",
        help="A key holder's pieces of the key, key-pieces.json from `keys ceremony`; of several "
        "epochs, a folder with all of them. For trials, the secret key from `keys new`.",
    ),
]
StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="DDCAI_STATE",
        writable=True,
        help="Folder for what this party must remember between rounds.",
    ),
]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", min=1, max=65535, help="Serve metrics for Prometheus on this port."
    ),
]
MetricsHostOption = Annotated[
    str, typer.Option("--metrics-host", help="Interface that metrics are served on.")
]

DEFAULT_METRICS_HOST = "127.0.0.1"
DEFAULT_RPC_URL = "http://127.0.0.1:8545"
DEFAULT_STORE = "ddcai-store"
DEFAULT_STATE = Path("ddcai-state")
DEFAULT_TLS = Path("ddcai-tls")
