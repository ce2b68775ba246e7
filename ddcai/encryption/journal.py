"""A key holder's memory of what it opened: one small JSON file a round, never changed.

A file is written whole under a temporary name, synced, and linked to its final name, which
fails if that exists: of two processes that race with two lists, one wins and the other
reads the winner's. The folder also remembers which federation its key serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddcai import strict_json
from ddcai.digests import RoundContext, canonical_json
from ddcai.errors import AlreadyOpened, DuplicateUpdate, WrongEncryptionKey
from ddcai.keyfile import write_once

_FORMAT = "ddcai-opened-1"
_FEDERATION_FILE = "federation.json"
# Of an entry, what follows from the rest.
_NOTES = ("fingerprints", "scalars", "ciphertexts")

Updates = Sequence[tuple[str, bytes]]


class Journal:
    """The rounds that one key opened.

    Args:
        folder: made when missing, for its owner alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    def __repr__(self) -> str:
        return f"Journal({str(self._folder)!r})"

    @property
    def folder(self) -> Path:
        """Where the entries are."""
        return self._folder

    def check(self, context: RoundContext, key: bytes, sum_: bytes, updates: Updates) -> None:
        """Refuses what an earlier opening forbids.

        Raises:
            AlreadyOpened: this round was opened with another list or sum, or its entry is
                damaged, so that nobody can tell.
            WrongEncryptionKey: the key served another federation before.
        """
        self._compare_federation(_federation(context, key))
        found = self._read(self._path(context))
        if found is not None:
            self._compare(context, found, _entry(context, key, sum_, updates))

    def check_unused(self, context: RoundContext, fingerprints: Sequence[str]) -> None:
        """Refuses ciphertexts that were opened in another round of this journal.

        Raises:
            DuplicateUpdate: one was.
            AlreadyOpened: an entry is damaged.
        """
        own, wanted = self._path(context), set(fingerprints)
        for path in self._folder.glob(f"{_prefix(context)}*.json"):
            if path == own:
                continue
            entry = self._read(path) or {}
            if wanted.intersection(entry.get("fingerprints", ())):
                raise DuplicateUpdate(
                    f"round {context.round} lists a ciphertext that round {entry.get('round')} "
                    "had: not opened; cancel the round"
                )

    def record(
        self,
        context: RoundContext,
        key: bytes,
        sum_: bytes,
        updates: Updates,
        fingerprints: Sequence[str],
        scalars: int = 0,
        ciphertexts: int = 0,
    ) -> None:
        """Remembers an opening, on disk when this returns. To be called before decrypting.

        Args:
            scalars: how many are opened of each update, where these are opened and not a sum.
            ciphertexts: as how many opened ciphertexts of a sum it counts.

        Raises:
            AlreadyOpened, WrongEncryptionKey: as `check`, also if another process was first.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        federation = _federation(context, key)
        if not self._create(self._folder / _FEDERATION_FILE, federation):
            self._compare_federation(federation)
        entry = _entry(context, key, sum_, updates)
        path = self._path(context)
        notes = {
            "fingerprints": list(fingerprints),
            "scalars": scalars,
            "ciphertexts": ciphertexts,
        }
        if not self._create(path, entry | notes):
            self._compare(context, self._read(path) or {}, entry)

    def rounds(self, context: RoundContext) -> frozenset[int]:
        """The numbers of the rounds of the context's federation that have an entry."""
        prefix = _prefix(context)
        paths = self._folder.glob(f"{prefix}*.json")
        return frozenset(int(path.stem.removeprefix(prefix)) for path in paths)

    def scalars_elsewhere(self, context: RoundContext) -> int:
        """How many scalars of one contributor were opened in other rounds, at most.

        Raises:
            AlreadyOpened: an entry is damaged.
        """
        own = (self._read(self._path(context)) or {}).get("scalars", 0)
        return self.scalars_in_all(context) - int(own)

    def scalars_in_all(self, context: RoundContext) -> int:
        """The same, of all rounds of the context's federation."""
        paths = self._folder.glob(f"{_prefix(context)}*.json")
        return sum(int((self._read(path) or {}).get("scalars", 0)) for path in paths)

    def ciphertexts(self, excluding: RoundContext | None = None) -> int:
        """How many ciphertexts were opened, in all rounds or all but one.

        Raises:
            AlreadyOpened: an entry is damaged.
        """
        own = None if excluding is None else self._path(excluding)
        paths = [path for path in self._folder.glob("*.json") if path.name != _FEDERATION_FILE]
        found = [self._read(path) or {} for path in paths if path != own]
        return sum(int(entry.get("ciphertexts", 0)) for entry in found)

    def _path(self, context: RoundContext) -> Path:
        return self._folder / f"{_prefix(context)}{context.round}.json"

    def _compare(self, context: RoundContext, found: dict[str, Any], entry: dict[str, Any]) -> None:
        found = {name: value for name, value in found.items() if name not in _NOTES}
        if found != entry:
            raise AlreadyOpened(
                f"round {context.round} was opened before, for another list or sum "
                f"({len(found.get('updates', ()))} updates, sum {found.get('sum_digest')}): "
                "two openings could be subtracted from one another"
            )

    def _compare_federation(self, federation: dict[str, Any]) -> None:
        found = self._read(self._folder / _FEDERATION_FILE)
        if found is not None and found != federation:
            raise WrongEncryptionKey(
                f"this key serves the federation {found.get('contract')} on chain "
                f"{found.get('chain_id')}, not {federation['contract']} on chain "
                f"{federation['chain_id']}: every federation needs its own key and journal"
            )

    def _read(self, path: Path) -> dict[str, Any] | None:
        """An entry; None where there is none. A damaged one is an error, not a blank."""
        try:
            found = strict_json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise AlreadyOpened(
                f"the journal entry {path} cannot be read: restore it from a backup"
            ) from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise AlreadyOpened(f"the journal entry {path} is damaged: restore it from a backup")
        return found

    def _create(self, path: Path, document: dict[str, Any]) -> bool:
        """Writes a file if there is none; synced on return. False if there is one."""
        return write_once(path, canonical_json(document) + b"\n")


def _prefix(context: RoundContext) -> str:
    return f"{context.chain_id}-{context.contract.lower()}-"


def _federation(context: RoundContext, key: bytes) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "chain_id": context.chain_id,
        "contract": context.contract.lower(),
        "encryption_key_digest": key.hex(),
    }


def _entry(context: RoundContext, key: bytes, sum_: bytes, updates: Updates) -> dict[str, Any]:
    return _federation(context, key) | {
        "round": context.round,
        "sum_digest": sum_.hex(),
        "updates": [[address.lower(), digest.hex()] for address, digest in updates],
    }
