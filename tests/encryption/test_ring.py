"""Coefficient messages and ring products, held against SEAL's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi as seal

from ddcai.encryption import _ring, _seal, wire
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.errors import DdcaiError

from .conftest import key_pair

SET = PARAMETER_SETS["bfv-8192-2x30"]
PRIMES = np.array(SET.data_primes, np.uint64)[:, None]


def _seal_parts():
    """SEAL's context, decryptor and evaluator for the test's key."""
    secret, _ = key_pair(SET.id)
    context, evaluator = _ring._engine(SET)
    fixed = _seal._PLAINTEXT.pack(_seal._parms_id(SET, key_level=True), secret._words.size, 1.0)
    key = seal.SecretKey()
    with _ring._file(_seal._stream(fixed + _seal._array_stream(secret._words))) as path:
        key.load(context, path)
    return context, seal.Decryptor(context, key), evaluator


def _load(context, words):
    ciphertext = seal.Ciphertext()
    with _ring._file(_seal.ciphertext_stream(words, SET)) as path:
        ciphertext.load(context, path)
    return ciphertext


def _coefficients(plain) -> list[int]:
    return [plain[i] for i in range(plain.coeff_count())]


def test_seal_decrypts_what_we_encode():
    context, decryptor, _ = _seal_parts()
    secret, public = key_pair(SET.id)
    rng = np.random.default_rng(1)
    half = SET.plain_modulus // 2
    message = rng.integers(-half, half, SET.poly_modulus_degree, endpoint=True)
    message[: SET.reserved] = 0
    message[SET.reserved :][:3] = [half, -half, 1]
    zero = _seal.encrypt_slots(public._context, [0] * message.size, SET)
    words = _ring.add_message(zero, message, SET)
    plain = seal.Plaintext()
    decryptor.decrypt(_load(context, words), plain)
    assert _coefficients(plain) == [int(one) % SET.plain_modulus for one in message]
    assert (_ring.decrypt_coefficients(words, secret._words, SET) == message).all()
    assert decryptor.invariant_noise_budget(_load(context, words)) > 70


def test_an_inner_product_is_a_coefficient_of_multiply_plain():
    """<m, x> is coefficient n - 1 of m(X) x'(X), x' being x reversed: what SEAL gives."""
    context, decryptor, evaluator = _seal_parts()
    secret, public = key_pair(SET.id)
    n, rng = SET.poly_modulus_degree, np.random.default_rng(2)
    values = rng.integers(-8738, 8738, SET.values_per_ciphertext, endpoint=True)
    words = wire.parse(public.encrypt(values))[0]
    x = np.zeros(n, np.int8)
    x[rng.choice(n, 4096, replace=False)] = rng.integers(-15, 15, 4096, endpoint=True)
    plain = seal.Plaintext(n)
    text = " + ".join(
        f"{int(one) % SET.plain_modulus:X}x^{n - 1 - place}"
        if place < n - 1
        else f"{int(one) % SET.plain_modulus:X}"
        for place, one in enumerate(x)
        if one
    )
    plain = seal.Plaintext(text)
    product, opened = seal.Ciphertext(), seal.Plaintext()
    evaluator.multiply_plain(_load(context, words), plain, product)
    decryptor.decrypt(product, opened)
    theirs = opened[n - 1]
    rows = _ring.noisy_message(words, secret._words, SET)
    total = _ring.inner_products(rows, x[None].astype(np.int64), SET)
    [rounded], _ = _ring.rounded_message(total.T, SET)
    assert int(rounded) % SET.plain_modulus == theirs
    used = x[SET.reserved :].astype(np.int64)
    low, high = (int(values[lane::2] @ used) for lane in (0, 1))
    assert rounded == low + (high << 30)


@given(st.lists(st.tuples(*[st.integers(0, 2**48)] * 2), min_size=1, max_size=20), st.data())
def test_products_are_those_of_integers(pairs, data):
    prime = data.draw(st.sampled_from(SET.data_primes))
    left, right = ([min(pair[side], prime - 1) for pair in pairs] for side in (0, 1))
    found = _ring.multiply(
        np.array(left, np.uint64), np.array(right, np.uint64), np.array(prime, np.uint64)
    )
    assert found.tolist() == [a * b % prime for a, b in zip(left, right, strict=True)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 300), st.booleans())
def test_inner_products_are_those_of_integers(seed, count, size, extreme):
    rng = np.random.default_rng(seed)
    rows = np.array([rng.integers(0, prime, size) for prime in SET.data_primes], np.uint64)
    vectors = rng.integers(-127, 127, (count, size), endpoint=True)
    if extreme:
        rows[:], vectors[:] = PRIMES - np.uint64(1), (-1) ** (seed % 2) * (2**28 // size - 1)
    for vector, total in zip(vectors, _ring.inner_products(rows, vectors, SET), strict=True):
        for row, found, prime in zip(rows, total, SET.data_primes, strict=True):
            assert (
                int(found) == sum(int(a) * int(b) for a, b in zip(row, vector, strict=True)) % prime
            )


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(PARAMETER_SETS)))
def test_rounding_is_that_of_integers(data, set_id):
    p = PARAMETER_SETS[set_id]
    t, q = p.plain_modulus, math.prod(p.data_primes)
    near = st.builds(
        lambda m, away: (q * m // t + away) % q, st.integers(0, t), st.integers(-(q // t), q // t)
    )
    values = data.draw(st.lists(st.one_of(st.integers(0, q - 1), near), min_size=1, max_size=20))
    rows = np.array([[value % prime for value in values] for prime in p.data_primes], np.uint64)
    message, noise = _ring.rounded_message(rows, p)
    for value, found, away in zip(values, message.tolist(), noise.tolist(), strict=True):
        assert -(t // 2) <= found <= t // 2
        # In steps of q/t: exactly, found + noise = t value / q, modulo t.
        rest = (t * value - found * q + t * q // 2) % (t * q) - t * q // 2
        assert abs(rest / q - away) < 2**-48
        assert abs(away) <= 0.5


def test_products_are_those_of_a_transform_there_and_back():
    rng = np.random.default_rng(3)
    some = np.stack([rng.integers(0, prime, (9, 8192)) for prime in SET.data_primes], axis=1)
    some = some.astype(np.uint64)
    factor = _ring.to_ntt(some[:2], SET)[0]
    found = _ring.products(some, factor, SET)
    for index in (0, 7, 8):
        pair = some[[index, index]]
        ntt = _ring.multiply(_ring.to_ntt(pair, SET), factor[None], PRIMES)
        assert (_ring._transform(ntt, SET, to_ntt=False)[0] == found[index]).all()


def test_a_system_without_memory_files_is_told(monkeypatch):
    monkeypatch.delattr("os.memfd_create")
    secret, public = key_pair(SET.id)
    blob = public.encrypt(np.arange(5))  # a contributor needs none
    with pytest.raises(DdcaiError, match="opened on Linux alone"):
        secret.decrypt(blob)
