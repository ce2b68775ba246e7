"""A disk of a few kilobytes, for tests of what happens when it is full.

A tmpfs in a mount namespace of its own, in a process of its own: needs root, or a kernel that
lets users have namespaces.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run_on_small_disk(folder: Path, kilobytes: int, code: str, *arguments: str) -> str:
    """Runs Python code where ``folder`` is such a disk; skips the test where none can be made.

    Args:
        folder: exists; what was in it is out of sight meanwhile.
        code: what to run; ``sys.argv[1]`` is the folder, more follow.

    Returns:
        What the code printed; fails if it failed.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("util-linux is not installed: unshare is missing")
    script = f'mount -t tmpfs -o size={kilobytes}k none "$0" || exit 99; exec "$@"'
    alone = [unshare, "--map-root-user", "--mount", "sh", "-c", script, str(folder)]
    found = subprocess.run(
        [*alone, sys.executable, "-c", code, str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if found.returncode == 99 or "unshare failed" in found.stderr:
        pytest.skip(f"this kernel gives no mount namespace: {found.stderr.strip()}")
    assert found.returncode == 0, found.stderr
    return found.stdout
