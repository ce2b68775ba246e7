"""BFV keys, encryption and decryption, through TenSEAL.

Fan and Vercauteren, Somewhat Practical Fully Homomorphic Encryption (ePrint 2012/144), in
SEAL's form: public-key encryption, batching, no relinearisation or Galois keys. Sums are
exact. Who holds the secret key can read every single update: see `ddcai.encryption.opening`
for what a key holder agrees to open.

Ciphertexts are malleable and carry no proof of what is in them.
"""

from __future__ import annotations

import hmac
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import DIGEST_BYTES, public_key_digest
from ddcai.encryption import _ring, _seal, public_file, wire
from ddcai.encryption.lanes import (
    IntArray,
    check_vectors,
    pack_lanes,
    slots_of,
    split_lanes,
    unpack_lanes,
)
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.words import WordArray, pack_words, packed_size, unpack_words
from ddcai.errors import ForgedUpdate, KeyfileError, MalformedError
from ddcai.keyfile import load_secret, save_secret

HOLDS_SECRET = "bfv-secret-key"
HOLDS_PUBLIC = "bfv-public-key"


class PublicKey:
    """The federation's public key: everybody has it, and can encrypt but not read.

    Its wire form has both polynomials (b, a) at key level, all primes, in NTT form, each
    prime's words packed at the prime's own width.
    """

    def __init__(self, parameters: ParameterSet, words: WordArray) -> None:
        """Takes words uint64[2, primes, n], already checked; see `from_blob`."""
        self._parameters = parameters
        self._words = words

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""
        return self._parameters

    @property
    def set_id(self) -> str:
        """The parameter set's name."""
        return self._parameters.id

    @property
    def words(self) -> WordArray:
        """(b, a): uint64[2, primes, n], all primes, in NTT form."""
        return self._words

    @cached_property
    def _context(self) -> Any:
        return _seal.public_context(self._words, self._parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.to_blob() == other.to_blob()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        return f"PublicKey({self._parameters.id}, digest={self.digest().hex()})"

    def to_blob(self) -> bytes:
        """The wire form, whose digest the contract holds."""
        number = self._parameters.number
        return wire.header(wire.PUBLIC_KEY, number, 0) + pack_key(self._words, self._parameters)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Reads the wire form.

        Raises:
            MalformedError: if it is not exactly a public key.
        """
        set_number, values, body = wire.read_header(blob, wire.PUBLIC_KEY)
        p = wire.known_set(set_number)
        _no_values(values)
        words = unpack_key(body, p, polynomials=2)
        if not words.any(axis=2).all():
            raise MalformedError("the public key has a zero polynomial: it would hide nothing")
        return cls(p, words)

    def digest(self) -> bytes:
        """32 bytes, as the contract holds them."""
        return public_key_digest(self.to_blob())

    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        """Encrypts values int64[v], each within +-lane_max, to a blob.

        Guarantees:
            the same values give other bytes at every call (SEAL's randomness, seeded by the
            operating system);
            `SecretKey.decrypt` gives the same values back;
            the sum of up to max_contributors blobs decrypts to the sum of their values,
            exactly, while every sum stays within +-lane_max.

        | values | result |
        |---|---|
        | none | RoundError |
        | beyond +-lane_max | RoundError |
        | not int64[v] | RoundError |
        | not a multiple of a ciphertext | the rest of the last ciphertext is zeros |
        """
        p = self._parameters
        slots = pack_lanes(values, p)
        parts = [wire.header(wire.CIPHERTEXTS, p.number, values.size)]
        for block in slots:
            if p.assessable:
                zero = _seal.encrypt_slots(self._context, [0] * len(block), p)
                words = _ring.add_message(zero, block, p)
            else:
                words = _seal.encrypt_slots(self._context, block.tolist(), p)
            parts.append(pack_words(words.reshape(-1), p.word_bits))
        return b"".join(parts)

    def save(self, path: Path | str) -> None:
        """Writes a JSON file that says what it holds; readable by all."""
        public_file.write(path, HOLDS_PUBLIC, self.set_id, self.to_blob())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            KeyfileError: if the file is missing, damaged, or holds something else.
        """
        return public_file.read(path, {HOLDS_PUBLIC: cls.from_blob})


class SecretKey:
    """The key holder's secret: opens anything encrypted under its public key."""

    def __init__(
        self, parameters: ParameterSet, words: WordArray, public_key_digest: bytes
    ) -> None:
        """Takes words uint64[primes, n] in NTT form, already checked."""
        self._parameters = parameters
        self._words = words
        self._public_key_digest = public_key_digest

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""
        return self._parameters

    @property
    def public_key_digest(self) -> bytes:
        """Digest of the matching public key, as the contract holds it."""
        return self._public_key_digest

    @cached_property
    def _context(self) -> Any:
        return _seal.secret_context(self._words, self._parameters)

    def __repr__(self) -> str:
        return f"SecretKey({self._parameters.id}, ****, opens={self._public_key_digest.hex()})"

    def __reduce__(self) -> Any:
        raise TypeError("a secret key is not pickled: use save and load")

    def decrypt(self, blob: bytes) -> NDArray[np.int64]:
        """Decrypts a blob to values int64[v].

        Opens whatever it is given. Everything but `ddcai.encryption.opening` and tests goes
        through a `KeyHolder`, which knows what may be opened.

        | blob | result |
        |---|---|
        | malformed | MalformedError, before TenSEAL sees it |
        | encrypted under another key, too many added, c0 or c1 made up | ForgedUpdate where \
the unused rest of the last ciphertext is not zero, else values without meaning |
        """
        ciphertexts = wire.open_blob(blob, self._parameters)
        slots = np.array([self._open(words) for words in ciphertexts.blocks()], dtype=np.int64)
        room = len(ciphertexts) * self._parameters.values_per_ciphertext
        values = unpack_lanes(slots, room, self._parameters)
        if values[ciphertexts.values :].any():
            raise ForgedUpdate(
                "the rest of the last ciphertext is not zero: a contributor encrypted something "
                "else than an update, or under another key; cancel the round"
            )
        return values[: ciphertexts.values]

    def inner_products(
        self, blob: bytes, lane: int, positions: NDArray[np.int64], vectors: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        """Inner products of an encrypted vector with public ones: int64[k].

        Computed on the ciphertext: c0 + c1 s is a message with noise, its inner product with a
        vector is that of the message with more noise, and only that number is rounded. With
        two lanes, the vector's product with the other lane comes along, and is dropped.
        Opens whatever it is given: see `ddcai.encryption.scalars` for what may be opened.

        Args:
            blob: ciphertexts of an assessable parameter set.
            lane: the lane of all positions.
            positions: of values in it, int64[m], ascending.
            vectors: int8[k, m], the sum of each one's magnitudes at most block_weight.

        Raises:
            MalformedError: the blob, as `decrypt`.
            ForgedUpdate: a ciphertext is none of an update: nothing of it is told.
            RoundError: another lane, or heavier vectors.
        """
        p = self._parameters
        check_vectors(lane, positions, vectors, p)
        ciphertexts = wire.open_blob(blob, p)
        block_of, slot_of = slots_of(positions, p)
        primes = np.array(p.data_primes, np.uint64)
        totals: WordArray = np.zeros((len(vectors), primes.size), np.uint64)
        for block, words in enumerate(ciphertexts.blocks()):
            here = block_of == block
            rows = _ring.noisy_message(words, self._words, p)
            _ring.checked_message(rows, p)
            rows = rows[:, slot_of[here]]
            found = _ring.inner_products(rows, vectors[:, here].astype(np.int64), p)
            totals = (totals + found) % primes
        slots, _ = _ring.rounded_message(totals.T, p)
        in_that_lane: NDArray[np.int64] = split_lanes(slots[None], p)[0, lane]
        return in_that_lane

    def derive(self, message: bytes) -> bytes:
        """32 bytes that only this key makes of a message (RFC 2104, HMAC-SHA-256).

        Args:
            message: starts with a tag of its purpose.
        """
        return hmac.digest(pack_key(self._words[None], self._parameters), message, "sha256")

    def _open(self, words: WordArray) -> IntArray | list[int]:
        if self._parameters.assessable:
            return _ring.decrypt_coefficients(words, self._words, self._parameters)
        return _seal.decrypt_slots(self._context, words, self._parameters)

    def save(self, path: Path | str, password: str, *, light: bool = False) -> None:
        """Writes the key under a password (`ddcai.keyfile.save_secret`).

        Raises:
            KeyfileError: if the file is there already, or the password is empty.
        """
        p = self._parameters
        secret = wire.header(wire.SECRET_KEY, p.number, 0) + pack_key(self._words[None], p)
        public = {"parameter_set": p.id, "public_key_digest": self._public_key_digest.hex()}
        save_secret(
            path, holds=HOLDS_SECRET, secret=secret, public=public, password=password, light=light
        )

    @classmethod
    def load(cls, path: Path | str, password: str) -> Self:
        """Reads what `save` wrote.

        Raises:
            KeyfileError: if the file is missing, damaged, or holds something else.
            WrongPassword: if the password does not open it.
        """
        secret, public = load_secret(path, holds=HOLDS_SECRET, password=password)
        try:
            digest = bytes.fromhex(public["public_key_digest"])
            set_number, values, body = wire.read_header(secret, wire.SECRET_KEY)
            p = wire.known_set(set_number)
            _no_values(values)
            words = unpack_key(body, p, polynomials=1)[0]
            if len(digest) != DIGEST_BYTES:
                raise ValueError("digest")
        except (KeyError, TypeError, ValueError, MalformedError):
            # Not chained: the cause could quote the secret.
            raise KeyfileError(f"{path} is damaged: restore it from a backup") from None
        return cls(p, words, digest)


def generate(parameters: ParameterSet) -> tuple[SecretKey, PublicKey]:
    """A fresh key pair from the operating system's randomness."""
    context = _seal.new_context(parameters)
    public_words, secret_words = _seal.key_words(context, parameters)
    public = PublicKey(parameters, public_words)
    return SecretKey(parameters, secret_words, public.digest()), public


def _no_values(values: int) -> None:
    if values != 0:
        raise MalformedError(f"a key blob names {values} values: it has none")


def pack_key(words: WordArray, parameters: ParameterSet) -> bytes:
    """Words uint64[polynomials, primes, n] of a key, each prime at its own width."""
    return b"".join(
        pack_words(row, width)
        for polynomial in words
        for row, width in zip(polynomial, parameters.coeff_mod_bit_sizes, strict=True)
    )


def unpack_key(
    body: bytes | memoryview, parameters: ParameterSet, *, polynomials: int
) -> WordArray:
    """Reads what `pack_key` gives: uint64[polynomials, primes, n].

    Raises:
        MalformedError: another number of bytes, or a word not below its prime.
    """
    p, degree = parameters, parameters.poly_modulus_degree
    sizes = [packed_size(degree, width) for width in p.coeff_mod_bit_sizes]
    if len(body) != polynomials * sum(sizes):
        raise MalformedError(
            f"a key of {p.id} has {polynomials * sum(sizes)} bytes, the blob {len(body)}"
        )
    words: WordArray = np.empty((polynomials, len(p.primes), degree), dtype=np.uint64)
    at = 0
    for polynomial in words:
        for index, prime in enumerate(p.primes):
            row = unpack_words(body[at : at + sizes[index]], degree, prime.bit_length())
            if int(row.max()) >= prime:
                raise MalformedError("the key has a coefficient not below its prime")
            polynomial[index] = row
            at += sizes[index]
    return words
