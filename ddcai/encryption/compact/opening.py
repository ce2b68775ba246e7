"""Opening a sum with the sum of its secrets.

sum(b_i) - a sum(s_i) = sum(e_i) + 2**error_bits * sum(m_i), modulo q. Honest updates fill the
fields of these words within known bounds. There is no proof of what a contributor sent, so every
field of every word is checked, and a sum that honest updates cannot add up to is not given out.
Unlike with a key that lasts, a forger learns nothing of other rounds: secrets serve one.
"""

from __future__ import annotations

import numpy as np

from ddcai.digests import RoundContext
from ddcai.encryption.compact import sampling, wire
from ddcai.encryption.compact.limbs import IntArray, WordArray, add_words, limbs_of, take_bits
from ddcai.encryption.compact.ring import SmallPolynomial
from ddcai.encryption.compact.shapes import DEVIATION, CompactShape
from ddcai.encryption.compact.update import batches
from ddcai.errors import ForgedUpdate, RoundError


def check_secrets(secrets: IntArray, shape: CompactShape, contributors: int) -> None:
    """Refuses a sum of secrets that so many honest contributors do not have.

    Each coefficient is within ten standard deviations, and the sum of squares is at most twice
    what it is expected to be (45 of its standard deviations above).

    Raises:
        ForgedUpdate: one of them shared out something else.
        RoundError: secrets are not int64[n].
    """
    if secrets.shape != (shape.n,) or secrets.dtype != np.int64:
        raise RoundError(f"secrets are {secrets.dtype}{secrets.shape}: give int64[{shape.n}]")
    most = shape.most_error(contributors)
    squares = 2 * shape.n * DEVIATION**2 * contributors
    inside = secrets.min() >= -most and secrets.max() <= most
    if not inside or int(np.square(secrets).sum()) > squares:
        raise ForgedUpdate(
            f"the secrets of {contributors} contributors add up to more than honest ones: one of "
            "them shared out something else; cancel the round"
        )


def open_sum(blob: wire.Blob, secrets: IntArray, context: RoundContext, *, limit: int) -> IntArray:
    """Opens a sum.

    Guarantees:
        the values are exactly the sum of what the contributors encrypted, when all of them are
        honest;
        nothing is returned or said of the values when a field of any word is out of range.

    Args:
        blob: the sum in the wire form, which whoever opens has added up itself.
        secrets: sum of the contributors' secrets, int64[n]. Whoever has it reads the sum.
        context: chain, contract and round.
        limit: largest magnitude of one contributor's value.

    Returns:
        int64[v].

    Raises:
        MalformedError: for bytes that are no sum.
        PlanError: for more contributors than the shape adds.
        ForgedUpdate: an error, a value or an unused lane, or the secrets, are none that honest
            contributors have.
        RoundError: secrets of another shape.
    """
    total = wire.parse(blob, wire.SUM)
    shape, contributors = total.shape, total.contributors
    shape.check(contributors)
    check_secrets(secrets, shape, contributors)
    secret = SmallPolynomial(-secrets)
    public = sampling.PublicPolynomials(context, shape)
    # Half of each field's range, added, makes every field unsigned, and none borrows from the next.
    halves = limbs_of(_halves(shape), shape.limbs)
    most_value = min(limit * contributors, shape.lane_max)
    count = shape.words(total.values)
    values = np.empty(shape.lanes * count, dtype=np.int64)
    for blocks, here in batches(count, shape):
        products = secret.multiply(public.take(blocks))
        opened = products.reshape(shape.limbs, -1)[:, : here.stop - here.start]
        add_words(opened, total.words[:, here])
        add_words(opened, halves)
        if _largest(_field(opened, 0, shape.error_bits)) > shape.most_error(contributors):
            raise _forged(context, "errors")
        for lane in range(shape.lanes):
            some = _field(opened, shape.lane_shift(lane), shape.lane_bits)
            if _largest(some) > most_value:
                raise _forged(context, "values")
            values[shape.in_lane(lane, values.size)][here] = some
    if values[total.values :].any():
        raise _forged(context, "unused lanes")
    return values[: total.values]


def _halves(shape: CompactShape) -> int:
    at, total = 0, 0
    for width in shape.field_widths:
        total += 1 << (at + width - 1)
        at += width
    return total


def _field(words: WordArray, at: int, width: int) -> IntArray:
    """A field of words to which half of its range was added: int64[..., n], signed."""
    field = take_bits(words, at, width).view(np.int64)
    field -= np.int64(1 << (width - 1))
    return field


def _largest(values: IntArray) -> int:
    return max(-int(values.min()), int(values.max()))


def _forged(context: RoundContext, what: str) -> ForgedUpdate:
    # The numbers are not shown: they may be somebody's secret.
    return ForgedUpdate(
        f"round {context.round} opens to {what} that honest updates do not add up to: one of the "
        "contributors sent something else; cancel the round"
    )
