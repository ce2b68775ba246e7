"""A network that is cut between the coordinator and half of the contributors, in a round."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddcai.cli.processes import flower_environment


@pytest.mark.slow
def test_a_cut_network(tmp_path: Path) -> None:
    """The round goes on with the others at its deadline; those that were away come back."""
    for needed in ("unshare", "ip"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    alone = ["unshare", "--map-root-user", "--net"]
    pair = ["ip", "link", "add", "near", "type", "veth", "peer", "name", "far"]
    made = subprocess.run([*alone, *pair], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this kernel gives no network of one's own: {made.stderr.strip()}")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.flower.network", str(tmp_path / "federation")],
        env=flower_environment(tmp_path / "home"),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    here = set(told["members"][:2])
    first, last = told["sealed"]
    assert set(first) == set(told["submitted"][0]) == here
    assert set(last) == set(told["members"])
    assert told["failed"] == []
    assert told["balance_wei"] == 0
