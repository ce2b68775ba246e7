"""Sums opened by pieces, held against TenSEAL with the reconstructed key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi as seal

from ddcai.encryption import _ring, _seal, wire
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.encryption.summation import SumAccumulator
from ddcai.encryption.threshold.combine import open_sum
from ddcai.encryption.threshold.smudging import MOST_NOISE
from ddcai.errors import ForgedUpdate, MalformedError

from . import oracle

ABOUT = b"chain, contract, round 1"
BITS = 80


def summed(set_id: str, updates: list[np.ndarray], count: int = 3) -> np.ndarray:
    total = SumAccumulator()
    for values in updates:
        total.add(oracle.public_key(set_id, count).encrypt(values))
    return np.stack(list(total.blocks()))


def partials(words: np.ndarray, set_id: str, count: int = 3, bits: int = BITS) -> list[np.ndarray]:
    return [piece.partial(words, ABOUT, bits) for piece in oracle.pieces(set_id, count)]


def seal_decrypts(words: np.ndarray, parameters: ParameterSet) -> list[int]:
    """Coefficients of a ciphertext's message, by SEAL with the reconstructed key."""
    context, _ = _ring._engine(parameters)
    secret = oracle.reconstructed(parameters.id)._words
    fixed = _seal._PLAINTEXT.pack(_seal._parms_id(parameters, key_level=True), secret.size, 1.0)
    key, ciphertext, plain = seal.SecretKey(), seal.Ciphertext(), seal.Plaintext()
    with _ring._file(_seal._stream(fixed + _seal._array_stream(secret))) as path:
        key.load(context, path)
    with _ring._file(_seal.ciphertext_stream(words, parameters)) as path:
        ciphertext.load(context, path)
    seal.Decryptor(context, key).decrypt(ciphertext, plain)
    found = [plain[i] for i in range(plain.coeff_count())]
    return found + [0] * (parameters.poly_modulus_degree - len(found))


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(oracle.SETS), st.integers(1, 30_000), st.integers(1, 4), st.integers(0, 2**32)
)
def test_pieces_open_what_tenseal_decrypts(
    set_id: str, values: int, contributors: int, seed: int
) -> None:
    p = PARAMETER_SETS[set_id]
    limit = p.value_limit(contributors)
    rng = np.random.default_rng(seed)
    updates = [rng.integers(-limit, limit, values, endpoint=True) for _ in range(contributors)]
    words = summed(set_id, updates)
    opened = open_sum(words, partials(words, set_id), values, p, contributors * limit)
    assert opened.dtype == np.int64
    assert (opened == sum(updates)).all()
    blob = wire.to_blob(words, values, p)
    assert (opened == oracle.reconstructed(set_id).decrypt(blob)).all()


@pytest.mark.parametrize("set_id", oracle.SETS)
def test_the_opened_message_is_the_one_of_seal(set_id: str) -> None:
    p = PARAMETER_SETS[set_id]
    words = summed(set_id, [np.arange(-100, 100)] * 3)[0]
    rows = words[0].copy()
    for one in partials(words[None], set_id):
        rows = (rows + one[0]) % np.array(p.data_primes, np.uint64)[:, None]
    message, noise = _ring.rounded_message(rows, p)
    assert [int(one) % p.plain_modulus for one in message] == seal_decrypts(words, p)
    assert 0.01 < np.abs(noise).max() < MOST_NOISE


@pytest.mark.parametrize("count", [1, 10])
def test_as_many_pieces_as_there_are(count: int) -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    values = np.arange(-50, 50)
    words = summed(p.id, [values] * 2, count)
    opened = open_sum(words, partials(words, p.id, count, 78), values.size, p, 100)
    assert (opened == 2 * values).all()


@pytest.mark.parametrize("set_id", oracle.SETS)
def test_a_wrong_partial_opening_opens_nothing(set_id: str) -> None:
    p = PARAMETER_SETS[set_id]
    values = np.arange(-50, 50)
    words = summed(set_id, [values] * 2)
    good = partials(words, set_id)
    other = partials(summed(set_id, [values] * 2), set_id)
    shifted = good[0].copy()
    for row, prime in enumerate(p.data_primes):  # half a step, at one place
        shifted[0, row, 1000] = (int(shifted[0, row, 1000]) + p.noise_room) % prime
    for wrong in (
        good[:2],
        [*good, good[2]],
        [*good[:2], other[2]],
        [shifted, *good[1:]],
        [],
    ):
        with pytest.raises(ForgedUpdate):
            open_sum(words, wrong, values.size, p, 100)
    assert (open_sum(words, good, values.size, p, 100) == 2 * values).all()
    with pytest.raises(ForgedUpdate):
        open_sum(words, good, values.size, p, 98)


def test_what_is_not_zero_in_the_rest_is_refused() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    words = summed(p.id, [np.arange(-50, 50)])
    with pytest.raises(ForgedUpdate):
        open_sum(words, partials(words, p.id), 98, p, 100)


def key_itself(parameters: ParameterSet) -> np.ndarray:
    """(0, q/t): a well-formed ciphertext of the secret key, which nobody needs to know."""
    p = parameters
    step = 2 * p.noise_room
    words = np.zeros((1, 2, len(p.data_primes), p.poly_modulus_degree), np.uint64)
    words[0, 1, :, 0] = [step % prime for prime in p.data_primes]
    return words


@pytest.mark.parametrize("set_id", oracle.SETS)
@pytest.mark.parametrize("beside", [False, True])
def test_an_encryption_of_the_key_is_not_opened(set_id: str, beside: bool) -> None:
    p = PARAMETER_SETS[set_id]
    forged = key_itself(p)
    if beside:  # as one update of a sum, which looks like any other
        honest = summed(set_id, [np.zeros(p.values_per_ciphertext, np.int64)])
        forged = (forged + honest) % np.array(p.data_primes, np.uint64)[:, None]
    opened = partials(forged, set_id)
    with pytest.raises(ForgedUpdate) as refusal:
        open_sum(forged, opened, p.values_per_ciphertext, p, p.lane_max // 2)
    assert refusal.value.__cause__ is None
    # What is refused is the key: the attack works where nothing is checked.
    rows = forged[0, 0].copy()
    for one in opened:
        rows = (rows + one[0]) % np.array(p.data_primes, np.uint64)[:, None]
    message, _ = _ring.rounded_message(rows, p)
    seeds = [piece._seed for piece in oracle.pieces(set_id)]
    key = np.sum([oracle.secret(seed, p) for seed in seeds], axis=0)
    assert (message == key).all()


def test_malformed_words_are_refused() -> None:
    p = PARAMETER_SETS["bfv-8192-3x20"]
    words = summed(p.id, [np.arange(9)])
    good = partials(words, p.id)
    large = good[1].copy()
    large[0, 2, 8191] = p.data_primes[2]
    for bad in (large, good[1][0], good[1].astype(np.int64), good[1][..., :1], None):
        with pytest.raises(MalformedError, match="partial opening 1"):
            open_sum(words, [good[0], bad, good[2]], 9, p, 100)
    for total, values in ((words[0], 9), (words, 0), (words, p.values_per_ciphertext + 1)):
        with pytest.raises(MalformedError):
            open_sum(total, good, values, p, 100)
