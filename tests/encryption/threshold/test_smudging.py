"""The width of smudging noise: that sums stay exact, and that what it should hide is hidden."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddcai.encryption import _ring, wire
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.combine import open_sum
from ddcai.errors import ForgedUpdate, PlanError

from . import oracle

SET = PARAMETER_SETS["bfv-8192-3x20"]
PIECES = (1, 3, 10, 35, 126)


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("contributors", [2, 16384])
def test_the_widest_noise_that_fits(pieces: int, contributors: int) -> None:
    bits = smudging.smudging_bits(SET, pieces, contributors)
    honest = 10 * SET.noise_deviation(contributors, pieces) + contributors / 2
    step = math.prod(SET.data_primes) / SET.plain_modulus
    assert pieces * 2**bits + honest <= smudging.MOST_NOISE * step
    assert pieces * 2 ** (bits + 1) + honest > smudging.MOST_NOISE * step


@pytest.mark.parametrize("pieces", PIECES)
@pytest.mark.parametrize("contributors", [2, 64, 16384])
def test_as_many_openings_as_leave_forty_bits(pieces: int, contributors: int) -> None:
    most = smudging.most_openings(SET, pieces, contributors)
    security = [
        smudging.statistical_security(SET, pieces, contributors, most + more) for more in (0, 1)
    ]
    assert security[0] >= smudging.LEAST_STATISTICAL_BITS > security[1]
    # The formula by itself, from the paper's lemma.
    bits = smudging.smudging_bits(SET, pieces, contributors)
    sigma = math.sqrt(contributors * (1 + 8192 * pieces * 2 / 3) / 12)
    distance = 8192 * most * (sigma + contributors / 2) / 2 ** (bits + 1)
    assert security[0] == pytest.approx(-math.log2(distance), abs=0.01)


def test_a_set_without_room_has_too_few_bits() -> None:
    for set_id in ("bfv-4096-3x19", "bfv-4096-2x23"):
        p = PARAMETER_SETS[set_id]
        assert not p.opened_by_threshold
        assert smudging.statistical_security(p, 3, 4, 1) < 0
        with pytest.raises(PlanError, match="choose bfv-8192-3x20"):
            smudging.most_openings(p, 3, 4)
        with pytest.raises(PlanError, match="no room"):
            smudging.smudging_bits(p, 10_000, 4)
    with pytest.raises(PlanError, match=r"encryption\.max_contributors"):
        smudging.smudging_bits(SET, 3, 16385)
    with pytest.raises(PlanError, match="0 pieces"):
        smudging.smudging_bits(SET, 0, 4)


@pytest.mark.parametrize("count", [3, 10])
def test_the_noise_of_a_fresh_ciphertext_is_what_is_reckoned_with(count: int) -> None:
    """Opened without smudging, as only a test can."""
    public, secret = oracle.public_key(SET.id, count), oracle.reconstructed(SET.id, count)
    blob = public.encrypt(np.zeros(SET.values_per_ciphertext * 4, np.int64))
    step = math.prod(SET.data_primes) / SET.plain_modulus
    q = math.prod(SET.data_primes)
    noise = [
        oracle.centred(one, q)
        for words in wire.parse(blob)
        for one in oracle.crt(_ring.noisy_message(words, secret._words, SET), SET.data_primes)
    ]
    assert max(map(abs, noise)) < step / 2**60
    expected = SET.noise_deviation(1, count)
    assert np.std(np.array(noise, float)) == pytest.approx(expected, rel=0.1)


def test_noise_at_its_most_opens_and_wider_is_refused() -> None:
    values = np.arange(40)
    words = wire.parse(oracle.public_key(SET.id).encrypt(values))
    bits = smudging.smudging_bits(SET, 3, 1)
    pieces = oracle.pieces(SET.id)
    good = [piece.partial(words, b"", bits) for piece in pieces]
    assert (open_sum(words, good, 40, SET, 40) == values).all()
    wide = [piece.partial(words, b"", bits + 2) for piece in pieces]
    with pytest.raises(ForgedUpdate):
        open_sum(words, wide, 40, SET, 40)


def test_scalars_count_by_what_they_show() -> None:
    p = PARAMETER_SETS["bfv-8192-2x30"]
    one = smudging.scalars_as_openings(p, 3, 64, ciphertexts=1, vectors=0)
    sigma = p.noise_deviation(1, 3)
    whole = 8192 * (p.noise_deviation(64, 3) + 32)
    weights = np.random.default_rng(1).integers(-1024, 1024, (64, 64))
    combined = np.linalg.norm(weights, axis=1).sum() * sigma
    assert one == pytest.approx(combined / whole, rel=0.02)
    many = smudging.scalars_as_openings(p, 3, 64, ciphertexts=1, vectors=20)
    vector = np.full(p.block_weight // 127, 127)
    product = float(np.linalg.norm(vector)) * sigma + np.abs(vector).sum() / 2
    assert many - one == pytest.approx(20 * product / whole, rel=0.01)
