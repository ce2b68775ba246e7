from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption import wire
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.errors import MalformedError

SETS = list(PARAMETER_SETS.values())


def random_words(parameters: ParameterSet, values: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (parameters.ciphertexts(values), 2, 1, parameters.poly_modulus_degree)
    return np.concatenate(
        [rng.integers(0, prime, shape, dtype=np.uint64) for prime in parameters.data_primes],
        axis=2,
    )


def random_blob(parameters: ParameterSet, values: int, seed: int = 0) -> bytes:
    return wire.to_blob(random_words(parameters, values, seed), values, parameters)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SETS), st.integers(1, 30_000), st.integers(0, 2**32))
def test_round_trip_and_size(parameters, values, seed):
    words = random_words(parameters, values, seed)
    blob = wire.to_blob(words, values, parameters)
    blocks = parameters.ciphertexts(values)
    assert len(blob) == wire.HEADER_BYTES + blocks * parameters.bytes_per_ciphertext
    assert (wire.parse(blob) == words).all()
    assert wire.to_blob(wire.parse(blob, parameters, values), values, parameters) == blob


def test_the_documented_layout(parameters):
    words = random_words(parameters, 5)
    blob = wire.to_blob(words, 5, parameters)
    assert blob[:11] == bytes([1, 1, parameters.number]) + (5).to_bytes(8, "little")
    stream = int.from_bytes(blob[11:], "little")
    mask = (1 << parameters.word_bits) - 1
    for polynomial, prime, coefficient in [(0, 0, 0), (0, 1, 17), (1, 0, 4095), (1, 1, 4095)]:
        place = (
            polynomial * len(parameters.data_primes) + prime
        ) * parameters.poly_modulus_degree + coefficient
        word = stream >> (place * parameters.word_bits) & mask
        assert word == words[0, polynomial, prime, coefficient]


GOOD = {entry.id: random_blob(entry, 3) for entry in SETS}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SETS), st.data())
def test_damaged_blobs_are_refused_or_are_other_ciphertexts(parameters, data):
    """Nothing but MalformedError comes out, and what is accepted is canonical."""
    blob = bytearray(GOOD[parameters.id])
    how = data.draw(st.sampled_from(["flip", "flip header", "cut", "pad", "splice"]))
    if how == "flip":
        bit = data.draw(st.integers(0, len(blob) * 8 - 1))
        blob[bit // 8] ^= 1 << bit % 8
    elif how == "flip header":
        bit = data.draw(st.integers(0, wire.HEADER_BYTES * 8 - 1))
        blob[bit // 8] ^= 1 << bit % 8
    elif how == "cut":
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    elif how == "pad":
        blob += data.draw(st.binary(min_size=1, max_size=40))
    else:
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at : at + 20] = data.draw(st.binary(min_size=1, max_size=40))
    changed = bytes(blob)
    try:
        words = wire.parse(changed, parameters, 3)
    except MalformedError:
        return
    assert how not in ("flip header", "cut", "pad")
    assert wire.to_blob(words, 3, parameters) == changed


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(blob):
    with pytest.raises(MalformedError):
        wire.parse(blob)


@pytest.mark.parametrize("blob", [None, "text", 7, [1, 2], np.zeros(20, dtype=np.int64)])
def test_what_is_not_bytes(blob):
    with pytest.raises(MalformedError, match="no blob"):
        wire.parse(blob)
    with pytest.raises(MalformedError, match="plain buffer"):
        wire.parse(memoryview(np.zeros((4, 4))))


def test_a_coefficient_not_below_its_prime(parameters):
    for block, polynomial, prime in np.ndindex(2, 2, len(parameters.data_primes)):
        words = random_words(parameters, parameters.values_per_ciphertext + 1)
        words[block, polynomial, prime, 100] = parameters.data_primes[prime]
        with pytest.raises(MalformedError, match=f"ciphertext {block} .* below its prime"):
            wire.check(wire.to_blob(words, parameters.values_per_ciphertext + 1, parameters))
        words[block, polynomial, prime, 100] -= np.uint64(1)
        wire.check(wire.to_blob(words, parameters.values_per_ciphertext + 1, parameters))


def test_a_transparent_ciphertext(parameters):
    words = random_words(parameters, 1)
    words[0, 1] = 0
    with pytest.raises(MalformedError, match="c1 = 0"):
        wire.check(wire.to_blob(words, 1, parameters))
    words = random_words(parameters, 1)
    words[0, 1, 1] = 0  # modulo one prime only
    with pytest.raises(MalformedError, match="c1 = 0"):
        wire.check(wire.to_blob(words, 1, parameters))


def test_counts_and_sets_that_do_not_fit(parameters):
    blob = random_blob(parameters, 3)
    other = next(entry for entry in SETS if entry != parameters)
    with pytest.raises(MalformedError, match="the federation uses"):
        wire.check(blob, other)
    with pytest.raises(MalformedError, match="needs 4"):
        wire.check(blob, parameters, 4)
    with pytest.raises(MalformedError, match="no values"):
        wire.check(wire.header(wire.CIPHERTEXTS, parameters.number, 0) + blob[11:])
    huge = wire.header(wire.CIPHERTEXTS, parameters.number, 2**64 - 1) + blob[11:]
    with pytest.raises(MalformedError, match="the blob has"):
        wire.check(huge)
    with pytest.raises(MalformedError, match="no parameter set"):
        wire.check(wire.header(wire.CIPHERTEXTS, 99, 3) + blob[11:])
    with pytest.raises(MalformedError, match="a public key"):
        wire.check(wire.header(wire.PUBLIC_KEY, parameters.number, 3) + blob[11:])
    with pytest.raises(MalformedError, match="version 2"):
        wire.check(b"\2" + blob[1:])


def test_one_count_one_form(parameters):
    """Two counts with the same ciphertexts are two blobs, and only the right one is taken."""
    blob = random_blob(parameters, 3)
    assert blob != random_blob(parameters, 4)
    assert wire.parse(blob, parameters, 3).shape == wire.parse(random_blob(parameters, 4)).shape
