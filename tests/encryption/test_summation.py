from __future__ import annotations

import numpy as np
import pytest
import tenseal

from ddcai.encryption import _seal, summation, wire
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.summation import SumAccumulator
from ddcai.errors import MalformedError, PlanError, RoundError

from .test_wire import random_blob, random_words


def test_words_add_modulo_the_primes(parameters):
    words = [random_words(parameters, 20_000, seed) for seed in range(5)]
    blobs = [wire.to_blob(each, 20_000, parameters) for each in words]
    primes = np.array(parameters.data_primes, dtype=np.uint64)[:, None]
    expected = wire.to_blob(sum(words) % primes, 20_000, parameters)
    assert summation.add(blobs) == expected
    assert summation.add(reversed(blobs), parameters) == expected


def test_the_largest_words_at_the_most_contributors(parameters):
    """The reduction at the end is exact where it is tightest."""
    words = random_words(parameters, 1)
    for index, prime in enumerate(parameters.data_primes):
        words[:, :, index] = prime - 1 - np.arange(parameters.poly_modulus_degree) % 3
    blob = wire.to_blob(words, 1, parameters)
    accumulator = SumAccumulator(parameters, 1)
    few = min(parameters.max_contributors, 1024)
    for _ in range(few):
        accumulator.add(blob)
    # Sixteen times as many would take long to add: every word is what they come to.
    accumulator._words *= np.uint64(parameters.max_contributors // few)
    accumulator.count = parameters.max_contributors
    primes = np.array(parameters.data_primes, dtype=np.uint64)[:, None]
    expected = words * np.uint64(parameters.max_contributors) % primes
    assert (np.stack(list(accumulator.blocks())) == expected).all()
    before = accumulator.to_blob()
    with pytest.raises(PlanError, match=r"encryption\.parameter_set"):
        accumulator.add(blob)
    assert accumulator.to_blob() == before


def test_the_sum_is_the_one_that_tenseal_computes(keys, parameters):
    secret, public = keys
    values = np.arange(-100, 100)
    blobs = [public.encrypt(values * k) for k in (1, 2, 3)]
    total = summation.add(blobs)
    context = _seal.secret_context(secret._words, parameters)
    vectors = []
    for blob in blobs:
        sizes = _seal._bytes_field(1, _seal._varint(parameters.poly_modulus_degree))
        stream = _seal.ciphertext_stream(wire.parse(blob)[0], parameters, key_level=False)
        vectors.append(tenseal.bfv_vector_from(context, sizes + _seal._bytes_field(2, stream)))
    theirs = (vectors[0] + vectors[1] + vectors[2]).serialize()
    stream = _seal._read_message(theirs)[2]
    words = _seal.ciphertext_words(stream, parameters, key_level=False)
    assert (wire.parse(total)[0] == words).all()
    assert (secret.decrypt(total) == values * 6).all()


def test_a_refused_blob_leaves_the_sum_as_it_was(parameters):
    values = parameters.values_per_ciphertext + 1
    accumulator = SumAccumulator()
    good = random_blob(parameters, values)
    accumulator.add(good)
    words = random_words(parameters, values, 7)
    words[1, 0, 0, 0] = parameters.data_primes[0]  # only its second ciphertext is bad
    with pytest.raises(MalformedError):
        accumulator.add(wire.to_blob(words, values, parameters))
    with pytest.raises(MalformedError):
        accumulator.add(random_blob(parameters, values + 1))
    assert accumulator.count == 1
    assert accumulator.to_blob() == good


def test_a_refused_first_blob_fixes_nothing():
    three, two = PARAMETER_SETS["bfv-4096-3x19"], PARAMETER_SETS["bfv-4096-2x23"]
    words = random_words(three, 4)
    words[0, 1] = 0
    accumulator = SumAccumulator()
    with pytest.raises(MalformedError):
        accumulator.add(wire.to_blob(words, 4, three))
    assert accumulator.count == 0
    with pytest.raises(RoundError, match="at least one"):
        accumulator.to_blob()
    accumulator.add(random_blob(two, 9))
    assert accumulator.to_blob() == random_blob(two, 9)


def test_updates_that_cancel_are_not_a_sum(parameters):
    words = random_words(parameters, 1)
    primes = np.array(parameters.data_primes, dtype=np.uint64)[:, None]
    accumulator = SumAccumulator(parameters)
    accumulator.add(wire.to_blob(words, 1, parameters))
    accumulator.add(wire.to_blob((primes - words) % primes, 1, parameters))
    with pytest.raises(RoundError, match="readable"):
        accumulator.to_blob()
