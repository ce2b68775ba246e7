"""What a federation contract holds, as plain frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Any, Final

from eth_utils.address import to_checksum_address

# An invitation takes 25k gas. So many fit a transaction, which on Ethereum has 2**24 gas at most
# (EIP-7825), and as arguments of the constructor 49,152 bytes with the code (EIP-3860).
INVITED_AT_ONCE = 256
NOBODY: Final = "0x0000000000000000000000000000000000000000"


class RoundState(IntEnum):
    """As in ``IFederation.RoundState``."""

    NONE = 0
    OPEN = 1
    SEALED = 2
    FINALIZED = 3
    CANCELLED = 4
    COMMITTED = 5


class UpdateState(IntEnum):
    """As in ``IFederation.UpdateState``."""

    NONE = 0
    SUBMITTED = 1
    SEALED = 2
    AGREED = 3
    FORFEITED = 4
    RETURNED = 5
    ASSESSED = 6


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a federation, fixed for the life of its contract.

    Attributes:
        coordinator: the account that opens and seals rounds.
        key_holder: the account that signs opened sums; not the coordinator.
        min_contributors: fewer sealed updates make no round; at least 2.
        quorum_numerator, quorum_denominator: the share of the sealed contributors that must
            sign a result.
        open_membership: whether anyone with the stake may join; otherwise by invitation.
        submit_period_s: seconds from opening to the last moment to submit.
        finalize_period_s: seconds from there to the last moment to finalise.
        deposit_wei: per contributor and round.
        registration_stake_wei: returned on leaving.
        config_digest: of the federation's configuration, 32 bytes.
        encryption_key_digest: of the public encryption key, 32 bytes.
        assessment: the contract that judges updates and holds the deposits of finalised rounds;
            `NOBODY` where updates are not judged.
    """

    coordinator: str
    key_holder: str
    min_contributors: int = 3
    quorum_numerator: int = 2
    quorum_denominator: int = 3
    open_membership: bool = False
    submit_period_s: int = 3600
    finalize_period_s: int = 3600
    deposit_wei: int = 10**16
    registration_stake_wei: int = 0
    config_digest: bytes
    encryption_key_digest: bytes
    assessment: str = NOBODY

    @property
    def assessed(self) -> bool:
        """Whether updates are judged."""
        return self.assessment != NOBODY

    def signatures_needed(self, sealed: int) -> int:
        """How many of a round's sealed contributors must sign."""
        return -(-sealed * self.quorum_numerator // self.quorum_denominator)

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the order of ``IFederation.Rules``."""
        return astuple(self)

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Rules:
        """Rules from the fields in the contract's order."""
        named = dict(zip(cls.__dataclass_fields__, values, strict=True))
        for name in ("coordinator", "key_holder", "assessment"):
            named[name] = to_checksum_address(named[name])
        return cls(**named)


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """The rules by which deposits are judged, as ``IAssessment.Rules`` has them.

    Attributes:
        window_rounds: of a full window, 1 to 255.
        verdict_period_s: from a window's last round to the last moment of a verdict.
        dispute_period_s, resolve_period_s: to dispute it; to resolve a dispute after that.
        take_wait_s, anyone_wait_s: from when a verdict stands until forfeited deposits are shared
            out, and until anyone may have what was not taken.
        bond_wei: of whoever posts or disputes a verdict.
        bounty_per_update_wei: from the pool, for each agreed update.
    """

    window_rounds: int
    verdict_period_s: int = 7 * 86_400
    dispute_period_s: int = 86_400
    resolve_period_s: int = 3 * 86_400
    take_wait_s: int = 0
    anyone_wait_s: int = 30 * 86_400
    bond_wei: int = 10**16
    bounty_per_update_wei: int = 0

    def to_abi(self, deposit_wei: int) -> tuple[Any, ...]:
        """The fields in the contract's order, with the federation's deposit."""
        before, after = astuple(self)[:6], astuple(self)[6:]
        return (*before, deposit_wei, *after)

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> WindowRules:
        """Rules from the fields in the contract's order; the deposit is the federation's."""
        own = [*values[:6], *values[7:]]
        return cls(**dict(zip(cls.__dataclass_fields__, own, strict=True)))


@dataclass(frozen=True)
class Member:
    """A member: its account, its index in every bitmap, and whether it takes part now."""

    address: str
    index: int
    active: bool


@dataclass(frozen=True)
class Submission:
    """One committed update: whose, the member's index, and the update's digest (32 bytes)."""

    address: str
    index: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """What an assessed round is judged by, as ``IFederation.Commitment`` has it.

    Attributes:
        draw_block: the block whose RANDAO value draws.
        list_digest: 32 bytes, of the committed members and their updates.
        randomness: 32 bytes; zeros before the draw.
        scores_digest: 32 bytes, of what was opened of the updates; zeros before sealing.
        committed: the updates that are judged, by member index.
    """

    draw_block: int
    list_digest: bytes
    randomness: bytes
    scores_digest: bytes
    committed: tuple[Submission, ...]

    @property
    def drawn(self) -> bool:
        """Whether there is randomness."""
        return any(self.randomness)


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round as the contract has it.

    Attributes:
        number: from 1; a number never used has state ``NONE`` and zeros.
        state: where the round stands.
        base_model_digest: the model it starts from, 32 bytes.
        sum_digest: the sealed sum's, 32 bytes; zeros before sealing.
        submit_deadline, finalize_deadline: unix seconds, the last moment included.
        submissions: every committed update, by member index.
        sealed: those that count, by member index; empty before sealing.
        commitment: of an assessed round from `RoundState.COMMITTED` on; else None.
    """

    number: int
    state: RoundState
    base_model_digest: bytes
    sum_digest: bytes
    submit_deadline: int
    finalize_deadline: int
    submissions: tuple[Submission, ...]
    sealed: tuple[Submission, ...]
    commitment: Commitment | None = None

    @property
    def settled(self) -> bool:
        """Whether the round is finalised or cancelled: then it never changes again."""
        return self.state in (RoundState.FINALIZED, RoundState.CANCELLED)


def bitmap(indices: Iterable[int]) -> list[int]:
    """Member indices as the contracts take them: bit i % 256 of word i // 256."""
    words: list[int] = []
    for index in indices:
        if index < 0:
            raise ValueError(f"a member index is {index}: they start at 0")
        words.extend([0] * (index // 256 + 1 - len(words)))
        words[index // 256] |= 1 << (index % 256)
    return words


def bitmap_indices(words: Iterable[int]) -> tuple[int, ...]:
    """The member indices in a bitmap, ascending."""
    return tuple(
        256 * position + bit
        for position, word in enumerate(words)
        for bit in range(256)
        if word >> bit & 1
    )
