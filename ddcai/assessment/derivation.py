"""What is drawn, and what is public: the block, the projections and the directions.

Every party makes these by itself from 32 bytes that the chain gave after the commitments
(`ddcai.digests.drawn_randomness`) and from the public models. All arithmetic is on integers, or
elementwise in IEEE float64, or `math.fsum`: the same bits on every machine.

Guarantees:
- a block is a uniformly random subset, to within the 2**-64 of equal keys;
- each sign of a projection is a fair coin of its own;
- a vector has no coordinate outside the block.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import DIGEST_BYTES, tag
from ddcai.errors import ConfigurationError

Int8s = NDArray[np.int8]
Block = NDArray[np.int64]
State = NDArray[np.float32]

# A step of a quantised movement is its root mean square over this.
_STEPS_AN_RMS = 4


def draw_block(
    seed: bytes, dimension: int, size: int, allowed: NDArray[np.int64] | None = None
) -> Block:
    """The coordinates that a round looks at.

    Args:
        seed: 32 bytes, nobody's choice.
        dimension: number of coordinates of an update, at least 1.
        size: how many are wanted, at least 1.
        allowed: those that may be drawn, ascending and unique, int64[a], a >= 1 (a round of the
            head: the head's). By default all.

    Returns:
        int64[min(size, a)], ascending, unique. Each allowed coordinate has a 64-bit key from
        SHAKE-256, in order; the smallest keys are taken, of equal ones the first.

    Raises:
        ConfigurationError: for a seed of another length or numbers out of range.
    """
    if size < 1 or dimension < 1:
        raise ConfigurationError(f"a block of {size} of {dimension} coordinates: give at least 1")
    if allowed is None:
        allowed = np.arange(dimension, dtype=np.int64)
    good = (
        allowed.dtype == np.int64
        and allowed.ndim == 1
        and allowed.size > 0
        and int(allowed[0]) >= 0
        and int(allowed[-1]) < dimension
        and bool((np.diff(allowed) > 0).all())
    )
    if not good:
        raise ConfigurationError(
            f"the allowed coordinates are {allowed.dtype}{allowed.shape}: give int64, ascending "
            f"and unique, from 0 to {dimension - 1}"
        )
    if size >= allowed.size:
        return allowed.copy()
    keys = np.frombuffer(_expand(seed, "block", 8 * allowed.size), "<u8")
    last = np.partition(keys, size - 1)[size - 1]
    below = np.flatnonzero(keys < last)
    ties = np.flatnonzero(keys == last)[: size - below.size]
    drawn: Block = allowed[np.sort(np.concatenate([below, ties]))]
    return drawn


def draw_lane(seed: bytes, lanes: int) -> int:
    """Which lane of the ciphertexts a round looks at, from 0 to lanes - 1, each as likely to
    within 2**-59: all that is opened of an update is of one lane.

    Raises:
        ConfigurationError: for a seed of another length, or no lane.
    """
    if not 1 <= lanes <= 16:
        raise ConfigurationError(f"{lanes} lanes: give 1 to 16")
    return int.from_bytes(_expand(seed, "lane", 8), "big") % lanes


def draw_projections(seed: bytes, count: int, size: int) -> Int8s:
    """``count`` random vectors of -1 and 1 over a block of ``size``: int8[count, size].

    Raises:
        ConfigurationError: for a seed of another length or numbers below 1.
    """
    if count < 1 or size < 1:
        raise ConfigurationError(f"{count} projections of {size}: give at least 1 of each")
    bits = np.unpackbits(
        np.frombuffer(_expand(seed, "projections", -(-count * size // 8)), np.uint8),
        count=count * size,
        bitorder="little",
    )
    signs: Int8s = (bits.astype(np.int8) * 2 - 1).reshape(count, size)
    return signs


def movement_signs(before: State, after: State, block: Block) -> Int8s:
    """Which way each coordinate of the block moved: int8[m] of -1, 0, 1.

    Args:
        before, after: two public states, float32[D], finite.
    """
    old, new = _pair(before, after, block)
    return (new > old).astype(np.int8) - (new < old).astype(np.int8)


def signs(vector: NDArray[np.float64], block: Block) -> Int8s:
    """The signs of a public vector float64[D] over the block: int8[m] of -1, 0, 1."""
    part = vector[block]
    return (part > 0).astype(np.int8) - (part < 0).astype(np.int8)


def quantised_movement(before: State, after: State, block: Block, limit: int) -> Int8s:
    """A movement as small integers over the block: int8[m] within +-limit.

    In steps of a quarter of its root mean square over the block, rounded half to even, clamped.
    A movement of zero gives zeros.
    """
    if not 1 <= limit <= 127:
        raise ConfigurationError(f"the limit is {limit}: give 1 to 127")
    old, new = _pair(before, after, block)
    moved = new.astype(np.float64) - old.astype(np.float64)
    largest = float(np.abs(moved).max())
    if largest == 0:
        return np.zeros(block.size, np.int8)
    moved /= largest  # so that no square is lost
    rms = math.sqrt(math.fsum((moved * moved).tolist()) / block.size)
    steps = np.rint(moved * (_STEPS_AN_RMS / rms))
    return np.clip(steps, -limit, limit).astype(np.int8)


def past_movements(states: Sequence[State], block: Block, *, count: int, limit: int) -> Int8s:
    """The latest movements of the model, newest first: int8[min(count, len(states) - 1), m].

    Args:
        states: the public models, float32[D], oldest first, the round's base model last.
    """
    pairs = list(itertools.pairwise(states[-count - 1 :]))
    rows = [quantised_movement(old, new, block, limit) for old, new in reversed(pairs)]
    return np.array(rows, np.int8).reshape(len(rows), block.size)


def blend_movement(
    past: NDArray[np.float64] | None, before: State, after: State, decay: float
) -> NDArray[np.float64]:
    """The decaying mean of movements, which stands in for a root set: float64[D]."""
    moved = after.astype(np.float64) - before.astype(np.float64)
    if past is None:
        return moved
    blended: NDArray[np.float64] = past * decay + moved * (1 - decay)
    return blended


def noise_deviation(share: float, clip: float, block: int, dimension: int) -> float:
    """Standard deviation of the noise on a scalar, for each unit of its vector's length.

    Args:
        share: of the length that an update of the clip's length, spread evenly, has in a block.
        clip: the longest honest update, in integer steps.
        block, dimension: coordinates that are looked at, and all of them.
    """
    return share * clip * math.sqrt(block / dimension)


def _pair(before: State, after: State, block: Block) -> tuple[State, State]:
    if before.dtype != np.float32 or after.dtype != np.float32 or before.shape != after.shape:
        raise ConfigurationError(
            f"the states are {before.dtype}{before.shape} and {after.dtype}{after.shape}: give "
            "float32[D] of one model"
        )
    return before[block], after[block]


def _expand(seed: bytes, kind: str, length: int) -> bytes:
    if len(seed) != DIGEST_BYTES:
        raise ConfigurationError(f"the seed has {len(seed)} bytes, not {DIGEST_BYTES}")
    return hashlib.shake_256(tag(f"assessment-{kind}") + seed).digest(length)


__all__ = [
    "Block",
    "Int8s",
    "blend_movement",
    "draw_block",
    "draw_lane",
    "draw_projections",
    "movement_signs",
    "noise_deviation",
    "past_movements",
    "quantised_movement",
    "signs",
]
