"""Who is let into the rounds: the node must have the key that its account bound on chain."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ddcai.flower import InProcessGrid
from ddcai.flower.roster import Roster, look
from ddcai.rounds.node_key import NodeKey
from ddcai.rounds.party import Party
from tests.federation import make_federation
from tests.flower.support import Nodes


def test_a_node_shows_the_key_that_its_account_bound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with make_federation(tmp_path) as federation:
        party = federation.coordinator.party
        owner = Party.connect(next(iter(federation.trial.contributors.values())))
        address, registry = owner.address, owner.node_registry
        assert registry is not None
        assert owner.account is not None
        key = NodeKey.load_or_make(tmp_path / "own-key")
        NodeKey.load_or_make(tmp_path / "thief-key")

        def present(node_key: str, require: bool = False) -> set[str]:
            settings = {0: {"node-key": str(tmp_path / node_key)}} if node_key else {}
            grid = InProcessGrid(Nodes(federation, settings=settings).members)
            roster = Roster(require_node_keys=require)
            caplog.clear()
            with caplog.at_level(logging.WARNING, logger="ddcai.coordinator"):
                look(grid, roster, party.context(0), party)
            return set(roster.contributors)

        everybody = set(federation.addresses)
        assert present("") == everybody  # nobody bound a key: the account is enough
        assert present("own-key", require=True) == set()
        assert f"{address} bound no node key" in caplog.text

        registry.bind(address, key.public, registry.sign(owner.account, key.public))
        assert present("own-key") == everybody
        assert present("own-key", require=True) == {address}
        # A thief with the account's keystore, but not the node's key.
        for stolen in ("", "thief-key"):
            assert present(stolen) == everybody - {address}
            assert "does not have the node key that its account bound" in caplog.text
