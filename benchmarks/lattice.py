"""How hard the lattice problems under the compact scheme are, in the core-SVP model.

    python benchmarks/lattice.py [--json FILE]

The primal attack by unique shortest vectors (Alkim, Ducas, Poppelmann, Schwabe, "Post-quantum key
exchange: a new hope", USENIX Security 2016, section 6.3): of LWE in normal form with deviation
sigma, BKZ with blocks of beta in dimension d = m + n + 1 finds the secret if

    sigma sqrt(beta) <= delta**(2 beta - d - 1) * q**(m / d),
    delta = ((pi beta)**(1 / beta) beta / (2 pi e))**(1 / (2 (beta - 1))),

and one call of a sieve in dimension beta costs 2**(0.292 beta) classically and 2**(0.265 beta)
with a quantum computer. The number of samples m is the attacker's choice. Dual, hybrid and
algebraic attacks are not estimated, nor what memory costs: this is no lattice-estimator run.

First it reckons Kyber's three parameter sets, whose core-SVP hardness is in their specification
(round 3, table 4: 118, 182 and 256 bits), and stops if it does not come within two bits.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ddcai.encryption.compact.shapes import COMPACT_SHAPES, DEVIATION

# n, q, sigma: centred binomials of eta = 3, 2, 2, deviation sqrt(eta / 2).
KYBER = {
    "Kyber512": (512, 3329, math.sqrt(3 / 2), 118),
    "Kyber768": (768, 3329, 1.0, 182),
    "Kyber1024": (1024, 3329, 1.0, 256),
}

# Opened inner products of one update, each a perfect hint: it is taken to cost one dimension
# (Dachman-Soled, Ducas, Gong, Rossi, "LWE with side information", CRYPTO 2020). By default 9 are
# opened; 128 is more than a configuration can ask for.
HINTS = (9, 128)


@dataclass(frozen=True)
class Hardness:
    """What the attack costs, log2, and with which block size and samples."""

    block: int
    samples: int
    classical_bits: float
    quantum_bits: float


def _log_delta(block: int) -> float:
    inner = math.log(math.pi * block) / block + math.log(block / (2 * math.pi * math.e))
    return inner / (2 * (block - 1))


def _succeeds(block: int, n: int, log_q: float, sigma: float) -> int:
    """The number of samples with which BKZ finds the secret most surely; 0 if it does not."""
    m = np.arange(1, 4 * n, dtype=np.float64)
    d = m + n + 1
    right = (2 * block - d - 1) * _log_delta(block) + m / d * log_q
    best = int(np.argmax(right))
    left = math.log(sigma) + math.log(block) / 2
    return int(m[best]) if left <= right[best] else 0


def primal(n: int, log2_q: float, sigma: float) -> Hardness:
    """The least block size by bisection: larger blocks only help."""
    low, high = 50, 4 * n
    while low < high:
        middle = (low + high) // 2
        if _succeeds(middle, n, log2_q * math.log(2), sigma):
            high = middle
        else:
            low = middle + 1
    samples = _succeeds(low, n, log2_q * math.log(2), sigma)
    return Hardness(low, samples, 0.292 * low, 0.265 * low)


def check() -> None:
    """Compares with what Kyber's specification says.

    Raises:
        SystemExit: the estimate is not theirs.
    """
    for name, (n, q, sigma, bits) in KYBER.items():
        found = primal(n, math.log2(q), sigma).classical_bits
        if abs(found - bits) > 2:
            raise SystemExit(f"{name}: {found:.0f} bits, its specification says {bits}")


def rows() -> Iterable[dict[str, Any]]:
    """Each ring of the compact scheme, as it is and as Hint-RLWE bounds it."""
    rings = sorted({(s.n, s.word_bits, s.assessable) for s in COMPACT_SHAPES.values()})
    for n, word_bits, assessable in rings:
        cases = [(DEVIATION, 0), (DEVIATION / 2, 0)]
        if assessable:
            cases += [(DEVIATION / 2, hints) for hints in HINTS]
        for sigma, hints in cases:
            hardness = asdict(primal(n - hints, word_bits, sigma))
            yield {"n": n, "log2_q": word_bits, "sigma": sigma, "hints": hints} | hardness


def main() -> None:
    """Prints the estimates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    check()
    found = list(rows())
    table = Table(title="Primal attack, core-SVP")
    for column in ("n", "log2 q", "sigma", "hints", "block", "samples", "classical", "quantum"):
        table.add_column(column, justify="right")
    for row in found:
        table.add_row(
            *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console().print(table)
    if arguments.json is not None:
        kyber = {
            name: asdict(primal(n, math.log2(q), sigma)) | {"specification_bits": bits}
            for name, (n, q, sigma, bits) in KYBER.items()
        }
        document = {
            "command": "python benchmarks/lattice.py",
            "method": "primal uSVP, core-SVP, GSA; no dual, hybrid or algebraic attacks",
            "checked_against": kyber,
            "rows": found,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
