"""What a key holder pays to open scalars of one encrypted update.

    python benchmarks/scalars.py [--json FILE] [--size 100000] [--block 4096] [--counts 12 16 20]

Each time is the key holder's CPU time, the best of five, for one contributor: reading the wire
form, the product with the key, and all inner products. Every answer is compared with the
integers' inner products.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tenseal
from rich.console import Console
from rich.table import Table

from ddcai.encryption import bfv
from ddcai.encryption.lanes import lane_values
from ddcai.encryption.parameters import PARAMETER_SETS

REPEATS = 5
SET = PARAMETER_SETS["bfv-8192-2x30"]


def measure(size: int, block: int, counts: list[int]) -> list[dict[str, Any]]:
    """CPU seconds by number of vectors, of ``block`` coordinates with entries up to 15."""
    rng = np.random.default_rng(0)
    secret, public = bfv.generate(SET)
    limit = SET.value_limit(SET.max_contributors)
    values = rng.integers(-limit, limit, size, endpoint=True)
    blob = public.encrypt(values)
    places = lane_values(0, size, SET)
    positions = np.sort(rng.choice(places, min(block, places.size), replace=False))
    rows = []
    for count in counts:
        vectors = rng.integers(-15, 15, (count, positions.size), endpoint=True).astype(np.int8)
        plain = vectors.astype(np.int64) @ values[positions]
        times = []
        for _ in range(REPEATS):
            started = time.process_time()
            opened = secret.inner_products(blob, 0, positions, vectors)
            times.append(time.process_time() - started)
            if not (opened == plain).all():
                raise SystemExit("a scalar is not the inner product: nothing was measured")
        rows.append(
            {
                "parameter_set": SET.id,
                "num_parameters": size,
                "block": int(positions.size),
                "scalars": count,
                "cpu_s": min(times),
                "bytes_per_parameter": len(blob) / size,
            }
        )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the rows as a table."""
    table = Table(title="Opening scalars of one update")
    for column in ("parameters", "coordinates", "scalars", "CPU, ms", "bytes a parameter"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['num_parameters']:,}",
            f"{row['block']:,}",
            str(row["scalars"]),
            f"{row['cpu_s'] * 1e3:.1f}",
            f"{row['bytes_per_parameter']:.2f}",
        )
    Console(width=80).print(table)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--block", type=int, default=4096)
    parser.add_argument("--counts", type=int, nargs="+", default=[12, 16, 20])
    arguments = parser.parse_args()
    rows = measure(arguments.size, arguments.block, arguments.counts)
    show(rows)
    if arguments.json is not None:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "benchmarks/scalars.py", *sys.argv[1:]]),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "python": platform.python_version(),
            "tenseal": tenseal.__version__,
            "numpy": np.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
