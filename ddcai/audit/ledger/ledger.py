"""The audit's questions about one federation, answered from the index alone."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ddcai.audit.index import reading
from ddcai.audit.index.database import Index
from ddcai.audit.ledger import (
    anomalies,
    attestations,
    contributors,
    flows,
    lineage,
    public,
    rounds,
    searching,
    sql,
    window_rows,
)
from ddcai.audit.ledger.archive import Archive, archive
from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.findings import (
    AnomalyRow,
    AttestationRow,
    FederationRow,
    GasRow,
    PublicContributionRow,
    SearchRow,
    SqlAnswer,
    WindowMemberRow,
    WindowRow,
)
from ddcai.audit.ledger.rows import (
    ClaimableRow,
    ContributorReport,
    ContributorRow,
    FlowRow,
    Lineage,
    MoneyRow,
    RoundRow,
    StepRow,
)
from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError


class Ledger:
    """Answers about one federation; a context manager, that threads may share.

    Each answer is of one moment: what a sync adds meanwhile is in the next.
    """

    def __init__(
        self, index: Index, federation_id: int, config: FederationConfig | None = None
    ) -> None:
        """Use `open`."""
        self._index, self._id, self._config = index, federation_id, config

    @classmethod
    def open(
        cls,
        path: Path | str,
        federation: str | None = None,
        *,
        chain_id: int | None = None,
        config: FederationConfig | None = None,
    ) -> Ledger:
        """Opens an index for reading.

        Args:
            path: the file.
            federation: its contract's address; not needed where the file has only one.
            chain_id: where it has the same address on several chains.
            config: the federation's configuration, for `RoundRow.epsilon`.

        Raises:
            IndexRefused: no index, or one of another version.
            ConfigurationError: no such federation in it, or several; or the configuration is
                another's.
        """
        index = Index(path)
        try:
            with index.reading() as connection:
                found = reading.find(connection, federation, chain_id)
            named = found.facts["rules"]["config_digest"]
            if config is not None and "0x" + config.digest().hex() != named:
                raise ConfigurationError(
                    f"the configuration's digest is 0x{config.digest().hex()}, and {found.address} "
                    f"names {named}: give this federation's deployment file"
                )
        except BaseException:
            index.close()
            raise
        return cls(index, found.id, config)

    def close(self) -> None:
        """Closes the file."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _asking(self) -> Iterator[Asking]:
        with self._index.reading() as connection:
            federation = reading.indexed(connection, self._id)
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # the only driver of the index
            with _no_collections():
                yield Asking(raw, federation)

    def federation(self) -> FederationRow:
        """The federation, and how far the index is."""
        with self._asking() as asking:
            one = asking.federation
            counts = asking.one(
                "SELECT (SELECT count(*) FROM rounds WHERE federation_id = :id), "
                "(SELECT count(*) FROM members WHERE federation_id = :id), "
                "(SELECT count(*) FROM events WHERE federation_id = :id)"
            )
            return FederationRow(
                chain_id=one.chain_id,
                address=one.address,
                synced_block=-1 if one.synced_block is None else one.synced_block,
                synced=None if one.synced_time is None else moment(one.synced_time),
                rounds=counts[0],
                members=counts[1],
                events=counts[2],
                judged=one.facts["window_rules"] is not None,
            )

    def rounds(self) -> tuple[RoundRow, ...]:
        """All rounds, by number."""
        with self._asking() as asking:
            return rounds.rounds(asking, self._config)

    def round(self, number: int) -> tuple[StepRow, ...]:
        """Each party's steps in one round, in the order of the chain.

        Raises:
            ConfigurationError: there is no such round.
        """
        with self._asking() as asking:
            return rounds.steps(asking, number)

    def windows(self) -> tuple[WindowRow, ...]:
        """All windows of judged rounds, by number; none where updates are not judged."""
        with self._asking() as asking:
            return window_rows.window_rows(asking)

    def window(self, number: int) -> tuple[WindowMemberRow, ...]:
        """The contributors with updates in one window, by member index.

        Raises:
            ConfigurationError: there is no such window.
        """
        with self._asking() as asking:
            return window_rows.window_members(asking, number)

    def contributor(self, address: str) -> ContributorReport:
        """One contributor's rounds, windows and money.

        Raises:
            ConfigurationError: not an address, or not of a member.
        """
        with self._asking() as asking:
            return contributors.contributor(asking, address)

    def contributors(self) -> tuple[ContributorRow, ...]:
        """Every contributor's sums over all rounds and windows, by member index."""
        with self._asking() as asking:
            return contributors.contributors(asking)

    def money(self) -> tuple[MoneyRow, ...]:
        """Every contributor's money by member index, then a row for all together.

        A contributor's ``held_wei`` is what it can still claim, or has in a running round.
        """
        with self._asking() as asking:
            return contributors.money(asking)

    def flows(
        self, account: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[FlowRow, ...]:
        """What an account paid to the federation's contracts, and got, between two times.

        Stakes and bonds are those of the rules. What an incentive puts on an account counts as
        received; what was paid to it above the price, and withdrawn again, is left out.

        Raises:
            ConfigurationError: not an address.
        """
        with self._asking() as asking:
            return flows.flows(asking, account, since, until)

    def model(self, given: str | Path | None = None) -> Lineage:
        """Where a model or an update comes from, and what came of it.

        Args:
            given: a model file (safetensors), a digest in hex, or None for the current model.

        Raises:
            ConfigurationError: the file cannot be read, or the federation never had this.
        """
        with self._asking() as asking:
            return lineage.lineage(asking, given)

    def attestations(self, number: int | None = None) -> tuple[AttestationRow, ...]:
        """Who signed which result and verdict, of all rounds or of one."""
        with self._asking() as asking:
            return attestations.attestations(asking, number)

    def contributions(self) -> tuple[PublicContributionRow, ...]:
        """Contributions of public data to the federation's trainers, with what became of each."""
        with self._asking() as asking:
            return public.contributions(asking)

    def gas(self) -> tuple[GasRow, ...]:
        """Gas and fees by action, of all transactions with events of the federation."""
        with self._asking() as asking:
            return public.gas(asking)

    def claimable(self, account: str | None = None) -> tuple[ClaimableRow, ...]:
        """What can be claimed now, by everybody or one: now is the last synced block's time.

        From rounds, from windows whose verdict stands or that lapsed, and from bonds. Not what a
        trainer's incentive would pay, which depends on the model's prediction (`ddcai claims`
        asks), nor a verdict's bond that nobody released yet, nor what anyone may sweep.

        Raises:
            ConfigurationError: not an address.
        """
        with self._asking() as asking:
            return flows.claimable(asking, account)

    def anomalies(self) -> tuple[AnomalyRow, ...]:
        """What an auditor should look at: `ddcai.audit.ledger.anomalies` lists the kinds."""
        with self._asking() as asking:
            return anomalies.anomalies(asking)

    def search(self, text: str) -> tuple[SearchRow, ...]:
        """Addresses, digests and transactions that begin with a text, and rounds of a number.

        At most 50; nothing for fewer than 3 hex digits.
        """
        with self._asking() as asking:
            return searching.search(asking, text)

    def archive(self) -> Archive:
        """All events and rounds, with what an archive names beside them.

        Raises:
            IndexRefused: the index is not yet as far as the first round.
        """
        with self._index.reading() as connection:
            return archive(connection, reading.indexed(connection, self._id))

    def sql(self, statement: str, *, limit: int = 1000, seconds: float = 10.0) -> SqlAnswer:
        """What a SELECT over the documented views gives: see `ddcai.audit.ledger.sql`.

        Of all federations in the file.

        Raises:
            ConfigurationError: the statement is no such thing, or takes too long.
        """
        uri = f"{self._index.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return sql.answer(connection, statement, limit=limit, seconds=seconds)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Rows have no cycles, and looking for some is up to half the time of a long answer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
