"""Scalars of single updates opened by pieces, held against the reconstructed key."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption import _ring, wire
from ddcai.encryption.lanes import lane_values
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.scalars import Vectors
from ddcai.encryption.threshold import products as products_module
from ddcai.encryption.threshold.combine import open_products
from ddcai.encryption.threshold.products import CHECKS, Products, check_weights, products
from ddcai.encryption.threshold.smudging import MOST_NOISE
from ddcai.errors import ForgedUpdate, MalformedError, RoundError

from . import oracle

SET = PARAMETER_SETS["bfv-8192-2x30"]
PRIMES = np.array(SET.data_primes, np.uint64)[:, None]
Q = math.prod(SET.data_primes)
LIMIT = SET.value_limit(64)
ABOUT = b"chain, contract, round 1, update"
BITS = 80
VALUES = 20_000  # two ciphertexts


def vectors(lane: int = 0, size: int = 4096, count: int = 5, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.choice(lane_values(lane, VALUES, SET), size, replace=False))
    rows = rng.integers(-15, 15, (count, size), endpoint=True).astype(np.int8)
    return Vectors(lane=lane, positions=positions, rows=rows)


def encrypted(values: np.ndarray) -> np.ndarray:
    return wire.parse(oracle.public_key(SET.id).encrypt(values))


def partials(words: np.ndarray, wanted: Vectors, about: bytes = ABOUT) -> list[Products]:
    return [piece.partial_products(words, wanted, about, BITS) for piece in oracle.pieces(SET.id)]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 1), st.sampled_from([1, 7, 4096]), st.booleans())
def test_scalars_are_those_of_the_whole_key(seed: int, lane: int, size: int, largest: bool) -> None:
    wanted = vectors(lane, size, seed=seed)
    rng = np.random.default_rng(seed)
    values = rng.integers(-LIMIT, LIMIT, VALUES, endpoint=True)
    if largest:
        values[wanted.positions] = LIMIT * np.sign(wanted.rows[0].astype(np.int64))
    words = encrypted(values)
    found = open_products(words, partials(words, wanted), wanted, SET)
    assert found.dtype == np.int64
    assert (found == wanted.rows.astype(np.int64) @ values[wanted.positions]).all()
    blob = wire.to_blob(words, VALUES, SET)
    whole = oracle.reconstructed(SET.id)
    assert (found == whole.inner_products(blob, lane, wanted.positions, wanted.rows)).all()


def test_a_partial_opening_is_that_of_plain_integers() -> None:
    wanted = vectors(size=100)
    words = encrypted(np.arange(VALUES))
    piece = oracle.pieces(SET.id)[1]
    number = bytes([SET.number])
    update = oracle.blake(words)
    drawn = oracle.stream(b"threshold-checks", number, update, size=2 * 2 * CHECKS * 64)
    weights = iter([(word >> 5) - 1024 for word in oracle.words_of(drawn, 2)])
    secret = oracle.secret(piece._seed, SET)
    scalars, checks = [0] * len(wanted.rows), [0] * CHECKS
    for block, c1 in enumerate(words[:, 1]):
        product = oracle.negacyclic(secret, oracle.crt(c1, SET.data_primes), Q)
        for index in range(CHECKS):
            checks[index] += sum(next(weights) * product[place] for place in range(64))
        for index, row in enumerate(wanted.rows.tolist()):
            for position, weight in zip(wanted.positions.tolist(), row, strict=True):
                if position // SET.values_per_ciphertext == block:
                    place = 64 + position % SET.values_per_ciphertext // 2
                    scalars[index] += weight * product[place]
    about = (piece._seed, number, ABOUT, bytes([BITS]), update)
    found = piece.partial_products(words, wanted, ABOUT, BITS)
    for part, kind, exact, extra in (
        (found.scalars, b"threshold-scalar-smudging", scalars, [wanted.digest()]),
        (found.checks, b"threshold-check-smudging", checks, []),
    ):
        drawn = oracle.stream(kind, *about, *extra, size=12 * len(exact))
        noise = oracle.smudging(drawn, BITS, len(exact))
        assert oracle.crt(part.T, SET.data_primes) == [
            (one + other) % Q for one, other in zip(exact, noise, strict=True)
        ]


def test_noise_is_that_of_one_update_and_one_set_of_vectors() -> None:
    words, wanted = encrypted(np.arange(VALUES)), vectors()
    one, again = partials(words, wanted), partials(words.copy(), vectors())
    for left, right in zip(one, again, strict=True):
        assert (left.scalars == right.scalars).all()
        assert (left.checks == right.checks).all()
    fewer = dataclasses.replace(wanted, rows=wanted.rows[:3])
    other = partials(words, fewer)[0]
    assert not (other.scalars == one[0].scalars[:3]).any()
    assert (other.checks == one[0].checks).all()
    later = partials(words, wanted, ABOUT + b"2")[0]
    assert not (later.scalars == one[0].scalars).any()
    assert not (later.checks == one[0].checks).any()


def forged(step: float, beside: np.ndarray) -> np.ndarray:
    """An update with a multiple of (0, q/t) in it, of each of its ciphertexts."""
    words = beside.copy()
    multiple = round(step * Q / SET.plain_modulus)
    added = np.array([multiple % prime for prime in SET.data_primes], np.uint64)
    words[:, 1, :, 0] = (words[:, 1, :, 0] + added) % PRIMES[:, 0]
    return words


T = SET.plain_modulus


@pytest.mark.parametrize("step", [1, 7, 0.5, 1 / 40, 2**-9, T / 2, T / 3, T // 2, -1 / 40])
def test_a_forger_gets_no_product_of_the_key(step: float) -> None:
    wanted = vectors()
    words = forged(step, encrypted(np.zeros(VALUES, np.int64)))
    opened = partials(words, wanted)
    with pytest.raises(ForgedUpdate) as refusal:
        open_products(words, opened, wanted, SET)
    assert not any(character.isdigit() for character in str(refusal.value))


def test_one_by_one_reserved_coefficients_would_show_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why they are combined: a fortieth of the key passes as zeros with noise, and is opened."""
    wanted, words = vectors(count=40), forged(1 / 40, encrypted(np.zeros(VALUES, np.int64)))

    def one_by_one(words: np.ndarray, parameters: object) -> np.ndarray:
        return np.stack([np.eye(64, dtype=np.int64), np.zeros((64, 64), np.int64)])

    for module in (
        products_module,
        *(
            __import__(f"ddcai.encryption.threshold.{name}", fromlist=["_"])
            for name in ("pieces", "combine")
        ),
    ):
        monkeypatch.setattr(module, "check_weights", one_by_one)
    key = np.sum([oracle.secret(piece._seed, SET) for piece in oracle.pieces(SET.id)], axis=0)
    told = []
    for row in range(40):  # one vector at a time: its noise must be small as well
        one = dataclasses.replace(wanted, rows=wanted.rows[row : row + 1])
        try:
            [found] = open_products(words, partials(words, one), one, SET)
        except ForgedUpdate:
            continue
        place = wanted.positions % SET.values_per_ciphertext
        of_the_key = wanted.rows[row].astype(np.int64) @ key[64 + place // 2]
        told.append(abs(found - of_the_key / 40) < 0.6)
    # About half of the draws are small enough: fewer than six of forty are not one in 10**6.
    assert len(told) > 5
    assert all(told)


def test_a_wrong_partial_opening_opens_nothing() -> None:
    wanted = vectors()
    words = encrypted(np.arange(VALUES) % LIMIT)
    good = partials(words, wanted)
    other = partials(encrypted(np.arange(VALUES) % LIMIT), wanted)
    shifted = good[0].scalars.copy()
    shifted[2] = (shifted[2] + np.array([SET.noise_room % p for p in SET.data_primes])) % PRIMES[
        :, 0
    ]
    for wrong in (
        good[:2],
        [*good, good[0]],
        [*good[:2], other[2]],
        [dataclasses.replace(good[0], scalars=shifted), *good[1:]],
        [dataclasses.replace(good[0], checks=other[0].checks), *good[1:]],
    ):
        with pytest.raises(ForgedUpdate):
            open_products(words, wrong, wanted, SET)
    expected = wanted.rows.astype(np.int64) @ (np.arange(VALUES) % LIMIT)[wanted.positions]
    assert (open_products(words, good, wanted, SET) == expected).all()


def test_malformed_words_and_vectors_are_refused() -> None:
    wanted = vectors()
    words = encrypted(np.arange(VALUES))
    good = partials(words, wanted)
    large = good[1].checks.copy()
    large[5, 2] = SET.data_primes[2]
    for change in (
        {"checks": large},
        {"checks": good[1].scalars},
        {"scalars": good[1].scalars[:2]},
        {"scalars": good[1].scalars.astype(np.int64)},
        {"scalars": None},
    ):
        bad = dataclasses.replace(good[1], **change)
        with pytest.raises(MalformedError, match="partial opening 1"):
            open_products(words, [good[0], bad, good[2]], wanted, SET)
    piece = oracle.pieces(SET.id)[0]
    with pytest.raises(MalformedError):
        piece.partial_products(words[0], wanted, ABOUT, BITS)
    with pytest.raises(MalformedError):
        open_products(words[0], good, wanted, SET)
    heavy = dataclasses.replace(wanted, rows=np.full_like(wanted.rows, 16))
    beyond = dataclasses.replace(wanted, positions=wanted.positions + 20_000)
    for bad_vectors in (heavy, beyond, dataclasses.replace(wanted, lane=1)):
        with pytest.raises(RoundError):
            piece.partial_products(words, bad_vectors, ABOUT, BITS)
        with pytest.raises(RoundError):
            open_products(words, good, bad_vectors, SET)
    batching = oracle.pieces("bfv-8192-3x20")[0]
    none = Vectors(lane=0, positions=np.arange(3), rows=np.ones((1, 3), np.int8))
    with pytest.raises(RoundError, match="opens no such product"):
        batching.partial_products(words, none, ABOUT, BITS)


def test_weights_follow_from_every_word() -> None:
    words = encrypted(np.arange(VALUES))
    weights = check_weights(words, SET)
    assert weights.shape == (2, CHECKS, SET.reserved)
    # Of 8,192 draws none falls among the outer 24 values with a chance of e**-96.
    assert -1024 <= weights.min() < -1000
    assert 1000 < weights.max() <= 1023
    assert abs(weights.mean()) < 6 * 1024 / math.sqrt(3 * weights.size) + 0.5
    for place in ((0, 0, 0, 0), (1, 1, 2, 8191)):
        changed = words.copy()
        changed[place] ^= np.uint64(1)
        assert abs(np.corrcoef(check_weights(changed, SET).ravel(), weights.ravel())[0, 1]) < 0.07


def test_honest_noise_of_checks_leaves_room() -> None:
    """Without smudging, as only a test can."""
    words = encrypted(np.arange(VALUES))
    secret = oracle.reconstructed(SET.id)._words
    rows = np.stack([_ring.noisy_message(block, secret, SET) for block in words])
    found = products(rows, vectors(), check_weights(words, SET), SET)
    for part in (found.scalars, found.checks):
        _, noise = _ring.rounded_message(part.T, SET)
        assert np.abs(noise).max() < MOST_NOISE / 2**40
