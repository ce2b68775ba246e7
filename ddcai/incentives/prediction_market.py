"""The twin of `contracts/src/incentives/PredictionMarket.sol`: test set, draw and rewards.

Harris and Waggoner, "Decentralized and Collaborative AI on Blockchain" (2019), section IV-B;
Abernethy and Frongillo, "A Collaborative Mechanism for Crowdsourcing Prediction Problems" (2011):
a contribution is paid by how much it takes off the loss, here the number of errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import astuple, dataclass
from typing import Any, Protocol, Self, TypeVar

from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from ddcai.digests import tag
from ddcai.errors import ConfigurationError, MalformedError

MIN_PIECES, MAX_PIECES = 2, 256
# EIP-170, less the first byte of a page of code.
MAX_PIECE_BYTES = 24_575
SALT_BYTES = 32
_HEAD_BYTES = 3


class Model(Protocol):
    """What is needed of `ddcai.models.heads.Classifier`."""

    def row_of(self, data: bytes, /) -> Any: ...

    def predict(self, rows: Any, /) -> Any: ...

    def update(self, row: Any, class_: int, /) -> tuple[int, bool]: ...


_Model = TypeVar("_Model", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one market, fixed when it is deployed.

    Attributes:
        sponsor: gets what is left of the bounty, and the evaluated model.
        stake_wei: of each contribution; the most that it can lose.
        max_contributions: bounds the work of evaluation.
        draw_delay_blocks: from deployment to the block whose randomness draws; 1 to 8191.
        show_by: until then the drawn piece is revealed, unix seconds, inclusive.
        contribute_until, reveal_by, evaluate_by: each later than the one before.
    """

    sponsor: str
    stake_wei: int
    max_contributions: int
    draw_delay_blocks: int
    show_by: int
    contribute_until: int
    reveal_by: int
    evaluate_by: int

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the order of ``IPredictionMarket.Rules``."""
        return astuple(self)

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Self:
        """Rules from the fields in the contract's order."""
        sponsor, stake, most, delay, show, contribute, reveal, evaluate = values
        return cls(
            sponsor=str(to_checksum_address(sponsor)),
            stake_wei=stake,
            max_contributions=most,
            draw_delay_blocks=delay,
            show_by=show,
            contribute_until=contribute,
            reveal_by=reveal,
            evaluate_by=evaluate,
        )


@dataclass(frozen=True)
class Sample:
    """A labelled sample, its features as ``IClassifier`` takes them."""

    features: bytes
    label: int


@dataclass(frozen=True)
class Reward:
    """What one contribution came to.

    Attributes:
        errors: of the replica on the test set from here on.
        reward_wei: above its stake; negative for a loss, at most the stake.
        kept: whether the replica learned from it.
    """

    errors: int
    reward_wei: int
    kept: bool


def encode_piece(samples: Iterable[Sample]) -> bytes:
    """The bytes of a piece: a sample after the other, each class (a byte), length (two bytes,
    big-endian), features.

    Raises:
        ConfigurationError: no sample, a label or length out of range, or more than a page holds.
    """
    data = bytearray()
    for sample in samples:
        if not 0 <= sample.label < 256:
            raise ConfigurationError(f"label is {sample.label}: give a class from 0 to 255")
        if len(sample.features) >= 1 << 16:
            raise ConfigurationError(
                f"{len(sample.features)} bytes of features: a sample has 65,535 at most"
            )
        data += bytes([sample.label]) + len(sample.features).to_bytes(2, "big") + sample.features
    if not 0 < len(data) <= MAX_PIECE_BYTES:
        raise ConfigurationError(
            f"a piece of {len(data)} bytes: give 1 to {MAX_PIECE_BYTES}: make more pieces"
        )
    return bytes(data)


def decode_piece(data: bytes) -> list[Sample]:
    """The samples of a piece.

    Raises:
        MalformedError: it is empty, or ends within a sample.
    """
    samples = []
    at = 0
    while at < len(data):
        end = at + _HEAD_BYTES + int.from_bytes(data[at + 1 : at + _HEAD_BYTES], "big")
        if at + _HEAD_BYTES > len(data) or end > len(data):
            raise MalformedError(f"a piece of {len(data)} bytes ends within the sample at {at}")
        samples.append(Sample(data[at + _HEAD_BYTES : end], data[at]))
        at = end
    if not samples:
        raise MalformedError("a piece without samples")
    return samples


def piece_digest(index: int, salt: bytes, data: bytes) -> bytes:
    """What the sponsor commits to, 32 bytes.

    Args:
        index: the piece's place, from 0.
        salt: 32 random bytes, secret until the piece is revealed.
        data: `encode_piece`.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return keccak(tag("piece") + index.to_bytes(32, "big") + salt + keccak(data))


def drawn_piece(market: str, prev_randao: bytes, pieces: int) -> int:
    """Which piece a block's RANDAO value, 32 bytes, picks for a market."""
    address = bytes(12) + to_canonical_address(market)
    return int.from_bytes(keccak(tag("draw") + address + prev_randao), "big") % pieces


def loss_wei(bounty_wei: int, errors: int, samples: int) -> int:
    """V(e) = floor(bounty e / samples): what e errors cost, at most the bounty."""
    return bounty_wei * errors // samples


def count_errors(model: Model, samples: Sequence[Sample]) -> int:
    """How many samples a model gets wrong."""
    said = model.predict([model.row_of(one.features) for one in samples])
    return sum(int(class_) != one.label for class_, one in zip(said, samples, strict=True))


def evaluate(
    replica: _Model,
    test_set: Sequence[Sample],
    contributions: Iterable[Sample],
    *,
    bounty_wei: int,
    stake_wei: int,
) -> tuple[list[Reward], _Model]:
    """Every contribution's reward, in order, and the model in the end.

    Guarantees:
        - the rewards of what is kept add up to V(first errors) - V(last errors), at most the
          bounty;
        - no reward is below minus the stake.

    Args:
        replica: the model when contributions opened; it is not changed.
        test_set: all pieces' samples, in order.
    """
    model = deepcopy(replica)
    errors = count_errors(model, test_set)
    rewards = []
    for one in contributions:
        tried = deepcopy(model)
        _, changed = tried.update(tried.row_of(one.features), one.label)
        tried_errors = count_errors(tried, test_set) if changed else errors
        before = loss_wei(bounty_wei, errors, len(test_set))
        after = loss_wei(bounty_wei, tried_errors, len(test_set))
        if after - before > stake_wei:
            rewards.append(Reward(errors, -stake_wei, kept=False))
            continue
        model, errors = tried, tried_errors
        rewards.append(Reward(errors, before - after, kept=True))
    return rewards, model
