"""Heads that Python and Solidity must agree on, written to vectors/heads.json.

Format: ``{"cases": [{"name", "dimensions", "classes", "weights": [[int16]], "bias": [int32],
"words": ["0x" + 64 hex], "digest": "0x" + 64 hex, "samples": [{"features": "0x" + 2 hex a
feature, "scores": [int], "class": int}]}]}``. Scores are computed here in Python integers from
IHead.sol's formula, not by `ddcai.models.heads`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from ddcai.models.heads import Head

PATH = Path(__file__).parent / "vectors" / "heads.json"


def make() -> dict[str, Any]:
    """The document."""
    # random.Random's integers have been the same since Python 3.2.
    source = random.Random(20250101)
    shapes = [(1, 2), (3, 2), (15, 3), (16, 2), (17, 2), (32, 8), (33, 9), (64, 2), (100, 10)]
    cases = [_random_case(source, dimensions, classes) for dimensions, classes in shapes]
    lowest, highest = -(2**15), 2**15 - 1
    cases += [
        _case("all zero: ties go to class 0", [[0] * 16] * 3, [0] * 3, [[0] * 16, [127] * 16]),
        _case("a tie of the last two", [[1], [2], [2]], [0, 0, 0], [[1], [-1]]),
        _case("lowest weights", [[lowest] * 20] * 2, [-(2**31)] * 2, [[-128] * 20, [127] * 20]),
        _case("highest weights", [[highest] * 20] * 2, [2**31 - 1] * 2, [[-128] * 20, [127] * 20]),
        _case(
            "neighbours of opposite sign",
            [[lowest, highest] * 8, [highest, lowest] * 8],
            [-1, 1],
            [[-128, 127] * 8, [127, -128] * 8, [-1] * 16, [1] * 16],
        ),
    ]
    return {"cases": cases}


def _random_case(source: random.Random, dimensions: int, classes: int) -> dict[str, Any]:
    weights = [
        [source.randint(-(2**15), 2**15 - 1) for _ in range(dimensions)] for _ in range(classes)
    ]
    bias = [source.randint(-(2**31), 2**31 - 1) for _ in range(classes)]
    rows = [[source.randint(-128, 127) for _ in range(dimensions)] for _ in range(3)]
    rows += [[-128] * dimensions, [127] * dimensions]
    return _case(f"random {dimensions} x {classes}", weights, bias, rows)


def _case(
    name: str, weights: list[list[int]], bias: list[int], rows: list[list[int]]
) -> dict[str, Any]:
    head = Head(np.array(weights, np.int16), np.array(bias, np.int32))
    samples = []
    for row in rows:
        scores = [
            b + sum(w * f for w, f in zip(line, row, strict=True))
            for line, b in zip(weights, bias, strict=True)
        ]
        features = "0x" + bytes(f % 256 for f in row).hex()
        samples.append({"features": features, "scores": scores, "class": scores.index(max(scores))})
    return {
        "name": name,
        "dimensions": head.dimensions,
        "classes": head.classes,
        "weights": weights,
        "bias": bias,
        "words": [f"0x{word:064x}" for word in head.to_words()],
        "digest": "0x" + head.digest().hex(),
        "samples": samples,
    }


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(make(), indent=1) + "\n")
