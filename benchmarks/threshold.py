"""What it costs that key holders open together: bytes a parameter, CPU milliseconds a ciphertext.

    python benchmarks/threshold.py [--json FILE] [--parameters 250000]

Prints a table; ``--json`` also writes the numbers with machine, date and versions. Each time is
CPU time of the process, the best of seven. Before anything is timed, the opened sum and the
opened scalars are compared with the plain ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tenseal
from rich.console import Console
from rich.table import Table

from ddcai.encryption.lanes import lane_values
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.encryption.planner import plan
from ddcai.encryption.scalars import Vectors
from ddcai.encryption.summation import SumAccumulator
from ddcai.encryption.threshold import sampling
from ddcai.encryption.threshold.combine import open_products, open_sum
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.encryption.words import packed_size

REPEATS = 7
SETS = ("bfv-8192-3x20", "bfv-8192-2x30")
SHARINGS = (Sharing(3, 2), Sharing(5, 3), Sharing(9, 5))
CONTRIBUTORS = 64
SCALARS = 20


def best_ms(step: Callable[[], Any]) -> float:
    """CPU milliseconds of the fastest of seven calls."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    return min(times) * 1e3


def measure(parameters: ParameterSet, num_parameters: int) -> dict[str, Any]:
    """All steps of 2 of 3 key holders, three pieces, for a model of so many parameters."""
    p = parameters
    planned = plan(num_parameters, CONTRIBUTORS, p.id, SHARINGS[0])
    assert planned.threshold is not None
    bits, about = planned.threshold.smudging_bits, b"benchmark"
    pieces = [KeyPiece(os.urandom(32), p) for _ in SHARINGS[0].pieces]
    a = public_polynomial(b"benchmark", p)
    public = collective_key(a, [piece.public_share(a) for piece in pieces], p)
    limit = planned.value_limit
    values = np.random.default_rng(0).integers(-limit, limit, planned.num_values)
    total = SumAccumulator(p)
    blob = public.encrypt(values)
    for one in (blob, public.encrypt(values)):
        total.add(one)
    words = np.stack(list(total.blocks()))
    partials = [piece.partial(words, about, bits) for piece in pieces]
    if not (open_sum(words, partials, values.size, p, 2 * limit) == 2 * values).all():
        raise SystemExit("the opened sum is not the plain sum: nothing was measured")
    count = planned.ciphertexts
    expand = sampling.expander("benchmark")
    milliseconds = {
        "encrypt": best_ms(lambda: public.encrypt(values)) / count,
        "partial opening": best_ms(lambda: pieces[0].partial(words, about, bits)) / count,
        "of it smudging": best_ms(
            lambda: sampling.smudging(expand, bits, p.data_primes, p.poly_modulus_degree)
        ),
        "combine": best_ms(lambda: open_sum(words, partials, values.size, p, 2 * limit)) / count,
        "public share, once": best_ms(lambda: KeyPiece(os.urandom(32), p).public_share(a)),
    }
    if p.assessable:
        milliseconds |= _scalars(p, pieces, blob, values, bits)
    words_of_a_part = count * len(p.data_primes) * p.poly_modulus_degree
    return {
        "parameter_set": p.id,
        "num_parameters": num_parameters,
        "ciphertexts": count,
        "bytes_per_parameter": planned.bytes_per_parameter,
        "bytes_of_a_piece_per_parameter": packed_size(words_of_a_part, p.word_bits)
        / num_parameters,
        "cpu_ms_per_ciphertext": milliseconds,
    }


def _scalars(
    p: ParameterSet, pieces: list[KeyPiece], blob: bytes, values: np.ndarray, bits: int
) -> dict[str, float]:
    total = SumAccumulator(p)
    total.add(blob)
    words, rng = np.stack(list(total.blocks())), np.random.default_rng(1)
    positions = np.sort(rng.choice(lane_values(0, values.size, p), 4096, replace=False))
    rows = rng.integers(-15, 15, (SCALARS, positions.size), endpoint=True).astype(np.int8)
    vectors = Vectors(lane=0, positions=positions, rows=rows)
    partials = [piece.partial_products(words, vectors, b"", bits) for piece in pieces]
    found = open_products(words, partials, vectors, p)
    if not (found == rows.astype(np.int64) @ values[positions]).all():
        raise SystemExit("the opened scalars are not the plain ones: nothing was measured")
    count = len(words)
    return {
        f"partial opening of {SCALARS} scalars": best_ms(
            lambda: pieces[0].partial_products(words, vectors, b"", bits)
        )
        / count,
        f"combine {SCALARS} scalars": best_ms(lambda: open_products(words, partials, vectors, p))
        / count,
    }


def security() -> list[dict[str, Any]]:
    """What a key may open, by its holders and the contributors of a sum."""
    found = []
    for sharing in SHARINGS:
        for contributors in (16, 64, 1024):
            planned = plan(1_000_000, contributors, SETS[0], sharing)
            assert planned.threshold is not None
            found.append(
                {
                    "holders": f"{sharing.threshold} of {sharing.holders}",
                    "pieces": len(sharing.pieces),
                    "contributors": contributors,
                    "smudging_bits": planned.threshold.smudging_bits,
                    "most_openings": planned.threshold.most_openings,
                    "rounds_of_a_million_parameters": planned.threshold.most_rounds,
                    "statistical_bits": planned.threshold.statistical_bits,
                }
            )
    return found


def show(rows: list[dict[str, Any]], keys: list[dict[str, Any]]) -> None:
    """Prints both tables."""
    console = Console(width=110)
    table = Table("step", *(row["parameter_set"] for row in rows), title="2 of 3 key holders")
    for name in ("bytes_per_parameter", "bytes_of_a_piece_per_parameter"):
        table.add_row(name, *(f"{row[name]:.2f}" for row in rows))
    for step in rows[-1]["cpu_ms_per_ciphertext"]:
        times = (row["cpu_ms_per_ciphertext"].get(step) for row in rows)
        table.add_row(f"{step}, ms", *("" if one is None else f"{one:.2f}" for one in times))
    console.print(table)
    second = Table(*keys[0], title=f"One key of {SETS[0]}")
    for key in keys:
        second.add_row(
            *(f"{one:.1f}" if isinstance(one, float) else str(one) for one in key.values())
        )
    console.print(second)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--parameters", type=int, default=250_000)
    arguments = parser.parse_args()
    rows = [measure(PARAMETER_SETS[set_id], arguments.parameters) for set_id in SETS]
    keys = security()
    show(rows, keys)
    if arguments.json is not None:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "benchmarks/threshold.py", *sys.argv[1:]]),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "load_average": os.getloadavg()[0],
            "python": platform.python_version(),
            "tenseal": tenseal.__version__,
            "numpy": np.__version__,
            "rows": rows,
            "keys": keys,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
