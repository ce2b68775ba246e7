"""``ddcai window``: verdicts of judged rounds, disputes, and the money of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    BlsKeyOption,
    DeploymentOption,
    Format,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, emit_one, say
from ddcai.errors import ConfigurationError, ContractReverted, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.assessment import Assessment, WindowRecord
    from ddcai.chain.federation import Federation
    from ddcai.chain.records import WindowRules
    from ddcai.chain.transactions import Receipt
    from ddcai.rounds.party import Party, Settings

group = typer.Typer(
    help="Windows of judged rounds: list, dispute, resolve, and take what is owed.",
    no_args_is_help=True,
)
NumberArgument = Annotated[int, typer.Argument(min=1, help="The window's number.")]


@group.command("list")
def list_(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """List the windows: their rounds, where each stands, and until when."""
    assessment = _assessment(deployment, rpc_url)
    rules = assessment.rules()
    windows = [assessment.window(one) for one in range(1, assessment.window_count() + 1)]
    emit([_row(one, rules) for one in windows], format_, empty="no round was finalised yet")
    say(f"bounty pool: {assessment.pool_wei()} wei")


@group.command("dispute")
def dispute(
    number: NumberArgument,
    deployment: DeploymentOption,
    force: Annotated[
        bool, typer.Option("--force", help="Although nothing wrong is found: the bond is lost.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Dispute a window's verdict, with the bond, if this party's own audit finds a fault in it.

    A quorum must then sign the verdict anew (`window sign`, `window resolve`), without the
    coordinator. If none does in time, the disputers' deposits come back (`window close`).
    """
    party = _party(_settings(deployment, rpc_url, keystore, account, password_file, store))
    assessment = party.federation.assessment()
    window = _judged(assessment, number)
    faults = _faults(party, deployment, rpc_url, window)
    if not faults and not force:
        raise PolicyError(
            f"the verdict of window {number} is what the scalars lead to: a dispute would lose "
            f"its bond of {assessment.rules().bond_wei} wei; nothing was sent"
        )
    for line in faults:
        say(line)
    _tell(lambda: assessment.dispute(number), format_, window=number)


@group.command("sign")
def sign(
    number: NumberArgument,
    out: Annotated[Path, typer.Option("--out", help="File for the signature; must be new.")],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    bls_key: BlsKeyOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Recompute a disputed window's verdict from its scalars, and sign what comes out.

    Send the file to whoever runs `window resolve`; nothing in it is secret.
    """
    from ddcai.cli.parties import attesting_key_file, open_account, password
    from ddcai.keyfile import write_atomically
    from ddcai.rounds.contributor import Contributor
    from ddcai.rounds.party import attestation_key
    from ddcai.rounds.resolution import SignedResolution

    if out.exists():
        raise ConfigurationError(f"{out} is there already: give another --out, or move it away")
    settings = _settings(deployment, rpc_url, keystore, account, password_file, store)
    file = Path(settings.keystore)
    address = open_account(file, password(password_file), account).address
    key_file = attesting_key_file(bls_key, file, address, deployment, rpc_url)
    settings = replace(settings, bls_key="" if key_file is None else str(key_file))
    party = _party(settings)
    member = party.federation.member(address)
    if member is None:
        raise PolicyError(f"{address} is no member of {party.federation.address}")
    key = attestation_key(settings, party)
    verdicts, signature = Contributor(party, key, out.parent).attest_resolution(number)
    signed = SignedResolution(
        window=number, digest=verdicts.digest, member=member.index, signature=signature
    )
    write_atomically(out, signed.to_blob(), mode=0o644)
    rows = [
        {
            "contributor": name,
            "agreed": one.refund,
            "points": one.points,
            "failed": list(one.failed),
        }
        for name, one in verdicts.by_contributor.items()
    ]
    emit(rows, format_, title=f"window {number}, signed in {out}")


@group.command("resolve")
def resolve(
    number: NumberArgument,
    signatures: Annotated[list[Path], typer.Argument(help="Files of `window sign`.")],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Settle a dispute by a quorum's signatures; whoever was wrong loses its bond."""
    from ddcai.rounds import resolution

    signed = [_signed(path) for path in signatures]
    party = _party(_settings(deployment, rpc_url, keystore, account, password_file, store))
    _tell(lambda: resolution.resolve(party, number, signed), format_, window=number)


@group.command("close")
def close(
    number: NumberArgument,
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """End a dispute that no quorum resolved in time: the disputers' deposits come back."""
    assessment = _assessment(deployment, rpc_url, keystore, account, password_file)
    _tell(lambda: assessment.close_dispute(number), format_, window=number)


@group.command("claim")
def claim(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take all that this account is owed: deposits, shares of forfeited ones, and bonds."""
    from ddcai.rounds.settling import settle_windows

    federation = _federation(deployment, rpc_url, keystore, account, password_file)
    sender = federation.sender
    assert sender is not None
    receipts = settle_windows(federation.assessment(), sender.address)
    rows = [{"tx_hash": one.tx_hash, "gas_used": one.gas_used} for one in receipts]
    emit(rows, format_, title="claimed", empty="nothing is owed to this account now")


@group.command("sweep")
def sweep(
    number: NumberArgument,
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take what nobody took of a window in time."""
    assessment = _assessment(deployment, rpc_url, keystore, account, password_file)
    _tell(lambda: assessment.sweep(number), format_, window=number)


@group.command("fund")
def fund(
    amount_wei: Annotated[int, typer.Option("--amount-wei", min=1, help="What to add.")],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Add to the bounty pool, from which agreed updates are paid although nobody was bad."""
    assessment = _assessment(deployment, rpc_url, keystore, account, password_file)
    if assessment.rules().bounty_per_update_wei == 0:
        raise PolicyError(
            "bounty-per-update-wei of this federation is 0: its pool would pay nobody; nothing "
            "was sent"
        )
    _tell(lambda: assessment.fund(amount_wei), format_)
    say(f"bounty pool: {assessment.pool_wei()} wei")


@group.command("reclaim")
def reclaim(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take back what is left of the pool, long after the last round; the sponsor alone can."""
    assessment = _assessment(deployment, rpc_url, keystore, account, password_file)
    _tell(assessment.reclaim, format_)


def _federation(
    deployment: Path,
    rpc_url: str,
    keystore: Path | None,
    account: str | None,
    password_file: Path | None,
) -> Federation:
    from ddcai.cli.federation import connect_federation
    from ddcai.cli.parties import keystore_file

    file = keystore_file(keystore, account)
    return _checked(connect_federation(deployment, rpc_url, file, account, password_file))


def _assessment(
    deployment: Path,
    rpc_url: str,
    *signer: Any,
) -> Assessment:
    """To read from; with keystore, account and password file to send from too."""
    from ddcai.cli.federation import connect_federation

    if signer:
        return _federation(deployment, rpc_url, *signer).assessment()
    return _checked(connect_federation(deployment, rpc_url)).assessment()


def _checked(federation: Federation) -> Federation:
    if not federation.rules().assessed:
        raise ConfigurationError(
            f"{federation.address} judges no updates: it has no windows. Deposits of its rounds "
            "come back as each is finalised"
        )
    return federation


def _settings(
    deployment: Path,
    rpc_url: str,
    keystore: Path | None,
    account: str | None,
    password_file: Path | None,
    store: str,
) -> Settings:
    from ddcai.cli.parties import keystore_file, password
    from ddcai.rounds.party import Settings

    file = keystore_file(keystore, account)
    password(password_file)  # says what is missing, by the option's name
    return Settings(
        deployment=str(deployment),
        rpc_url=rpc_url,
        store=store,
        keystore=str(file),
        password_file=str(password_file),
    )


def _party(settings: Settings) -> Party:
    from ddcai.rounds.party import Party

    party = Party.connect(settings)
    _checked(party.federation)
    return party


def _judged(assessment: Assessment, number: int) -> WindowRecord:
    window = assessment.window(number)
    if not any(window.scores_digest):
        raise PolicyError(
            f"window {number} is {window.state.name}: it has no verdict to dispute; "
            "`ddcai window list` shows all"
        )
    return window


def _faults(party: Party, deployment: Path, rpc_url: str, window: WindowRecord) -> list[str]:
    """Claims about a window or its rounds that fail the audit, a line each; money apart."""
    from ddcai.audit import claims
    from ddcai.audit.indexed import stored_history
    from ddcai.audit.verify import verify
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.node.connection import connect
    from ddcai.cli.audit import claim_line

    grounds = set(claims.ASSESSED) - {claims.WINDOW_MONEY, claims.WINDOW_SOLVENT}
    found = Deployment.load(deployment)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    with stored_history(w3, found.federation, found.deployed_block) as (history, _):
        return [
            claim_line(claim)
            for claim in verify(history, party.store)
            # A document that nobody can read is a ground, too: disputes have a deadline.
            if claim.status in (claims.Status.FAIL, claims.Status.MISSING)
            and claim.name in grounds
            and (claim.window == window.number or claim.round in window.rounds)
        ]


def _signed(path: Path) -> Any:
    from ddcai.errors import MalformedError
    from ddcai.rounds.resolution import SignedResolution

    try:
        return SignedResolution.from_blob(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except MalformedError as error:
        raise ConfigurationError(f"{path}: {error}; give files of `ddcai window sign`") from error


def _row(window: WindowRecord, rules: WindowRules) -> dict[str, Any]:
    from ddcai.chain.assessment import WindowState

    until: dict[WindowState, int] = {
        WindowState.FULL: window.last_at + rules.verdict_period_s,
        WindowState.JUDGED: window.judged_at + rules.dispute_period_s,
        WindowState.DISPUTED: window.judged_at + rules.dispute_period_s + rules.resolve_period_s,
    }
    end = until.get(window.state)
    return {
        "window": window.number,
        "state": window.state.name.lower(),
        "rounds": f"{window.rounds[0]} to {window.rounds[-1]}",
        "until": None if end is None else datetime.fromtimestamp(end, UTC),
        "updates": window.updates,
        "points": window.points,
        "pot_wei": window.pot_wei,
        "disputes": window.disputes,
        "verdict": window.scores_digest if any(window.scores_digest) else None,
    }


def _tell(send: Callable[[], Receipt], format_: Format, **more: Any) -> None:
    """Sends and tells; a contract's refusal in words, and what to do."""
    from ddcai.chain.assessment import WindowState

    try:
        receipt = send()
    except ContractReverted as error:
        said = _REMEDIES.get(error.name)
        if error.name == "WrongWindowState":
            state = WindowState(cast(int, error.arguments["state"])).name
            said = f"window {error.arguments['window']} is {state}: `ddcai window list` says more"
        if said is None:
            raise
        raise PolicyError(f"{said} ({error.name}); nothing was sent") from error
    emit_one({**more, "gas_used": receipt.gas_used, "tx_hash": receipt.tx_hash}, format_)


_REMEDIES = {
    "NotAMember": "this account is no member",
    "NotInWindow": "this account has no update in the window: those that have may dispute",
    "AlreadyDisputed": "this account has disputed it already",
    "TooSoon": "it is too early",
    "NothingDue": "nothing is left there",
    "NotTheSponsor": "the sponsor alone can",
    "PoolInUse": "the pool is still in use: wait until no round has come for all periods together",
    "PoolEmpty": "the pool is empty",
}
