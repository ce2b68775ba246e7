"""``ddcai demo`` as a command; what it does is in `ddcai.cli.demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CLAIM_FAILED = 1


def demo(
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=255, help="How many rounds.")] = 10,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the split and the training, to repeat a run.")
    ] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="Keep every file in this new folder; by default all are deleted."
        ),
    ] = None,
) -> None:
    """Run the main job on four real hospitals, in one process; exit code 0 only if it audits.

    A fifth contributor sends updates of turned labels: its deposits go to the others. Real
    chain, contracts, ciphertexts and keys; an embedded chain, and all parties on this machine.
    Ends with the audit.
    """
    from rich.console import Console

    from ddcai.cli.demo import run
    from ddcai.errors import ConfigurationError

    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"folder {folder} is not empty: give a new one")
    passed = run(rounds=rounds, seed=seed, folder=folder, out=Console(), talk=Console(stderr=True))
    if not passed:
        raise typer.Exit(CLAIM_FAILED)
