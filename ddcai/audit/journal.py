"""What an audit remembers on disk: whose each ciphertext is, and which rounds it has verified.

A SQLite file, the auditor's own: whoever can write to it can have rounds taken as verified.
A round is taken from it only if all its claims passed, and what the chain says of it and of every
round before it is still the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from ddcai.audit.claims import Claim, Status, judged
from ddcai.audit.round_checks import Checked
from ddcai.audit.sums import Marks
from ddcai.errors import ConfigurationError, MalformedError

_FORMAT = "ddcai-audit-journal-1"
_TABLES = """
CREATE TABLE about (format TEXT NOT NULL, chain_id TEXT NOT NULL, contract TEXT NOT NULL);
CREATE TABLE marks (mark BLOB PRIMARY KEY, owner TEXT NOT NULL, place INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX places ON marks (place);
CREATE TABLE rounds (
    place INTEGER PRIMARY KEY, basis BLOB NOT NULL, claims TEXT, check_ BLOB NOT NULL
);
"""


class Journal:
    """A journal of one federation; a context manager.

    Args:
        path: None for one that ends with the audit, on disk as well.
        chain_id, contract: the federation's.

    Raises:
        MalformedError: the file is damaged, or none of a journal.
        ConfigurationError: it is another federation's.
    """

    def __init__(self, path: Path | None, chain_id: int, contract: str) -> None:
        self._path = path
        self._db = sqlite3.connect("" if path is None else path, isolation_level=None)
        try:
            with self._strict():
                self._open(str(chain_id), contract)
        except BaseException:
            self._db.close()
            raise

    def _open(self, chain_id: str, contract: str) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._db.executescript(f"BEGIN;{_TABLES}")
            self._db.execute("INSERT INTO about VALUES (?, ?, ?)", (_FORMAT, chain_id, contract))
            self._db.execute("COMMIT")
        self._db.execute("CREATE TEMP TABLE bases (place INTEGER PRIMARY KEY, basis BLOB NOT NULL)")
        if self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise self._damaged("its pages are broken")
        [(form, *about)] = self._db.execute("SELECT * FROM about")
        if form != _FORMAT:
            raise self._damaged(f"format {form}")
        if about != [chain_id, contract]:
            raise ConfigurationError(
                f"{self._path} is the journal of federation {about[1]} on chain {about[0]}, not of "
                f"{contract} on chain {chain_id}: give another --journal"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def begin(self, bases: Iterable[bytes]) -> None:
        """Forgets rounds from the first on that rests on something else now.

        Args:
            bases: what each round rests on, by place (`ddcai.audit.workers.bases`).
        """
        with self._strict(), self._transaction():
            self._db.execute("DELETE FROM temp.bases")
            self._db.executemany("INSERT INTO temp.bases VALUES (?, ?)", enumerate(bases))
            [[first]] = self._db.execute(
                "SELECT min(rounds.place) FROM rounds LEFT JOIN temp.bases USING (place) "
                "WHERE bases.basis IS NOT rounds.basis"
            )
            if first is not None:
                self._db.execute("DELETE FROM rounds WHERE place >= ?", (first,))
                self._db.execute("DELETE FROM marks WHERE place >= ?", (first,))

    def has(self, place: int) -> bool:
        """Whether a round passed, and is not to be verified."""
        with self._strict():
            row = self._db.execute(
                "SELECT 1 FROM rounds WHERE place = ? AND claims IS NOT NULL", (place,)
            ).fetchone()
            return row is not None

    def found(self, place: int) -> tuple[Claim, ...] | None:
        """The claims of a round that passed; None where it is to be verified."""
        with self._strict():
            row = self._db.execute(
                "SELECT basis, claims, check_ FROM rounds WHERE place = ?", (place,)
            ).fetchone()
            return None if row is None else self._claims(place, *row)

    def finish(self, place: int, checked: Checked) -> tuple[Claim, ...]:
        """A round's claims, with what copies of earlier rounds' updates make of its sum.

        Rounds are finished in their order, after `begin`. Keeps the claims if all passed.
        """
        with self._strict(), self._transaction():
            copies = self._copies(place, checked.marks)
            total = _with_copies(checked.total, copies)
            found = (*checked.updates, total, *checked.result)
            text = None
            if all(claim.passed for claim in found):
                text = json.dumps([asdict(claim) for claim in found])
            [[basis]] = self._db.execute("SELECT basis FROM bases WHERE place = ?", (place,))
            row = (place, basis, text, _check(place, basis, text))
            self._db.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?)", row)
        return found

    def _copies(self, place: int, marks: Marks) -> list[str]:
        copies = []
        for owner, own in marks:
            before = set()
            for mark in own:
                self._db.execute(
                    "INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", (mark, owner, place)
                )
                [[first]] = self._db.execute("SELECT owner FROM marks WHERE mark = ?", (mark,))
                before.add(first)
            copies += [f"{owner}: a copy of that of {one}" for one in sorted(before - {owner})]
        return copies

    def _claims(
        self, place: int, basis: bytes, text: str | None, check: bytes
    ) -> tuple[Claim, ...] | None:
        if check != _check(place, basis, text):
            raise self._damaged(f"row {place} is not as it was written")
        if text is None:
            return None
        rows = json.loads(text)
        return tuple(Claim(**{**row, "status": Status(row["status"])}) for row in rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _strict(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> MalformedError:
        return MalformedError(
            f"{self._path} cannot be used as a journal: {why}; remove it, and verify again"
        )


def _with_copies(total: Claim, copies: list[str]) -> Claim:
    if not copies:
        return total
    faults = [*copies, total.found] if total.status is Status.FAIL else copies
    return judged(total.name, False, total.expected, "; ".join(faults), round_=total.round)


def _check(place: int, basis: bytes, text: str | None) -> bytes:
    return sha256(f"{place} {basis.hex()} {text}".encode()).digest()
