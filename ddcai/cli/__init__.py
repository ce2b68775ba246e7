"""The ``ddcai`` command: data on stdout, talk on stderr, exit codes that scripts can rely on.

| code | meaning |
|---|---|
| 0 | done |
| 1 | a claim of ``audit verify`` does not hold, or a run of rounds failed |
| 2 | refused: a setting, file or state of the chain does not allow it; nothing was done |
| 3 | ``audit verify``: no claim failed, but the store lacks blobs |
| 130 | interrupted |

Each command imports what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations


def main() -> None:
    """The entry point of the installed command."""
    from ddcai.cli.app import app

    app(prog_name="ddcai")
