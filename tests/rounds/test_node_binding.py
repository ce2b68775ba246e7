"""A node's key is bound by the node's own account, once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ddcai.chain.deploy import Deployment
from ddcai.errors import ConfigurationError, ContractReverted
from ddcai.rounds.node_binding import bind, is_bound
from ddcai.rounds.node_key import NodeKey
from ddcai.rounds.party import Party
from tests.federation import make_federation


def test_members_and_key_holders_bind_and_strangers_cannot(tmp_path: Path) -> None:
    with make_federation(tmp_path) as federation:
        trial = federation.trial
        for name, settings in (
            ("contributor", next(iter(trial.contributors.values()))),
            ("holder", trial.key_holder),
        ):
            party = Party.connect(settings)
            first, second = (NodeKey.load_or_make(tmp_path / f"{name}-{n}") for n in (1, 2))
            assert not is_bound(party, first)
            assert bind(party, first) is not None
            assert is_bound(party, first)
            assert bind(party, first) is None  # nothing more is paid
            assert bind(party, second) is not None
            assert is_bound(party, second)
            assert not is_bound(party, first)

        with pytest.raises(ContractReverted, match="NotInFederation"):
            bind(Party.connect(trial.coordinator), first)

        without = Deployment.load(federation.deployment_path)
        path = dataclasses.replace(without, node_registry=None).save(tmp_path / "without")
        party = Party.connect(dataclasses.replace(settings, deployment=str(path)))
        with pytest.raises(ConfigurationError, match="node_registry"):
            bind(party, first)
        assert not is_bound(party, first)
