"""The layout that `_seal` reads and writes, held against TenSEAL itself."""

from __future__ import annotations

import numpy as np
import pyarrow
import pytest
import tenseal

from ddcai.encryption import _seal
from ddcai.errors import DdcaiError


def test_our_streams_are_what_tenseal_writes(parameters):
    context = _seal.new_context(parameters)
    public, secret = _seal.key_words(context, parameters)
    again = _seal.public_context(public, parameters)
    assert again.has_public_key()
    assert not again.has_secret_key()
    assert not again.has_relin_keys()
    assert not again.has_galois_keys()
    ours = _seal._read_message(again.serialize(True, False, False, False))
    theirs = _seal._read_message(context.serialize(True, False, False, False))
    assert ours == theirs
    opener = _seal.secret_context(secret, parameters)
    ours = _seal._read_message(opener.serialize(False, True, False, False))
    theirs = _seal._read_message(context.serialize(False, True, False, False))
    assert ours == theirs
    assert not opener.has_public_key()


def test_slots_round_trip_at_the_ends_of_the_range(parameters):
    context = _seal.new_context(parameters)
    public, secret = _seal.key_words(context, parameters)
    top = parameters.plain_modulus // 2
    slots = np.random.default_rng(0).integers(-top, top, parameters.poly_modulus_degree).tolist()
    slots[:4] = [top, -top, 0, -1]
    words = _seal.encrypt_slots(_seal.public_context(public, parameters), slots, parameters)
    for index, prime in enumerate(parameters.data_primes):
        assert int(words[:, index].max()) < prime
    assert _seal.decrypt_slots(_seal.secret_context(secret, parameters), words, parameters) == slots


@pytest.mark.parametrize("size", [0, 1, 200, 300, 70_000, 200_000])
def test_zstd_content_sizes(size):
    data = bytes(size)
    frame = pyarrow.Codec("zstd").compress(data, asbytes=True)
    assert _seal._zstd_content_size(frame) == size


def test_other_layouts_are_reported_not_read(parameters):
    with pytest.raises(DdcaiError, match="another layout"):
        _seal._body(bytes(40))
    stream = bytearray(_seal._stream(b"body"))
    stream[5] = 1
    with pytest.raises(DdcaiError, match="compresses otherwise"):
        _seal._body(bytes(stream))
    with pytest.raises(DdcaiError, match="another layout"):
        _seal._words(bytes(100), 0, (3,))
    for size in (10, 200):
        with pytest.raises(DdcaiError, match="another layout"):
            _seal.ciphertext_words(_seal._stream(bytes(size)), parameters, key_level=False)


def test_the_version_is_the_installed_one():
    context = tenseal.context(tenseal.SCHEME_TYPE.BFV, 4096, 40961, [36, 36, 37])
    stream = _seal._read_message(context.serialize())[1]
    assert tuple(stream[3:5]) == _seal._version()
