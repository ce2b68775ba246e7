"""What updates cost under the compact scheme, beside NVFlare's parameters and BFV.

    python benchmarks/compact.py [--json FILE] [--sizes 100000 1000000 10000000]

NVFlare encrypts with CKKS through TenSEAL: poly_modulus_degree 8192, coeff_mod_bit_sizes [60, 40,
40], scale 2**40 (nvflare/app_opt/he). Everything is timed in one process, in CPU seconds of all its
threads; each time is the best of several. ``add`` is from bytes, as a coordinator has to: parse
and add. BFV opens with one key here. Peak memory is VmHWM of a process for each step alone (Linux;
ru_maxrss would be at least that of the process that started it).
Before anything is timed, the opened sum of all contributors is compared with the plain one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tenseal
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ddcai.digests import RoundContext, share_package
from ddcai.encryption import bfv, summation
from ddcai.encryption.compact import opening, shares, wire
from ddcai.encryption.compact import summation as compact_summation
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.limbs import add_words
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.compact.update import RoundSecret
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold.boxes import SECRET_BYTES, BoxKey
from ddcai.encryption.threshold.sharing import Sharing

CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=1)
CONTRIBUTOR = "0x" + "12" * 20
SHARING = Sharing(5, 3)
CONTRIBUTORS = (10, 64)
BFV_SET = "bfv-8192-3x20"
STEPS = ("encrypt", "add", "open")
# CKKS and BFV cost the same a parameter however many contribute: from here on they are timed for
# the fewer alone, and from LARGE on with two updates and once.
MEDIUM, LARGE = 1_000_000, 10_000_000

Values = NDArray[np.int64]


@dataclass
class Timed:
    """CPU seconds of the fastest of some calls."""

    repeats: int

    def best_s(self, step: Callable[[], Any]) -> float:
        times = []
        for _ in range(self.repeats):
            started = time.process_time()
            step()
            times.append(time.process_time() - started)
        return min(times)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without what TenSEAL prints at every vector of more than one ciphertext."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def update(size: int, number: int, limit: int) -> Values:
    """One contributor's integers."""
    return np.random.default_rng(number).integers(-limit, limit + 1, size)


def shape_for(contributors: int) -> CompactShape:
    """The smallest shape that adds so many."""
    able = [s for s in COMPACT_SHAPES.values() if contributors <= s.max_contributors]
    return min(able, key=lambda s: s.bytes_per_value)


class Compact:
    """The compact scheme, with boxes for 3 of 5 key holders; opened as one of them does."""

    def __init__(self, contributors: int) -> None:
        self.shape = shape_for(contributors)
        self.limit = self.shape.value_limit(contributors)
        self.id = self.shape.id
        self._boxes = [BoxKey(bytes([i]) * SECRET_BYTES) for i in range(SHARING.holders)]
        public = tuple(box.public_bytes() for box in self._boxes)
        self._keys = HolderKeys(self.shape, SHARING, public)
        self._masks = {piece: shares.zero_words(self.shape) for piece in SHARING.pieces}
        self._last = b""

    def encrypt(self, values: Values) -> bytes:
        self._last = self._keys.encrypt(values, CONTEXT, CONTRIBUTOR)
        return self._last

    def adder(self) -> Any:
        return compact_summation.SumAccumulator(self.shape)

    def added(self) -> None:
        """The masks of the update that was encrypted last are in those of the sum."""
        seeds: dict[Any, bytes] = {}
        for holder in range(SHARING.threshold):
            seeds |= self._seeds(holder)
        for piece, seed in seeds.items():
            add_words(self._masks[piece], shares.expand(seed, self.shape))

    def _seeds(self, holder: int) -> dict[Any, bytes]:
        update = wire.parse(self._last, wire.UPDATE)
        about = share_package(CONTEXT, CONTRIBUTOR, holder)
        package = self._boxes[holder].open(update.boxes[holder], about)
        return shares.read_package(
            package, holder, SHARING, CONTEXT, CONTRIBUTOR, update.commitments
        )

    def open(self, total: bytes) -> Values:
        secrets = shares.unmask(wire.parse(total, wire.SUM).masked, self._masks.values())
        return opening.open_sum(total, secrets, CONTEXT, limit=self.limit)

    def apart(self, timed: Timed, values: Values, blob: bytes) -> dict[str, float]:
        """CPU seconds of parts of the steps above, and of a holder's work on one update."""
        del values, blob
        secret = RoundSecret(self.shape)

        def masks() -> None:
            for seed in self._seeds(0).values():
                shares.expand(seed, self.shape)

        return {
            "encrypt: secret": timed.best_s(lambda: RoundSecret(self.shape)),
            "encrypt: masks": timed.best_s(
                lambda: shares.mask(secret.polynomial(), SHARING, self.shape, CONTEXT, CONTRIBUTOR)
            ),
            "a holder's masks": timed.best_s(masks),
        }

    def save(self) -> bytes:
        return b"".join(map(shares.to_bytes, self._masks.values()))

    def load(self, saved: bytes) -> None:
        size = shares.piece_bytes(self.shape)
        for number, piece in enumerate(SHARING.pieces):
            part = saved[size * number : size * (number + 1)]
            self._masks[piece] = shares.from_bytes(part, self.shape)


class Bfv:
    """BFV with one key."""

    def __init__(self, contributors: int) -> None:
        self.id = BFV_SET
        self.parameters = PARAMETER_SETS[BFV_SET]
        self.limit = self.parameters.value_limit(contributors)
        self._secret, self._public = bfv.generate(self.parameters)

    def encrypt(self, values: Values) -> bytes:
        return self._public.encrypt(values)

    def adder(self) -> Any:
        return summation.SumAccumulator(self.parameters)

    def added(self) -> None:
        """Nothing is kept of an update."""

    def open(self, total: bytes) -> Values:
        return self._secret.decrypt(total)

    def apart(self, timed: Timed, values: Values, blob: bytes) -> dict[str, float]:
        """Nothing is timed apart."""
        del timed, values, blob
        return {}


class NvflareSum:
    """Ciphertexts added as NVFlare's aggregator adds them."""

    def __init__(self, context: Any) -> None:
        self._context, self._total = context, None

    def add(self, blob: bytes) -> None:
        one = tenseal.ckks_vector_from(self._context, blob)
        if self._total is None:
            self._total = one
        else:
            self._total += one

    def to_blob(self) -> bytes:
        assert self._total is not None
        return bytes(self._total.serialize())


class Nvflare:
    """NVFlare's parameters; every client has the secret key there."""

    id = "nvflare-ckks-8192"
    limit = 2000

    def __init__(self, contributors: int) -> None:
        del contributors
        self._context = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS,
            poly_modulus_degree=8192,
            coeff_mod_bit_sizes=[60, 40, 40],
        )
        self._context.global_scale = 2**40

    def encrypt(self, values: Values) -> bytes:
        return bytes(tenseal.ckks_vector(self._context, values.astype(np.float64)).serialize())

    def adder(self) -> NvflareSum:
        return NvflareSum(self._context)

    def added(self) -> None:
        """Nothing is kept of an update."""

    def open(self, total: bytes) -> NDArray[np.float64]:
        return np.array(tenseal.ckks_vector_from(self._context, total).decrypt())

    def apart(self, timed: Timed, values: Values, blob: bytes) -> dict[str, float]:
        """CPU seconds of parts of the steps above."""
        floats = values.astype(np.float64).tolist()
        vector = tenseal.ckks_vector(self._context, floats)
        return {
            "encrypt: without bytes": timed.best_s(
                lambda: tenseal.ckks_vector(self._context, floats)
            ),
            "add: without bytes": timed.best_s(lambda: vector + vector),
            "open: without bytes": timed.best_s(vector.decrypt),
        }


SCHEMES: dict[str, Any] = {"nvflare": Nvflare, "compact": Compact}
if BFV_SET in PARAMETER_SETS:
    SCHEMES["bfv"] = Bfv


def measure(name: str, size: int, contributors: int) -> dict[str, Any]:
    """One scheme, all steps."""
    scheme = SCHEMES[name](contributors)
    ours, large = name == "compact", size >= LARGE
    count = contributors if ours or not large else 2
    timed = Timed((5 if large else 25) if ours else (1 if large else 5))
    plain = np.zeros(size, dtype=np.int64)
    adder = scheme.adder()
    for number in range(count):
        values = update(size, number, scheme.limit)
        blob = scheme.encrypt(values)
        adder.add(blob)
        scheme.added()
        plain += values
    total = adder.to_blob()
    error = float(np.abs(scheme.open(total) - plain).max())
    if error and name != "nvflare":
        raise SystemExit(f"{name}: the opened sum is not the plain sum: nothing was measured")
    further = scheme.adder()
    further.add(blob)
    seconds = {
        "encrypt": timed.best_s(lambda: scheme.encrypt(values)),
        "add": timed.best_s(lambda: further.add(blob)),
        "open": timed.best_s(lambda: scheme.open(total)),
    } | scheme.apart(timed, values, blob)
    return {
        "scheme": name,
        "parameters": scheme.id,
        "num_parameters": size,
        "contributors": contributors,
        "updates_added": count,
        "repeats": timed.repeats,
        "value_limit": scheme.limit,
        "bytes_up_per_parameter": len(blob) / size,
        "bytes_of_the_sum_per_parameter": len(total) / size,
        "largest_error": error,
        "cpu_ns_per_parameter": {step: s / size * 1e9 for step, s in seconds.items()},
    }


def one_step(name: str, step: str, size: int, contributors: int, folder: Path) -> None:
    """In a process of its own: one step, on files, so that its peak memory is that step's."""
    scheme = SCHEMES[name](contributors)
    blob, total, secret = (folder / part for part in ("blob", "total", "secret"))
    if step == "encrypt":
        blob.write_bytes(scheme.encrypt(update(size, 0, scheme.limit)))
    elif step == "add":
        adder = scheme.adder()
        for _ in range(contributors):
            adder.add(blob.read_bytes())
        total.write_bytes(adder.to_blob())
    elif step == "open":
        scheme.load(secret.read_bytes())
        scheme.open(total.read_bytes())


def peak_mb(name: str, step: str, size: int, contributors: int, folder: Path) -> float:
    """Peak resident memory of a process that does one step, in MB (10**6 bytes)."""
    case = [name, step, str(size), str(contributors), str(folder)]
    script = (
        "import sys; sys.argv[0] = 'benchmarks/compact.py'; "
        "from benchmarks import compact; compact.child(*sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *case], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1]) * 1024 / 1e6  # TenSEAL talks on stdout


def child(name: str, step: str, size: str, contributors: str, folder: str) -> None:
    """Runs one step and prints this process's peak resident memory in KiB."""
    one_step(name, step, int(size), int(contributors), Path(folder))
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def memory(name: str, size: int, contributors: int) -> dict[str, float]:
    """Peaks of each step. ``nothing`` imports the libraries and makes the keys."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        peaks = {
            step: peak_mb(name, step, size, contributors, folder)
            for step in ("nothing", "encrypt", "add")
        }
        if name == "compact":
            _write_sum(size, contributors, folder)
            peaks["open"] = peak_mb(name, "open", size, contributors, folder)
    return peaks


def _write_sum(size: int, contributors: int, folder: Path) -> None:
    """A sum that opens, with its secrets, for the process that opens it."""
    scheme = Compact(contributors)
    adder = scheme.adder()
    for _ in range(2):
        adder.add(scheme.encrypt(update(size, 0, scheme.limit)))
        scheme.added()
    (folder / "total").write_bytes(adder.to_blob())
    (folder / "secret").write_bytes(scheme.save())


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the rows as a table."""
    table = Table(title="An update, a parameter")
    for column in ("scheme", "parameters", "contributors", "bytes", *(f"{s}, ns" for s in STEPS)):
        table.add_column(column, justify="right")
    table.add_column("largest error", justify="right")
    for row in rows:
        times = row["cpu_ns_per_parameter"]
        table.add_row(
            row["parameters"],
            f"{row['num_parameters']:,}",
            str(row["contributors"]),
            f"{row['bytes_up_per_parameter']:.3f}",
            *(f"{times[step]:.2f}" for step in STEPS),
            f"{row['largest_error']:.2g}",
        )
    Console(width=120).print(table)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, LARGE])
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES), choices=SCHEMES)
    arguments = parser.parse_args()
    cases = [
        (name, size, contributors)
        for size in arguments.sizes
        for contributors in CONTRIBUTORS
        for name in arguments.schemes
        if name == "compact" or size < MEDIUM or contributors == CONTRIBUTORS[0]
    ]
    rows = []
    for case in cases:
        with silent():
            rows.append(measure(*case))
        print(json.dumps(rows[-1]), file=sys.stderr)
    for row, (name, size, contributors) in zip(rows, cases, strict=True):
        if contributors == CONTRIBUTORS[0]:
            row["peak_mb"] = memory(name, size, contributors)
    show(rows)
    if arguments.json is not None:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "benchmarks/compact.py", *sys.argv[1:]]),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "load_average": os.getloadavg(),
            "python": platform.python_version(),
            "tenseal": tenseal.__version__,
            "numpy": np.__version__,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
