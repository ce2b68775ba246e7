"""``ddcai data``: what was contributed on chain, as a data set again."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ddcai.cli.options import DEFAULT_RPC_URL, FormatOption, RpcUrlOption
from ddcai.cli.output import emit_one
from ddcai.cli.trainer import TrainerOption, connect_trainer
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.contributions import Contributed

group = typer.Typer(help="Data that was contributed on chain.", no_args_is_help=True)
SUFFIXES = (".npz", ".csv", ".jsonl")


@group.command("export")
def export(
    trainer: TrainerOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="New file: .npz (x as the model takes it, y, and a column each for the rest), "
            ".csv or .jsonl (features as hex).",
        ),
    ],
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Write all contributions to a file, from the chain's events alone."""
    from ddcai.chain.claims import outcomes
    from ddcai.keyfile import write_atomically
    from ddcai.models.heads import TWINS

    if out.suffix not in SUFFIXES or out.exists():
        raise ConfigurationError(
            f"out is {str(out)!r}: give a new file, ending in {', '.join(SUFFIXES)}"
        )
    found, contract = connect_trainer(trainer, rpc_url)
    made = contract.contributions()
    became = outcomes(contract.history())
    rows = [_row(one, became.get(one.id, "open")) for one in made]
    if out.suffix == ".npz":
        width, dense = contract.model_features(), TWINS[found.model_kind].dense
        blob = _npz(rows, made, width, dense)
    elif out.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(_FIELDS))
        writer.writeheader()
        writer.writerows(rows)
        blob = text.getvalue().encode()
    else:
        blob = "".join(json.dumps(row) + "\n" for row in rows).encode()
    write_atomically(out, blob, mode=0o644)
    emit_one({"file": out, "contributions": len(rows)}, format_)


_FIELDS = (
    "id",
    "contributor",
    "label",
    "predicted",
    "price_wei",
    "time",
    "outcome",
    "features",
)


def _row(one: Contributed, outcome: str) -> dict[str, Any]:
    time = datetime.fromtimestamp(one.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = (one.id, one.contributor, one.label, one.predicted, one.price_wei, time, outcome)
    return dict(zip(_FIELDS, (*values, "0x" + one.features.hex()), strict=True))


def _npz(rows: list[dict[str, Any]], made: list[Contributed], width: int, dense: bool) -> bytes:
    """x int8[n, features]: the vectors themselves, or 1 where a feature is present; y int64[n]."""
    x = np.zeros((len(made), width), np.int8)
    for place, one in enumerate(made):
        if dense:
            x[place] = np.frombuffer(one.features, np.int8)
        else:
            x[place, np.frombuffer(one.features, ">u2").astype(np.int64)] = 1
    columns: dict[str, Any] = {
        # Prices are up to 2^88: text holds them.
        name: np.array([str(row[name]) for row in rows], dtype=np.str_)
        for name in ("contributor", "price_wei", "time", "outcome")
    }
    numbers: dict[str, Any] = {
        name: np.array([row[name] for row in rows], np.int64) for name in ("id", "predicted")
    }
    file = io.BytesIO()
    y = np.array([one.label for one in made], np.int64)
    np.savez_compressed(file, x=x, y=y, **columns, **numbers)
    return file.getvalue()
