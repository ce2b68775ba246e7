"""``ddcai keys plan`` and ``ddcai keys ceremony``: a key that several make together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import (
    AccountOption,
    FormatOption,
    KeystoreOption,
    LightKdfOption,
    NewPasswordFileOption,
)
from ddcai.cli.output import emit_one, say


def plan(
    holder: Annotated[
        list[str],
        typer.Option("--holder", help="Account of a key holder; give it once a holder."),
    ],
    threshold: Annotated[
        int,
        typer.Option(
            "--threshold",
            help="How many of them open together; more than half. Fewer learn nothing.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The new file, for every holder.")] = Path(
        "key-plan.json"
    ),
    label: Annotated[
        str, typer.Option("--label", help="Another one for every key, such as the epoch.")
    ] = "epoch-1",
    parameter_set: Annotated[
        str,
        typer.Option(
            "--parameter-set",
            help="As encryption.parameter_set in federation.toml: bfv-8192-3x20, or bfv-8192-2x30 "
            "where updates are judged; or one of the compact scheme.",
        ),
    ] = "bfv-8192-3x20",
    format_: FormatOption = "table",
) -> None:
    """Write down who makes a key together; every holder looks at it before `keys ceremony`."""
    import json

    from ddcai.cli.parties import check_addresses
    from ddcai.encryption.threshold.plan import KeyPlan
    from ddcai.errors import KeyfileError
    from ddcai.keyfile import write_atomically

    made = KeyPlan(
        label=label,
        parameters=parameter_set,
        threshold=threshold,
        holders=tuple(sorted(check_addresses("holder", holder), key=str.lower)),
    )
    pieces = len(made.sharing.pieces)
    if out.exists():
        raise KeyfileError(f"{out} is there already: give another file with --out")
    write_atomically(out, json.dumps(made.to_json(), indent=1).encode() + b"\n", mode=0o644)
    emit_one(
        {
            "plan": out,
            "digest": made.digest,
            "holders": f"{threshold} of {len(made.holders)}",
            "pieces": pieces,
            "parameter_set": made.parameters,
        },
        format_,
    )


def ceremony(
    plan_file: Annotated[
        Path, typer.Option("--plan", help="What the holders agreed on, from `keys plan`.")
    ],
    exchange: Annotated[
        str,
        typer.Option(
            "--exchange",
            help="Folder that all holders read and write, or an fsspec URL; nothing in it is "
            "secret.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="This holder's own folder.")],
    password_file: NewPasswordFileOption,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    timeout_s: Annotated[
        int,
        typer.Option("--timeout-s", min=1, help="Seconds to wait for the others, in each phase."),
    ] = 3600,
    light_kdf: LightKdfOption = False,
    format_: FormatOption = "table",
) -> None:
    """Make a key together with the other holders; each runs this on a machine of its own.

    Nobody ever has the whole key. Ended or crashed, the same command goes on where it was. Writes
    key-pieces.json, this holder's part, under the password; encryption-public.json and
    ceremony.json, the same for all, for the sponsor.
    """
    from ddcai import strict_json
    from ddcai.cli.client import store_url
    from ddcai.cli.parties import keystore_file, open_account, password
    from ddcai.encryption.threshold.plan import KeyPlan
    from ddcai.errors import ConfigurationError
    from ddcai.rounds.ceremony import PIECES_NAME, PUBLIC_NAME, RECORD_NAME, hold
    from ddcai.store import Files

    try:
        agreed = KeyPlan.from_json(strict_json.loads(plan_file.read_bytes()))
    except OSError as error:
        raise ConfigurationError(f"cannot read {plan_file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{plan_file} is no key plan: it is not JSON") from error
    secret_password = password(password_file)
    holder = open_account(keystore_file(keystore, account), secret_password, account)
    agreed.index(holder.address)
    say(
        f"{agreed.label}: {agreed.threshold} of {len(agreed.holders)} holders, plan "
        f"{agreed.digest.hex()}: compare it with theirs"
    )
    record = hold(
        agreed,
        holder,
        Files(store_url(exchange)),
        out,
        secret_password,
        timeout_s=timeout_s,
        light=light_kdf,
    )
    emit_one(
        {
            "public_key_digest": record.public_key_digest,
            "ceremony_digest": record.ceremony_digest,
            "pieces": out / PIECES_NAME,
            "public_key": out / PUBLIC_NAME,
            "record": out / RECORD_NAME,
        },
        format_,
    )
    say(f"{out / PIECES_NAME}: SECRET, for this holder alone; back it up")
