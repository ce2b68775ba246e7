"""The drop-in example: an ordinary Flower app takes the mod and the strategy, and still learns."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from flwr.app import Context, RecordDict

from ddcai.audit.claims import Status
from ddcai.audit.verify import verify_at
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import SITES, site_path
from ddcai.flower import InProcessGrid
from ddcai.rounds.trial import set_up

EXAMPLE = Path(__file__).parent.parent / "examples" / "drop_in"
ROUNDS = 3


def _import(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(folder))
    names = ("task", "client_app", "server_app")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return {name: importlib.import_module(name) for name in names}


def _accuracy(task: ModuleType, model: Path) -> float:
    net = task.Net()
    net.load_state_dict(torch.load(model, weights_only=True))
    right = total = 0
    for name in SITES:
        x, y = task.load_data(str(site_path(name)))
        right += int((net(x).argmax(dim=1) == y).sum())
        total += len(y)
    return right / total


def _run(app: dict[str, ModuleType], nodes: dict[str, dict[str, str]], config: dict[str, str]):
    contexts = {
        number: (app["client_app"].app, Context(1, number, node, RecordDict(), {}))
        for number, node in enumerate(nodes.values(), start=1)
    }
    run = Context(1, 0, {}, RecordDict(), {"num-server-rounds": ROUNDS, **config})
    app["server_app"].app(InProcessGrid(contexts), run)


def test_at_most_ten_lines_change() -> None:
    changed = 0
    for path in sorted((EXAMPLE / "before").glob("*.py")):
        before = path.read_text().splitlines()
        after = (EXAMPLE / "after" / path.name).read_text().splitlines()
        changed += sum(
            line[0] == "+" and line[:3] != "+++"
            for line in difflib.unified_diff(before, after, lineterm="")
        )
    assert 0 < changed <= 10


def test_both_apps_learn_and_the_second_can_be_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {name: {"data": str(site_path(name))} for name in SITES}
    plain = _import(EXAMPLE / "before", monkeypatch)
    torch.manual_seed(1)
    _run(plain, data, {"output": str(tmp_path / "plain.pt")})

    encrypted = _import(EXAMPLE / "after", monkeypatch)
    torch.manual_seed(0)  # as server_app does: the first model is agreed
    first = {name: value.numpy() for name, value in encrypted["task"].Net().state_dict().items()}
    config = FederationConfig.from_toml(EXAMPLE / "federation.toml")
    with EmbeddedChain() as chain:
        trial = set_up(tmp_path / "trial", chain.url, config, SITES, model=first, holders=(2, 3))
        nodes = {name: trial.contributors[name].to_mapping() | data[name] for name in SITES}
        nodes |= {name: settings.to_mapping() for name, settings in trial.key_holders.items()}
        run = trial.coordinator.to_mapping() | {"output": str(tmp_path / "encrypted.pt")}
        torch.manual_seed(1)
        _run(encrypted, nodes, run)
        claims = list(verify_at(chain.url, trial.deployment.federation, trial.store))
    assert {claim.status for claim in claims} == {Status.PASS}
    task = encrypted["task"]
    reached = _accuracy(task, tmp_path / "plain.pt"), _accuracy(task, tmp_path / "encrypted.pt")
    assert min(reached) > 0.7
    assert abs(reached[0] - reached[1]) < 0.04
