"""The shipped ServerApp: rounds, its journal, its model file, its test data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, RecordDict

from coordinator.app import main
from coordinator.journal import Journal
from ddcai.errors import ConfigurationError, DdcaiError
from ddcai.models import state
from tests.clients.test_app import site
from tests.coordinator.test_tensorboard import read_back
from tests.federation import SmallFederation, make_federation, play_chain
from tests.flower.support import Nodes


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    """Three contributors, no round yet."""
    with (
        play_chain() as chain,
        make_federation(tmp_path_factory.mktemp("coordinator"), url=chain.url) as made,
    ):
        yield made


def run(federation: SmallFederation, output: Path, **config: Any) -> None:
    settings: dict[str, Any] = dict(federation.trial.coordinator.to_mapping())
    settings |= {"output": str(output), "join-timeout-s": 2}
    settings |= {name.replace("_", "-"): value for name, value in config.items()}
    main(Nodes(federation).grid(), Context(1, 0, {}, RecordDict(), settings))


def test_rounds_leave_a_journal_and_a_model(federation: SmallFederation, tmp_path: Path) -> None:
    test_data = site(tmp_path / "test.csv")
    output = tmp_path / "made" / "here"
    run(federation, output, num_server_rounds=2, test_data=str(test_data), tensorboard=True)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    rounds = [line for line in lines if line["event"] == "round"]
    found = [line for line in lines if line["event"] == "evaluation"]
    assert [line["round"] for line in rounds] == [1, 2]
    assert [line["round"] for line in found] == [0, 1, 2]
    assert all(0 <= line["accuracy"] <= 1 and line["log_loss"] > 0 for line in found)
    assert all(set(line["contributors"]) == set(federation.addresses) for line in rounds)
    scalars = read_back(output)
    for name in ("accuracy", "log_loss"):
        shown = [value for _, value in scalars[f"evaluation/{name}"]]
        assert shown == pytest.approx([line[name] for line in found])
    digest = federation.contract.model_digest()
    assert rounds[-1]["model_digest"] == digest.hex()
    model = state.load(output / "model.safetensors")
    loaded = model[0] if isinstance(model, tuple) else model
    assert state.digest(loaded) == digest

    # Started again, it goes on; without test data it only runs.
    run(federation, output, num_server_rounds=3)
    assert federation.contract.last_round() == 3
    assert len(read_back(output)["round/contributors"]) == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_server_rounds": "many"}, "num-server-rounds"),
        ({"num_server_rounds": 0}, "num-server-rounds"),
        ({"join_timeout_s": "soon"}, "join-timeout-s"),
        ({"join_timeout_s": -1}, "join-timeout-s"),
        ({"test_data": "/nowhere/test.csv"}, "nowhere"),
        ({"keystore": ""}, "keystore"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_happens(
    federation: SmallFederation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.delenv("ETH_KEYSTORE", raising=False)
    before = federation.contract.last_round()
    with pytest.raises(DdcaiError, match=message):
        run(federation, tmp_path, **config)
    assert federation.contract.last_round() == before
    assert issubclass(ConfigurationError, DdcaiError)


def test_a_journal_only_grows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    Journal(path).evaluation(1, 0.5, 0.7)
    Journal(path).evaluation(2, 0.6, 0.6)
    assert [json.loads(line)["round"] for line in path.read_text().splitlines()] == [1, 2]
