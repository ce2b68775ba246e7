"""What an encrypted update costs: bytes and nanoseconds a parameter, step by step.

    python benchmarks/encryption.py [--json FILE] [--sizes 10000 100000 1000000]

Prints a table; ``--json`` also writes the numbers with machine, date and versions. Each time
is the best of seven. Beside our wire form stands TenSEAL's own serialisation of the same
ciphertexts. Before anything is timed, the opened sum is compared with the plain one.
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

from ddcai.configuration import Aggregation
from ddcai.encryption import bfv, lanes, summation, wire
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.encryption.words import pack_words
from ddcai.quantise import Quantiser

REPEATS = 7
STEPS = ("encode", "encrypt", "pack", "parse", "add", "open")
BASELINE = ("tenseal encrypt", "tenseal serialise", "tenseal load", "tenseal add")


def best_s(step: Callable[[], Any]) -> float:
    """Seconds of the fastest of seven calls."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)


def measure(parameters: ParameterSet, size: int) -> dict[str, Any]:
    """All steps for a model of so many parameters. ``encrypt`` includes ``pack``."""
    secret, public = bfv.generate(parameters)
    limit = parameters.value_limit(parameters.max_contributors)
    quantiser = Quantiser(Aggregation(clip_norm=1e9), limit)
    delta = np.random.default_rng(0).uniform(-0.5, 0.5, size)
    values = quantiser.encode(delta, 1000).values
    blob, other = public.encrypt(values), public.encrypt(-values)
    total = summation.add([blob, blob, other])
    if not (secret.decrypt(total) == values).all():
        raise SystemExit("the opened sum is not the plain sum: nothing was measured")
    words = wire.parse(blob)
    accumulator = summation.SumAccumulator(parameters)
    accumulator.add(blob)
    seconds = {
        "encode": best_s(lambda: quantiser.encode(delta, 1000)),
        "encrypt": best_s(lambda: public.encrypt(values)),
        "pack": best_s(
            lambda: [pack_words(block.reshape(-1), parameters.word_bits) for block in words]
        ),
        "parse": best_s(lambda: wire.check(blob)),
        "add": best_s(lambda: accumulator.add(blob)),
        "open": best_s(lambda: secret.decrypt(total)),
    }
    # TenSEAL alone, on the same slots.
    context = public._context
    slots = [block.tolist() for block in lanes.pack_lanes(values, parameters)]
    vectors = [tenseal.bfv_vector(context, block) for block in slots]
    streams = [vector.serialize() for vector in vectors]
    seconds |= {
        "tenseal encrypt": best_s(lambda: [tenseal.bfv_vector(context, each) for each in slots]),
        "tenseal serialise": best_s(lambda: [vector.serialize() for vector in vectors]),
        "tenseal load": best_s(lambda: [tenseal.bfv_vector_from(context, x) for x in streams]),
        "tenseal add": best_s(lambda: [vector + vector for vector in vectors]),
    }
    return {
        "parameter_set": parameters.id,
        "num_parameters": size,
        "bytes": len(blob),
        "bytes_per_parameter": len(blob) / size,
        "tenseal_bytes_per_parameter": sum(map(len, streams)) / size,
        "ns_per_parameter": {name: taken / size * 1e9 for name, taken in seconds.items()},
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the rows as a table, one step a line."""
    table = Table(title="An encrypted update, a parameter")
    table.add_column("step")
    for row in rows:
        table.add_column(f"{row['parameter_set']}\n{row['num_parameters']:,}", justify="right")
    table.add_row("bytes", *(f"{row['bytes_per_parameter']:.2f}" for row in rows))
    table.add_row("tenseal bytes", *(f"{row['tenseal_bytes_per_parameter']:.2f}" for row in rows))
    for step in STEPS + BASELINE:
        table.add_row(f"{step}, ns", *(f"{row['ns_per_parameter'][step]:.1f}" for row in rows))
    Console(width=30 + 20 * len(rows)).print(table)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--sets", nargs="+", default=list(PARAMETER_SETS), choices=PARAMETER_SETS)
    arguments = parser.parse_args()
    rows = [
        measure(PARAMETER_SETS[set_id], size)
        for set_id in arguments.sets
        for size in arguments.sizes
    ]
    show(rows)
    if arguments.json is not None:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "benchmarks/encryption.py", *sys.argv[1:]]),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "python": platform.python_version(),
            "tenseal": tenseal.__version__,
            "numpy": np.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
