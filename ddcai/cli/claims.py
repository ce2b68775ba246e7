"""``ddcai refund``, ``report`` and ``claims``: deposits back, and shares of bad ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    AccountOption,
    Format,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit, say
from ddcai.cli.trainer import TrainerOption, connect_trainer, remedy
from ddcai.errors import ConfigurationError, ContractReverted, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.claims import Claim
    from ddcai.chain.trainer import Trainer

IdsArgument = Annotated[list[int] | None, typer.Argument(help="Contributions, by their id.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that can be claimed now.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what it would bring; send nothing.")
]
# Claims in one transaction: a refund or report takes at most about 110,000 gas with its calldata.
BATCH = 50


def refund(
    trainer: TrainerOption,
    ids: IdsArgument = None,
    all_: AllOption = False,
    dry_run: DryRunOption = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take back this account's deposits that the model agrees with, and points."""
    claimed = _Claimed.connect(trainer, rpc_url, keystore, account, password_file)
    claimed.some("refund", ids or [], all_, dry_run, format_)


def report(
    trainer: TrainerOption,
    ids: IdsArgument = None,
    all_: AllOption = False,
    dry_run: DryRunOption = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take this account's share of deposits that the model disagrees with."""
    claimed = _Claimed.connect(trainer, rpc_url, keystore, account, password_file)
    claimed.some("report", ids or [], all_, dry_run, format_)


def claims(
    trainer: TrainerOption,
    watch: Annotated[
        bool, typer.Option("--watch", help="Claim each as soon as it can be, until interrupted.")
    ] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Pull what is owed to this account; also of --watch.")
    ] = False,
    poll_s: Annotated[
        float, typer.Option("--poll-s", min=0.05, help="Seconds between two looks at the chain.")
    ] = 15.0,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """List what an account can claim, and when; or claim it.

    With --account alone it lists, and needs no key.
    """
    if keystore is None and (watch or withdraw):
        raise ConfigurationError("keystore is not set: give --keystore, or set ETH_KEYSTORE")
    claimed = _Claimed.connect(trainer, rpc_url, keystore, account, password_file)
    if watch:
        from ddcai.cli.processes import stop_on_signals

        with stop_on_signals():
            claimed.watch(withdraw, poll_s)
        say("stopped: what was claimed is claimed; run it again for the rest")
        return
    if withdraw:
        claimed.withdraw()
    emit([_row(one) for one in claimed.open()], format_, empty="nothing to claim")
    say(f"owed to {claimed.account}: {claimed.owed()}")


class _Claimed:
    """One account's claims on one trainer."""

    def __init__(self, trainer: Trainer, account: str, first_release: int) -> None:
        self.trainer, self.account, self.first_release = trainer, account, first_release

    @classmethod
    def connect(
        cls, file: Any, rpc_url: str, keystore: Any, account: str | None, password_file: Any
    ) -> _Claimed:
        from ddcai.cli.parties import check_addresses

        found, trainer = connect_trainer(file, rpc_url, keystore, account, password_file)
        if trainer.sender is not None:
            address = trainer.sender.address
        elif account is not None:
            [address] = check_addresses("account", [account])
        else:
            raise ConfigurationError("keystore is not set: give --keystore, or --account to list")
        return cls(trainer, address, found.first_release)

    def open(self) -> list[Claim]:
        from ddcai.chain.claims import claims_of

        return claims_of(self.trainer, self.account, first_release=self.first_release)

    def owed(self) -> str:
        from ddcai.chain.transactions import ether

        return ether(self.trainer.incentive.owed_wei(self.account))

    def some(
        self, action: str, ids: Sequence[int], all_: bool, dry_run: bool, format_: Format
    ) -> None:
        """Claims the given ones, or all; refuses what cannot be, before anything is sent."""
        if bool(ids) == all_:
            raise ConfigurationError(f"say which: ids, or --all, as in `ddcai {action} --all`")
        if self.trainer.sender is None:
            raise ConfigurationError("keystore is not set: give --keystore, or set ETH_KEYSTORE")
        mine = {one.contribution.id: one for one in self.open() if one.action == action}
        chosen = [one for one in mine.values() if one.ready] if all_ else []
        for id_ in dict.fromkeys(ids):
            if id_ not in mine:
                raise PolicyError(
                    f"contribution {id_} is nothing to {action} for {self.account}: it is settled, "
                    "or not there, or the model's answer does not allow it now; `ddcai claims` "
                    "lists what can be claimed"
                )
            if not mine[id_].ready:
                raise PolicyError(f"contribution {id_}: {_waits(mine[id_])}; nothing was sent")
            chosen.append(mine[id_])
        if not chosen:
            raise PolicyError(f"nothing to {action} now: `ddcai claims` says what, and when")
        if not dry_run:
            self._send(chosen)
        emit([_row(one) for one in chosen], format_)
        if dry_run:
            say("dry run: nothing was sent")
        else:
            say(f"owed to {self.account}: {self.owed()} (`ddcai claims --withdraw` pulls it)")
            say(f"points of {self.account}: {self.trainer.incentive.points(self.account).own}")

    def withdraw(self) -> None:
        if self.trainer.incentive.owed_wei(self.account) == 0:
            say("nothing is owed: nothing to withdraw")
            return
        owed = self.owed()
        self._tell(self.trainer.incentive.withdraw)
        say(f"withdrew {owed}")

    def watch(self, withdraw: bool, poll_s: float) -> None:
        """Claims what can be claimed, again and again; a line a change."""
        said = ""
        while True:
            found = self.open()
            ready = [one for one in found if one.ready]
            if ready:
                try:
                    self._send(ready)
                except PolicyError as error:  # the chain's clock, or somebody else, was first
                    said = _say_once(f"not yet: {error}", said)
                else:
                    for one in ready:
                        amount = f"{one.amount_wei} wei, {one.points} points"
                        say(f"{one.action} of {one.contribution.id}: {amount}")
                    if withdraw:
                        self.withdraw()
            else:
                said = _say_once(_awaited(found), said)
            time.sleep(poll_s)

    def _send(self, chosen: Sequence[Claim]) -> None:
        for start in range(0, len(chosen), BATCH):
            part = chosen[start : start + BATCH]
            named = {
                action: [one.contribution for one in part if one.action == action]
                for action in ("refund", "report")
            }
            self._tell(
                lambda named=named: self.trainer.claim(  # type: ignore[misc]
                    refunds=named["refund"], reports=named["report"]
                )
            )

    def _tell(self, send: Callable[[], Any]) -> None:
        try:
            send()
        except ContractReverted as error:
            raise remedy(error) from error


def _say_once(line: str, before: str) -> str:
    if line != before:
        say(line)
    return line


def _awaited(found: Sequence[Claim]) -> str:
    waiting = [one for one in found if one.refused]
    if not waiting:
        return "nothing to claim: waiting for contributions"
    first = min(waiting, key=lambda one: one.earliest)
    return (
        f"waiting for {len(waiting)} claims: the first is to {first.action} "
        f"{first.contribution.id}, {_waits(first)}"
    )


def _waits(one: Claim) -> str:
    from ddcai.cli.trainer import REMEDIES

    when = datetime.fromtimestamp(one.earliest, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if one.refused == "WrongPrediction":
        return "the model disagrees with its label now: it can be refunded when it agrees again"
    if one.refused == "WrongPhase":
        return f"its market is not over: {when} at the latest"
    if one.refused in ("TooEarly", "NotAllowed", "AlreadyReported"):
        return f"it can be claimed from {when}"
    return REMEDIES.get(one.refused, one.refused)


def _row(one: Claim) -> dict[str, Any]:
    return {
        "id": one.contribution.id,
        "action": one.action,
        "amount_wei": one.amount_wei,
        "points": one.points,
        "now": one.ready,
        "from": datetime.fromtimestamp(one.earliest, UTC),
        "why_not": one.refused or None,
    }
