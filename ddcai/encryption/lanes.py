"""Several small signed integers in one plaintext slot.

A slot holds v0 + v1 * 2**b + v2 * 2**(2b), each v signed and b = lane_bits. Slots add as
integers while every sum of a lane stays within +-(2**(b-1) - 1), so lanes never mix.
Value i of a block is in lane i // n of slot i % n: whole lanes are contiguous. In an assessable set
the first slots are left zero, and it is in lane i % lanes of slot reserved + i // lanes: what is
opened of an update is of one lane, which must be a fair sample of all its layers.
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
    if parameters.assessable:
        by_lane = np.zeros((blocks, lanes, parameters.poly_modulus_degree), dtype=np.int64)
        by_lane[:, :, parameters.reserved :] = padded.reshape(blocks, -1, lanes).transpose(0, 2, 1)
    else:
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
    if parameters.assessable:
        lanes = index % parameters.lanes
    else:
        lanes = index % parameters.values_per_ciphertext // parameters.poly_modulus_degree
    found: IntArray = index[lanes == lane]
    return found


def check_vectors(
    lane: int, positions: IntArray, vectors: NDArray[np.int8], parameters: ParameterSet
) -> None:
    """Refuses vectors int8[k, m] at positions int64[m] whose products are not opened.

    Raises:
        RoundError: positions outside the lane, or vectors heavier than block_weight.
    """
    p = parameters
    weights = np.abs(vectors.astype(np.int64)).sum(axis=1)
    in_lane = lane_values(lane, int(positions[-1]) + 1 if positions.size else 0, p)
    if vectors.shape[1:] != positions.shape or not np.isin(positions, in_lane).all():
        raise RoundError(f"vectors {vectors.shape} at {positions.shape} positions of one lane")
    if not p.assessable or int(weights.max(initial=0)) > p.block_weight:
        raise RoundError(f"a vector weighs {weights.max(initial=0)}: {p.id} opens no such product")


def slots_of(positions: IntArray, parameters: ParameterSet) -> tuple[IntArray, IntArray]:
    """Where values by index are: ciphertext and slot, int64 each."""
    blocks, within = np.divmod(positions, parameters.values_per_ciphertext)
    if parameters.assessable:
        return blocks, parameters.reserved + within // parameters.lanes
    return blocks, within % parameters.poly_modulus_degree


def unpack_lanes(slots: IntArray, values: int, parameters: ParameterSet) -> IntArray:
    """Slots int64[ciphertexts, n] to values int64[values]; the inverse of `pack_lanes`.

    Defined for every slot value, so that a contributor that encrypted nonsense cannot
    stop an opening: the top lane takes what is left over.
    """
    by_lane = split_lanes(slots, parameters)
    if parameters.assessable:
        by_lane = by_lane[:, :, parameters.reserved :].transpose(0, 2, 1)
    return by_lane.reshape(-1)[:values].copy()


def split_lanes(slots: IntArray, parameters: ParameterSet) -> IntArray:
    """Slots int64[blocks, m] to their lanes, int64[blocks, lanes, m]."""
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
    return by_lane
