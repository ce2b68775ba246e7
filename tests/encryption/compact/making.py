"""Updates of the compact scheme for tests, with the secrets that nobody keeps otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddcai.digests import RoundContext
from ddcai.encryption.compact import wire
from ddcai.encryption.compact.limbs import IntArray
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.compact.shares import Masked, mask, to_bytes
from ddcai.encryption.compact.update import RoundSecret
from ddcai.encryption.threshold.sharing import Sharing

CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=7)
SHARING = Sharing(3, 2)
WHO = "0x" + "12" * 20


class Made(NamedTuple):
    """An update; its secret, int64[n]; and how that was masked."""

    blob: bytes
    secret: IntArray
    masked: Masked


def make(
    shape: CompactShape,
    values: IntArray,
    secret: RoundSecret | None = None,
    context: RoundContext = CONTEXT,
    sharing: Sharing = SHARING,
) -> Made:
    """An update with boxes of zeros."""
    secret = secret or RoundSecret(shape)
    polynomial = secret.polynomial()
    masked = mask(polynomial, sharing, shape, context, WHO)
    head = wire.header(wire.UPDATE, shape, sharing, len(values), 1)
    boxes = bytes(sharing.holders * wire.box_bytes(sharing))
    parts = (head, *masked.commitments, boxes, to_bytes(masked.words))
    return Made(secret.encrypt(values, context, b"".join(parts)), polynomial, masked)


def words_at(shape: CompactShape, sharing: Sharing = SHARING) -> int:
    """Where an update's words begin."""
    return wire.update_bytes(1, shape, sharing) - shape.words(1) * shape.bytes_per_word


def encrypted(shape: CompactShape, updates: IntArray) -> tuple[list[bytes], IntArray]:
    """Blobs of updates int64[k, v], and the sum of their secrets."""
    made = [make(shape, one) for one in updates]
    return [one.blob for one in made], np.sum([one.secret for one in made], axis=0)
