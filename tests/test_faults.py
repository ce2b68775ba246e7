"""A fault is where it is asked for, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ddcai import faults

REACHES = """
from ddcai import faults
for place in faults.PLACES * 2:
    faults.reach(place)
    print(place)
"""


def _run(value: str | None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment.pop(faults.VARIABLE, None)
    if value is not None:
        environment[faults.VARIABLE] = value
    return subprocess.run(
        [sys.executable, "-u", "-c", REACHES],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_happens_without_one(value: str | None) -> None:
    done = _run(value)
    assert (done.returncode, done.stdout.split()) == (0, list(faults.PLACES * 2))


@pytest.mark.parametrize(("number", "reached"), [(1, 2), (2, 12)])
def test_the_process_dies_at_the_place(number: int, reached: int) -> None:
    done = _run(f"{faults.PLACES[2]}:{number}")
    assert (done.returncode, len(done.stdout.split())) == (-9, reached)


@pytest.mark.parametrize("value", ["blob-part", "blob-part:0", "blob-part:x", "nowhere:1", "1"])
def test_what_names_no_place_is_refused(value: str) -> None:
    done = _run(value)
    assert done.returncode == 1
    assert f"DDCAI_FAULT is {value!r}" in done.stderr
    assert "unset it" in done.stderr
