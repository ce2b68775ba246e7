"""Pieces of a key, held against plain integers."""

from __future__ import annotations

import hashlib
import math
import pickle

import numpy as np
import pytest

from ddcai.encryption import wire
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial
from ddcai.errors import MalformedError, PlanError

from . import oracle

ABOUT = b"chain, contract, round 1"
SEED = hashlib.sha256(b"0").digest()


@pytest.mark.parametrize("set_id", oracle.SETS)
def test_a_public_share_is_that_of_plain_integers(set_id: str) -> None:
    p = PARAMETER_SETS[set_id]
    number = bytes([p.number])
    a = public_polynomial(oracle.PUBLIC_SEED, p)
    share = KeyPiece(SEED, p).public_share(a)
    n = p.poly_modulus_degree
    secret = oracle.secret(SEED, p)
    error = oracle.binomial(
        oracle.stream(b"threshold-error", SEED, number, oracle.blake(a), size=8 * n)
    )
    for row, prime in enumerate(p.primes):
        assert int(a[row].max()) < prime
        for index in (0, 1, 4097, n - 1):
            s, e = (oracle.evaluate(one, index, prime) for one in (secret, error))
            assert int(share[row, index]) == -(int(a[row, index]) * s + e) % prime


@pytest.mark.parametrize("set_id", oracle.SETS)
@pytest.mark.parametrize("bits", [55, 80])
def test_a_partial_opening_is_that_of_plain_integers(set_id: str, bits: int) -> None:
    p = PARAMETER_SETS[set_id]
    n, q = p.poly_modulus_degree, math.prod(p.data_primes)
    words = wire.parse(oracle.public_key(set_id).encrypt(np.arange(p.values_per_ciphertext + 1)))
    found = KeyPiece(SEED, p).partial(words, ABOUT, bits)
    assert found.shape == (2, len(p.data_primes), n)
    for c1, rows in zip(words[:, 1], found, strict=True):
        product = oracle.negacyclic(oracle.secret(SEED, p), oracle.crt(c1, p.data_primes), q)
        drawn = oracle.stream(
            b"threshold-smudging", SEED, bytes([p.number]), ABOUT, bytes([bits]), oracle.blake(c1),
            size=12 * n,
        )  # fmt: skip
        noise = oracle.smudging(drawn, bits, n)
        assert oracle.crt(rows, p.data_primes) == [
            (one + other) % q for one, other in zip(product, noise, strict=True)
        ]


def test_holders_of_a_seed_compute_the_same_and_others_do_not() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    a = public_polynomial(oracle.PUBLIC_SEED, p)
    words = wire.parse(oracle.public_key(p.id).encrypt(np.arange(9)))
    one, same, other = (KeyPiece(seed, p) for seed in (SEED, SEED, bytes(32)))
    assert (one.public_share(a) == same.public_share(a)).all()
    assert (one.partial(words, ABOUT, 80) == same.partial(words, ABOUT, 80)).all()
    assert not (one.public_share(a) == other.public_share(a)).any()
    assert not (public_polynomial(b"other", p) == a).any()
    twin = KeyPiece(SEED, PARAMETER_SETS["bfv-8192-2x30"])
    assert not (one._secret == twin._secret).all()


def test_another_public_polynomial_gets_another_error() -> None:
    """With one error for two polynomials, the difference of two shares shows the piece."""
    p = PARAMETER_SETS["bfv-8192-3x20"]
    piece = KeyPiece(SEED, p)
    first, second = (public_polynomial(seed, p) for seed in (b"1", b"2"))
    difference = piece.public_share(second).astype(object) - piece.public_share(first)
    for row, prime in enumerate(p.primes):
        factor = int(first[row, 0]) - int(second[row, 0])
        value = oracle.evaluate(oracle.secret(SEED, p), 0, prime)
        assert difference[row, 0] % prime != factor * value % prime


def test_many_ciphertexts_open_as_one_by_one() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    values = np.arange(p.values_per_ciphertext * 17) % 100
    words = wire.parse(oracle.public_key(p.id).encrypt(values))
    piece = KeyPiece(SEED, p)
    found = piece.partial(words, ABOUT, 80)
    for index in (0, 7, 8, 15, 16):
        assert (piece.partial(words[index : index + 1], ABOUT, 80)[0] == found[index]).all()


def test_what_is_no_sum_is_refused() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    piece = KeyPiece(SEED, p)
    good = wire.parse(oracle.public_key(p.id).encrypt(np.arange(9)))
    too_large, readable = good.copy(), good.copy()
    too_large[0, 1, 1, 5] = p.data_primes[1]
    readable[0, 1, 2] = 0
    for words, told in (
        (too_large, "not below its prime"),
        (readable, "c1 = 0"),
        (good[0], "it is uint64"),
        (good[:0], "it is uint64"),
        (good[:, :1], "it is uint64"),
        (good[:, :, :2], "it is uint64"),
        (good[..., :4096], "it is uint64"),
        (good.astype(np.int64), "it is uint64"),
        (good.tolist(), "it is uint64"),
        (np.uint64(1), "it is uint64"),
    ):
        with pytest.raises(MalformedError, match=told):
            piece.partial(words, ABOUT, 80)


def test_what_is_no_public_share_is_refused() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    a = public_polynomial(oracle.PUBLIC_SEED, p)
    share = KeyPiece(SEED, p).public_share(a)
    large = a.copy()
    large[3, 0] = p.primes[3]
    for bad in (large, a[:3], a.astype(np.float64)):
        with pytest.raises(MalformedError, match="public polynomial"):
            KeyPiece(SEED, p).public_share(bad)
        with pytest.raises(MalformedError, match="public polynomial"):
            collective_key(bad, [share], p)
        with pytest.raises(MalformedError, match="public share 1"):
            collective_key(a, [share, bad], p)
    opposite = (np.array(p.primes, np.uint64)[:, None] - share) % np.array(p.primes, np.uint64)[
        :, None
    ]
    with pytest.raises(MalformedError, match="zero polynomial"):
        collective_key(a, [share, opposite], p)


def test_a_set_without_room_is_refused() -> None:
    for set_id in ("bfv-4096-3x19", "bfv-4096-2x23"):
        with pytest.raises(PlanError, match="choose bfv-8192-3x20"):
            KeyPiece(SEED, PARAMETER_SETS[set_id])
        with pytest.raises(PlanError, match="choose bfv-8192-3x20"):
            public_polynomial(b"", PARAMETER_SETS[set_id])


def test_a_piece_does_not_show_itself() -> None:
    piece = KeyPiece(SEED, PARAMETER_SETS["bfv-8192-3x20"])
    shown = repr(piece) + str(piece) + f"{piece}"
    assert "****" in shown
    assert SEED.hex() not in shown
    assert repr(SEED) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(piece)
    with pytest.raises(MalformedError, match="32 bytes") as refusal:
        KeyPiece(b"too short", PARAMETER_SETS["bfv-8192-3x20"])
    assert "too short" not in str(refusal.value)
