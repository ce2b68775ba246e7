"""A contributor's own disk is full: nothing is sent, and it goes on when there is room."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

from tests.federation import SmallFederation
from tests.full_disk import run_on_small_disk

CODE = """
import os, pickle, sys
from pathlib import Path
from ddcai.errors import DiskError
from tests.rounds.test_crashes import contribute

folder = Path(sys.argv[1])
settings, number, trained = pickle.loads(Path(sys.argv[2]).read_bytes())
other = os.open(folder / "other", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(other, bytes(4096))
except OSError:
    os.close(other)
try:
    contribute(settings, number, trained)
except DiskError as error:
    print(error)
(folder / "other").unlink()
print(sum(path.is_file() for path in folder.rglob("*") if path.name.endswith("update")))
contribute(settings, number, trained)
print(sum(path.is_file() for path in folder.rglob("*") if path.name.endswith("update")))
"""


def test_a_contributor_says_so_and_sends_nothing(
    federation: SmallFederation, tmp_path: Path
) -> None:
    disk, given = tmp_path / "disk", tmp_path / "given"
    disk.mkdir()
    record = federation.coordinator.open_round()
    settings = replace(federation.trial.contributors["south"], state=str(disk / "state"))
    given.write_bytes(pickle.dumps((settings, record.number, federation.train(record, 1))))
    before = federation.contract.submission_order(record.number)
    said, before_room, after = run_on_small_disk(disk, 1000, CODE, str(given)).splitlines()
    assert "No space left on device" in said
    assert "make room" in said
    assert (before_room, after) == ("0", "1")
    sent = federation.contract.submission_order(record.number)
    assert len(sent) == len(before) + 1
