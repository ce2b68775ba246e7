"""Windows of judged rounds, worked out from their events and rules.

As ``WindowAssessment`` has them at the time of the last synced block; `ddcai.audit.window_ledger`
checks that the contract went by the same rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError

from ddcai.audit.ledger.asking import Asking
from ddcai.chain.records import WindowRules, bitmap_indices

_TYPES = ("uint64", "uint256[]", "uint32[]", "bytes32", "uint256[]", "bytes")
_CALLS = {"VerdictPosted": "postVerdict", "DisputeResolved": "resolve"}


@dataclass(kw_only=True)
class Window:
    """One window.

    Attributes:
        rounds: in it; `last_at` is when the last of them was finalised.
        updates: deposits, by account.
        judged_at, settled_at: when the verdict came, and when its dispute ended; 0 before.
        agreed: points by account of those whose deposits come back; None before a verdict, or
            where another contract sent it on, so that it is not in the transaction.
        pot_wei: as the last verdict's event says.
        posted: (attempt, digest, signers or None, time) of each verdict.
        right: how many disputers a resolution found right; None before.
        paid: wei by (account, ``Refunded``, ``Taken`` or ``Swept``).
    """

    number: int
    rounds: list[int] = field(default_factory=list)
    last_at: int = 0
    updates: Counter[str] = field(default_factory=Counter)
    judged_at: int = 0
    settled_at: int = 0
    agreed: dict[str, int] | None = None
    pot_wei: int = 0
    poster: str = ""
    disputers: list[str] = field(default_factory=list)
    posted: list[tuple[int, str, frozenset[int] | None, int]] = field(default_factory=list)
    right: int | None = None
    fallen: bool = False
    swept: bool = False
    bond_released: bool = False
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)

    def state_at(self, rules: WindowRules, now: int) -> str:
        """Filling, full, lapsed, judged, disputed, fallen or standing, as the contract says it."""
        lapsed = self.lapsed_at(rules)
        if lapsed is not None:
            full = len(self.rounds) >= rules.window_rounds
            return "lapsed" if now >= lapsed else "full" if full else "filling"
        disputable = self.judged_at + rules.dispute_period_s
        if now <= disputable:
            return "judged"
        if not self.disputers or self.settled_at:
            return "standing"
        return "disputed" if now <= disputable + rules.resolve_period_s else "fallen"

    def stands_at(self, rules: WindowRules) -> int | None:
        """From when its verdict stands, if nothing more happens; None where it cannot yet."""
        if not self.judged_at or (self.disputers and not self.settled_at):
            return None
        disputable = self.judged_at + rules.dispute_period_s + 1
        return max(disputable, self.settled_at)

    def lapsed_at(self, rules: WindowRules) -> int | None:
        """From when it has lapsed, without a verdict; None where one came."""
        return None if self.judged_at else self.last_at + rules.verdict_period_s + 1

    def claimable(
        self, account: str, rules: WindowRules, deposit_wei: int, now: int
    ) -> tuple[int, int]:
        """What ``claim`` would pay: (own deposits, share) in wei."""
        own = 0 if (account, "Refunded") in self.paid else self.updates[account] * deposit_wei
        lapsed = self.lapsed_at(rules)
        if lapsed is not None:
            return (own, 0) if now >= lapsed else (0, 0)
        stands = self.stands_at(rules)
        if stands is None or now < stands or self.agreed is None or account not in self.agreed:
            return 0, 0
        # The contract counts from the last moment to dispute, or from when the dispute ended.
        since = self.settled_at or stands - 1
        points, total = self.agreed[account], sum(self.agreed.values())
        late = self.swept or (account, "Taken") in self.paid or now < since + rules.take_wait_s
        return own, 0 if late or not points else self.pot_wei * points // total


def window_rules(asking: Asking) -> WindowRules | None:
    """The rules by which deposits are judged; None where they are not."""
    found = asking.federation.facts["window_rules"]
    return None if found is None else WindowRules(**found)


def windows(asking: Asking) -> dict[int, Window]:
    """All windows, by number."""
    found: dict[int, Window] = {}
    members: dict[int, str] = dict(
        asking.rows("SELECT member_index, account FROM members WHERE federation_id = :id")
    )
    for name, number, account, time, args, action, data in asking.rows(
        "SELECT e.name, e.window, e.account, e.time, e.args, t.action, "
        "CASE WHEN e.name IN ('VerdictPosted', 'DisputeResolved') THEN t.input END "
        "FROM events e INDEXED BY events_by_name JOIN transactions t "
        "ON t.chain_id = e.chain_id AND t.hash = e.tx_hash "
        "WHERE e.federation_id = :id AND e.kind = 'assessment' AND e.window IS NOT NULL "
        "ORDER BY e.block_number, e.log_index"
    ):
        window = found.setdefault(number, Window(number=number))
        values = json.loads(args)
        call = _call(data) if action == _CALLS.get(name) else None
        _add(window, name, account, time, values, call, members)
    for number, account, count in asking.rows(
        "SELECT e.window, s.account, count(*) FROM events e JOIN submissions s "
        "ON s.federation_id = e.federation_id AND s.round = e.round AND s.judged "
        "WHERE e.federation_id = :id AND e.kind = 'assessment' AND e.name = 'RoundTaken' "
        "GROUP BY e.window, s.account"
    ):
        found[number].updates[account] = count
    return found


def _call(data: bytes) -> tuple[Any, ...] | None:
    try:
        return abi.decode(_TYPES, data[4:])
    except (DecodingError, OverflowError):
        return None


def _add(
    window: Window,
    name: str,
    account: str,
    time: int,
    args: Mapping[str, Any],
    call: tuple[Any, ...] | None,
    members: Mapping[int, str],
) -> None:
    if name == "RoundTaken":
        window.rounds.append(args["round"])
        window.last_at = time
    elif name in _CALLS:
        first = name == "VerdictPosted"
        window.pot_wei = int(args["potWei"])
        signers = None if call is None else frozenset(bitmap_indices(call[4]))
        window.posted.append((0 if first else 1, args["scoresDigest"], signers, time))
        if first:
            window.judged_at, window.poster = time, account
            words, points = [int(one) for one in args["agreed"]], args["points"]
        else:
            window.settled_at, window.bond_released = time, True
            window.right = len(bitmap_indices(int(one) for one in args["right"]))
            words, points = ([], None) if call is None else (list(call[1]), call[2])
        window.agreed = None
        if points is not None:
            agreed = (members[index] for index in bitmap_indices(words))
            window.agreed = dict(zip(agreed, points, strict=True))
    elif name == "VerdictDisputed":
        window.disputers.append(account)
    elif name == "DisputeClosed":
        window.settled_at, window.fallen, window.bond_released = time, True, True
        window.pot_wei = int(args["potWei"])
        if window.agreed is not None:
            window.agreed |= dict.fromkeys(window.disputers, 0)
    elif name == "BondReleased":
        window.bond_released = True
    elif name in ("Refunded", "Taken", "Swept"):
        window.swept = window.swept or name == "Swept"
        window.paid[account, name] += int(args["amountWei"])
