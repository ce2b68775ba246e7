from __future__ import annotations

from collections.abc import Iterator

import pytest
from web3 import Web3

from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import EmbeddedChain
from tests.chain.support import NODE_IDS, NODE_NAMES, NODES, Scene, stage


@pytest.fixture(scope="module")
def chain() -> Iterator[EmbeddedChain]:
    """One embedded chain for a file of tests."""
    with EmbeddedChain() as running:
        yield running


@pytest.fixture(scope="module")
def w3(chain: EmbeddedChain) -> Web3:
    return connect(chain.url)


@pytest.fixture(scope="module", params=NODE_NAMES, ids=NODE_IDS)
def node(request: pytest.FixtureRequest) -> Iterator[Web3]:
    """A connection to each kind of node that is installed here."""
    with NODES[request.param]() as running:
        yield connect(running.url)


@pytest.fixture(scope="module")
def scene(w3: Web3) -> Scene:
    """One federation for the tests of a file that leave it as it was."""
    return stage(w3)
