"""Disks of the coordinator and of the key holder that are full in a round."""

from __future__ import annotations

import json
from pathlib import Path

from tests.full_disk import run_on_small_disk

CODE = """
import json, logging, os, sys, threading
from dataclasses import replace
from pathlib import Path
from ddcai.errors import StoreError
from ddcai.flower import EncryptedFedAvg, InProcessGrid
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.store import Store
from tests.federation import make_federation
from tests.flower.support import KEY_HOLDER_NODE, Nodes

disk, url, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
other, told = disk / "other", {"warned": []}

class Warned(logging.Handler):
    def emit(self, record):
        told["warned"].append(record.getMessage())

logging.getLogger("ddcai.coordinator").addHandler(Warned(logging.WARNING))

def fill():
    with other.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

class Full(InProcessGrid):
    at, after = "", None
    def push_messages(self, messages):
        sent = list(messages)
        if sent[0].metadata.message_type == self.at:
            self.at = ""
            fill()
            if self.after is not None:
                threading.Timer(self.after, other.unlink).start()
        return super().push_messages(sent)

with make_federation(folder, url=url) as made:
    store = disk / "store"
    for blob in (folder / "blobs").iterdir():
        Store(str(store)).put(bytes.fromhex(blob.name), blob.read_bytes())
    own = {index: {"store": str(store)} for index in range(3)}
    nodes = Nodes(made, settings=own)
    app, context = nodes.members[KEY_HOLDER_NODE]
    context.node_config |= {"store": str(store), "state": str(disk / "state")}
    coordinator = Coordinator(Party.connect(replace(made.trial.coordinator, store=str(store))))
    strategy = EncryptedFedAvg(coordinator, join_timeout_s=2)
    grid = Full(nodes.members)
    grid.at = "train"
    try:
        strategy.start(grid, num_rounds=1)
    except StoreError as error:
        told["error"] = str(error)
    told["stands"] = made.contract.round(1).state.name
    other.unlink()
    told["parts"] = sum(path.name.startswith(".") for path in store.iterdir())
    strategy.start(grid, num_rounds=1)
    told["first"] = [made.contract.round(1).state.name, len(made.contract.round(1).sealed)]
    grid.at, grid.after = "query.open_sum", 1.5
    told["warned"].clear()
    strategy.start(grid, num_rounds=2)
    told["second"] = [made.contract.round(2).state.name, len(made.contract.round(2).sealed)]
    told["left_wei"] = made.contract.balance()
print(json.dumps(told))
"""


def test_a_round_goes_on_when_there_is_room(chain_url: str, tmp_path: Path) -> None:
    """The coordinator stops with an error that names the disk, and is started again; the key
    holder says so, and is asked again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    said = run_on_small_disk(disk, 6000, CODE, chain_url, str(tmp_path / "federation"))
    told = json.loads(said.splitlines()[-1])
    assert "No space left on device" in told["error"]
    assert str(disk / "store") in told["error"]
    assert told["stands"] == "OPEN"
    assert told["parts"] == 0
    assert told["first"] == told["second"] == ["FINALIZED", 3]
    assert any("did not open round 2: DiskError" in one for one in told["warned"])
    assert told["left_wei"] == 0
