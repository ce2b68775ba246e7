"""What opening inner products of single updates of the compact scheme costs a key holder.

    OPENBLAS_NUM_THREADS=1 python benchmarks/compact_scalars.py [--json FILE] [--sizes 100000]

2 of 3 holders, 9 vectors over 4096 coordinates, as by default. CPU seconds of all threads of this
process, the best of some calls, each with an empty journal: of one update, and of ten, from which
follows what each further one takes. The scalars of all three holders are compared with plain inner
products before anything is timed. With more threads the matrix library's wait counts as CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ddcai import digests
from ddcai.digests import RoundContext
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.scalars import CompactScalars
from ddcai.encryption.compact.shapes import COMPACT_SHAPES
from ddcai.encryption.scalars import Committed, ScalarRules, Vectors
from ddcai.encryption.threshold.boxes import SECRET_BYTES, BoxKey
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.updates import lane_values

SHAPE = COMPACT_SHAPES["compact-128-3x36"]
PLAN = KeyPlan(
    label="benchmark",
    parameters=SHAPE.id,
    threshold=2,
    holders=tuple(f"0x{i + 1:040d}" for i in range(3)),
)
CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=1)
CONTRIBUTORS, VECTORS, BLOCK, LANE, REPEATS = 10, 9, 4096, 1, 15
BOXES = [bytes([i + 1]) * SECRET_BYTES for i in range(3)]
KEYS = HolderKeys(SHAPE, PLAN.sharing, tuple(BoxKey(one).public_bytes() for one in BOXES))
LIMIT = SHAPE.value_limit(CONTRIBUTORS)


def ring(index: int) -> KeyRing:
    """One holder's."""
    return KeyRing(
        plan=PLAN,
        holder=PLAN.holders[index],
        public_key_digest=KEYS.digest(),
        ceremony_digest=bytes(32),
        seeds={},
        group=bytes(32),
        box=BOXES[index],
    )


class Case:
    """Updates of one size."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(size)
        positions = np.sort(rng.choice(lane_values(LANE, size, SHAPE), BLOCK, replace=False))
        rows = rng.choice(np.array([-1, 1], np.int8), (VECTORS, BLOCK))
        self.vectors = Vectors(lane=LANE, positions=positions, rows=rows)
        self.size = size
        self.blobs: dict[bytes, bytes] = {}
        self.values: dict[str, NDArray[np.int64]] = {}
        self.listed: list[tuple[str, bytes]] = []
        for index in range(CONTRIBUTORS):
            address = f"0x{index + 1:040x}"
            values = rng.integers(-LIMIT, LIMIT + 1, size)
            blob = KEYS.encrypt(values, CONTEXT, address)
            digest = digests.update_digest(CONTEXT, address, blob)
            self.blobs[digest], self.values[address] = blob, values[positions]
            self.listed.append((address, digest))

    def partial(self, index: int, updates: int) -> Any:
        """A holder's part, as for the first time."""
        committed = Committed(
            context=CONTEXT,
            updates=tuple(self.listed[:updates]),
            values=self.size,
            encryption_key_digest=KEYS.digest(),
        )
        with tempfile.TemporaryDirectory() as folder:
            rules = ScalarRules(
                SHAPE, KEYS.digest(), Path(folder), self.blobs.__getitem__, budget=VECTORS
            )
            holder = CompactScalars(ring(index), rules, value_limit=LIMIT)
            return holder.partial(committed, self.vectors)

    def check(self) -> Any:
        """Compares with plain inner products; a holder's part and everybody's words."""
        made = [self.partial(index, CONTRIBUTORS) for index in range(3)]
        words = {piece: packed for one in made for piece, packed in one.own.items()}
        rows = self.vectors.rows.astype(np.int64)
        plain = {who: tuple((rows @ values).tolist()) for who, values in self.values.items()}
        for one in made:
            if one.finish(words) != plain:
                raise SystemExit("the scalars are not the plain ones: nothing was measured")
        return made[0], words


def best_s(step: Any) -> float:
    """CPU seconds of the fastest call."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        step()
        times.append(time.process_time() - started)
    return min(times)


def measure(size: int) -> dict[str, Any]:
    """One size."""
    case = Case(size)
    made, words = case.check()
    one = best_s(lambda: case.partial(0, 1))
    all_ = best_s(lambda: case.partial(0, CONTRIBUTORS))
    return {
        "num_values": size,
        "one_update_s": one,
        "each_further_update_s": (all_ - one) / (CONTRIBUTORS - 1),
        "put_together_ten_s": best_s(lambda: made.finish(words)),
        "bytes_a_piece_and_update": len(next(iter(words.values()))) // CONTRIBUTORS,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    rows = [measure(size) for size in arguments.sizes]
    table = Table(title=f"{VECTORS} scalars of each update, one of 2 of 3 holders")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{v:.4f}" if isinstance(v, float) else f"{v:,}" for v in row.values()))
    Console(width=120).print(table)
    if arguments.json is not None:
        document = {
            "command": "OPENBLAS_NUM_THREADS=1 python benchmarks/compact_scalars.py",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}",
            "vectors": VECTORS,
            "coordinates": BLOCK,
            "holders": "2 of 3",
            "repeats": REPEATS,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
