"""One chain a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ddcai.chain.node.embedded import EmbeddedChain


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """An embedded chain for all federations of this process."""
    with EmbeddedChain() as chain:
        yield chain.url
