"""The EVM of the embedded chain: Prague, with two BLS12-381 precompiles made fast.

py-evm runs EIP-2537 in pure Python: 1.3 to 4.8 s for the check of one quorum signature. Where
py-arkworks-bls12381 is installed, PAIRING and MAP_FP2_TO_G2 go to it instead: tens of
milliseconds, the same bytes and the same gas (`tests/chain/node/test_precompiles.py`).
"""

from __future__ import annotations

from typing import Any

from eth.exceptions import VMError
from eth.precompiles.bls12_381.bls12_381_g1 import bytes_to_g1_optimized_point3D
from eth.precompiles.bls12_381.bls12_381_g2 import bytes_to_fq2, bytes_to_g2_optimized_point3D
from eth.precompiles.bls12_381.constants import BLS12_MAP_FP2_G2_GAS
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES, PragueComputation
from eth.vm.forks.prague.state import PragueState

try:
    import py_arkworks_bls12381 as arkworks
except ImportError:  # the pure Python precompiles of py-evm remain
    arkworks = None  # type: ignore[assignment]

HAS_ARKWORKS = arkworks is not None

PAIRING = (0x0F).to_bytes(20, "big")
MAP_FP2_TO_G2 = (0x11).to_bytes(20, "big")


def _unpad(data: bytes) -> bytes:
    """Drops the 16 zero bytes in front of each 64-byte field element of EIP-2537."""
    return b"".join(data[start + 16 : start + 64] for start in range(0, len(data), 64))


def _pad(data: bytes) -> bytes:
    return b"".join(bytes(16) + data[start : start + 48] for start in range(0, len(data), 48))


def _g1(data: bytes) -> Any:
    if not any(data):
        return arkworks.G1Point.identity()
    bytes_to_g1_optimized_point3D(data)  # range and curve, with py-evm's own errors
    point = arkworks.G1Point.from_xy_bytes_unchecked_be(_unpad(data))
    if not point.is_in_subgroup():
        raise VMError("Sub-group check failed for G1 point.")
    return point


def _g2(data: bytes) -> Any:
    if not any(data):
        return arkworks.G2Point.identity()
    bytes_to_g2_optimized_point3D(data)
    point = arkworks.G2Point.from_xy_bytes_unchecked_be(_unpad(data))
    if not point.is_in_subgroup():
        raise VMError("Sub-group check failed for G2 point.")
    return point


def pairing_check(computation: Any) -> None:
    """EIP-2537 BLS12_PAIRING_CHECK: gas and failures as py-evm has them."""
    data = bytes(computation.msg.data)
    if len(data) == 0 or len(data) % 384 != 0:
        raise VMError("Length of data must be a multiple of 384 bytes for BLS12_PAIRING_CHECK")
    pairs = len(data) // 384
    computation.consume_gas(32600 * pairs + 37700, "BLS12_PAIRING_CHECK gas")
    chunks = [data[start : start + 384] for start in range(0, len(data), 384)]
    g1s = [_g1(chunk[:128]) for chunk in chunks]
    g2s = [_g2(chunk[128:]) for chunk in chunks]
    holds = bool(arkworks.GT.pairing_check(g1s, g2s))
    computation.output = int(holds).to_bytes(32, "big")


def map_fp2_to_g2(computation: Any) -> None:
    """EIP-2537 BLS12_MAP_FP2_TO_G2: gas and failures as py-evm has them."""
    data = bytes(computation.msg.data)
    if len(data) != 128:
        raise VMError("Length of data must be 128 bytes for BLS12_MAP_FP2_TO_G2")
    computation.consume_gas(BLS12_MAP_FP2_G2_GAS, "BLS12_MAP_FP2_TO_G2 gas")
    bytes_to_fq2(data)
    computation.output = _pad(arkworks.G2Point.map_from_fp2_be(_unpad(data)).to_xy_bytes_be())


class _Computation(PragueComputation):
    _precompiles = (
        {**PRAGUE_PRECOMPILES, PAIRING: pairing_check, MAP_FP2_TO_G2: map_fp2_to_g2}
        if HAS_ARKWORKS
        else PRAGUE_PRECOMPILES
    )


class _State(PragueState):
    computation_class = _Computation


class EmbeddedVM(PragueVM):
    """Prague with the precompiles above; nothing else differs."""

    _state_class = _State
