"""The fast precompiles against py-evm's own: the same bytes, gas and failures."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from eth.exceptions import VMError
from eth.precompiles.bls12_381.bls12_381_g1 import g1_optimized_3d_to_bytes
from eth.precompiles.bls12_381.bls12_381_g2 import bls12_map_fp2_to_g2, g2_optimized_3d_to_bytes
from eth.precompiles.bls12_381.bls12_381_pairing import bls12_pairing_check
from py_ecc.optimized_bls12_381 import FQ, FQ2, G1, G2, b, b2, multiply, neg
from py_ecc.optimized_bls12_381.optimized_curve import is_on_curve

from ddcai.chain.node.precompiles import HAS_ARKWORKS, map_fp2_to_g2, pairing_check

P = FQ.field_modulus
G1_INFINITY, G2_INFINITY = bytes(128), bytes(256)


class Computation:
    """What a precompile sees of the machine."""

    def __init__(self, data: bytes) -> None:
        self.msg = SimpleNamespace(data=data)
        self.gas = 0
        self.output = b""

    def consume_gas(self, amount: int, reason: str) -> None:
        self.gas += amount


def run(precompile: Any, data: bytes) -> tuple[bytes | None, int]:
    """Output and gas; None for a failure, which consumes all gas anyway."""
    computation = Computation(data)
    try:
        precompile(computation)
    except VMError:
        return None, 0
    return computation.output, computation.gas


def g1(scalar: int) -> bytes:
    return bytes(g1_optimized_3d_to_bytes(multiply(G1, scalar))) if scalar else G1_INFINITY


def g2(scalar: int) -> bytes:
    return bytes(g2_optimized_3d_to_bytes(multiply(G2, scalar))) if scalar else G2_INFINITY


def _outside_g1() -> bytes:
    """On the curve, outside the subgroup."""
    x = 0
    while True:
        x += 1
        y = (FQ(x) ** 3 + b) ** ((P + 1) // 4)
        if y * y == FQ(x) ** 3 + b and is_on_curve((FQ(x), y, FQ(1)), b):
            return x.to_bytes(64, "big") + int(y).to_bytes(64, "big")


def _off_g2() -> bytes:
    point = (FQ2((1, 1)), FQ2((2, 3)), FQ2((1, 0)))
    assert not is_on_curve(point, b2)
    return bytes(g2_optimized_3d_to_bytes(point))


HOLDS = g1(6) + g2(35) + bytes(g1_optimized_3d_to_bytes(neg(multiply(G1, 210)))) + g2(1)
PAIRINGS = {
    "holds": HOLDS,
    "one factor off": g1(6) + g2(35) + bytes(g1_optimized_3d_to_bytes(neg(G1))) + g2(209),
    "single": g1(1) + g2(1),
    "infinity in G1": G1_INFINITY + g2(3),
    "infinity in G2": g1(3) + G2_INFINITY,
    "infinity beside others": HOLDS + G1_INFINITY + G2_INFINITY,
    "empty": b"",
    "short": HOLDS[:-1],
    "long": HOLDS + b"\0",
    "outside the subgroup": _outside_g1() + g2(1),
    "off the curve": g1(1) + _off_g2(),
    "coordinate not reduced": P.to_bytes(64, "big") + bytes(64) + g2(1),
    "padding not zero": b"\1" + g1(1)[1:] + g2(1),
    "all ones": b"\xff" * 384,
}
FIELDS = {
    "zero": bytes(128),
    "one": (1).to_bytes(64, "big") + bytes(64),
    "i": bytes(64) + (1).to_bytes(64, "big"),
    "random": b"".join(bytes(16) + bytes([7 * i % 256 or 9] * 48) for i in (1, 2)),
    "greatest": (P - 1).to_bytes(64, "big") * 2,
    "not reduced": bytes(64) + P.to_bytes(64, "big"),
    "short": bytes(127),
    "long": bytes(129),
}


def _pure(pure: Any, fast: Any) -> Any:
    return fast if HAS_ARKWORKS else pure


@cache
def reference(name: str) -> tuple[bytes | None, int]:
    """What py-evm itself says, once: it takes half a second a pair."""
    return run(bls12_pairing_check, PAIRINGS[name])


@pytest.mark.parametrize("name", PAIRINGS)
def test_pairing_check(name: str) -> None:
    expected = reference(name)
    assert run(_pure(bls12_pairing_check, pairing_check), PAIRINGS[name]) == expected


@pytest.mark.parametrize("name", FIELDS)
def test_map_fp2_to_g2(name: str) -> None:
    expected = run(bls12_map_fp2_to_g2, FIELDS[name])
    assert run(_pure(bls12_map_fp2_to_g2, map_fp2_to_g2), FIELDS[name]) == expected


def test_the_cases_are_what_they_say() -> None:
    results = {name: reference(name)[0] for name in PAIRINGS}
    assert [name for name, output in results.items() if output is None] == [
        "empty",
        "short",
        "long",
        "outside the subgroup",
        "off the curve",
        "coordinate not reduced",
        "padding not zero",
        "all ones",
    ]
    assert results["holds"] == (1).to_bytes(32, "big")
    assert results["one factor off"] == bytes(32)
