"""A group's list of a round: whose updates it added, and their signatures that say so.

Bytes, big-endian: a version (1), the number of contributors (4 bytes), then of each its account
(20), its update's digest (32) and its signature (65), by ascending account, no account twice. So a
list has one byte form; the store has it under `ddcai.digests.batch_list_digest`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from eth_utils.address import to_canonical_address, to_checksum_address

from ddcai.chain.account_signatures import SIGNATURE_BYTES
from ddcai.chain.batch_tree import BatchTree
from ddcai.configuration import MOST_CONTRIBUTORS
from ddcai.digests import DIGEST_BYTES
from ddcai.errors import MalformedError

_VERSION = 1
_HEADER_BYTES = 5
_ACCOUNT_BYTES = 20
_ENTRY_BYTES = _ACCOUNT_BYTES + DIGEST_BYTES + SIGNATURE_BYTES
# As many as a member's update may be the sum of at most (`ddcai.configuration.Encryption`).
MOST = MOST_CONTRIBUTORS // 2


@dataclass(frozen=True, kw_only=True)
class Given:
    """What one contributor gave its group.

    Attributes:
        contributor: its account, with checksum.
        update: digest of its update, 32 bytes.
        signature: under `ddcai.chain.update_batches.UpdateBatches.statement`, 65 bytes.
    """

    contributor: str
    update: bytes
    signature: bytes


@dataclass(frozen=True)
class BatchList:
    """One list.

    Attributes:
        given: by ascending account.
    """

    given: tuple[Given, ...]

    @classmethod
    def of(cls, given: Iterable[Given]) -> Self:
        """A list of these, in the one order."""
        return cls(tuple(sorted(given, key=lambda one: to_canonical_address(one.contributor))))

    def __len__(self) -> int:
        return len(self.given)

    def tree(self) -> BatchTree:
        """Its tree; the root is what the contract holds."""
        return BatchTree({one.contributor: one.update for one in self.given})

    def to_blob(self) -> bytes:
        """The list's bytes."""
        return b"".join(
            [
                bytes([_VERSION]),
                len(self).to_bytes(_HEADER_BYTES - 1, "big"),
                *(
                    to_canonical_address(one.contributor) + one.update + one.signature
                    for one in self.given
                ),
            ]
        )

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Reads what `to_blob` wrote. Who signed is not looked at.

        Raises:
            MalformedError: anything else.
        """
        if len(blob) < _HEADER_BYTES or blob[0] != _VERSION:
            raise MalformedError(f"{len(blob)} bytes that are no list of a group of version 1")
        count = int.from_bytes(blob[1:_HEADER_BYTES], "big")
        if not 1 <= count <= MOST:
            raise MalformedError(
                f"a group's list of {count} contributors: 1 to {MOST} are possible"
            )
        if len(blob) != _HEADER_BYTES + count * _ENTRY_BYTES:
            raise MalformedError(
                f"a list of {count} takes {_HEADER_BYTES + count * _ENTRY_BYTES} bytes, not "
                f"{len(blob)}"
            )
        found, last = [], b""
        for start in range(_HEADER_BYTES, len(blob), _ENTRY_BYTES):
            entry = blob[start : start + _ENTRY_BYTES]
            account = entry[:_ACCOUNT_BYTES]
            if account <= last:
                raise MalformedError("a group's list is not by ascending account, each once")
            last = account
            found.append(
                Given(
                    contributor=str(to_checksum_address(account)),
                    update=entry[_ACCOUNT_BYTES:-SIGNATURE_BYTES],
                    signature=entry[-SIGNATURE_BYTES:],
                )
            )
        return cls(tuple(found))
