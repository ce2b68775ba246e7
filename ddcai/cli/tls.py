"""``ddcai keys tls``: a coordinator's TLS certificate, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import DEFAULT_TLS, FormatOption
from ddcai.cli.output import emit_one, say


def tls(
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Name or address by which clients reach the SuperLink."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", writable=True, help="Folder, as the coordinator's --tls.")
    ] = DEFAULT_TLS,
    format_: FormatOption = "table",
) -> None:
    """Make a coordinator's TLS certificate, of an authority of its own, so that clients have
    ca.pem before it starts.

    `ddcai coordinator` makes one as well where there is none. Once more, the certificate is made
    for further hosts, and ca.pem stays as it is.
    """
    from ddcai.cli.certificates import own_certificates

    made = own_certificates(out, host or [])
    emit_one({"ca_certificate": made.authority, "hosts": ", ".join(made.names)}, format_)
    say(f"{made.authority}: for every client, by a way that nobody can tamper with")
    say(f"{out}: the rest is SECRET, and stays on the coordinator's machine")
