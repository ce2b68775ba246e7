"""One chain a process, and one federation a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.federation import SmallFederation, make_federation, play_chain


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """A chain for all federations of this process."""
    with play_chain() as chain:
        yield chain.url


@pytest.fixture(scope="module")
def federation(
    tmp_path_factory: pytest.TempPathFactory, chain_url: str
) -> Iterator[SmallFederation]:
    """Three contributors; a test that opens a round ends it."""
    folder = tmp_path_factory.mktemp("federation")
    with make_federation(folder, url=chain_url, submit_period_s=10**6) as made:
        yield made


@pytest.fixture(autouse=True)
def _ends_its_round(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "federation" in request.fixturenames:
        made = request.getfixturevalue("federation")
        last = made.contract.last_round()
        if last and not made.contract.round(last).settled:
            made.coordinator.cancel(made.contract.round(last))
