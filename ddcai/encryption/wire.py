"""The wire form of ciphertexts: ours, canonical, strictly parsed.

| bytes | content |
|---|---|
| 1 | version, 1 |
| 1 | kind: 1 ciphertexts, 2 public key, 3 secret key, 4 opened sum; the compact scheme's beside |
| 1 | parameter set's number (0 for an opened sum) |
| 8 | number of values, little-endian (0 for keys) |
| ... | ciphertext after ciphertext, as packed words |

A ciphertext is polynomial c0 then c1, in each data prime by data prime, in each coefficient by
coefficient.

Every ciphertext has the same size and fills whole bytes: there is no padding to vary, and
one update has one byte form. Its digest is what the chain holds. SEAL's own bytes change
with its version and are never hashed or stored.

Refused by `MalformedError`, before any library sees a byte: another version, kind or
set; a length that is not exactly right (truncated, trailing bytes); no values; a word not
below its prime; a ciphertext whose c1 is zero modulo a prime, which anybody could read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from ddcai.encryption.parameters import PARAMETER_SETS_BY_NUMBER, ParameterSet
from ddcai.encryption.words import WordArray, pack_words, unpack_words
from ddcai.errors import MalformedError

VERSION = 1
CIPHERTEXTS, PUBLIC_KEY, SECRET_KEY, OPENED = 1, 2, 3, 4
KIND_NAMES = {
    CIPHERTEXTS: "ciphertexts",
    PUBLIC_KEY: "a public key",
    SECRET_KEY: "a secret key",
    OPENED: "an opened sum",
}
_HEADER = struct.Struct("<BBBQ")
HEADER_BYTES = _HEADER.size

Blob = bytes | bytearray | memoryview


def header(kind: int, set_number: int, values: int) -> bytes:
    """The first 11 bytes of a blob."""
    return _HEADER.pack(VERSION, kind, set_number, values)


def kind_of(blob: Blob) -> int | None:
    """The kind that a blob says it is of, of whatever scheme; None for one too short to say."""
    return blob[1] if isinstance(blob, bytes | bytearray) and len(blob) > 1 else None


def read_header(blob: Blob, kind: int) -> tuple[int, int, memoryview]:
    """Checks version and kind; returns the set's number, the number of values and the body.

    Raises:
        MalformedError: for anything that is no blob of this kind.
    """
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise MalformedError(f"a {type(blob).__name__} is no blob: give bytes")
    view = memoryview(blob)
    if view.format != "B" or view.ndim != 1 or not view.contiguous:
        raise MalformedError("not a plain buffer of bytes: give bytes")
    if len(view) < HEADER_BYTES:
        raise MalformedError(f"{len(view)} bytes are too few for a header: the blob is cut off")
    version, found, set_number, values = _HEADER.unpack_from(view)
    if version != VERSION:
        raise MalformedError(f"version {version} of the wire form: this library reads {VERSION}")
    if found != kind:
        name = KIND_NAMES.get(found, f"unknown ({found})")
        raise MalformedError(f"the blob's kind is {name}, not {KIND_NAMES[kind]}")
    return set_number, values, view[HEADER_BYTES:]


def known_set(set_number: int, expected: ParameterSet | None = None) -> ParameterSet:
    """The parameter set of that number.

    Raises:
        MalformedError: if there is none, or another one is expected.
    """
    found = PARAMETER_SETS_BY_NUMBER.get(set_number)
    if found is None:
        raise MalformedError(f"no parameter set has the number {set_number}")
    if expected is not None and found != expected:
        raise MalformedError(f"the blob is for {found.id}, the federation uses {expected.id}")
    return found


@dataclass(frozen=True)
class Ciphertexts:
    """A blob whose header and length were checked; its words are checked as they are read.

    Attributes:
        parameters: the parameter set.
        values: number of encrypted values.
    """

    parameters: ParameterSet
    values: int
    _body: memoryview

    def __len__(self) -> int:
        return self.parameters.ciphertexts(self.values)

    def packed(self, block: int) -> memoryview:
        """The packed bytes of one ciphertext."""
        size = self.parameters.bytes_per_ciphertext
        return self._body[block * size : (block + 1) * size]

    def blocks(self) -> Iterator[WordArray]:
        """Each ciphertext as uint64[2, data primes, n], checked.

        Raises:
            MalformedError: at the first bad one.
        """
        p = self.parameters
        shape = (2, len(p.data_primes), p.poly_modulus_degree)
        primes = np.array(p.data_primes, dtype=np.uint64)
        for block in range(len(self)):
            words = unpack_words(self.packed(block), p.words_per_ciphertext, p.word_bits)
            words = words.reshape(shape)
            largest = words.max(axis=2)
            if (largest >= primes).any():
                raise MalformedError(f"ciphertext {block} has a coefficient not below its prime")
            if not largest[1].all():
                raise MalformedError(f"ciphertext {block} has c1 = 0: it would be readable")
            yield words


def open_blob(
    blob: Blob, parameters: ParameterSet | None = None, values: int | None = None
) -> Ciphertexts:
    """Checks header and length of a blob of ciphertexts.

    Args:
        blob: from anybody.
        parameters: the only set to accept, if given.
        values: the only number of values to accept, if given.

    Raises:
        MalformedError: if it is not exactly what it should be.
    """
    set_number, found, body = read_header(blob, CIPHERTEXTS)
    p = known_set(set_number, parameters)
    if found < 1:
        raise MalformedError("a blob of no values")
    if values is not None and found != values:
        raise MalformedError(f"the blob has {found} values, the model needs {values}")
    expected = p.ciphertexts(found) * p.bytes_per_ciphertext
    if len(body) != expected:
        raise MalformedError(
            f"{found} values take {expected} bytes after the header, the blob has {len(body)}"
        )
    return Ciphertexts(p, found, body)


def parse(
    blob: Blob, parameters: ParameterSet | None = None, values: int | None = None
) -> WordArray:
    """All words of a blob as uint64[ciphertexts, 2, data primes, n]; see `open_blob`."""
    return np.stack(list(open_blob(blob, parameters, values).blocks()))


def check(
    blob: Blob, parameters: ParameterSet | None = None, values: int | None = None
) -> Ciphertexts:
    """Checks a blob to its last word, without keeping the words; see `open_blob`."""
    ciphertexts = open_blob(blob, parameters, values)
    for _ in ciphertexts.blocks():
        pass
    return ciphertexts


def to_blob(words: Iterable[WordArray], values: int, parameters: ParameterSet) -> bytes:
    """The blob of words uint64[ciphertexts, 2, data primes, n], each below its prime.

    A ciphertext is taken at a time, and none is kept beside the blob.
    """
    blob = BytesIO()
    blob.write(header(CIPHERTEXTS, parameters.number, values))
    for block in words:
        blob.write(pack_words(block.reshape(-1), parameters.word_bits))
    return blob.getvalue()
