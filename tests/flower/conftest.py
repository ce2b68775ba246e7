"""One chain a process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation import play_chain
from tests.flower.support import WritePolicy


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """A chain for all federations of this process."""
    with play_chain() as chain:
        yield chain.url


@pytest.fixture
def policy(tmp_path: Path) -> WritePolicy:
    """Writes a policy file and returns its path, another one each time: nodes keep theirs."""
    numbers = itertools.count()

    def write(text: str) -> str:
        path = tmp_path / f"policy-{next(numbers)}.toml"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return write
