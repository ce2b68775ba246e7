from __future__ import annotations

import contextlib
import pickle
import threading

import numpy as np
import pytest

from ddcai.encryption.compact import sampling, wire
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.compact.update import RoundSecret
from ddcai.errors import RoundError
from tests.encryption.compact.making import CONTEXT, make
from tests.encryption.compact.oracle import integers, product

SHAPES = pytest.mark.parametrize("shape", COMPACT_SHAPES.values(), ids=lambda shape: shape.id)
SHAPE = COMPACT_SHAPES["compact-64-3x18"]


@SHAPES
def test_an_update_is_what_the_definition_says(shape: CompactShape) -> None:
    # A block and a part of the next one; the extremes of a lane among the values.
    rng = np.random.default_rng(1)
    values = rng.integers(-shape.lane_max, shape.lane_max + 1, shape.values_per_block + 100)
    values[:2] = shape.lane_max, -shape.lane_max
    secret = RoundSecret(shape)
    parsed = wire.parse(make(shape, values, secret).blob, wire.UPDATE, shape, values.size)
    modulus, count = 2**shape.word_bits, parsed.words.shape[1]
    public = sampling.PublicPolynomials(CONTEXT, shape).take(2)
    small = secret.polynomial().tolist()
    products = [w for b in range(2) for w in product(integers(public[:, b]), small, modulus)]
    padded = [*values.tolist(), *[0] * (count * shape.lanes - values.size)]
    errors = []
    for j, word in enumerate(integers(parsed.words)):
        at = [
            j * shape.lanes + i if shape.assessable else i * count + j for i in range(shape.lanes)
        ]
        message = sum(padded[k] << i * shape.lane_bits for i, k in enumerate(at))
        rest = (word - products[j] - (message << shape.error_bits)) % modulus
        errors.append(rest - modulus if rest > modulus // 2 else rest)
    assert count == -(-values.size // shape.lanes)
    assert max(map(abs, errors)) <= 84
    assert np.std(errors) == pytest.approx(6.48, rel=0.1)


def test_a_secret_encrypts_once() -> None:
    secret, values = RoundSecret(SHAPE), np.arange(10)
    with pytest.raises(RoundError, match="a lane of compact-64-3x18 holds"):
        secret.encrypt(values + SHAPE.lane_max, CONTEXT)
    secret.encrypt(values, CONTEXT)
    for again in (values, values + 1):
        with pytest.raises(RoundError, match="has encrypted an update before"):
            secret.encrypt(again, CONTEXT)


def test_of_threads_that_race_one_encrypts() -> None:
    secret, start = RoundSecret(SHAPE), threading.Barrier(8)
    done: list[bytes] = []

    def attempt() -> None:
        start.wait()
        with contextlib.suppress(RoundError):
            done.append(secret.encrypt(np.arange(10), CONTEXT))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1


def test_every_secret_is_another_one() -> None:
    first, second = RoundSecret(SHAPE), RoundSecret(SHAPE)
    assert (first.polynomial() != second.polynomial()).any()
    assert first.encrypt(np.arange(9), CONTEXT) != second.encrypt(np.arange(9), CONTEXT)


def test_two_updates_under_one_secret_would_tell_their_difference() -> None:
    # What the rule stands against: the attack, on a secret that is made to forget.
    values = np.arange(3 * 50)
    secret = RoundSecret(SHAPE)
    blobs = []
    for change in (0, 5):
        secret._used = False
        blobs.append(wire.parse(make(SHAPE, values + change, secret).blob, wire.UPDATE).words)
    difference = (blobs[1] - blobs[0]).view(np.int64)[0] >> SHAPE.error_bits
    assert (difference == 5 * (1 + 2**18 + 2**36)).all()


@pytest.mark.parametrize(
    "values",
    [
        np.arange(3, dtype=np.float64),
        np.arange(3, dtype=np.int32),
        np.zeros((2, 2), dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        np.array([131072]),
        np.array([-131072]),
        np.array([-(2**63)]),
    ],
    ids=str,
)
def test_refuses_values_that_do_not_fit(values: np.ndarray) -> None:
    with pytest.raises(RoundError, match="values"):
        RoundSecret(SHAPE).encrypt(values, CONTEXT)


def test_a_secret_is_not_shown() -> None:
    secret = RoundSecret(SHAPE)
    assert repr(secret) == "RoundSecret(compact-64-3x18, ****)"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
