"""The embedded chain as a program, and its well-known accounts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.chain.node.evm import CHAIN_ID, DEV_BALANCE_WEI, dev_keys
from ddcai.chain.node.server import LOCALHOST, EmbeddedChain

__all__ = ["CHAIN_ID", "DEV_BALANCE_WEI", "EmbeddedChain", "dev_accounts", "serve"]

DEFAULT_PORT = 8545


@cache
def dev_accounts() -> tuple[LocalAccount, ...]:
    """The ten usual development accounts, funded on the embedded chain and on anvil.

    Everybody knows their keys: for play chains only.
    """
    return tuple(Account.from_key(key) for key in dev_keys())


def serve(
    host: str = LOCALHOST,
    port: int = DEFAULT_PORT,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serves an embedded chain until the process is interrupted.

    Args:
        host, port: where to listen; port 0 takes any free one.
        ready: called once with the endpoint's URL when it answers.

    Raises:
        ChainError: the port is taken or cannot be opened.
    """
    with EmbeddedChain(host, port) as chain:
        if ready is not None:
            ready(chain.url)
        chain.wait()
