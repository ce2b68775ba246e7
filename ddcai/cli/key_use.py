"""How much of a shared key is spent, for the commands that say so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.cli.client import store_url
from ddcai.cli.output import say
from ddcai.errors import BlobMissing, ConfigurationError, MalformedError, StoreError

if TYPE_CHECKING:
    from ddcai.rounds.key_use import KeyMeter


def key_meter(store: str, config_digest: bytes, model_digest: bytes) -> KeyMeter | None:
    """Reckons by a federation's configuration and model in a store; None, and says so, where the
    store does not have them. A folder that is not there is not made."""
    from ddcai.rounds.key_use import KeyMeter
    from ddcai.store import Store

    try:
        if "://" not in store and not Path(store).expanduser().is_dir():
            raise BlobMissing(f"{store} is not there; give the blob store with --store")
        return KeyMeter.from_store(Store(store_url(store)), config_digest, model_digest)
    except (StoreError, MalformedError, ConfigurationError) as error:
        say(f"how much of the key is spent is not known: {error}")
        return None
