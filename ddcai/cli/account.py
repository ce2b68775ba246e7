"""``ddcai account``: the keys of a contributor, a coordinator or a key holder."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    FormatOption,
    LightKdfOption,
    NewPasswordFileOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit_one, say

PLAY_CHAIN_ID = 31337

group = typer.Typer(help="Make accounts, and fund them on play chains.", no_args_is_help=True)


@group.command("new")
def new(
    out: Annotated[Path, typer.Option("--out", help="Folder for the two new files.")],
    password_file: NewPasswordFileOption,
    light_kdf: LightKdfOption = False,
    format_: FormatOption = "table",
) -> None:
    """Make an Ethereum account and an attestation key.

    Writes a geth v3 keystore and an encrypted BLS key file, both under the password. There is
    no other copy: back both up.
    """
    from ddcai.attestation import BlsSecretKey
    from ddcai.chain.accounts import new_account
    from ddcai.cli.parties import bls_key_name, password

    secret = password(password_file)
    key = BlsSecretKey.generate()
    account, keystore = new_account(out, secret, light=light_kdf)
    bls_key = out / bls_key_name(account.address)
    try:
        key.save(bls_key, secret, light=light_kdf)
    except BaseException:
        keystore.unlink(missing_ok=True)  # half a party is none
        raise
    emit_one(
        {
            "address": account.address,
            "keystore": keystore,
            "bls_key": bls_key,
            "bls_pubkey": key.pubkey,
        },
        format_,
    )
    if light_kdf:
        say("light key derivation: quick to guess, for trials only")


@group.command("fund")
def fund(
    address: Annotated[str, typer.Argument(help="Account that gets the ether.")],
    ether_: Annotated[str, typer.Option("--ether", help="How much, such as 10 or 0.5.")] = "10",
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Send play ether from the first test account of a play chain.

    Works on `ddcai chain` and anvil alone (chain id 31337): the sending key is public.
    """
    from ddcai.chain.node.connection import connect, request
    from ddcai.chain.node.embedded import dev_accounts
    from ddcai.chain.transactions import Sender
    from ddcai.cli.parties import check_addresses
    from ddcai.errors import WrongChain

    [to] = check_addresses("address", [address])
    wei = _wei(ether_)
    w3 = connect(rpc_url)
    chain_id = int(request(w3, "eth_chainId", []), 16)
    if chain_id != PLAY_CHAIN_ID:
        raise WrongChain(
            f"{rpc_url} serves chain {chain_id}: only play chains (id {PLAY_CHAIN_ID}) have an "
            "account that pays for everybody; send the ether from an account of your own"
        )
    receipt = Sender(w3, dev_accounts()[0]).send(to, b"", wei)
    emit_one(
        {
            "address": to,
            "sent_wei": wei,
            "balance_wei": int(request(w3, "eth_getBalance", [to, "latest"]), 16),
            "tx_hash": receipt.tx_hash,
        },
        format_,
    )


def _wei(amount: str) -> int:
    from ddcai.errors import ConfigurationError

    try:
        wei = Decimal(amount) * 10**18
        good = wei.is_finite() and wei > 0 and wei == int(wei)
    except (InvalidOperation, ValueError, OverflowError):
        good = False
    if not good:
        raise ConfigurationError(f"ether is {amount!r}: give a positive amount such as 0.5")
    return int(wei)
