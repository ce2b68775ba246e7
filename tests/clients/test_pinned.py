"""A node runs its own app: code that a coordinator sends is neither unpacked nor imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from clients.pinned import PROGRAM, write_program

_LOAD = """
from flwr.supernode.runtime import run_clientapp as runtime
from clients.pinned import pin
pin()
runtime.install_from_fab(b"an app of the coordinator's", skip_prompt=True)
load = runtime.get_load_client_app_fn(default_app_ref="", app_path=None, multi_app=True)
app = load("coordinator/evil", "6.6.6", "00" * 32)
from clients.app import app as own
print(app is own)
"""


def test_the_installed_app_is_loaded_whatever_was_sent(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _LOAD],
        env=os.environ | {"FLWR_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == "True", found.stderr
    assert not (tmp_path / "apps").exists()


def test_the_program_is_found_under_flowers_name(tmp_path: Path) -> None:
    path = write_program(tmp_path / "bin")
    assert path.name == PROGRAM == "flwr-clientapp"
    assert path.stat().st_mode & 0o777 == 0o700
    shown = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "--runtime-api-address" in shown.stdout
