"""Where a federation stands now, who is waited for, since when and until when.

From the chain alone, so anybody can ask. What never gets there is not in it: of a sealed round,
which key holders have opened the sum and which contributors have signed is known to the
coordinator only, so that all of them are named until the round ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ddcai.audit.window_standing import WindowStanding, WindowStandings
from ddcai.chain.events import Event, events
from ddcai.chain.federation import Federation
from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.node.connection import Connection, request
from ddcai.chain.records import Member, RoundRecord, RoundState


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """One account that is waited for.

    Attributes:
        account: checksum address.
        role: contributor, key holder or coordinator.
        action: what it is to do.
        since: from when on it could.
        until: the last moment; None where there is no deadline.
    """

    account: str
    role: str
    action: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A federation at one block.

    Attributes:
        block, block_time: the last one when this was read.
        members: those that take part now.
        round: the last one opened; 0 before the first.
        state: of that round: none, open, committed, sealed, finalized or cancelled.
        step: what it waits for, in words.
        submitted: updates committed in it.
        sealed: of these, on the sealed list.
        submit_deadline, finalize_deadline: of that round; None before the first.
        model_digest: the current model's, 0x and hex.
        model_round: the round that made it; 0 for the first model.
        held_wei: by the federation's contract and, where updates are judged, by the one that
            holds deposits until a verdict.
        waiting: who is waited for; nobody where it is anybody's turn, or all went home.
        windows: of judged rounds, of which something is still to come.
    """

    federation: str
    chain_id: int
    block: int
    block_time: datetime
    members: int
    round: int
    state: str
    step: str
    submitted: int
    sealed: int
    submit_deadline: datetime | None
    finalize_deadline: datetime | None
    model_digest: str
    model_round: int
    held_wei: int
    waiting: tuple[Awaited, ...]
    windows: tuple[WindowStanding, ...] = ()


class Standings:
    """Reads of one federation, one after the other.

    What cannot change is asked for once. A round that is over can change all the same, where the
    chain replaces blocks: then all is asked for again.

    Args:
        federation: as `Federation.connect` makes it with this ``w3``.
    """

    def __init__(self, w3: Connection, federation: Federation) -> None:
        self._w3, self._federation = w3, federation
        self._seen: tuple[int, str] | None = None
        self._windows: WindowStandings | None = None

    def read(self) -> Standing:
        """How it stands now.

        Raises:
            ChainError: as `read_standing`.
        """
        if self._seen is not None:
            number, digest = self._seen
            block = request(self._w3, "eth_getBlockByNumber", [hex(number), False])
            if block is None or str(block["hash"]) != digest:
                old = self._federation
                self._federation = Federation(self._w3, old.address, from_block=old.from_block)
                self._seen = self._windows = None
        latest = request(self._w3, "eth_getBlockByNumber", ["latest", False])
        rules = self._federation.rules()
        if self._windows is None and rules.assessed:
            self._windows = WindowStandings(self._federation.assessment())
        found = read_standing(self._w3, self._federation, windows=self._windows)
        self._seen = int(latest["number"], 16), str(latest["hash"])
        return found


def read_standing(
    w3: Connection,
    federation: Federation,
    *,
    now: int | None = None,
    windows: WindowStandings | None = None,
) -> Standing:
    """Asks the chain, in about a dozen requests; not for what it said of rounds that are over.

    Args:
        federation: as `Federation.connect` makes it with this ``w3``.
        now: unix seconds that deadlines are compared with; by default the clock's, or the last
            block's where that is later (a trial chain's may be ahead).
        windows: what reads those of judged rounds; None leaves them out.

    Raises:
        ChainError: the endpoint does not answer, or not as a federation's chain does.
    """
    block = request(w3, "eth_getBlockByNumber", ["latest", False])
    block_time = int(block["timestamp"], 16)
    now = max(int(time.time()), block_time) if now is None else now
    joined = federation.members()
    members = [one for one in joined if one.active]
    last = federation.last_round()
    rules = federation.rules()
    step, record, waiting = "opening the first round", None, tuple[Awaited, ...]()
    if last:
        record = federation.round(last)
        step, waiting = _turn(w3, federation, members, record, now)
    elif len(members) < rules.min_contributors:
        step = f"{rules.min_contributors - len(members)} more members to join"
    held = federation.balance()
    if rules.assessed:
        held += federation.balance(rules.assessment)
    return Standing(
        federation=federation.address,
        chain_id=federation.chain_id,
        block=int(block["number"], 16),
        block_time=_utc(block_time),
        members=len(members),
        round=last,
        state="none" if record is None else record.state.name.lower(),
        step=step,
        submitted=0 if record is None else len(record.submissions),
        sealed=0 if record is None else len(record.sealed),
        submit_deadline=None if record is None else _utc(record.submit_deadline),
        finalize_deadline=None if record is None else _utc(record.finalize_deadline),
        model_digest="0x" + federation.model_digest().hex(),
        model_round=_last_finalised(federation, last),
        held_wei=held,
        waiting=waiting,
        windows=()
        if windows is None
        else windows.read([one.address for one in joined], block_time),
    )


def _turn(
    w3: Connection,
    federation: Federation,
    members: Sequence[Member],
    record: RoundRecord,
    now: int,
) -> tuple[str, tuple[Awaited, ...]]:
    """What a round waits for, in words, and whom."""
    if not record.settled and now > record.finalize_deadline:
        return "missed its deadline: anyone may cancel it", ()
    rules, state = federation.rules(), record.state
    found = _Events(
        events(w3, federation.address, federation.opened_block(record.number)), record.number
    )
    until = _utc(record.finalize_deadline)

    def coordinator(action: str, since: datetime, until: datetime | None) -> Awaited:
        return Awaited(
            account=rules.coordinator, role="coordinator", action=action, since=since, until=until
        )

    if record.settled:
        ended = found.time("RoundFinalized", "RoundCancelled")
        return "opening the next round, if there is to be one", (
            coordinator("open the next round", ended, None),
        )
    if state is RoundState.OPEN:
        opened = found.time("RoundOpened")
        there = {item.address for item in record.submissions}
        missing = [one.address for one in members if one.address not in there]
        if missing and now <= record.submit_deadline:
            return "updates", tuple(
                Awaited(
                    account=address,
                    role="contributor",
                    action="submit an update",
                    since=max(opened, found.joined(address, opened)),
                    until=_utc(record.submit_deadline),
                )
                for address in missing
            )
        if len(there) < rules.min_contributors:
            since = _utc(record.submit_deadline) if missing else opened
            return (
                f"cancelling: {len(there)} updates came, {rules.min_contributors} are needed",
                (coordinator("cancel the round", since, until),),
            )
        last = found.time("UpdateSubmitted")
        since = max(last, _utc(record.submit_deadline)) if missing else last
        what = "commit the list of updates" if rules.assessed else "seal the sum"
        return "sealing", (coordinator(what, since, until),)
    if state is RoundState.COMMITTED:
        assert record.commitment is not None
        if not record.commitment.drawn:
            since = found.time("RoundCommitted")
            return "the draw", (coordinator("draw what is looked at", since, until),)
        since = found.time("RoundDrawn")
        return "judging", (
            *_holders(federation, record, "open what updates are judged by", since, until),
            coordinator("seal the sum of those that pass", since, until),
        )
    since = found.time("RoundSealed")
    needed = rules.signatures_needed(len(record.sealed))
    signing = f"sign the result, {needed} of {len(record.sealed)}"
    return "opening, signing, finalising", (
        *_holders(federation, record, "open the sum", since, until),
        *(
            Awaited(
                account=item.address, role="contributor", action=signing, since=since, until=until
            )
            for item in record.sealed
        ),
        coordinator("finalise the round", since, until),
    )


def _holders(
    federation: Federation, record: RoundRecord, action: str, since: datetime, until: datetime
) -> Iterator[Awaited]:
    holder = federation.key_holder_of(record.number)
    accounts: tuple[str, ...] = (str(holder),)
    if isinstance(holder, KeyEpoch):
        accounts = holder.holders
        action = f"{action}, {holder.threshold} of {len(accounts)}"
    for account in accounts:
        yield Awaited(account=account, role="key holder", action=action, since=since, until=until)


def _last_finalised(federation: Federation, last: int) -> int:
    for number in range(last, 0, -1):
        if federation.round(number).state is RoundState.FINALIZED:
            return number
    return 0


class _Events:
    """When what happened in one round."""

    def __init__(self, found: Sequence[Event], number: int) -> None:
        self._round = [event for event in found if event.args.get("round") == number]
        self._joined = {
            event.args["member"]: event.timestamp
            for event in found
            if event.name == "MemberRegistered"
        }
        # A round that the node shows in storage but not in events: as if it happened just now.
        self._newest = max((event.timestamp for event in found), default=int(time.time()))

    def time(self, *names: str) -> datetime:
        """When the last event of these names was."""
        times = [event.timestamp for event in self._round if event.name in names]
        return _utc(max(times, default=self._newest))

    def joined(self, address: str, otherwise: datetime) -> datetime:
        """When a member joined, if that was in this round."""
        at = self._joined.get(address)
        return otherwise if at is None else _utc(at)


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
