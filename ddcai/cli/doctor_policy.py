"""The check of ``ddcai doctor`` that reads a node's policy file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.cli.doctor_machine import Doubt
from ddcai.cli.readiness import others_can_change
from ddcai.errors import PolicyLimit

if TYPE_CHECKING:
    from ddcai.chain.node.connection import Connection
    from ddcai.policy.document import Policy
    from ddcai.rounds.party import Party


def check_policy(path: Path, web3: Connection, party: Party, *, contributes: bool) -> str:
    """What a policy allows of a federation, whose party has an account.

    Raises:
        ConfigurationError: the file cannot be read, or as `Policy.parse`.
        PolicyLimit: the federation's rules, or a round's deposit, are beyond it.
        ChainError: the present price of gas is.
        Doubt: others can change the file.
    """
    from ddcai.chain.transactions import Sender
    from ddcai.policy.document import Policy
    from ddcai.rounds.guard import Guard

    policy = Policy.load(path)
    guard = Guard(policy, path)  # whose counters these checks neither read nor write
    if contributes:
        guard.check_federation(party)
        _require_deposit(policy, party)
    elif party.config.assessment is not None:
        guard.check_scalars(party)
    cap = policy.money.max_gas_price_wei
    if cap is not None:
        assert party.account is not None
        Sender(web3, party.account, max_fee_per_gas_wei=cap).gas_price()
    if others_can_change(path):
        raise Doubt(
            f"{path} allows this federation; others can change the file",
            f"chown {path} to this account, and chmod 600",
        )
    return f"{path} allows this federation"


def _require_deposit(policy: Policy, party: Party) -> None:
    deposit, most = party.federation.rules().deposit_wei, policy.money.max_spend_wei_per_day
    if most is not None and deposit > most:
        raise PolicyLimit(
            f"a round's deposit is {deposit} wei, and money.max_spend_wei_per_day is {most}"
        )
