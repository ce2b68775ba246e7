"""The root set: samples that everybody may see, committed before the first round.

A Merkle tree over the samples, shaped as in RFC 6962, section 2.1: the left half of n is the
largest power of two below n. Leaves and nodes have different tags, and the commitment holds the
number of samples, so no other list has the same one. Single samples can be proven against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddcai.assessment.configuration import Assessment
from ddcai.digests import root_node_digest, root_sample_digest, root_set_digest
from ddcai.errors import ConfigurationError, DataError, VerificationError

_MAX_DEPTH = 64


@dataclass(frozen=True, kw_only=True)
class SampleProof:
    """That a sample stands at a place of a committed root set.

    Attributes:
        place: from 0.
        samples: how many the set has.
        path: digests of the siblings, from the leaf up, 32 bytes each.
    """

    place: int
    samples: int
    path: tuple[bytes, ...]


def leaf(x: NDArray[np.float32], label: int) -> bytes:
    """Digest of one sample: its inputs as float32, little-endian, row-major, and its class."""
    if x.dtype != np.float32 or not np.isfinite(x).all():
        raise DataError(f"a sample is {x.dtype}{x.shape}: give finite float32")
    return root_sample_digest(np.ascontiguousarray(x, "<f4").tobytes(), int(label))


def commitment(x: NDArray[np.float32], y: NDArray[np.int64]) -> bytes:
    """What is committed on chain: 32 bytes.

    Args:
        x: inputs, float32[n, ...], n >= 1, finite.
        y: class indices, int64[n].

    Raises:
        DataError: for no sample, unequal numbers, or values that are not finite float32.
    """
    leaves = _leaves(x, y)
    return root_set_digest(len(leaves), _top(leaves))


def prove(x: NDArray[np.float32], y: NDArray[np.int64], place: int) -> SampleProof:
    """Proof of the sample at a place, from 0.

    Raises:
        DataError: as `commitment`, or for a place that the set does not have.
    """
    leaves = _leaves(x, y)
    if not 0 <= place < len(leaves):
        raise DataError(f"place {place} of {len(leaves)} samples: give 0 to {len(leaves) - 1}")
    return SampleProof(place=place, samples=len(leaves), path=tuple(_path(leaves, place)))


def verify_sample(committed: bytes, x: NDArray[np.float32], label: int, proof: SampleProof) -> None:
    """Checks one sample against a commitment.

    Raises:
        VerificationError: another sample, place, number of samples, path or commitment.
        DataError: the sample is not finite float32.
    """
    sides = _sides(proof.place, proof.samples)
    if sides is None or len(sides) != len(proof.path):
        raise VerificationError(
            f"a path of {len(proof.path)} digests is none for place {proof.place} of "
            f"{proof.samples} samples: ask for the proof again"
        )
    node = leaf(x, label)
    for right, sibling in zip(sides, proof.path, strict=True):
        node = root_node_digest(sibling, node) if right else root_node_digest(node, sibling)
    if root_set_digest(proof.samples, node) != committed:
        raise VerificationError(
            f"the sample is not at place {proof.place} of the committed root set: fetch the set "
            "that the federation names"
        )


def check_balanced(y: NDArray[np.int64], classes: int, config: Assessment) -> None:
    """Checks that a root set can speak for every class.

    Raises:
        ConfigurationError: fewer samples than root_set_least, a class without any, or the
            commonest class more than root_set_ratio times as common as the rarest.
    """
    if len(y) < config.root_set_least:
        raise ConfigurationError(
            f"the root set has {len(y)} samples: give at least {config.root_set_least}"
        )
    if classes < 2 or int(y.min()) < 0 or int(y.max()) >= classes:
        raise ConfigurationError(f"labels from {y.min()} to {y.max()} of {classes} classes")
    counts = np.bincount(y, minlength=classes)
    if int(counts.min()) == 0 or int(counts.max()) > config.root_set_ratio * int(counts.min()):
        raise ConfigurationError(
            f"the root set has {counts.tolist()} samples a class: give every class, the commonest "
            f"at most {config.root_set_ratio:g} times as many as the rarest"
        )


def _leaves(x: NDArray[np.float32], y: NDArray[np.int64]) -> list[bytes]:
    if len(x) == 0 or len(x) != len(y):
        raise DataError(f"{len(x)} inputs and {len(y)} labels: give as many of each, at least one")
    return [leaf(sample, label) for sample, label in zip(x, y.tolist(), strict=True)]


def _half(count: int) -> int:
    """The largest power of two below ``count``, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _top(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return root_node_digest(_top(leaves[:half]), _top(leaves[half:]))


def _path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if place < half:
        return [*_path(leaves[:half], place), _top(leaves[half:])]
    return [*_path(leaves[half:], place - half), _top(leaves[:half])]


def _sides(place: int, count: int) -> list[bool] | None:
    """Whether the node is the right one of each pair on the way up; None for no such place."""
    if not 0 <= place < count or count.bit_length() > _MAX_DEPTH:
        return None
    sides = []
    while count > 1:
        half = _half(count)
        right = place >= half
        sides.append(right)
        place, count = (place - half, count - half) if right else (place, half)
    return sides[::-1]


__all__ = [
    "SampleProof",
    "check_balanced",
    "commitment",
    "leaf",
    "prove",
    "verify_sample",
]
