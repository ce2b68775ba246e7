"""The market's arithmetic: pieces, digests, and rewards that add up."""

from __future__ import annotations

import numpy as np
import pytest
from eth_abi import abi
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError, MalformedError
from ddcai.incentives.prediction_market import (
    MAX_PIECE_BYTES,
    Sample,
    count_errors,
    decode_piece,
    drawn_piece,
    encode_piece,
    evaluate,
    loss_wei,
    piece_digest,
)
from ddcai.models.heads import SparsePerceptron

FEATURES, CLASSES = 6, 3
_indices = st.sets(st.integers(0, FEATURES - 1)).map(
    lambda some: b"".join(one.to_bytes(2, "big") for one in sorted(some))
)
_samples = st.lists(st.builds(Sample, _indices, st.integers(0, CLASSES - 1)), max_size=25)


def _blank() -> SparsePerceptron:
    weights = np.zeros((CLASSES, FEATURES), np.int16)
    return SparsePerceptron(weights, np.zeros(CLASSES, np.int16), 1)


@given(st.lists(st.builds(Sample, st.binary(max_size=300), st.integers(0, 255)), min_size=1))
def test_a_piece_is_read_as_it_was_written(samples: list[Sample]) -> None:
    assert decode_piece(encode_piece(samples)) == samples


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x00", b"\x01\x00\x02\x00", b"\0\0\0\1"])
def test_a_piece_that_ends_within_a_sample_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="piece"):
        decode_piece(data)


def test_a_piece_that_no_page_holds_is_refused() -> None:
    full = Sample(bytes(MAX_PIECE_BYTES - 3), 0)
    assert len(encode_piece([full])) == MAX_PIECE_BYTES
    with pytest.raises(ConfigurationError, match="make more pieces"):
        encode_piece([full, Sample(b"", 0)])
    with pytest.raises(ConfigurationError, match="a piece of 0 bytes"):
        encode_piece([])
    with pytest.raises(ConfigurationError, match="label is 256"):
        encode_piece([Sample(b"", 256)])
    with pytest.raises(ConfigurationError, match="65,535"):
        encode_piece([Sample(bytes(1 << 16), 0)])


@given(st.integers(0, 255), st.binary(min_size=32, max_size=32), st.binary(max_size=99))
def test_digests_are_those_of_the_abi(index: int, salt: bytes, data: bytes) -> None:
    tag = keccak(text="ddcai.v1.piece")
    encoded = abi.encode(
        ["bytes32", "uint256", "bytes32", "bytes32"], [tag, index, salt, keccak(data)]
    )
    assert piece_digest(index, salt, data) == keccak(encoded)
    address = "0x" + salt[:20].hex()
    drawn = abi.encode(
        ["bytes32", "address", "bytes32"], [keccak(text="ddcai.v1.draw"), address, salt]
    )
    assert drawn_piece(address, salt, index + 2) == int.from_bytes(keccak(drawn), "big") % (
        index + 2
    )


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        piece_digest(0, bytes(31), b"data")


@given(
    _samples.filter(bool),
    _samples,
    st.one_of(st.integers(1, 9), st.integers(1, 2**88 - 1)),
    st.one_of(st.integers(1, 9), st.integers(1, 2**88 - 1)),
)
def test_rewards_add_up(
    test_set: list[Sample], contributions: list[Sample], bounty: int, stake: int
) -> None:
    """Kept ones to the change of the loss; no loss above the stake; never more than was put in."""
    start = _blank()
    words = start.to_words()
    rewards, model = evaluate(start, test_set, contributions, bounty_wei=bounty, stake_wei=stake)
    assert start.to_words() == words
    first, last = (
        loss_wei(bounty, count_errors(one, test_set), len(test_set)) for one in (start, model)
    )
    assert sum(one.reward_wei for one in rewards if one.kept) == first - last
    assert all(one.reward_wei >= -stake for one in rewards)
    assert all(one.reward_wei == -stake for one in rewards if not one.kept)
    assert sum(one.reward_wei for one in rewards) <= bounty
    if stake >= bounty:
        assert all(one.kept for one in rewards)
    # What is not kept might as well not have been sent.
    kept = [one for one, reward in zip(contributions, rewards, strict=True) if reward.kept]
    again, same = evaluate(start, test_set, kept, bounty_wei=bounty, stake_wei=stake)
    assert again == [one for one in rewards if one.kept]
    assert same.to_words() == model.to_words()
