"""A federation's published model, as a stranger gets it: from the store, by the chain's digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.cli.output import say

if TYPE_CHECKING:
    from ddcai.models.state import State


def current_digest(federation: str, chain_id: int, rpc_url: str) -> bytes:
    """Digest of a federation's current model, by its contract."""
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import connect

    return Federation.connect(connect(rpc_url, chain_id=chain_id), federation).model_digest()


def published_model(path: Path | None, expected: bytes | None, store: str) -> State:
    """The model of a digest: from a file, or from the store.

    Args:
        path: a safetensors file; None for the store's.
        expected: its digest; None if it is not to be compared, with a file alone.

    Raises:
        StoreError: the store has another one.
    """
    from ddcai import digests
    from ddcai.cli.client import store_url
    from ddcai.errors import StoreError
    from ddcai.models import state
    from ddcai.store import Store

    if path is not None:
        loaded, _ = state.load(path, expected_digest=expected)
        if expected is None:
            say(f"{path} has digest 0x{state.digest(loaded).hex()}: not compared with the chain")
        return loaded
    assert expected is not None
    blob = Store(store_url(store)).get(expected)
    if digests.model_digest(blob) != expected:
        raise StoreError(
            f"the store's model under {expected.hex()} has digest "
            f"{digests.model_digest(blob).hex()}: fetch it again from another copy"
        )
    return state.from_canonical(blob)
