"""``ddcai keys``: the federation's encryption key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.ceremony import ceremony, plan
from ddcai.cli.options import FormatOption, LightKdfOption, NewPasswordFileOption
from ddcai.cli.output import emit_one, say
from ddcai.cli.rekey import sign_rekey
from ddcai.cli.retire import retire
from ddcai.cli.tls import tls

PUBLIC_NAME, SECRET_NAME = "encryption-public.json", "encryption-secret.json"
WARNING = (
    "WARNING: whoever holds {secret} is the federation's single key holder. Together with the "
    "coordinator, or with a copy of the ciphertexts, that party could read every single update. "
    "Give it to somebody whom all contributors trust, never to the coordinator, and keep no copy."
)

SINGLE_KEY_HOLDER = (
    "WARNING: a single key holder has this federation's key, and could read every update: for "
    "trials only. In earnest let several make one together with `ddcai keys ceremony`."
)

group = typer.Typer(
    help="Make the federation's encryption key, sign the next one, and destroy what is over.",
    no_args_is_help=True,
)
group.command("plan")(plan)
group.command("ceremony")(ceremony)
group.command("sign-rekey")(sign_rekey)
group.command("retire")(retire)
group.command("tls")(tls)


@group.command("new")
def new(
    out: Annotated[Path, typer.Option("--out", help="Folder for the two new files.")],
    password_file: NewPasswordFileOption,
    parameter_set: Annotated[
        str,
        typer.Option(
            "--parameter-set",
            help="As encryption.parameter_set in federation.toml; for a single key bfv-4096-3x19 "
            "(up to 64 contributors) takes half the bytes.",
        ),
    ] = "bfv-8192-3x20",
    light_kdf: LightKdfOption = False,
    format_: FormatOption = "table",
) -> None:
    """For trials: make a key for a single key holder, with a public file for everyone.

    Each file says which of the two it holds. Run it on the key holder's machine.
    """
    from ddcai.cli.parties import password
    from ddcai.encryption.bfv import generate
    from ddcai.encryption.parameters import parameter_set as find_set
    from ddcai.errors import KeyfileError

    parameters = find_set(parameter_set)
    secret_password = password(password_file)
    public_path, secret_path = out / PUBLIC_NAME, out / SECRET_NAME
    for path in (public_path, secret_path):
        if path.exists():
            raise KeyfileError(f"{path} is there already: choose another folder with --out")
    secret, public = generate(parameters)
    secret.save(secret_path, secret_password, light=light_kdf)
    try:
        public.save(public_path)
    except BaseException:
        secret_path.unlink(missing_ok=True)
        raise
    emit_one(
        {
            "parameter_set": parameters.id,
            "digest": public.digest(),
            "public_key": public_path,
            "secret_key": secret_path,
        },
        format_,
    )
    say(f"{public_path}: public, for the sponsor and everyone")
    say(f"{secret_path}: SECRET, for the key holder alone")
    say(WARNING.format(secret=secret_path))
