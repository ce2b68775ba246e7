"""One piece of a key that nobody holds, and what its holders make of it.

Multiparty BFV, Mouchet, Troncoso-Pastoriza, Bossuat and Hubaux, "Multiparty Homomorphic Encryption
from Ring-Learning-with-Errors" (PETS 2021), protocols EncKeyGen and ColKeySwitch, over replicated
pieces (`ddcai.encryption.threshold.sharing`). The collective secret is s, the sum of ternary
pieces s_A; a is public, and the public key is (b, a) with b the sum of -(a s_A + e_A).

It is secure against those who look. A holder applies its pieces only to a sum that it recomputed
from ciphertexts which the chain had sealed: of a c1 that somebody chose, such as 2**100, the
opening is the piece itself, whatever the smudging.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ddcai.encryption import _ring
from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.lanes import IntArray
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.scalars import Vectors
from ddcai.encryption.threshold import sampling
from ddcai.encryption.threshold._checks import check_words
from ddcai.encryption.threshold.products import Products, check_asked, check_weights, products
from ddcai.encryption.words import WordArray
from ddcai.errors import MalformedError, PlanError

SEED_BYTES = 32


def public_polynomial(seed: bytes, parameters: ParameterSet) -> WordArray:
    """The a of a public key: uint64[primes, n], all primes, in NTT form; uniform.

    Args:
        seed: public; all holders contributed to it, each before it knew the others' parts.
        parameters: the federation's set.

    Raises:
        PlanError: a set without room for a threshold.
    """
    _check_set(parameters)
    rows = [
        sampling.uniform(
            sampling.expander("threshold-public", seed, _set(parameters), bytes([row])),
            prime,
            parameters.poly_modulus_degree,
        )
        for row, prime in enumerate(parameters.primes)
    ]
    return np.stack(rows)


class KeyPiece:
    """A piece of the secret key. All its holders have its seed, and compute the same from it.

    Args:
        seed: 32 secret bytes, to which all holders of the piece contributed.
        parameters: the federation's set.

    Raises:
        MalformedError: a seed of another length.
        PlanError: a set without room for a threshold.
    """

    def __init__(self, seed: bytes, parameters: ParameterSet) -> None:
        if not isinstance(seed, bytes) or len(seed) != SEED_BYTES:
            raise MalformedError(f"the seed of a piece has {SEED_BYTES} bytes: make the key again")
        _check_set(parameters)
        self._seed = seed
        self._parameters = parameters

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""
        return self._parameters

    def __repr__(self) -> str:
        return f"KeyPiece({self._parameters.id}, ****)"

    def __reduce__(self) -> Any:
        raise TypeError("a piece of a key is not pickled: save its seed under a password")

    def public_share(self, a: WordArray) -> WordArray:
        """-(a s_A + e_A): uint64[primes, n], all primes, in NTT form; public.

        Args:
            a: `public_polynomial` of a seed, computed by this holder; never words that somebody
                sent, for 2**100 as a would show the piece.

        The error is drawn for this a alone: under another a the same one would show the piece.

        Raises:
            MalformedError: a is of another shape.
        """
        p = self._parameters
        primes = np.array(p.primes, np.uint64)[:, None]
        check_words(a, (len(p.primes), p.poly_modulus_degree), p.primes, "the public polynomial")
        error = sampling.centred_binomial(
            self._expander("threshold-error", sampling.digest(a)), p.poly_modulus_degree
        )
        error_ntt = _key_ntt(error, p)
        product = _ring.multiply(a, self._secret, primes)
        return (primes - (product + error_ntt) % primes) % primes

    def partial(self, ciphertexts: WordArray, about: bytes, bits: int) -> WordArray:
        """s_A c1 with smudging noise, of each ciphertext: uint64[c, data primes, n].

        Args:
            ciphertexts: uint64[c, 2, data primes, n]: a sum that this holder computed itself
                from ciphertexts which the chain had sealed, and nothing else.
            about: what is opened: chain, contract, round, list.
            bits: of the noise, `smudging.smudging_bits`: uniform from -2**bits to 2**bits - 1 in
                each coefficient.

        Guarantees:
            the noise is a pseudo-random function of the seed at (about, bits, c1): asked again, a
            holder gives the same bytes, and so does every other holder of the piece;
            another c1 or another ``about`` has noise of its own.

        Raises:
            MalformedError: words of another shape, not below their prime, or a c1 that is zero.
        """
        p = self._parameters
        check_ciphertexts(ciphertexts, p)
        c1 = ciphertexts[:, 1]
        opened = _ring.products(c1, self._secret[: len(p.data_primes)], p)
        primes = np.array(p.data_primes, np.uint64)[:, None]
        for one, out in zip(c1, opened, strict=True):
            expand = self._expander(
                "threshold-smudging", about, bytes([bits]), sampling.digest(one)
            )
            out += sampling.smudging(expand, bits, p.data_primes, p.poly_modulus_degree)
            np.minimum(out, out - primes, out=out)
        return opened

    def partial_products(
        self, ciphertexts: WordArray, vectors: Vectors, about: bytes, bits: int
    ) -> Products:
        """Inner products of s_A c1 with vectors, and of its reserved coefficients, with noise.

        Args:
            ciphertexts: one update, uint64[c, 2, data primes, n], that the chain has.
            vectors: derived by this holder itself (`ddcai.encryption.scalars`).
            about: what is opened: chain, contract, round, update.
            bits: of the noise, as `partial`.

        Guarantees:
            the noise is as repeatable as that of `partial`, and of these vectors alone.

        Raises:
            MalformedError: as `partial`.
            RoundError: vectors that the set does not open.
        """
        p = self._parameters
        check_ciphertexts(ciphertexts, p)
        check_asked(vectors, len(ciphertexts), p)
        secret = self._secret[: len(p.data_primes)]
        opened = _ring.products(ciphertexts[:, 1], secret, p)
        found = products(opened, vectors, check_weights(ciphertexts, p), p)
        update = sampling.digest(ciphertexts)
        parts = (about, bytes([bits]), update)
        scalars = self._expander("threshold-scalar-smudging", *parts, vectors.digest())
        checks = self._expander("threshold-check-smudging", *parts)
        return Products(
            _smudged(found.scalars, scalars, bits, p), _smudged(found.checks, checks, bits, p)
        )

    @cached_property
    def _secret(self) -> WordArray:
        """s_A: uint64[primes, n] in NTT form."""
        p = self._parameters
        drawn = sampling.ternary(self._expander("threshold-secret"), p.poly_modulus_degree)
        return _key_ntt(drawn, p)

    def _expander(self, kind: str, *parts: bytes) -> sampling.Expander:
        return sampling.expander(kind, self._seed, _set(self._parameters), *parts)


def collective_key(
    a: WordArray, shares: Sequence[WordArray], parameters: ParameterSet
) -> PublicKey:
    """The public key of all pieces together.

    Args:
        a: `public_polynomial`.
        shares: `KeyPiece.public_share` of every piece, each recomputed or agreed on by all of
            its holders.
        parameters: the federation's set.

    Raises:
        MalformedError: words of another shape or not below their prime, or a sum of zero.
    """
    shape = (len(parameters.primes), parameters.poly_modulus_degree)
    primes = np.array(parameters.primes, np.uint64)[:, None]
    check_words(a, shape, parameters.primes, "the public polynomial")
    b: WordArray = np.zeros(shape, np.uint64)
    for number, share in enumerate(shares):
        check_words(share, shape, parameters.primes, f"public share {number}")
        b = (b + share) % primes
    return PublicKey.from_blob(PublicKey(parameters, np.stack([b, a])).to_blob())


def check_ciphertexts(words: WordArray, parameters: ParameterSet) -> None:
    """Refuses what are not the words of one ciphertext or more.

    Raises:
        MalformedError: words of another shape, not below their prime, or a c1 that is zero.
    """
    inner = (2, len(parameters.data_primes), parameters.poly_modulus_degree)
    count = len(words) if isinstance(words, np.ndarray) and words.ndim else 1
    check_words(words, (max(count, 1), *inner), parameters.data_primes, "a sum")
    if not words[:, 1].any(axis=2).all():
        raise MalformedError("a sum with c1 = 0: anybody could read it")


def _smudged(
    products_: WordArray, expand: sampling.Expander, bits: int, parameters: ParameterSet
) -> WordArray:
    """Residues uint64[k, data primes] with noise."""
    primes = parameters.data_primes
    noise = sampling.smudging(expand, bits, primes, len(products_)).T
    smudged: WordArray = (products_ + noise) % np.array(primes, np.uint64)
    return smudged


def _key_ntt(values: IntArray, parameters: ParameterSet) -> WordArray:
    """Small coefficients int64[n] in NTT form, modulo all primes."""
    level = _ring.key_level(parameters)
    words = sampling.residues(values, parameters.primes)
    transformed: WordArray = _ring.to_ntt(np.stack([words, words]), level)[0]
    return transformed


def _set(parameters: ParameterSet) -> bytes:
    return bytes([parameters.number])


def _check_set(parameters: ParameterSet) -> None:
    if not parameters.opened_by_threshold:
        raise PlanError(
            f"encryption.parameter_set is {parameters.id}: it has no room for the noise that key "
            "holders who open together hide behind; choose bfv-8192-3x20"
        )
