"""``ddcai chain``: a development chain for several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit, say

# Of the mnemonic "test test test test test test test test test test test junk", in every
# Ethereum development tool: whoever sends them ether on a real chain loses it at once.
_PUBLIC_NOTE = (
    "These keys are public, known to everybody and the same everywhere: for this play chain only."
)


def chain(
    host: Annotated[
        str, typer.Option("--host", help="Interface to listen on; others can reach what it serves.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")
    ] = 8545,
    anvil: Annotated[
        bool,
        typer.Option("--anvil", help="Run Foundry's anvil, which must be installed, instead."),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="With --anvil: file that the chain is kept in between runs."),
    ] = None,
    format_: FormatOption = "table",
) -> None:
    """Run a development chain over JSON-RPC until interrupted.

    The embedded chain keeps nothing when it stops. It prints ten accounts with 1,000,000 ether
    each, whose keys are public.
    """
    from ddcai.chain.node.anvil import ManagedAnvil
    from ddcai.chain.node.server import EmbeddedChain
    from ddcai.cli.processes import stop_on_signals
    from ddcai.errors import ConfigurationError

    if state is not None and not anvil:
        raise ConfigurationError(
            f"--state is {str(state)!r}: the embedded chain keeps nothing; add --anvil"
        )
    with stop_on_signals():
        running = ManagedAnvil(host, port, state=state) if anvil else EmbeddedChain(host, port)
        with running:
            _announce(running.url, format_)
            running.wait()
    say("the chain has stopped")


def _announce(url: str, format_: FormatOption) -> None:
    from ddcai.chain.node.embedded import CHAIN_ID, dev_accounts

    rows = [
        {
            "account": index,
            "address": account.address,
            "public_test_key": "0x" + bytes(account.key).hex(),
        }
        for index, account in enumerate(dev_accounts())
    ]
    emit(rows, format_, title=f"chain {CHAIN_ID}: test accounts")
    say(_PUBLIC_NOTE)
    say(f"listening on {url} (ctrl-C stops)")
