"""``ddcai federation root-set``: from a file of samples to what a configuration commits to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit_one, say
from ddcai.errors import ConfigurationError


def root_set(
    config: Annotated[
        Path,
        typer.Option("--config", help="The configuration, with an [assessment] section."),
    ],
    data: Annotated[
        Path, typer.Option("--data", help="The samples, in a form that `ddcai client` takes.")
    ],
    label: Annotated[
        str | None, typer.Option("--label", help="The label column, where it has another name.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where the coordinator's file goes; must be new.")
    ] = Path("root-set.bin"),
    format_: FormatOption = "table",
) -> None:
    """Make a root set: public samples that a round's updates are held against.

    Checks that every class is there about as often, writes the file that
    `coordinator --root-set` takes, and prints the commitment for assessment.root_set. Everybody
    sees the samples once the first round has its updates; until then show them to nobody, for
    an update can be made to fit them.
    """
    import numpy as np

    from ddcai.assessment.root_set import check_balanced, commitment
    from ddcai.configuration import FederationConfig
    from ddcai.data.loading import load
    from ddcai.keyfile import write_atomically
    from ddcai.models.anchor import root_set_to_blob

    document = FederationConfig.from_toml(config)
    rule = document.assessment
    if rule is None or rule.anchor != "root_set":
        raise ConfigurationError(
            f'{config} has no [assessment] with anchor = "root_set": add it, or judge without a '
            "root set"
        )
    if out.exists():
        raise ConfigurationError(f"{out} is there already: give another --out, or move it away")
    x, y = load(data, document, label=label)
    check_balanced(y, len(document.task.classes), rule)
    committed = commitment(x, y).hex()
    if rule.root_set not in ("", committed):
        say(f"note: {config} commits to another root set, {rule.root_set}")
    write_atomically(out, root_set_to_blob(x, y))
    counts = np.bincount(y, minlength=len(document.task.classes)).tolist()
    emit_one(
        {
            "root_set": committed,
            "samples": len(y),
            **{f"class {name}": n for name, n in zip(document.task.classes, counts, strict=True)},
            "file": out,
        },
        format_,
    )
