"""One chain a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.federation import play_chain


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """A chain for all federations of this process."""
    with play_chain() as chain:
        yield chain.url
