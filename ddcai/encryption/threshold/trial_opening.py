"""A test opening: an encryption of zero that follows from the public key, so that nobody chose it.

Encrypted as anybody would encrypt (Fan and Vercauteren, ePrint 2012/144, section 3, Encrypt), with
randomness from SHAKE-256 of the key's digest. What the holders publish of it are fresh RLWE samples
of their pieces, as public shares are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ddcai.digests import tag
from ddcai.encryption import _ring
from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.threshold import sampling
from ddcai.encryption.threshold.combine import open_sum
from ddcai.encryption.threshold.opening import pack_partial, unpack_partial
from ddcai.encryption.threshold.pieces import KeyPiece
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.threshold.sharing import Piece
from ddcai.encryption.threshold.smudging import smudging_bits
from ddcai.encryption.words import WordArray
from ddcai.errors import ForgedUpdate, MalformedError


def partials(
    public: PublicKey, pieces: Mapping[Piece, KeyPiece], plan: KeyPlan
) -> dict[Piece, bytes]:
    """A holder's partial openings of the test, by piece."""
    p = plan.parameter_set
    bits = smudging_bits(p, len(plan.sharing.pieces), p.max_contributors)
    words, about = _zero(public), tag("ceremony-test") + public.digest()
    return {
        name: pack_partial(piece.partial(words, about, bits), p) for name, piece in pieces.items()
    }


def opens(public: PublicKey, found: Mapping[Piece, bytes], plan: KeyPlan) -> bool:
    """Whether partial openings of all pieces open the test to zero."""
    p = plan.parameter_set
    words = _zero(public)
    try:
        rows = [unpack_partial(found[piece], 1, p) for piece in plan.sharing.pieces]
        open_sum(words, rows, p.values_per_ciphertext, p, 0)
    except (ForgedUpdate, MalformedError):
        return False
    return True


def _zero(public: PublicKey) -> WordArray:
    """(b u + e1, a u + e2), uint64[1, 2, data primes, n]."""
    p = public.parameters
    seed = public.digest()
    primes = np.array(p.data_primes, np.uint64)[:, None]
    small = [
        draw(sampling.expander(f"ceremony-test-{kind}", seed), p.poly_modulus_degree)
        for kind, draw in (
            ("u", sampling.ternary),
            ("e1", sampling.centred_binomial),
            ("e2", sampling.centred_binomial),
        )
    ]
    u, first, second = (sampling.residues(values, p.data_primes) for values in small)
    key = public.words[:, : len(p.data_primes)]
    masked = np.concatenate([_ring.products(u[None], factor, p) for factor in key])
    return ((masked + np.stack([first, second])) % primes)[None]
