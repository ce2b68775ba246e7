"""A node's policy at work: asked before a node trains, opens or pays.

What it is asked about comes from the chain, the node's own files and its clock; nothing from a
message but the round's number.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.chain.records import RoundRecord
from ddcai.configuration import FederationConfig
from ddcai.errors import PolicyLimit, PrivacyBudgetSpent
from ddcai.policy.counters import Counters, Purse, utc_now
from ddcai.policy.document import Policy

if TYPE_CHECKING:
    from ddcai.rounds.party import Party


class Guard:
    """A node's policy, and what was used of it.

    Args:
        policy: the node's.
        path: file of its counters, in the node's state folder.
        now: the node's clock, in UTC.
    """

    def __init__(self, policy: Policy, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self.policy, self._now = policy, now
        self._counters = Counters(path, now)

    @property
    def purse(self) -> Purse | None:
        """What the account may spend; None without a limit."""
        most_wei = self.policy.money.max_spend_wei_per_day
        return None if most_wei is None else Purse(self._counters, most_wei)

    def check_federation(self, party: Party) -> None:
        """Refuses to contribute to a federation whose rules the policy does not allow.

        Raises:
            PolicyLimit: no update may leave; the contract seals sums of fewer updates, or takes a
                larger deposit, than allowed; single updates are judged, or get no noise.
        """
        leave, money, rules = self.policy.leave, self.policy.money, party.federation.rules()
        if not leave.updates:
            raise PolicyLimit("leave.updates is false: no update is made")
        self._require_leave_for_scalars(party.config)
        self._require_contributors(rules.min_contributors, "the contract seals sums of as few as")
        deposit, most = rules.deposit_wei, money.max_deposit_wei
        if most is not None and deposit > most:
            raise PolicyLimit(
                f"a round's deposit is {deposit} wei, and money.max_deposit_wei is {most}"
            )
        self._require_noise(party.config)

    def check_training(self, party: Party, record: RoundRecord) -> None:
        """Refuses to contribute to a round. One that was counted may go on after the hours.

        Raises:
            PolicyLimit: as `check_federation`, and outside of the hours.
            PrivacyBudgetSpent: the round would bring epsilon above ``privacy.max_epsilon``.
        """
        self.check_federation(party)
        self._check_new(record.number)
        self._check_epsilon(party, record.number, _contributed)

    def check_opening(self, party: Party, record: RoundRecord, listed: int) -> None:
        """Refuses to open anything of a round; counts it otherwise.

        Args:
            listed: how many updates the list has.

        Raises:
            PolicyLimit: the list is too short; outside of the hours; too many rounds today.
            PrivacyBudgetSpent: as `check_training`, of the rounds sealed.
        """
        self._require_contributors(listed, f"round {record.number} lists only")
        self._require_noise(party.config)
        self._check_new(record.number)
        self._check_epsilon(party, record.number, _sealed)
        self.count_round(record.number)

    def check_scalars(self, party: Party) -> None:
        """Raises PolicyLimit unless numbers of single updates may be opened."""
        self._require_leave_for_scalars(party.config)

    def count_round(self, number: int) -> None:
        """Counts a round, before anything of it is made, once.

        Raises:
            PolicyLimit: one too many today.
        """
        self._counters.count_round(number, self.policy.rounds.max_rounds_per_day)

    def _check_new(self, number: int) -> None:
        rounds = self.policy.rounds
        if number in self._counters.rounds():
            return
        if not rounds.open_at(self._now()):
            raise PolicyLimit(
                f"it is {self._now():%H:%M} UTC, and rounds.hours is {rounds.hours}: round "
                f"{number} is not begun"
            )
        self._counters.check_round(number, rounds.max_rounds_per_day)

    def _require_contributors(self, number: int, what: str) -> None:
        least = self.policy.rounds.min_contributors
        if least is not None and number < least:
            raise PolicyLimit(f"{what} {number} updates, and rounds.min_contributors is {least}")

    def _require_leave_for_scalars(self, config: FederationConfig) -> None:
        if config.assessment is not None and not self.policy.leave.scalars:
            raise PolicyLimit(
                "this federation judges updates by numbers opened of each, and leave.scalars is "
                "false"
            )

    def _require_noise(self, config: FederationConfig) -> None:
        privacy = self.policy.privacy
        if config.privacy is None and (privacy.require or privacy.max_epsilon is not None):
            raise PolicyLimit(
                "updates of this federation get no noise, and the policy's [privacy] wants it"
            )

    def _check_epsilon(
        self, party: Party, number: int, counts: Callable[[RoundRecord, str], bool]
    ) -> None:
        privacy = self.policy.privacy
        if privacy.max_epsilon is None or privacy.delta is None:
            return
        from ddcai.rounds.privacy import epsilon

        earlier = (party.federation.round(one) for one in range(1, number))
        told = {record.number for record in earlier if counts(record, party.address)}
        told |= self._counters.rounds() | {number}
        reached = epsilon(party.config, len(told), privacy.delta)
        if reached > privacy.max_epsilon:
            raise PrivacyBudgetSpent(
                f"round {number} would be this node's number {len(told)} and bring epsilon to "
                f"{reached:.4g} at delta {privacy.delta:g}; privacy.max_epsilon of its policy is "
                f"{privacy.max_epsilon:g}"
            )


def _contributed(record: RoundRecord, address: str) -> bool:
    return any(item.address == address for item in record.submissions)


def _sealed(record: RoundRecord, address: str) -> bool:
    return bool(record.sealed)


__all__ = ["Guard"]
