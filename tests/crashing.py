"""Parties in processes of their own, which die where a fault has them die."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

from ddcai import faults

KILLED = -9

# Forked from a process that has imported all that they need, and done nothing.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.federation", "tests.flower.crashing"])


def run(target: Callable[..., None], fault: str, *arguments: Any) -> int:
    """Calls a function in another process.

    Args:
        target: of a module that can be imported.
        fault: where it dies, as `ddcai.faults` reads it; empty: nowhere.

    Returns:
        The process's exit code: 0, 1 for an error, -9 where the fault killed it.
    """
    return ended(start(target, fault, *arguments))


def start(target: Callable[..., None], fault: str, *arguments: Any) -> ForkServerProcess:
    """As `run`, and does not wait."""
    process = _PROCESSES.Process(target=_call, args=(target, fault, arguments), daemon=True)
    process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Waits until it has ended; its exit code."""
    process.join(timeout=60)
    assert process.exitcode is not None, "it goes on"
    return process.exitcode


def _call(target: Callable[..., None], fault: str, arguments: tuple[Any, ...]) -> None:
    shown = "%(asctime)s %(process)d %(name)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=shown)
    os.environ[faults.VARIABLE] = fault
    target(*arguments)
