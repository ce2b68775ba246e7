"""``ddcai federation deploy``: from a configuration to a contract, planned before it is paid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ddcai.cli.keys import PUBLIC_NAME, SINGLE_KEY_HOLDER
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit_one, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.node.connection import Connection
    from ddcai.chain.records import WindowRules
    from ddcai.configuration import FederationConfig
    from ddcai.rounds.founding import Founding


QuorumScheme = Literal["auto", "bls", "ecdsa"]


def deploy(
    config: Annotated[
        Path, typer.Option("--config", help="The federation's configuration, federation.toml.")
    ],
    coordinator: Annotated[
        str, typer.Option("--coordinator", help="Address of the account that orders the rounds.")
    ],
    ceremony: Annotated[
        Path | None,
        typer.Option(
            "--ceremony",
            help="Record of the ceremony by which the key holders made the encryption key, "
            "ceremony.json from `keys ceremony`.",
        ),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            help="Public encryption key file; by default the one beside --ceremony.",
        ),
    ] = None,
    key_holder: Annotated[
        str | None,
        typer.Option(
            "--key-holder",
            help="For trials, instead of --ceremony: address of a single account that opens sums "
            "and could read every update; not the coordinator.",
        ),
    ] = None,
    grace_s: Annotated[
        int,
        typer.Option(
            "--grace-s",
            min=1,
            help="Seconds for which the holders of a key still sign after the next is registered.",
        ),
    ] = 7 * 86_400,
    invite: Annotated[
        list[str] | None,
        typer.Option("--invite", help="Address that may join; give it once a contributor."),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Anyone may join who pays the registration stake.")
    ] = False,
    stake_wei: Annotated[
        int, typer.Option("--stake-wei", min=0, help="Registration stake, returned on leaving.")
    ] = 0,
    min_contributors: Annotated[
        int, typer.Option("--min-contributors", help="Fewer updates make no round; at least 2.")
    ] = 3,
    quorum: Annotated[
        str, typer.Option("--quorum", help="Share of the contributors that must sign a result.")
    ] = "2/3",
    quorum_scheme: Annotated[
        QuorumScheme,
        typer.Option(
            "--quorum-scheme",
            help="How they sign; auto: BLS where the chain can check it (EIP-2537), else ECDSA.",
        ),
    ] = "auto",
    teachable: Annotated[
        bool,
        typer.Option(
            "--teachable",
            help="Contributions may teach the head between rounds (`trainer deploy --model`).",
        ),
    ] = False,
    learning_rate: Annotated[
        int,
        typer.Option(
            "--learning-rate",
            min=1,
            max=255,
            help="With --teachable: what one contribution moves, in units of 127 / head_scale.",
        ),
    ] = 1,
    deposit_wei: Annotated[
        int, typer.Option("--deposit-wei", min=0, help="Deposit per contributor and round.")
    ] = 10**16,
    submit_period_s: Annotated[
        int, typer.Option("--submit-period-s", min=1, help="Seconds to submit an update in.")
    ] = 3600,
    finalize_period_s: Annotated[
        int,
        typer.Option("--finalize-period-s", min=1, help="Seconds from there to finalise in."),
    ] = 3600,
    verdict_period_s: Annotated[
        int | None,
        typer.Option(
            "--verdict-period-s",
            min=1,
            help="Where updates are judged: seconds from a window's end to its verdict; 7 days.",
        ),
    ] = None,
    dispute_period_s: Annotated[
        int | None,
        typer.Option(
            "--dispute-period-s",
            min=1,
            help="Seconds in which a verdict can be disputed; 1 day.",
        ),
    ] = None,
    resolve_period_s: Annotated[
        int | None,
        typer.Option(
            "--resolve-period-s",
            min=1,
            help="Seconds after that to resolve a dispute in; 3 days.",
        ),
    ] = None,
    take_wait_s: Annotated[
        int | None,
        typer.Option(
            "--take-wait-s",
            min=0,
            help="Seconds until forfeited deposits are shared out; 0.",
        ),
    ] = None,
    anyone_wait_s: Annotated[
        int | None,
        typer.Option(
            "--anyone-wait-s",
            min=1,
            help="Seconds until anyone may have what nobody took; 30 days.",
        ),
    ] = None,
    bond_wei: Annotated[
        int | None,
        typer.Option(
            "--bond-wei",
            min=0,
            help="What whoever posts or disputes a verdict puts up; 0.01 ETH.",
        ),
    ] = None,
    bounty_per_update_wei: Annotated[
        int | None,
        typer.Option(
            "--bounty-per-update-wei",
            min=0,
            help="From the bounty pool, for each agreed update; 0.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="safetensors file of the first model; by default the one that model.seed gives.",
        ),
    ] = None,
    deployments: Annotated[
        Path, typer.Option("--deployments", help="Folder for the deployment file.")
    ] = Path("deployments"),
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check and plan everything, send and write nothing."),
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Plan and deploy a federation; whoever deploys it is its sponsor.

    Refuses what cannot work before it sends anything. Puts the configuration, the public key
    and the first model into the blob store, and writes deployments/<chainId>-<name>.json, which
    every party needs. The rules can never be changed: new rules are a new federation.
    """
    from ddcai.chain.node.connection import connect, request
    from ddcai.chain.records import NOBODY
    from ddcai.cli.parties import check_addresses, keystore_file, open_account, password
    from ddcai.configuration import FederationConfig
    from ddcai.encryption.public import load_key
    from ddcai.models import state
    from ddcai.rounds.ceremony import CeremonyRecord
    from ddcai.rounds.founding import Founding
    from ddcai.store import Store

    document = FederationConfig.from_toml(config)
    record = None if ceremony is None else CeremonyRecord.load(ceremony)
    founding = Founding.prepare(
        document,
        load_key(_public_key_file(public_key, ceremony, key_holder)),
        None if model is None else state.load(model)[0],
        record,
    )
    share = _quorum(quorum)
    windows = _windows(
        document,
        verdict_period_s=verdict_period_s,
        dispute_period_s=dispute_period_s,
        resolve_period_s=resolve_period_s,
        take_wait_s=take_wait_s,
        anyone_wait_s=anyone_wait_s,
        bond_wei=bond_wei,
        bounty_per_update_wei=bounty_per_update_wei,
    )
    single = [] if key_holder is None else [key_holder]
    parties = check_addresses("party", [coordinator, *single])
    if single:
        say(SINGLE_KEY_HOLDER)
    invited = check_addresses("invite", invite or [])
    _check_size(document, min_contributors, open_, len(invited))
    _say_privacy(document, min_contributors)
    sponsor = open_account(keystore_file(keystore, account), password(password_file), account)
    w3 = connect(rpc_url)
    scheme, why = _scheme(w3, quorum_scheme)
    say(f"quorum: {scheme.upper()}, since {why}. {_costs(len(invited))}")
    path = deployments / f"{int(request(w3, 'eth_chainId', []), 16)}-{document.name}.json"
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already: give another name in {config}, another --deployments "
            "folder, or move it away"
        )
    plan = founding.plan
    planned = {
        "name": document.name,
        "num_parameters": state.count(founding.first.model),
        "ciphertexts_per_update": plan.ciphertexts,
        "bytes_per_update": plan.bytes_per_update,
        "effective_bits": plan.effective_bits,
        "noise_margin_sigma": plan.noise_margin_sigma,
        "quorum_scheme": scheme,
        "config_digest": document.digest(),
        "encryption_key_digest": founding.public_key.digest(),
        **_holders(founding),
        "initial_model_digest": founding.first.model_digest,
    }
    if dry_run:
        emit_one(planned, format_)
        say("dry run: nothing was sent or written")
        return
    say(f"planned: an update takes {plan.bytes_per_update} bytes; deploying")
    deployed = founding.deploy(
        rpc_url=rpc_url,
        sponsor=sponsor,
        store=Store(store),
        coordinator=parties[0],
        key_holder=parties[1] if single else NOBODY,
        grace_seconds=grace_s,
        invited=invited,
        min_contributors=min_contributors,
        quorum=share,
        deposit_wei=deposit_wei,
        open_membership=open_,
        registration_stake_wei=stake_wei,
        submit_period_s=submit_period_s,
        finalize_period_s=finalize_period_s,
        quorum_scheme=scheme,
        learning_rate=learning_rate if teachable else None,
        windows=windows,
    )
    where = {
        "federation": deployed.federation,
        "chain_id": deployed.chain_id,
        "deployment": deployed.save(deployments),
        "head": deployed.head,
        "quorum": deployed.quorum,
        "gas_used": deployed.gas_used,
    }
    emit_one(where | planned, format_)


def _public_key_file(given: Path | None, ceremony: Path | None, key_holder: str | None) -> Path:
    """The public key's file.

    Raises:
        ConfigurationError: it is not said who holds the key, or twice, or the file is not named.
    """
    if (ceremony is None) == (key_holder is None):
        raise ConfigurationError(
            "say who opens sums: --ceremony with the record of `ddcai keys ceremony`, or, for "
            "trials, --key-holder with one account that could read every update"
        )
    if given is not None:
        return given
    if ceremony is None:
        raise ConfigurationError("public-key is not set: give the file of `ddcai keys new`")
    return ceremony.parent / PUBLIC_NAME


def _holders(founding: Founding) -> dict[str, object]:
    """What is planned of the key, where several hold it."""
    ceremony, planned = founding.ceremony, founding.plan.threshold
    if ceremony is None or planned is None:
        return {}
    return {
        "key_holders": f"{ceremony.plan.threshold} of {len(ceremony.plan.holders)}",
        "ceremony_digest": ceremony.ceremony_digest,
        "rounds_per_key": planned.most_rounds,
        "statistical_bits": planned.statistical_bits,
    }


def _windows(config: FederationConfig, **given: int | None) -> WindowRules | None:
    """The rules of windows, where updates are judged.

    Raises:
        ConfigurationError: one is given, and updates are not judged.
    """
    from ddcai.chain.records import WindowRules

    said = {name: value for name, value in given.items() if value is not None}
    if config.assessment is not None:
        return WindowRules(window_rounds=config.assessment.window, **said)
    for name, value in said.items():
        raise ConfigurationError(
            f"{name.replace('_', '-')} is {value}, but the configuration has no [assessment]: "
            "without it there are no verdicts; leave the option out"
        )
    return None


def _say_privacy(document: FederationConfig, min_contributors: int) -> None:
    """What the noise buys, where there is any; refuses a contract that it does not fit."""
    from ddcai.rounds.party import require_contributors
    from ddcai.rounds.privacy import epsilon, rounds_in_budget

    if document.privacy is None:
        return
    require_contributors(document, min_contributors)
    rounds = rounds_in_budget(document)
    setting = document.privacy
    if not rounds:
        raise ConfigurationError(
            f"privacy.epsilon_budget is {setting.epsilon_budget:g}, and the first round brings "
            f"epsilon to {epsilon(document, 1):.4g}: raise privacy.noise_multiplier or the budget"
        )
    say(
        f"privacy: epsilon {epsilon(document, 1):.4g} after one round, "
        f"{epsilon(document, rounds):.4g} after {rounds}, the last in the budget of "
        f"{setting.epsilon_budget:g}; delta {setting.delta:g}"
    )


def _check_size(config: FederationConfig, minimum: int, open_: bool, invited: int) -> None:
    most = config.encryption.max_updates
    each = config.encryption.group_size
    limit = f"encryption.max_contributors is {config.encryption.max_contributors}"
    if each > 1:
        limit += f", and a member's update may be the sum of {each}: {most} members fit"
    if not 2 <= minimum <= most:
        raise ConfigurationError(
            f"min-contributors is {minimum}, but {limit}: give 2 to {most}, or another setting"
        )
    if invited > most:
        raise ConfigurationError(
            f"{invited} accounts are invited, but {limit}: raise it, or invite fewer"
        )
    if not open_ and invited < minimum:
        say(
            f"note: {invited} accounts are invited, and a round needs {minimum}: invite more "
            "with `ddcai federation invite`"
        )


def _scheme(w3: Connection, asked: QuorumScheme) -> tuple[str, str]:
    """The quorum's scheme and why it is that one.

    Raises:
        ChainError: BLS is asked for and the chain cannot check it, or does not tell.
    """
    from ddcai.chain.deploy import check_bls_precompiles, choose_quorum_scheme

    if asked == "auto":
        return choose_quorum_scheme(w3)
    if asked == "bls":
        check_bls_precompiles(w3)
    return asked, f"--quorum-scheme is {asked}"


def _costs(members: int) -> str:
    """What a check of all members' signatures costs in gas, from contracts/snapshots."""
    if not members:
        return "ECDSA takes less gas than BLS for up to about 30 signers"
    ecdsa, bls = 30 + 7.7 * members, 195 + 7.5 * members
    return (
        f"With {members} signers a check takes about {bls:.0f}k gas with BLS (197k when packed), "
        f"{ecdsa:.0f}k with ECDSA ({30 + 5.2 * members:.0f}k when packed)"
    )


def _quorum(text: str) -> tuple[int, int]:
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        numerator, denominator = (int(part) for part in parts)
        if 0 < numerator <= denominator <= 255:
            return numerator, denominator
    raise ConfigurationError(f"quorum is {text!r}: give a share above 0 and up to 1, such as 2/3")
