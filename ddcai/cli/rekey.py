"""``ddcai keys sign-rekey`` and ``ddcai federation rekey``: the next key of several key holders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    DeploymentOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit_one, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation
    from ddcai.chain.holder_rules import Rekey
    from ddcai.chain.key_holders import KeyEpoch, KeyHolders
    from ddcai.chain.rekey_file import RekeyFile


def sign_rekey(
    file: Annotated[
        Path, typer.Argument(help="The epoch and its signatures; made if it is not there.")
    ],
    deployment: DeploymentOption,
    ceremony: Annotated[
        Path | None,
        typer.Option(
            "--ceremony",
            help="The record that your own `keys ceremony` wrote, instead of the next four.",
        ),
    ] = None,
    key_digest: Annotated[
        str | None,
        typer.Option("--key-digest", help="Of the new encryption key, as you made it yourself."),
    ] = None,
    ceremony_digest: Annotated[
        str | None,
        typer.Option("--ceremony-digest", help="Of the record of how the key was made."),
    ] = None,
    holder: Annotated[
        list[str] | None,
        typer.Option("--holder", help="An account that shares the new key; give it once for each."),
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", help="How many of them must sign: more than half."),
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Sign the next key epoch as one of the current key holders; sends nothing.

    The first holder gives the record of its ceremony, or all four options, and the file is made.
    Others take that file, or make one of their own; the new key each names by itself. What is
    signed is shown, and must agree with what is given. `federation rekey` sends the signatures of
    enough holders.
    """
    from ddcai.chain.rekey_file import RekeyFile
    from ddcai.cli.federation import connect_federation
    from ddcai.cli.parties import check_addresses, keystore_file, open_account, password

    secret = password(password_file)
    signer = open_account(keystore_file(keystore, account), secret, account)
    federation = connect_federation(deployment, rpc_url)
    holders = _key_holders(federation)
    given: dict[str, object] = {
        "key_digest": _digest("key-digest", key_digest),
        "ceremony_digest": _digest("ceremony-digest", ceremony_digest),
        "holders": tuple(sorted(check_addresses("holder", holder), key=str.lower))
        if holder
        else None,
        "threshold": threshold,
    }
    if ceremony is not None:
        given = _recorded(ceremony, given)
    if given["key_digest"] is None:
        raise ConfigurationError("name the new key by --ceremony or --key-digest: your own word")
    found = RekeyFile.load(file) if file.exists() else _made(holders, given)
    for name, value in given.items():
        if value is not None and value != getattr(found.rekey, name):
            raise ConfigurationError(f"{file} has another {name} than the one given: sign neither")
    current = _check(federation, holders, found.rekey)
    if signer.address not in current.holders:
        raise ConfigurationError(
            f"{signer.address} is none of the {len(current.holders)} current key holders: give "
            "the keystore of one of them"
        )
    _show(found.rekey)
    signed = found.signed_by(signer)
    signed.save(file)
    count = len(signed.signatures.keys() & set(current.holders))
    say(f"{file}: signed by {count}, and it takes {current}")
    emit_one(
        {
            "file": file,
            "epoch": signed.rekey.epoch,
            "key_digest": signed.rekey.key_digest,
            "signer": signer.address,
            "signed": count,
            "needed": current.threshold,
        },
        format_,
    )


def rekey(
    files: Annotated[
        list[Path], typer.Argument(help="Files of `keys sign-rekey`, all of one epoch.")
    ],
    deployment: DeploymentOption,
    public_key: Annotated[
        Path,
        typer.Option("--public-key", help="The new key's public file, from `keys ceremony`."),
    ],
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Register the next key of several key holders, by the signatures of the current ones.

    Any account may send it. The public key is put into the blob store first. Rounds that are
    opened from then on belong to the new key; one that is open now is still opened by the holders
    of before, within the grace period.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.rekey_file import RekeyFile
    from ddcai.cli.federation import connect_federation
    from ddcai.cli.parties import keystore_file
    from ddcai.configuration import FederationConfig
    from ddcai.encryption.public import load_key
    from ddcai.store import Store

    found = RekeyFile.load(files[0])
    for file in files[1:]:
        found = found.with_signatures_of(RekeyFile.load(file))
    keystore = keystore_file(keystore, account)
    federation = connect_federation(deployment, rpc_url, keystore, account, password_file)
    holders = _key_holders(federation)
    _check(federation, holders, found.rekey)
    _show(found.rekey)
    key = load_key(public_key)
    if key.digest() != found.rekey.key_digest:
        raise ConfigurationError(
            f"{public_key} is the key 0x{key.digest().hex()}, not the one that was signed: give "
            "the new one's file"
        )
    config = FederationConfig.from_json(Deployment.load(deployment).config)
    if key.set_id != config.encryption.parameter_set:
        raise ConfigurationError(
            f"{public_key} is a key of {key.set_id}, but encryption.parameter_set is "
            f"{config.encryption.parameter_set}: let the holders sign a key of that set"
        )
    Store(store).put(key.digest(), key.to_blob())
    receipt = holders.rekey(found.rekey, found.signatures)
    epoch = holders.epoch_of_key(found.rekey.key_digest)
    emit_one(
        {
            "epoch": epoch.number,
            "key_digest": epoch.key_digest,
            "threshold": epoch.threshold,
            "holders": epoch.holders,
            "registered_block": epoch.registered_block,
            "gas_used": receipt.gas_used,
            "tx_hash": receipt.tx_hash,
        },
        format_,
    )


def _key_holders(federation: Federation) -> KeyHolders:
    found = federation.key_holders()
    if found is None:
        raise ConfigurationError(
            f"the key holder of {federation.address} is {federation.rules().key_holder}, which is "
            "no contract of several key holders: its key stays"
        )
    return found


def _made(holders: KeyHolders, given: Mapping[str, object]) -> RekeyFile:
    """The next epoch by the options alone."""
    from ddcai.chain.holder_rules import Rekey
    from ddcai.chain.rekey_file import RekeyFile

    missing = [
        "--" + name.removesuffix("s").replace("_", "-")
        for name, value in given.items()
        if value is None
    ]
    if missing:
        raise ConfigurationError(
            f"there is no file yet: give {', '.join(missing)} too, or the file of another holder"
        )
    epoch = holders.current().number + 1
    rekey = Rekey(chain_id=holders.chain_id, contract=holders.address, epoch=epoch, **given)  # type: ignore[arg-type]
    return RekeyFile(rekey=rekey)


def _check(federation: Federation, holders: KeyHolders, rekey: Rekey) -> KeyEpoch:
    """That it comes next, leaves the coordinator out, who could read single updates, and has no
    more holders than can share a key: the contract would take it, and no round could be opened."""
    from ddcai.encryption.threshold.sharing import Sharing

    Sharing(len(rekey.holders), rekey.threshold)
    coordinator = federation.rules().coordinator
    if coordinator in rekey.holders:
        raise ConfigurationError(
            f"the coordinator {coordinator} is one of the new key holders: name another account"
        )
    return holders.check_next(rekey)


def _show(rekey: Rekey) -> None:
    say(f"key epoch {rekey.epoch} of {rekey.contract} on chain {rekey.chain_id}:")
    say(f"  key digest       0x{rekey.key_digest.hex()}")
    say(f"  ceremony digest  0x{rekey.ceremony_digest.hex()}")
    say(f"  threshold        {rekey.threshold} of {len(rekey.holders)}")
    for holder in rekey.holders:
        say(f"  holder           {holder}")


def _recorded(path: Path, given: Mapping[str, object]) -> dict[str, object]:
    """What a ceremony's record says of the next epoch; options that are given must agree."""
    from ddcai.rounds.ceremony import CeremonyRecord

    record = CeremonyRecord.load(path)
    found = {
        "key_digest": record.public_key_digest,
        "ceremony_digest": record.ceremony_digest,
        "holders": record.plan.holders,
        "threshold": record.plan.threshold,
    }
    for name, value in given.items():
        if value is not None and value != found[name]:
            raise ConfigurationError(f"{path} has another {name} than the one given: sign neither")
    return found


def _digest(option: str, given: str | None) -> bytes | None:
    if given is None:
        return None
    text = given.removeprefix("0x")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32 or len(text) != 64:
        raise ConfigurationError(f"{option} is {given!r}: give 0x and 64 hex digits")
    return found
