from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ddcai.digests import RoundContext
from ddcai.encryption.compact import shares
from ddcai.encryption.compact.limbs import add_words
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.compact.shares import Masked, expand, mask, read_package, unmask
from ddcai.encryption.threshold.sharing import Piece, Sharing
from ddcai.errors import ForgedUpdate, MalformedError, RoundError, UpdateMismatch
from tests.encryption.compact.oracle import integers

CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=7)
WHO = "0x" + "12" * 20
SHAPE, WIDE = COMPACT_SHAPES["compact-64-3x18"], COMPACT_SHAPES["compact-128-3x36"]
SHARING = Sharing(5, 3)


def masked(
    secret: NDArray[np.int64], sharing: Sharing = SHARING, shape: CompactShape = SHAPE
) -> Masked:
    return mask(secret, sharing, shape, CONTEXT, WHO)


def held(found: Masked, holder: int, sharing: Sharing = SHARING) -> dict[Piece, bytes]:
    package = found.packages[holder]
    return read_package(package, holder, sharing, CONTEXT, WHO, found.commitments)


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([Sharing(2, 2), Sharing(3, 2), Sharing(3, 3), Sharing(5, 3), Sharing(7, 4)]),
    st.sampled_from([SHAPE, WIDE]),
    st.integers(0, 2**32),
    st.data(),
)
def test_any_quorum_unmasks_the_secret(
    sharing: Sharing, shape: CompactShape, seed: int, data: st.DataObject
) -> None:
    secret = np.random.default_rng(seed).integers(-84, 85, shape.n)
    found = masked(secret, sharing, shape)
    assert len(found.packages) == sharing.holders
    assert {len(one) for one in found.packages} == {shares.package_bytes(sharing)}
    assert len(set(found.commitments)) == len(sharing.pieces)
    quorum = data.draw(
        st.sets(st.integers(0, sharing.holders - 1), min_size=sharing.threshold), label="quorum"
    )
    seeds: dict[Piece, bytes] = {}
    for holder in quorum:
        for piece, one in held(found, holder, sharing).items():
            assert seeds.setdefault(piece, one) == one
    assert set(seeds) == set(sharing.pieces)
    assert (unmask(found.words, [expand(seed, shape) for seed in seeds.values()]) == secret).all()
    # By the definition, in python's integers.
    total = [
        sum(words) for words in zip(*map(_integers, map(_of(shape), seeds.values())), strict=True)
    ]
    modulus = 2**shape.piece_bits
    expected = [(s + t) % modulus for s, t in zip(secret.tolist(), total, strict=True)]
    assert _integers(found.words) == expected


def _of(shape: CompactShape) -> Callable[[bytes], shares.PieceWords]:
    return lambda seed: expand(seed, shape)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([SHAPE, WIDE]), st.integers(1, 5), st.integers(0, 2**32))
def test_sums_of_masked_secrets_less_sums_of_masks_are_sums_of_secrets(
    shape: CompactShape, contributors: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    secrets = rng.integers(-84, 85, (contributors, shape.n))
    total = shares.zero_words(shape)
    masks = {piece: shares.zero_words(shape) for piece in SHARING.pieces}
    for secret in secrets:
        found = masked(secret, SHARING, shape)
        add_words(total, found.words)
        seeds = {piece: one for holder in (0, 1, 2) for piece, one in held(found, holder).items()}
        for piece, one in seeds.items():
            add_words(masks[piece], expand(one, shape))
    carried = [shares.from_bytes(shares.to_bytes(one), shape) for one in masks.values()]
    assert (unmask(total, carried) == secrets.sum(axis=0)).all()


def _integers(words: NDArray[np.uint64]) -> list[int]:
    return integers(words.astype(np.uint64))


def _uniform(words: NDArray[np.uint32]) -> float:
    """The least p-value of chi-squared tests of the words' four bytes against uniform ones."""
    octets = words.reshape(-1).view(np.uint8).reshape(-1, 4)
    return min(
        float(stats.chisquare(np.bincount(octets[:, i], minlength=256)).pvalue) for i in range(4)
    )


@pytest.mark.parametrize("value", [0, 84])
def test_fewer_than_the_threshold_learn_nothing(value: int) -> None:
    # What a coalition makes of the masked secret: less the masks that it has, for it lacks one.
    secret = np.full(SHAPE.n, value)
    found = [masked(secret) for _ in range(8)]
    for coalition in combinations(range(SHARING.holders), SHARING.threshold - 1):
        left = []
        for one in found:
            seeds = {p: s for holder in coalition for p, s in held(one, holder).items()}
            assert set(SHARING.pieces) - set(seeds) == {coalition}
            left.append(unmask(one.words, [expand(seed, SHAPE) for seed in seeds.values()]))
        assert _uniform(np.array(left).astype(np.uint32)) > 1e-9
    # With one holder more the same test sees the secret.
    seeds = {p: s for holder in (0, 1, 2) for p, s in held(found[0], holder).items()}
    everything = unmask(found[0].words, [expand(seed, SHAPE) for seed in seeds.values()])
    assert (everything == value).all()
    assert _uniform(everything.astype(np.uint32)) < 1e-9


def test_masks_and_commitments_are_new_at_every_call() -> None:
    secret = np.zeros(SHAPE.n, dtype=np.int64)
    first, second = masked(secret), masked(secret)
    assert not set(first.commitments) & set(second.commitments)
    assert not set(first.packages) & set(second.packages)
    assert (first.words != second.words).any()


def test_a_seed_that_is_not_the_one_committed_to_is_refused() -> None:
    found = masked(np.zeros(SHAPE.n, dtype=np.int64))
    package = found.packages[0]
    for position in (0, 40, len(package) - 1):
        forged = bytearray(package)
        forged[position] ^= 1
        with pytest.raises(UpdateMismatch, match="leave its update out"):
            read_package(bytes(forged), 0, SHARING, CONTEXT, WHO, found.commitments)
    swapped = [found.commitments[1], found.commitments[0], *found.commitments[2:]]
    with pytest.raises(UpdateMismatch):
        read_package(found.packages[4], 4, SHARING, CONTEXT, WHO, swapped)


def test_a_package_serves_one_round_of_one_contributor_and_holder() -> None:
    found = masked(np.zeros(SHAPE.n, dtype=np.int64))
    later = RoundContext(chain_id=31337, contract=CONTEXT.contract, round=8)
    for context, who, holder in (
        (later, WHO, 0),
        (CONTEXT, "0x" + "34" * 20, 0),
        (CONTEXT, WHO, 1),
    ):
        with pytest.raises(UpdateMismatch):
            read_package(found.packages[0], holder, SHARING, context, who, found.commitments)


@given(st.binary(max_size=400))
def test_a_package_of_another_length_is_refused(package: bytes) -> None:
    wrong = package if len(package) != shares.package_bytes(SHARING) else package + b"1"
    with pytest.raises(MalformedError, match="32 each"):
        read_package(wrong, 0, SHARING, CONTEXT, WHO, [bytes(32)] * len(SHARING.pieces))
    with pytest.raises(MalformedError, match="a piece of"):
        shares.from_bytes(package, SHAPE)


def test_secrets_beyond_all_honest_ones_are_refused() -> None:
    found = masked(np.zeros(WIDE.n, dtype=np.int64), SHARING, WIDE)
    seeds = {p: s for holder in (0, 1, 2) for p, s in held(found, holder).items()}
    masks = [expand(seed, WIDE) for seed in seeds.values()]
    words = found.words.copy()
    words[1, 5] ^= 1
    with pytest.raises(ForgedUpdate, match="masked something else"):
        unmask(words, masks)


@pytest.mark.parametrize("secret", [np.zeros(4096), np.zeros(8192, dtype=np.int64)], ids=["f", "n"])
def test_refuses_what_is_no_secret(secret: NDArray[np.int64]) -> None:
    with pytest.raises(RoundError, match=r"give int64\[4096\]"):
        masked(secret)


def test_seeds_are_not_shown() -> None:
    found = masked(np.zeros(SHAPE.n, dtype=np.int64))
    assert "packages" not in repr(found)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(found)
