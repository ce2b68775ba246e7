"""Blobs from a store that nobody trusts: parsed only once their digest was found on chain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from ddcai.audit.claims import Claim, compare, judged, missing, skipped
from ddcai.errors import BlobMissing, DdcaiError, StoreError
from ddcai.store import Store

_Parsed = TypeVar("_Parsed")
# As messages name blobs.
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Blobs:
    """A store as an audit reads it."""

    def __init__(self, store: Store) -> None:
        self.store = store

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
            return missing(name, expected, round_=round_, window=window, subject=subject), None
        except DdcaiError as error:
            found = f"unusable: {error}"
        claim = compare(name, expected, found, round_=round_, window=window, subject=subject)
        return claim, parsed

    def failed(
        self,
        name: str,
        digest: bytes,
        error: Exception,
        *,
        has_claim: Callable[[bytes], bool],
        round_: int | None = None,
        window: int | None = None,
    ) -> Claim:
        """The claim about a document that could not be made anew.

        Skipped where a blob that it needs failed a claim of its own; missing where the store does
        not hold another that it needs.

        Args:
            has_claim: of a blob's digest, whether there is a claim about that blob.
        """
        expected = "0x" + digest.hex()
        named = map(bytes.fromhex, _DIGEST.findall(str(error)))
        if isinstance(error, StoreError) and any(map(has_claim, named)):
            why = f"what it rests on failed a claim of its own: {error}"
            return skipped(name, expected, why, round_=round_, window=window)
        if isinstance(error, BlobMissing):
            return missing(name, expected, what=str(error), round_=round_, window=window)
        return judged(name, False, expected, str(error), round_=round_, window=window)
