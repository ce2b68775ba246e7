"""Blobs from a store that nobody trusts: parsed only once their digest was found on chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ddcai.audit.claims import Claim, compare
from ddcai.errors import BlobMissing, DdcaiError, StoreError
from ddcai.store import Store

MISSING = "missing"
_Parsed = TypeVar("_Parsed")


class Blobs:
    """A store as an audit reads it.

    Attributes:
        damaged: digests of blobs that failed their claim, or by which a message names them.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.damaged: set[bytes] = set()

    def check(
        self,
        name: str,
        digest: bytes,
        digest_of: Callable[[bytes], bytes],
        parse: Callable[[bytes], _Parsed],
        *,
        round_: int | None = None,
        window: int | None = None,
        subject: str = "",
    ) -> tuple[Claim, _Parsed | None]:
        """The claim that a blob matches its digest and form, and what it says if it does."""
        expected = "0x" + digest.hex()
        parsed: _Parsed | None = None
        try:
            blob = self.store.get(digest)
            found = "0x" + digest_of(blob).hex()
            if found == expected:
                parsed = parse(blob)
        except BlobMissing:
            found = MISSING
        except DdcaiError as error:
            found = f"unusable: {error}"
        if found != expected:
            self.damaged.add(digest)
        claim = compare(name, expected, found, round_=round_, window=window, subject=subject)
        return claim, parsed

    def fault(self, error: Exception) -> tuple[bool, str]:
        """What became of a computation: whether it was only that a blob which it needs failed a
        claim of its own, and what to say."""
        if isinstance(error, StoreError) and any(one.hex() in str(error) for one in self.damaged):
            return True, f"what it rests on failed a claim of its own: {error}"
        return False, f"{MISSING}: {error}" if isinstance(error, BlobMissing) else str(error)
