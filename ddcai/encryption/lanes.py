"""Several small signed integers in one plaintext slot.

A slot holds v0 + v1 * 2**b + v2 * 2**(2b), each v signed and b = lane_bits. Slots add as
integers while every sum of a lane stays within +-(2**(b-1) - 1), so lanes never mix.
Value i of a block is in lane i // n of slot i % n: whole lanes are contiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ddcai.encryption.parameters import ParameterSet
from ddcai.errors import RoundError

IntArray = NDArray[np.int64]


def pack_lanes(values: IntArray, parameters: ParameterSet) -> IntArray:
    """Values int64[v] to slots int64[ciphertexts, n]; unused lanes are zero.

    Raises:
        RoundError: for no values, or one that does not fit a lane.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype != np.int64:
        raise RoundError(f"values are {values.dtype}{values.shape}: give int64[n], at least one")
    low, high = int(values.min()), int(values.max())
    if low < -parameters.lane_max or high > parameters.lane_max:
        raise RoundError(
            f"values reach from {low} to {high}: a lane of {parameters.id} holds "
            f"+-{parameters.lane_max}; quantise with a smaller value limit"
        )
    blocks, lanes = parameters.ciphertexts(values.size), parameters.lanes
    padded = np.zeros(blocks * parameters.values_per_ciphertext, dtype=np.int64)
    padded[: values.size] = values
    by_lane = padded.reshape(blocks, lanes, parameters.poly_modulus_degree)
    slots = by_lane[:, lanes - 1].copy()
    for lane in reversed(range(lanes - 1)):
        slots <<= parameters.lane_bits
        slots += by_lane[:, lane]
    return slots


def lane_values(lane: int, values: int, parameters: ParameterSet) -> IntArray:
    """Which of ``values`` values, by index from 0, are in a lane: int64[k], ascending.

    Raises:
        RoundError: there is no such lane.
    """
    if not 0 <= lane < parameters.lanes:
        raise RoundError(f"lane {lane} of {parameters.id}: give 0 to {parameters.lanes - 1}")
    index = np.arange(values, dtype=np.int64)
    in_block = index % parameters.values_per_ciphertext
    found: IntArray = index[in_block // parameters.poly_modulus_degree == lane]
    return found


def unpack_lanes(slots: IntArray, values: int, parameters: ParameterSet) -> IntArray:
    """Slots int64[ciphertexts, n] to values int64[values]; the inverse of `pack_lanes`.

    Defined for every slot value, so that a contributor that encrypted nonsense cannot
    stop an opening: the top lane takes what is left over.
    """
    blocks, degree = slots.shape
    half, mask = 1 << (parameters.lane_bits - 1), (1 << parameters.lane_bits) - 1
    by_lane = np.empty((blocks, parameters.lanes, degree), dtype=np.int64)
    rest = slots.copy()
    for lane in range(parameters.lanes - 1):
        value = by_lane[:, lane]
        np.add(rest, half, out=value)
        value &= mask
        value -= half
        rest -= value
        rest >>= parameters.lane_bits
    by_lane[:, -1] = rest
    return by_lane.reshape(-1)[:values].copy()
