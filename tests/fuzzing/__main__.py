"""Fuzzing by atheris, guided by coverage.

    python -m tests.fuzzing                        the names
    python -m tests.fuzzing NAME SECONDS [CORPUS]

What makes a parser fail is written to ``crash-<digest>`` in this folder; a file's name in place
of the corpus runs that one alone. NAME is one of `tests.fuzzing.targets.TARGETS`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ddcai"]):
    from tests.fuzzing.targets import TARGETS, run


def main() -> None:
    if not sys.argv[1:]:
        print(*TARGETS)
        return
    name, seconds, *corpus = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            (Path(folder) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={int(seconds)}", "-rss_limit_mb=3072", "-timeout=30"]
        atheris.Setup([sys.argv[0], *options, *corpus, folder], lambda data: run(target, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
