"""What is tried against key holders who open together: each attack is planted, and works where
what stands in its way is taken out."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from ddcai.encryption import _ring
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.summation import SumAccumulator
from ddcai.encryption.threshold import sampling, smudging
from ddcai.encryption.threshold.combine import open_sum
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial
from ddcai.encryption.threshold.sharing import Sharing

from . import oracle

SET = PARAMETER_SETS["bfv-8192-3x20"]
DEGREE = SET.poly_modulus_degree
PRIMES = np.array(SET.data_primes, np.uint64)[:, None]
Q = math.prod(SET.data_primes)
ABOUT = b"chain, contract, round 1"
BITS = smudging.smudging_bits(SET, 3, 1024)
SIGMAS = 6.0


def chosen(c1: int) -> np.ndarray:
    """A ciphertext with c1 a constant, as no encryption is."""
    words = np.zeros((1, 2, len(SET.data_primes), DEGREE), np.uint64)
    words[0, 1, :, 0] = [c1 % prime for prime in SET.data_primes]
    return words


def integers(rows: np.ndarray) -> list[int]:
    return [oracle.centred(one, Q) for one in oracle.crt(rows, SET.data_primes)]


def piece_and_secret(seed: bytes = b"piece") -> tuple[KeyPiece, np.ndarray]:
    seed = hashlib.sha256(seed).digest()
    return KeyPiece(seed, SET), np.array(oracle.secret(seed, SET))


def correlation(opened: list[int] | np.ndarray, secret: np.ndarray) -> float:
    """Of an opening with the piece, in standard deviations of what chance would give."""
    found = np.corrcoef(np.array(opened, float), secret)[0, 1]
    return abs(float(found)) * math.sqrt(len(secret))


# --- a c1 that somebody chose ---


def test_a_key_scaled_like_noise_is_hidden_by_the_smudging_of_the_plan() -> None:
    """2**40 is far above any honest noise (2**13): an opening tells nothing of the piece."""
    piece, secret = piece_and_secret()
    words = chosen(2**40)
    assert correlation(integers(piece.partial(words, ABOUT, BITS)[0]), secret) < SIGMAS
    # With fewer bits the same regression finds it, and with fewer than 40 it is read off.
    assert correlation(integers(piece.partial(words, ABOUT, 43)[0]), secret) > SIGMAS
    narrow = integers(piece.partial(words, ABOUT, 30)[0])
    assert [round(one / 2**40) for one in narrow] == secret.tolist()


@pytest.mark.parametrize("bits", [55, BITS])
def test_no_smudging_hides_a_piece_from_a_c1_that_is_wider(bits: int) -> None:
    """Why a holder applies a piece to nothing but a sum that it recomputed from sealed updates."""
    piece, secret = piece_and_secret()
    opened = integers(piece.partial(chosen(2**100), ABOUT, bits)[0])
    assert [round(one / 2**100) for one in opened] == secret.tolist()


# --- noise that is reused, or drawn again ---


def some_sum(updates: list[np.ndarray]) -> np.ndarray:
    total = SumAccumulator()
    for values in updates:
        total.add(oracle.public_key(SET.id).encrypt(values))
    return np.stack(list(total.blocks()))


def noise_of(piece: KeyPiece, words: np.ndarray, about: bytes) -> np.ndarray:
    product = _ring.products(words[:, 1], piece._secret[:-1], SET)[0]
    return _signed((piece.partial(words, about, BITS)[0] + PRIMES - product) % PRIMES) / 2**BITS


def test_another_sum_or_another_round_has_noise_of_its_own() -> None:
    piece, _ = piece_and_secret()
    words = some_sum([np.arange(9)])
    beside = words.copy()
    beside[0, 1, :, 0] = (beside[0, 1, :, 0] + np.uint64(1)) % PRIMES[:, 0]
    drawn = [
        noise_of(piece, *asked)
        for asked in ((words, ABOUT), (words, ABOUT + b"1"), (beside, ABOUT), (words, b""))
    ]
    for number, one in enumerate(drawn):
        assert -1 <= one.min() < one.max() < 1
        for other in drawn[:number]:
            assert correlation(one, other) < SIGMAS
    assert (noise_of(piece, words, ABOUT) == drawn[0]).all()


def test_noise_that_did_not_depend_on_the_sum_would_show_the_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two sums whose c1 differ by 1: with one noise, the difference is the piece."""
    piece, secret = piece_and_secret()
    words = some_sum([np.arange(9)])
    beside = words.copy()
    beside[0, 1, :, 0] = (beside[0, 1, :, 0] + np.uint64(1)) % PRIMES[:, 0]

    def difference() -> list[int]:
        first, second = (piece.partial(one, ABOUT, BITS)[0] for one in (words, beside))
        return integers((second + PRIMES - first) % PRIMES)

    assert correlation(difference(), secret) < SIGMAS
    monkeypatch.setattr(sampling, "digest", lambda words: b"")
    assert difference() == secret.tolist()


def test_a_retry_gives_the_same_bytes_where_fresh_noise_would_average_away() -> None:
    piece, secret = piece_and_secret()
    words = chosen(2 ** (BITS - 8))
    first = piece.partial(words, ABOUT, BITS)
    retries = [piece.partial(words.copy(), ABOUT, BITS) for _ in range(3)]
    assert all((one == first).all() for one in retries)
    assert correlation(integers(first[0]), secret) < SIGMAS
    # A round for each of 300 openings of one c1, which no holder agrees to.
    total = np.zeros(DEGREE)
    for number in range(300):
        rows = piece.partial(words, ABOUT + b"%d" % number, BITS)[0]
        # Two primes are enough for numbers of 82 bits, and floats for a mean.
        total += _signed(rows)
    assert correlation(total, secret) > SIGMAS


def _signed(rows: np.ndarray) -> np.ndarray:
    """Signed numbers below 2**94 by Garner's method, as float64."""
    p0, p1 = SET.data_primes[:2]
    modulus = np.array(p1, np.uint64)
    less = (rows[1] + modulus - rows[0] % modulus) % modulus
    digit = _ring.multiply(less, np.array(pow(p0, -1, p1), np.uint64), modulus).astype(np.int64)
    digit -= np.where(digit > p1 // 2, p1, 0)
    return rows[0].astype(np.float64) + digit.astype(np.float64) * p0


# --- a holder that answers something else ---


def test_a_shifted_opening_is_seen_by_another_holder_of_the_piece() -> None:
    sharing = Sharing(3, 2)
    words = some_sum([np.arange(9)])
    pieces = dict(zip(sharing.pieces, oracle.pieces(SET.id), strict=True))
    sent = {piece: key.partial(words, ABOUT, BITS) for piece, key in pieces.items()}
    cheated = (2,)  # holders 0 and 1 have it
    shifted = sent[cheated].copy()
    shifted[0, :, 77] = (shifted[0, :, 77] + np.uint64(1)) % PRIMES[:, 0]
    sent[cheated] = shifted
    # The sum still opens: nothing but the comparison can see it.
    assert open_sum(words, list(sent.values()), 9, SET, 10).tolist() == list(range(9))
    for holder in sharing.holders_of(cheated):
        differ = [
            piece
            for piece in sharing.held_by(holder)
            if (pieces[piece].partial(words, ABOUT, BITS) != sent[piece]).any()
        ]
        assert differ == [cheated]


# --- one holder fewer than the threshold ---


def kolmogorov(left: np.ndarray, right: np.ndarray) -> float:
    """The two-sample statistic, scaled: above 2.7 once in 10**6."""
    both = np.concatenate([left, right])
    ranks = [np.searchsorted(np.sort(one), both, side="right") / one.size for one in (left, right)]
    effective = math.sqrt(left.size * right.size / both.size)
    return effective * float(np.abs(ranks[0] - ranks[1]).max())


MOST_STATISTIC = 2.7


def view_of_holder_0(
    missing: bytes, updates: list[np.ndarray], bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """What holder 0 of 2-of-3 has of an opening that it cannot compute: and the missing piece.

    It lacks the piece (0,). Of that piece's opening it takes away all that it knows: c0, the
    other pieces' products and the opened sum. What is left should be noise alone.
    """
    a = public_polynomial(oracle.PUBLIC_SEED, SET)
    seeds = [hashlib.sha256(name).digest() for name in (missing, b"piece 1", b"piece 2")]
    pieces = [KeyPiece(seed, SET) for seed in seeds]
    public = collective_key(a, [piece.public_share(a) for piece in pieces], SET)
    total = SumAccumulator()
    for values in updates:
        total.add(public.encrypt(values))
    words = np.stack(list(total.blocks()))
    rows = (words[0, 0] + pieces[0].partial(words, ABOUT, bits)[0]) % PRIMES
    for piece in pieces[1:]:
        product = _ring.products(words[:, 1], piece._secret[:-1], SET)[0]
        rows = (rows + product) % PRIMES
    # round(q m / t) of the opened message, whose coefficients the opened sum gives.
    message, noise = _ring.rounded_message(rows, SET)
    opened = [(2 * Q * int(one) + SET.plain_modulus) // (2 * SET.plain_modulus) for one in message]
    left = [
        oracle.centred(one - other, Q) / 2**bits
        for one, other in zip(oracle.crt(rows, SET.data_primes), opened, strict=True)
    ]
    assert np.abs(noise).max() < 1 / 4
    return np.array(left), np.array(oracle.secret(seeds[0], SET))


def test_fewer_holders_than_the_threshold_learn_nothing_but_the_sum() -> None:
    """The view does not depend on the missing piece, nor on updates of the same sum."""
    size = SET.values_per_ciphertext
    rng = np.random.default_rng(5)
    one, other = (rng.integers(-500, 500, size) for _ in range(2))
    first, secret = view_of_holder_0(b"missing", [one, other, -other], BITS)
    second, _ = view_of_holder_0(b"another", [one, np.zeros_like(one), np.zeros_like(one)], BITS)
    simulated = np.random.default_rng(6).uniform(-1, 1, 20 * DEGREE)
    assert kolmogorov(first, second) < MOST_STATISTIC
    assert kolmogorov(first, simulated) < MOST_STATISTIC
    assert kolmogorov(second, simulated) < MOST_STATISTIC
    assert correlation(first, secret) < SIGMAS


def test_with_too_little_noise_the_same_view_tells_of_the_encryptions() -> None:
    """The control: 6 bits, beside noise of contributors of about 6."""
    left, _ = view_of_holder_0(b"missing", [np.arange(9)], 6)
    simulated = np.random.default_rng(6).uniform(-1, 1, 20 * DEGREE)
    assert kolmogorov(left, simulated) > MOST_STATISTIC
    assert np.abs(left).max() > 1.05
