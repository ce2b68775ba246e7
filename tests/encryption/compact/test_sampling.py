from __future__ import annotations

import hashlib
import math
import pickle

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from ddcai.digests import RoundContext, tag
from ddcai.encryption.compact import sampling
from ddcai.encryption.compact.limbs import IntArray
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape

CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=7)
SHAPES = pytest.mark.parametrize("shape", COMPACT_SHAPES.values(), ids=lambda shape: shape.id)
SEED = bytes(range(32))


@SHAPES
def test_public_words_are_the_stream_of_aes_under_shake(shape: CompactShape) -> None:
    material = tag("compact-public-polynomial") + CONTEXT.words() + shape.number.to_bytes(32, "big")
    key = hashlib.shake_256(material).digest(32)
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    stream = np.frombuffer(encryptor.update(bytes(3 * shape.n * shape.limbs * 8)), dtype="<u8")
    wanted = stream.reshape(3, shape.limbs, shape.n).swapaxes(0, 1)
    found = sampling.PublicPolynomials(CONTEXT, shape).take(3)
    assert (found == wanted).all()


@SHAPES
def test_blocks_are_the_same_however_many_are_taken_at_once(shape: CompactShape) -> None:
    public = sampling.PublicPolynomials(CONTEXT, shape)
    together = sampling.PublicPolynomials(CONTEXT, shape).take(7)
    alone = np.concatenate([public.take(count).copy() for count in (1, 4, 2)], axis=1)
    assert (alone == together).all()
    noise = sampling.Errors(SEED, shape)
    parts = np.concatenate([noise.take(count) for count in (1, 4, 2)])
    assert (parts == sampling.Errors(SEED, shape).take(7)).all()


def test_public_polynomials_differ_by_everything_that_they_are_bound_to() -> None:
    shapes = list(COMPACT_SHAPES.values())
    other = [
        RoundContext(chain_id=1, contract=CONTEXT.contract, round=7),
        RoundContext(chain_id=31337, contract="0x" + "cd" * 20, round=7),
        RoundContext(chain_id=31337, contract=CONTEXT.contract, round=8),
    ]
    found = [sampling.PublicPolynomials(CONTEXT, shape).take(1).tobytes()[:64] for shape in shapes]
    found += [sampling.PublicPolynomials(one, shapes[0]).take(1).tobytes()[:64] for one in other]
    assert len(set(found)) == len(found)


def _fits(samples: IntArray) -> float:
    """p-value of a chi-squared test against Binomial(168, 1/2) - 84."""
    edges = np.arange(-20, 21)
    cdf = stats.binom.cdf(edges + 84, 168, 0.5)
    expected = np.diff(np.concatenate([[0.0], cdf, [1.0]])) * samples.size
    found = np.bincount(np.searchsorted(edges, samples, side="left"), minlength=len(expected))
    return float(stats.chisquare(found, expected).pvalue)


@SHAPES
def test_secrets_and_errors_are_centred_binomial(shape: CompactShape) -> None:
    secret = np.concatenate(
        [sampling.secret_polynomial(SEED[:31] + bytes([i]), shape) for i in range(8)]
    )
    noise = sampling.Errors(SEED, shape).take(8).reshape(-1)
    for samples in (secret, noise):
        assert samples.dtype == np.int64
        assert _fits(samples) > 1e-6  # fixed seeds: either always or never
        assert math.sqrt(np.square(samples).mean()) == pytest.approx(6.48, rel=0.02)
        # The test can fail: it sees every other sample moved by one.
        assert _fits(samples + (np.arange(samples.size) % 2)) < 1e-6
    assert abs(np.corrcoef(secret[: noise.size], noise[: secret.size])[0, 1]) < 0.03


def test_every_bit_of_a_sample_counts() -> None:
    ones = np.full((1, 3, 1), 2**64 - 1, dtype=np.uint64)
    assert sampling._binomial(ones.copy()).item() == 84
    assert sampling._binomial(np.zeros_like(ones)).item() == -84


def test_secret_and_errors_follow_from_the_seed_alone() -> None:
    shape = COMPACT_SHAPES["compact-64-3x18"]
    first = sampling.secret_polynomial(SEED, shape)
    assert (first == sampling.secret_polynomial(SEED, shape)).all()
    assert (first != sampling.secret_polynomial(bytes(32), shape)).any()
    noise = sampling.Errors(SEED, shape).take(1)
    assert (noise != sampling.Errors(bytes(32), shape).take(1)).any()
    assert (noise != first).any()
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(sampling.Errors(SEED, shape))
