"""Who shares a federation's key: the first epoch's holders, and the next one's as it is signed.

The rules are those of the contract ``KeyHolders``, looked at before anything is signed or sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_checksum_address

from ddcai.chain.account_signatures import signed_hash, typed_data
from ddcai.errors import ConfigurationError

# As in `KeyHolders.sol`.
MIN_HOLDERS, MAX_HOLDERS = 2, 64
MIN_THRESHOLD = 2
_NOBODY = "0x" + "00" * 20


def check_holders(
    holders: Sequence[str], threshold: int, key_digest: bytes, ceremony_digest: bytes
) -> None:
    """Raises ConfigurationError for what the contract would refuse as an epoch."""
    count = len(holders)
    if not MIN_HOLDERS <= count <= MAX_HOLDERS:
        raise ConfigurationError(
            f"{count} key holders: give {MIN_HOLDERS} to {MAX_HOLDERS} accounts"
        )
    previous = _NOBODY
    for holder in holders:
        if not is_checksum_address(holder):
            raise ConfigurationError(f"the holder {holder!r} is not a checksum address")
        if holder.lower() <= previous:
            raise ConfigurationError(
                f"the holder {holder} is not above the one before: give accounts in ascending "
                "order, each once"
            )
        previous = holder.lower()
    most = type(threshold) is int and MIN_THRESHOLD <= threshold <= count
    if not most or 2 * threshold <= count:
        raise ConfigurationError(
            f"threshold is {threshold!r} of {count} holders: give at least {MIN_THRESHOLD}, and "
            "more than half of them"
        )
    for name, digest in (("key_digest", key_digest), ("ceremony_digest", ceremony_digest)):
        if not isinstance(digest, bytes) or len(digest) != 32 or not any(digest):
            raise ConfigurationError(f"{name} must be 32 bytes, not all zero")


@dataclass(frozen=True, kw_only=True)
class HolderRules:
    """The first epoch of a new ``KeyHolders``, and its grace period.

    Attributes:
        holders: checksum addresses, ascending.
        threshold: signatures that are needed; at least 2 and more than half.
        key_digest, ceremony_digest: of the encryption key, and of the record of how it was
            made; 32 bytes each.
        grace_seconds: for how long an epoch's holders still sign after the next is registered; a
            round that runs then can be finalised only within it.
    """

    holders: tuple[str, ...]
    threshold: int
    key_digest: bytes
    ceremony_digest: bytes
    grace_seconds: int

    def __post_init__(self) -> None:
        check_holders(self.holders, self.threshold, self.key_digest, self.ceremony_digest)
        if type(self.grace_seconds) is not int or not 0 <= self.grace_seconds < 2**64:
            raise ConfigurationError(
                f"grace_seconds is {self.grace_seconds!r}: give a number of seconds from 0"
            )

    def to_abi(self) -> tuple[Any, ...]:
        """The constructor's arguments."""
        return (
            self.holders,
            self.threshold,
            self.key_digest,
            self.ceremony_digest,
            self.grace_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Rekey:
    """The next epoch.

    Attributes:
        chain_id, contract: of the ``KeyHolders``; a signature serves no other.
        epoch: the new one's number; the current epoch is the one before.
        key_digest, ceremony_digest, holders, threshold: as `HolderRules` has them.
    """

    chain_id: int
    contract: str
    epoch: int
    key_digest: bytes
    ceremony_digest: bytes
    holders: tuple[str, ...]
    threshold: int

    def __post_init__(self) -> None:
        if not is_checksum_address(self.contract):
            raise ConfigurationError(f"contract is {self.contract!r}: give a checksum address")
        for name, least in (("chain_id", 1), ("epoch", 2)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value < 2**64:
                raise ConfigurationError(f"{name} is {value!r}: give a number from {least}")
        check_holders(self.holders, self.threshold, self.key_digest, self.ceremony_digest)

    def digest(self) -> bytes:
        """The 32 bytes that holders sign."""
        return signed_hash(self._signable())

    def sign(self, account: LocalAccount) -> bytes:
        """A holder's 65-byte signature."""
        return bytes(account.sign_message(self._signable()).signature)

    def _signable(self) -> SignableMessage:
        return typed_data(
            "ddcai key holders",
            "Rekey",
            {
                "epoch": ("uint64", self.epoch),
                "keyDigest": ("bytes32", self.key_digest),
                "ceremonyDigest": ("bytes32", self.ceremony_digest),
                "holders": ("address[]", list(self.holders)),
                "threshold": ("uint256", self.threshold),
            },
            chain_id=self.chain_id,
            contract=self.contract,
        )
