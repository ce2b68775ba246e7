"""What the tests of the index share: one that holds the federation of `tests/audit/conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.connection import connect
from tests.federation import SmallFederation


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, audited: SmallFederation) -> Iterator[Index]:
    """The index of the audited federation; nobody may write to it."""
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index(path, writable=True) as writer:
        Sync(writer, connect(audited.url), audited.deployment.federation).run()
    with Index(path) as reader:
        yield reader
