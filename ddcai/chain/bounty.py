"""A bounty on points: its contract, how it is deployed, and the file that says where it is.

Holds money: what is put in, less what points earned. Who earned pulls; after the end, the rest is
the sponsor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import is_address, to_checksum_address
from web3 import Web3

from ddcai.chain import abi_errors, artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import creation
from ddcai.chain.deployment_file import DeploymentFile, check_address, check_name, check_number
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.records import NOBODY
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError, ContractReverted

_NAME = "Bounty"
_POINTS = "Points"  # any incentive that gives points tells its bounty alike
# EIP-20: `approve(address,uint256)`, `allowance(address,address)`, `balanceOf(address)`.
_APPROVE, _ALLOWANCE, _BALANCE = (
    bytes.fromhex(one) for one in ("095ea7b3", "dd62ed3e", "70a08231")
)


@dataclass(frozen=True, kw_only=True)
class BountyDeployment(DeploymentFile):
    """Where a bounty is, and what it is on.

    Attributes:
        bounty: its contract.
        incentive: whose points it pays.
    """

    bounty: str
    incentive: str

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("bounty", "incentive"):
            check_address(field, getattr(self, field))

    @property
    def main_address(self) -> str:
        return self.bounty


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of a bounty; they never change.

    Attributes:
        sponsor: gets what nobody earned.
        asset: an ERC-20's address; `NOBODY` for ether.
        per_point: wei, or the token's smallest unit.
        until: the last second, unix, whose points are paid.
    """

    sponsor: str
    asset: str
    per_point: int
    until: int

    def __post_init__(self) -> None:
        for field in ("sponsor", "asset"):
            if not is_address(getattr(self, field)):
                raise ConfigurationError(f"{field} is {getattr(self, field)!r}: give an address")
        check_number("per_point", self.per_point, 1)
        check_number("until", self.until, 1)
        if self.per_point >= 2**128 or self.until >= 2**40:
            raise ConfigurationError(
                f"per_point {self.per_point}, until {self.until}: below 2^128 and 2^40"
            )

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the order of ``IBounty.Terms``."""
        return (self.sponsor, self.asset, self.per_point, self.until)


class Bounty:
    """One bounty.

    Attributes:
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._w3 = w3
        self._contract = Contract(w3, self.address, artifact.load(_NAME))

    def __repr__(self) -> str:
        return f"Bounty({self.address})"

    def terms(self) -> Terms:
        """The terms that it was made with."""
        sponsor, asset, per_point, until = self._contract.call("terms")
        return Terms(
            sponsor=str(to_checksum_address(sponsor)),
            asset=str(to_checksum_address(asset)),
            per_point=int(per_point),
            until=int(until),
        )

    def incentive(self) -> str:
        """Whose points it pays."""
        return str(to_checksum_address(self._contract.call("incentive")))

    def budget(self) -> tuple[int, int]:
        """What can still be earned, and what is put aside for those that earned."""
        left, owed = self._contract.call("budget")
        return int(left), int(owed)

    def owed_to(self, account: str) -> int:
        """What is put aside for an account."""
        return int(self._contract.call("owedTo", to_checksum_address(account)))

    def fund(self, amount: int) -> list[Receipt]:
        """Adds to what can be earned; of a token, approves exactly so much before, if need be.

        Raises:
            ConfigurationError: the account has not so many tokens; nothing was sent.
            ContractReverted: ``Over`` (before anything is sent), ``NothingReceived``.
        """
        sender, asset = self._writer("fund"), self.terms().asset
        self.check_runs()
        if asset == NOBODY:
            return [self._send("fund", [amount], amount)]
        receipts = []
        have = self._token(asset, _BALANCE, sender.address)
        if have < amount:
            raise ConfigurationError(
                f"{sender.address} has {have} of the token {asset}, less than {amount}: get some "
                "first"
            )
        allowed = self._token(asset, _ALLOWANCE, sender.address, self.address)
        if 0 < allowed < amount:  # some tokens change no allowance but from or to 0
            receipts.append(sender.send(asset, _APPROVE + _words(self.address, 0)))
        if allowed < amount:
            receipts.append(sender.send(asset, _APPROVE + _words(self.address, amount)))
        receipts.append(self._send("fund", [amount]))
        return receipts

    def is_attached(self) -> bool:
        """Whether its incentive tells it of points."""
        incentive = Contract(self._w3, self.incentive(), artifact.load(_POINTS))
        return str(to_checksum_address(incentive.call("bounty")[0])) == self.address

    def check_runs(self) -> None:
        """Raises ContractReverted, as the contract would, once the last block is after the end."""
        until = self.terms().until
        now = int(request(self._w3, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
        if now > until:
            raise ContractReverted("Over", {"until": until})

    def claim(self, account: str) -> Receipt:
        """Pays an account what is put aside for it; anyone may.

        Raises:
            ContractReverted: ``NothingToClaim``, ``PaymentFailed``.
        """
        return self._send("claim", [to_checksum_address(account)])

    def reclaim(self) -> Receipt:
        """After the end: pays the sponsor what nobody earned; anyone may.

        Raises:
            ContractReverted: ``NotOver``, ``NothingLeft``.
        """
        return self._send("reclaim", [])

    def _writer(self, what: str) -> Sender:
        if self.sender is None:
            raise ChainError(f"no account to {what} from: give --keystore")
        return self.sender

    def _send(self, name: str, arguments: Sequence[Any], value_wei: int = 0) -> Receipt:
        data = self._contract.encode(name, arguments)
        return self._writer(name).send(self.address, data, value_wei)

    def _token(self, asset: str, selector: bytes, *accounts: str) -> int:
        call = {"to": asset, "data": "0x" + (selector + _words(*accounts)).hex()}
        answer = bytes.fromhex(str(request(self._w3, "eth_call", [call, "latest"]))[2:])
        if len(answer) != 32:
            raise ConfigurationError(f"the contract at {asset} is no ERC-20 token")
        return int.from_bytes(answer, "big")


def deploy_bounty(
    w3: Web3, account: LocalAccount, incentive: str, terms: Terms, *, name: str = "bounty"
) -> BountyDeployment:
    """Deploys a bounty on an incentive's points. The trainer's owner attaches it then.

    Raises:
        ContractReverted: ``InvalidTerms``; nothing was sent.
        ChainError: as `Sender.send`.
    """
    check_name(name)
    data = creation(_NAME, (incentive, terms.to_abi()))
    call = {"from": account.address, "data": "0x" + data.hex()}
    try:
        request(w3, "eth_call", [call, "latest"])  # lets the constructor judge the terms
    except RpcFailure as failure:
        raise abi_errors.decode(failure) or failure from failure
    before = int(request(w3, "eth_blockNumber", []), 16)
    receipt = Sender(w3, account).send(None, data)
    if receipt.contract_address is None:
        raise ChainError(f"{receipt.tx_hash} created no {_NAME}: is this an Ethereum node?")
    return BountyDeployment(
        chain_id=int(request(w3, "eth_chainId", []), 16),
        name=name,
        deployed_block=before,
        gas_used=receipt.gas_used,
        bounty=str(to_checksum_address(receipt.contract_address)),
        incentive=str(to_checksum_address(incentive)),
    )


def connect_bounty(w3: Web3, found: BountyDeployment, sender: Sender | None = None) -> Bounty:
    """The bounty of a deployment file.

    Raises:
        ConfigurationError: another contract is there.
    """
    bounty = Bounty(w3, found.bounty, sender)
    try:
        incentive = bounty.incentive()
    except ChainUnreachable:
        raise
    except ChainError as error:
        raise ConfigurationError(
            f"the contract at {found.bounty} is no bounty: give the endpoint of its chain ({error})"
        ) from error
    if incentive != found.incentive:
        raise ConfigurationError(
            f"the bounty {found.bounty} is on {incentive}, and the file says {found.incentive}: "
            "get the file again from who deployed it"
        )
    return bounty


def _words(*values: str | int) -> bytes:
    return b"".join(
        (int(one, 16) if isinstance(one, str) else one).to_bytes(32, "big") for one in values
    )
