"""Simulated nodes have the configuration that the fleet's file has for their number."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import Context, RecordDict

from ddcai.chain.records import RoundState
from ddcai.errors import ConfigurationError
from ddcai.flower import EncryptedFedAvg, InProcessGrid, fleet
from ddcai.flower.fleet import node_config, save_fleet
from tests.federation import make_federation

from .support import Site


def test_a_node_of_its_own_configuration_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"keystore": "a.json"}
    assert node_config(own) is own
    save_fleet(tmp_path / "fleet.json", [{"keystore": "b.json"}])
    monkeypatch.setenv(fleet.VARIABLE, str(tmp_path / "fleet.json"))
    assert node_config(own) is own
    assert node_config({"partition-id": 0, "num-partitions": 1}) == {"keystore": "b.json"}


@pytest.mark.parametrize("number", [-1, 2])
def test_more_nodes_than_there_are_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    save_fleet(tmp_path / "fleet.json", [{}, {}])
    monkeypatch.setenv(fleet.VARIABLE, str(tmp_path / "fleet.json"))
    with pytest.raises(ConfigurationError, match=f"2 nodes, but this is number {number}"):
        node_config({"partition-id": number})


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", "[" * 100_000])
def test_a_file_that_is_no_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "fleet.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(fleet.VARIABLE, str(path))
    with pytest.raises(ConfigurationError, match="DDCAI_FLEET"):
        node_config({"partition-id": 0})


def test_a_round_of_nodes_that_know_their_number_alone(
    tmp_path: Path, chain_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_federation(tmp_path, 3, url=chain_url) as made:
        own = [*made.trial.contributors.values(), made.trial.key_holder]
        save_fleet(tmp_path / "fleet.json", [one.to_mapping() for one in own])
        monkeypatch.setenv(fleet.VARIABLE, str(tmp_path / "fleet.json"))
        app = Site().app()
        numbers = [{"partition-id": at, "num-partitions": len(own)} for at in range(len(own))]
        grid = InProcessGrid(
            {
                node: (app, Context(1, node, dict(number), RecordDict(), {}))
                for node, number in enumerate(numbers, start=1)
            }
        )
        EncryptedFedAvg(made.coordinator).start(grid, num_rounds=1)
        assert made.contract.round(1).state is RoundState.FINALIZED
        assert len(made.contract.round(1).sealed) == 3
