"""`python -m tests.soak [ROUNDS [SECONDS [SEED]]]`: prints a report as JSON; exit code 1 if bad."""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys

from tests.soak.run import soak

ALONE = "DDCAI_SOAK_ALONE"
_NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def main(rounds: int, seconds: float, seed: int) -> None:
    """In a mount namespace of its own, where this kernel gives one: else no disk is ever full."""
    if ALONE not in os.environ:
        try:
            may = subprocess.run([*_NAMESPACE, "true"], capture_output=True).returncode == 0
        except FileNotFoundError:
            may = False
        os.environ[ALONE] = str(int(may))
        words = [sys.executable, "-m", "tests.soak", str(rounds), str(seconds), str(seed)]
        if may:
            os.execvp(_NAMESPACE[0], [*_NAMESPACE, *words])
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.WARNING)
    report = soak(rounds, seconds, seed, disks=os.environ[ALONE] == "1")
    print(json.dumps(report, indent=1))
    clean = report["audit_exit_code"] == 0 and report["left_with_the_contract_wei"] == 0
    sys.exit(0 if clean and not report["unexpected"] else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Rounds with faults.")
    parser.add_argument("rounds", nargs="?", type=int, default=200, metavar="ROUNDS")
    parser.add_argument("seconds", nargs="?", type=float, default=3600, metavar="SECONDS")
    any_seed = random.SystemRandom().randrange(2**32)
    parser.add_argument("seed", nargs="?", type=int, default=any_seed, metavar="SEED")
    given = parser.parse_args()
    main(given.rounds, given.seconds, given.seed)
