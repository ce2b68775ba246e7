"""Reading what the contract that judges updates did, and how it stands, into files: a window, or
some hundreds of events, at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddcai.audit.history import Registration, RoundHistory, round_of
from ddcai.audit.steps import Steps
from ddcai.audit.stored import Stored
from ddcai.audit.windows import AssessmentHistory, Entry, MemberStanding, PostedVerdict
from ddcai.chain.assessment import Assessment, WindowRecord
from ddcai.chain.events import Event
from ddcai.chain.federation import Federation
from ddcai.chain.records import bitmap, bitmap_indices

POST = "postVerdict(uint64,uint256[],uint32[],bytes32,uint256[],bytes)"
RESOLVE = "resolve(uint64,uint256[],uint32[],bytes32,uint256[],bytes)"
# The argument of an event that names who paid or was paid.
_ACCOUNTS = ("contributor", "by", "to", "from", "sponsor", "account", "poster")


_WINDOWS, _MEMBERS, _ENTRIES = "windows.sqlite", "members.sqlite", "entries.sqlite"
_Standings = Mapping[int, MemberStanding]


def read_assessment(
    federation: Federation,
    batches: Iterable[tuple[Sequence[Event], Steps]],
    members: Sequence[Registration],
    rounds: Sequence[RoundHistory],
    folder: Path,
) -> AssessmentHistory:
    """What the contract says; reads are of the latest block.

    Args:
        batches: its events in their order, with the steps of these.
        members, rounds: of its federation.
        folder: of the auditor's own, for windows, members and entries, which are read from it.
    """
    assessment = federation.assessment()
    numbers = range(1, assessment.window_count() + 1)
    windows = Stored.write(folder / _WINDOWS, map(assessment.window, numbers))
    addresses = {one.index: one.address for one in members}
    standings: Stored[_Standings] = Stored.write(
        folder / _MEMBERS, (_standings(assessment, one, addresses, rounds) for one in windows)
    )
    entries = Stored.write(folder / _ENTRIES, _entries(assessment, batches, standings))
    credited = {one.account for one in entries if one.name == "BondReleased"}
    owed = {account: assessment.owed_wei(account) for account in sorted(credited)}
    return AssessmentHistory(
        address=assessment.address,
        rules=assessment.rules(),
        entries=entries,
        windows=windows,
        members=standings,
        pool_wei=assessment.pool_wei(),
        owed_wei={account: amount for account, amount in owed.items() if amount},
        balance_wei=federation.balance(assessment.address),
    )


def _standings(
    assessment: Assessment,
    window: WindowRecord,
    addresses: Mapping[int, str],
    rounds: Sequence[RoundHistory],
) -> _Standings:
    """Of everybody with an update in a window, by member index, ascending."""
    found = (round_of(rounds, number) for number in window.rounds)
    listed = {index for one in found if one and one.judging for index in one.judging.indices}
    indices = sorted(listed & addresses.keys())
    updates = assessment.updates_of(window.number, indices)
    verdicts = assessment.verdicts(window.number, indices)
    standings = {}
    for index in indices:
        own, share = assessment.claimable(window.number, addresses[index])
        standings[index] = MemberStanding(
            updates=updates[index],
            agreed=verdicts[index].agreed,
            points=verdicts[index].points,
            refund_wei=own,
            take_wei=share,
        )
    return standings


def _entries(
    assessment: Assessment,
    batches: Iterable[tuple[Sequence[Event], Steps]],
    standings: Sequence[_Standings],
) -> Iterator[Entry]:
    for found, steps in batches:
        yield from _Entries(assessment, found, steps, standings).entries()


class _Entries:
    def __init__(
        self,
        assessment: Assessment,
        found: Sequence[Event],
        steps: Steps,
        standings: Sequence[_Standings],
    ) -> None:
        self._found, self._steps, self._standings = found, steps, standings
        self._given = {
            name: steps.arguments(
                (event for event in found if event.name == name), assessment.address, signature
            )
            for name, signature in (("VerdictPosted", POST), ("DisputeResolved", RESOLVE))
        }

    def entries(self) -> Iterator[Entry]:
        return map(self._entry, self._found)

    def _entry(self, event: Event) -> Entry:
        args = event.args
        account = next((args[name] for name in _ACCOUNTS if name in args), "")
        return Entry(
            name=event.name,
            step=self._steps.of(event),
            window=args.get("window"),
            account=account,
            amount_wei=args.get("amountWei", args.get("potWei", 0)),
            round=args.get("round", 0),
            updates=args.get("updates", 0),
            verdict=self._verdict(event) if event.name in self._given else None,
            right=bitmap_indices(args.get("right", ())),
        )

    def _verdict(self, event: Event) -> PostedVerdict:
        args = event.args
        given = self._given[event.name].get(event.tx_hash)
        if given is not None and (given[0], given[3]) != (args["window"], args["scoresDigest"]):
            given = None  # the event is of another call within that transaction
        words, points = self._outcome(args, given)
        return PostedVerdict(
            attempt=0 if event.name == "VerdictPosted" else 1,
            scores_digest=args["scoresDigest"],
            agreed=bitmap_indices(words),
            points=points,
            agreed_words=words,
            signers=None if given is None else bitmap_indices(given[4]),
            signature=None if given is None else bytes(given[5]),
        )

    def _outcome(
        self, args: dict[str, Any], given: tuple[Any, ...] | None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """From the event; a resolution's has none, but it is the last word in its window."""
        if "agreed" in args:
            return tuple(args["agreed"]), tuple(args["points"])
        if given is not None:
            return tuple(given[1]), tuple(given[2])
        # None, where the chain has replaced that window's blocks since.
        found = self._standings[args["window"] - 1 : args["window"]]
        agreed = {
            index: one.points
            for standings in found
            for index, one in standings.items()
            if one.agreed
        }
        return tuple(bitmap(agreed)), tuple(agreed.values())
