"""Mutated inputs are taken, or refused by an error of ours: nothing else, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing.targets import TARGETS, run

EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 3), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


@cache
def seeds(name: str) -> list[bytes]:
    return TARGETS[name].seeds()


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Bytes that are put in, written over, cut out or cut off."""
    for place, how, piece in edits:
        at = place % (len(data) + 1)
        if how == 0:
            data = data[:at] + piece + data[at:]
        elif how == 1:
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == 2:
            data = data[:at] + data[at + place % 64 :]
        else:
            data = data[:at]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_real_inputs_are_read(name: str) -> None:
    for seed in seeds(name):
        assert run(TARGETS[name], seed) == TARGETS[name].taken


@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_inputs_are_refused_by_our_errors(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([*seeds(name), b""]))
    run(TARGETS[name], edited(seed, data.draw(EDITS)))


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("name", ["update", "message"])
def test_coverage_leads_no_input_to_another_error(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", name, "3"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Done" in done.stderr
