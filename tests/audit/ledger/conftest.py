"""The ledger of the federation of `tests/audit/conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger
from ddcai.chain.node.connection import connect
from tests.federation import SmallFederation


@pytest.fixture(scope="session")
def index_path(tmp_path_factory: pytest.TempPathFactory, audited: SmallFederation) -> Path:
    """Its index; nobody may write to it."""
    path = tmp_path_factory.mktemp("ledger") / "index.sqlite"
    with Index(path, writable=True) as writer:
        Sync(writer, connect(audited.url), audited.deployment.federation).run()
    return path


@pytest.fixture(scope="session")
def ledger(index_path: Path) -> Iterator[Ledger]:
    """What answers."""
    with Ledger.open(index_path) as found:
        yield found
