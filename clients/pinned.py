"""Runs the installed ClientApp in place of whatever app the coordinator sent.

A Flower node executes the code that comes with a run: a coordinator could send an app that
reads the site's file and returns it. `ddcai client` therefore puts a program of this module's
where Flower looks for ``flwr-clientapp``. It does the same, but the bundle is neither unpacked
nor imported: the app is `clients.app`, from this node's own installation. It need not start anew
for each message: `clients.warm`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from clients import warm
from ddcai import event_log

PROGRAM = "flwr-clientapp"
# What Flower's runtime calls to unpack and to load an app.
_UNPACK, _LOADER = "install_from_fab", "get_load_client_app_fn"


def write_program(folder: Path) -> Path:
    """Writes the program under Flower's name for it; the folder goes first on PATH.

    The process of `clients.warm.command` for the same folder makes it quick.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / PROGRAM
    path.write_text(warm.program_text(folder))
    path.chmod(0o700)
    return path


def pin() -> None:
    """Makes Flower's runtime in this process load the installed app, and no other.

    Raises:
        RuntimeError: this release of Flower loads apps in another way; nothing runs then.
    """
    from flwr.supernode.runtime import run_clientapp as runtime

    from clients.app import app

    def not_unpacked(content: Any, *args: Any, **kwargs: Any) -> Path:
        return Path()

    def installed(*args: Any, **kwargs: Any) -> Any:
        return lambda fab_id, fab_version, fab_hash: app

    for name, replacement in ((_UNPACK, not_unpacked), (_LOADER, installed)):
        if not hasattr(runtime, name):
            raise RuntimeError(f"flwr's runtime has no {name}: install flwr 1.41")
        setattr(runtime, name, replacement)


def main() -> None:
    """The program."""
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp

    pin()
    event_log.configure()
    flwr_clientapp()


if __name__ == "__main__":
    sys.argv[1:] = warm.serve(Path(sys.argv[1]), sys.argv[2])
    main()
