"""T of N accounts as a federation's key holder: the contract ``KeyHolders``, and what they sign.

Each key that they ever held together is an epoch, with its holders and its threshold. To a round
belongs the last epoch registered in the block that opened the round, or before: contributors
encrypt to that epoch's key. The contract cannot know which round it is asked about, and takes
the epoch before for a grace period, too; which epoch it must be is checked off chain
(`ddcai.chain.opening.check_signature`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.account_signatures import SIGNATURE_BYTES, check_form, recover
from ddcai.chain.contract import Contract
from ddcai.chain.holder_rules import MAX_HOLDERS, MIN_THRESHOLD, Rekey
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import (
    ChainError,
    ChainUnreachable,
    ConfigurationError,
    MalformedError,
    VerificationError,
)

CONTRACT = "KeyHolders"
EPOCH_BYTES = 8
# type(IKeyHolders).interfaceId; a test recomputes it from the interface's functions.
INTERFACE_ID = bytes.fromhex("ac14532a")


@dataclass(frozen=True, kw_only=True)
class KeyEpoch:
    """One key and who shares it.

    Attributes:
        number: from 1.
        key_digest: of the collective encryption key, 32 bytes.
        ceremony_digest: of the record of how the holders made it, 32 bytes.
        threshold: signatures that are needed, T.
        holders: checksum addresses, ascending, N.
        registered_at: unix seconds.
        registered_block: the block of the registration.
    """

    number: int
    key_digest: bytes
    ceremony_digest: bytes
    threshold: int
    holders: tuple[str, ...]
    registered_at: int
    registered_block: int

    def __str__(self) -> str:
        return f"{self.threshold} of {len(self.holders)} holders of epoch {self.number}"


class KeyHolders:
    """One ``KeyHolders`` contract.

    Attributes:
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._w3 = w3
        self._contract = Contract(w3, self.address, artifact.load(CONTRACT))
        self._epochs: tuple[KeyEpoch, ...] = ()

    def __repr__(self) -> str:
        return f"KeyHolders({self.address})"

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(request(self._w3, "eth_chainId", []), 16)

    def grace_seconds(self) -> int:
        """For how long an epoch's holders still sign after the next is registered."""
        return int(self._contract.call("graceSeconds"))

    # Epochs never change, and are only ever added.

    def epochs(self) -> tuple[KeyEpoch, ...]:
        """All epochs, by number."""
        known = len(self._epochs)
        numbers = range(known + 1, int(self._contract.call("epochCount")) + 1)
        found = self._contract.call_many([("epoch", [number]) for number in numbers])
        added = tuple(_epoch(number, raw) for number, raw in zip(numbers, found, strict=True))
        # Another thread may have added them meanwhile; the values are the same.
        self._epochs = self._epochs[:known] + added
        return self._epochs

    def current(self) -> KeyEpoch:
        """The epoch whose holders register the next one."""
        return self.epochs()[-1]

    def epoch_of_key(self, digest: bytes) -> KeyEpoch:
        """The epoch with this encryption key.

        Raises:
            ChainError: it is no epoch's.
        """
        for epoch in self.epochs():
            if epoch.key_digest == digest:
                return epoch
        raise ChainError(
            f"no epoch of {self.address} has the key 0x{digest.hex()}: the key is another "
            "federation's, or not registered yet"
        )

    def epoch_at(self, block: int) -> KeyEpoch:
        """The last epoch registered in this block or before; of the block that opened a round,
        the round's.

        Raises:
            ChainError: the contract is younger than that.
        """
        return epoch_at(self.epochs(), block)

    def check_next(self, rekey: Rekey) -> KeyEpoch:
        """Raises ConfigurationError unless it is this contract's next epoch, with a new key.

        Returns:
            The current epoch, whose holders sign it.
        """
        current = self.current()
        expected = (self.chain_id, self.address, current.number + 1)
        if (rekey.chain_id, rekey.contract, rekey.epoch) != expected:
            raise ConfigurationError(
                f"this is epoch {rekey.epoch} of {rekey.contract} on chain {rekey.chain_id}, but "
                "the next one is epoch {2} of {1} on chain {0}".format(*expected)
            )
        for epoch in self.epochs():
            if epoch.key_digest == rekey.key_digest:
                raise ConfigurationError(
                    f"the key 0x{rekey.key_digest.hex()} is epoch {epoch.number}'s: make a new one"
                )
        return current

    def rekey(self, rekey: Rekey, signatures: Mapping[str, bytes]) -> Receipt:
        """Registers the next epoch; anyone may send it.

        Args:
            rekey: the next epoch, as it was signed.
            signatures: of at least the threshold of the current epoch's holders, by address
                (`Rekey.sign`).

        Raises:
            ConfigurationError: it is not this contract's next epoch, or has a key of before.
            VerificationError: not enough of the current holders signed it; nothing was sent.
            ContractReverted: the contract refuses; somebody else may have been faster.
        """
        if self.sender is None:
            raise ChainError("no account to send rekey from: give --keystore")
        current = self.check_next(rekey)
        digest, signers = rekey.digest(), _ascending(signatures)
        for address in signers:
            _require_holder(current, address)
            if recover(digest, signatures[address]) != address:
                raise VerificationError(f"{address} signed something else than this epoch")
        if len(signers) < current.threshold:
            raise VerificationError(
                f"{len(signers)} signed epoch {rekey.epoch}: it takes {current}"
            )
        joined = b"".join(signatures[address] for address in signers)
        data = self._contract.encode(
            "rekey",
            [rekey.key_digest, rekey.ceremony_digest, rekey.holders, rekey.threshold, joined],
        )
        return self.sender.send(self.address, data)


def find_key_holders(w3: Web3, address: str, sender: Sender | None = None) -> KeyHolders | None:
    """A facade on an address that proves to be a ``KeyHolders`` (ERC-165).

    None for an account, and for a contract of another kind.

    Raises:
        ChainUnreachable, RpcFailure: the node did not say. That is no answer: an audit that took
            it for one would skip every opening.
    """
    found = KeyHolders(w3, address, sender)
    if request(w3, "eth_getCode", [found.address, "latest"]) in ("0x", None, ""):
        return None
    try:
        supported = found._contract.call("supportsInterface", INTERFACE_ID)
    except (ChainUnreachable, RpcFailure):
        raise
    except ChainError:  # reverted, or answered something else
        return None
    return found if supported is True else None


def epoch_at(epochs: tuple[KeyEpoch, ...], block: int) -> KeyEpoch:
    """As `KeyHolders.epoch_at`, of epochs by number."""
    before = [epoch for epoch in epochs if epoch.registered_block <= block]
    if not before:
        raise ChainError(
            f"no key epoch was registered in block {block} or before: is this the key holder of "
            "that federation?"
        )
    return before[-1]


def _epoch(number: int, raw: Any) -> KeyEpoch:
    key_digest, ceremony_digest, threshold, registered_at, registered_block, holders = raw
    return KeyEpoch(
        number=number,
        key_digest=key_digest,
        ceremony_digest=ceremony_digest,
        threshold=threshold,
        holders=tuple(to_checksum_address(holder) for holder in holders),
        registered_at=registered_at,
        registered_block=registered_block,
    )


# One signature of many. Which accounts signed is public.


def join_signatures(epoch: KeyEpoch, signatures: Mapping[str, bytes]) -> bytes:
    """The signature that the contract takes: the epoch, then its holders' signatures.

    What was signed is not looked at: check each signature when it comes
    (`ddcai.chain.account_signatures.recover`).

    Args:
        signatures: by address, of exactly the threshold of the epoch's holders, 65 bytes each.

    Returns:
        The epoch's number, 8 bytes big-endian, and the signatures in ascending order of address.

    Raises:
        VerificationError: too few or too many, or of somebody else.
        MalformedError: a signature in another form than contracts take.
    """
    if len(signatures) != epoch.threshold:
        raise VerificationError(f"{len(signatures)} signatures: it takes those of {epoch}")
    signers = _ascending(signatures)
    for address in signers:
        _require_holder(epoch, address)
        check_form(signatures[address])
    number = epoch.number.to_bytes(EPOCH_BYTES, "big")
    return number + b"".join(signatures[address] for address in signers)


def split_signatures(signature: bytes, message: bytes) -> tuple[int, dict[str, bytes]]:
    """What `join_signatures` joined: the epoch's number, and the signatures by address, ascending.

    Who signed is recovered from each signature and the message; whether they are holders of
    that epoch, and enough, is for the caller (`ddcai.chain.opening.check_signature`).

    Args:
        message: the 32 bytes that were signed.

    Raises:
        MalformedError: another length, a signature in another form than contracts take, or
            accounts that are not in strictly ascending order.
    """
    count, rest = divmod(len(signature) - EPOCH_BYTES, SIGNATURE_BYTES)
    if rest or not MIN_THRESHOLD <= count <= MAX_HOLDERS:
        raise MalformedError(
            f"{len(signature)} bytes: signatures of key holders are {EPOCH_BYTES}, and "
            f"{SIGNATURE_BYTES} for each of {MIN_THRESHOLD} to {MAX_HOLDERS} holders"
        )
    found: dict[str, bytes] = {}
    previous = ""
    for start in range(EPOCH_BYTES, len(signature), SIGNATURE_BYTES):
        one = signature[start : start + SIGNATURE_BYTES]
        signer = recover(message, one)
        if signer.lower() <= previous:
            raise MalformedError(
                f"the signature of {signer} comes after that of {to_checksum_address(previous)}: "
                "holders sign once each, in ascending order"
            )
        found[signer], previous = one, signer.lower()
    return int.from_bytes(signature[:EPOCH_BYTES], "big"), found


def _ascending(addresses: Mapping[str, bytes]) -> list[str]:
    return sorted(addresses, key=str.lower)


def _require_holder(epoch: KeyEpoch, address: str) -> None:
    if address not in epoch.holders:
        raise VerificationError(
            f"{address} is none of the {len(epoch.holders)} holders of epoch {epoch.number}"
        )
