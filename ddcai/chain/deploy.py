"""Deploying a federation, and the file that says where it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import rlp
from eth_abi import abi
from eth_abi.exceptions import EncodingError
from eth_account.signers.local import LocalAccount
from eth_utils.abi import get_abi_input_types
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3

from ddcai.chain import abi_errors, artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deployment_file import DeploymentFile, check_address, check_name
from ddcai.chain.head import TEACHABLE
from ddcai.chain.holder_rules import HolderRules
from ddcai.chain.key_holders import CONTRACT as KEY_HOLDERS
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.node_registry import CONTRACT as NODE_REGISTRY
from ddcai.chain.quorum import CONTRACTS
from ddcai.chain.records import INVITED_AT_ONCE, NOBODY, Rules, WindowRules
from ddcai.chain.transactions import DEFAULT_FEE_CAP_WEI, Sender
from ddcai.chain.update_batches import CONTRACT as UPDATE_BATCHES
from ddcai.digests import config_digest
from ddcai.errors import ChainError, ConfigurationError, ContractReverted

G1_ADD = "0x000000000000000000000000000000000000000b"
_TEACHABLE_WORDS = 160
_INFINITY = "0x" + "00" * 128  # the point of G1, in EIP-2537's form
_DIGEST = re.compile(r"^0x[0-9a-f]{64}$")
_NOWHERE = "0x000000000000000000000000000000000000dEaD"


@dataclass(frozen=True, kw_only=True)
class Deployment(DeploymentFile):
    """Where a federation is, and what a newcomer needs to join it.

    Attributes:
        federation, head, quorum: contract addresses.
        key_holders: the ``KeyHolders`` that stands as key holder; None where that is an account.
        node_registry: the ``NodeRegistry`` of its nodes' keys; None in files from before there
            were any, whose federations know nodes by their accounts alone.
        update_batches: the ``UpdateBatches`` to which groups post their lists; None where every
            member sends its own update.
        config: the federation's configuration as JSON values; its digest is on chain.
        encryption_key_digest: 0x-prefixed hex, as the contract has it.
        initial_model_digest: 0x-prefixed hex.
    """

    federation: str
    head: str
    quorum: str
    config: dict[str, Any]
    encryption_key_digest: str
    initial_model_digest: str
    key_holders: str | None = None
    node_registry: str | None = None
    update_batches: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("federation", "head", "quorum"):
            check_address(field, getattr(self, field))
        for field in ("key_holders", "node_registry", "update_batches"):
            if getattr(self, field) is not None:
                check_address(field, getattr(self, field))
        for field in ("encryption_key_digest", "initial_model_digest"):
            value = getattr(self, field)
            if not isinstance(value, str) or not _DIGEST.match(value):
                raise ConfigurationError(f"{field} is {value!r}: give 0x and 64 hex digits")
        if not isinstance(self.config, dict):
            raise ConfigurationError(f"config is {self.config!r}: give a JSON object")

    @property
    def main_address(self) -> str:
        return self.federation


def check_bls_precompiles(w3: Web3) -> None:
    """Raises ChainError unless the chain adds on BLS12-381 (EIP-2537), as a BLS quorum must."""
    if _sum_of_infinities(w3) != _INFINITY:
        raise ChainError(
            f"chain {_chain_id(w3)} lacks EIP-2537 (the BLS12-381 precompiles of Prague), without "
            "which a BLS quorum cannot work: use a chain that has it, such as the embedded one or "
            "anvil --hardfork prague, or an ECDSA quorum (--quorum-scheme ecdsa)"
        )


def choose_quorum_scheme(w3: Web3) -> tuple[str, str]:
    """The scheme that suits a chain, and why: BLS where it has EIP-2537, else ECDSA.

    BLS, though ECDSA takes less gas for few signers: its check costs the same however many sign,
    membership grows, and a stolen attestation key is not a stolen account.

    Raises:
        ChainError: the chain's answer tells neither; the choice cannot be changed later.
    """
    answer, chain_id = _sum_of_infinities(w3), _chain_id(w3)
    if answer == _INFINITY:
        return "bls", f"chain {chain_id} has EIP-2537"
    if answer in ("0x", ""):
        return "ecdsa", f"chain {chain_id} lacks EIP-2537, without which BLS cannot be checked"
    raise ChainError(
        f"asked whether it has EIP-2537, chain {chain_id} answered {answer[:80]!r}: say "
        "--quorum-scheme bls or ecdsa yourself"
    )


def _sum_of_infinities(w3: Web3) -> str:
    """What the chain says at 0x0b: `_INFINITY` where the precompile is, ``0x`` elsewhere."""
    call = {"to": G1_ADD, "data": "0x" + "00" * 256}
    try:
        return str(request(w3, "eth_call", [call, "latest"]))
    except RpcFailure as failure:
        return failure.reason


def _chain_id(w3: Web3) -> int:
    return int(request(w3, "eth_chainId", []), 16)


def deploy_federation(
    w3: Web3,
    account: LocalAccount,
    rules: Rules,
    head_dimensions: int,
    head_classes: int,
    head_words: Sequence[int],
    initial_model_digest: bytes,
    invited: Sequence[str] = (),
    *,
    config: dict[str, Any],
    name: str = "federation",
    quorum_scheme: str = "bls",
    teaching: tuple[int, int] | None = None,
    windows: WindowRules | None = None,
    key_holders: HolderRules | None = None,
    groups: bool = False,
    max_fee_per_gas_wei: int = DEFAULT_FEE_CAP_WEI,
) -> Deployment:
    """Deploys head, quorum and federation, hands the first two to the third, and a node registry.

    What can be known to fail is found out before anything is sent.

    Args:
        account: the sponsor; pays.
        rules: fixed for ever.
        head_dimensions, head_classes: the head's shape: int8 features, classes.
        head_words: the initial head, in the layout of ``IHead.write``.
        initial_model_digest: 32 bytes, of the model that round 1 starts from.
        invited: accounts that may join; more can be invited later.
        config: the configuration as JSON values; must have the rules' ``config_digest``.
        quorum_scheme: how contributors attest, ``bls`` or ``ecdsa``.
        teaching: for a head that contributions teach between rounds: the learning rate, and
            the configuration's ``training.encoder_every``. None for one that rounds alone write.
        windows: of a federation whose updates are judged: a `WindowAssessment` with these rules
            is deployed too, and named in the rules. None: nobody judges.
        key_holders: of a federation whose key T of N accounts share: a ``KeyHolders`` with
            their first epoch is deployed first, and named in the rules, which name `NOBODY`.
            None: the rules' key holder is an account.
        groups: whether members may be groups: an ``UpdateBatches`` is deployed, too.

    Raises:
        ConfigurationError: the configuration is not the one in the rules, or a bad name.
        ContractReverted: a contract refuses the rules, the shape or the words.
        ChainError: no EIP-2537 on this chain for a BLS quorum, and as `Sender.send`.
    """
    check_name(name)
    if config_digest(config) != rules.config_digest:
        raise ConfigurationError(
            f"rules.config_digest is 0x{rules.config_digest.hex()}, but the configuration's digest "
            f"is 0x{config_digest(config).hex()}: make the rules for this configuration"
        )
    if len(initial_model_digest) != 32 or not any(initial_model_digest):
        raise ConfigurationError("initial_model_digest must be 32 bytes, not all zero")
    if quorum_scheme not in CONTRACTS:
        raise ConfigurationError(
            f"quorum_scheme is {quorum_scheme!r}: give {' or '.join(CONTRACTS)}"
        )
    if quorum_scheme == "bls":
        check_bls_precompiles(w3)
    members = [to_checksum_address(one) for one in invited]
    if key_holders is not None:
        _check_key_holders(rules, key_holders)
        _try_creation(w3, account.address, KEY_HOLDERS, key_holders.to_abi())
        rules = replace(rules, key_holder=_NOWHERE)
    _check_rules(w3, account.address, rules, initial_model_digest, members[:INVITED_AT_ONCE])
    if windows is not None:
        judging = (_NOWHERE, windows.to_abi(rules.deposit_wei))
        _try_creation(w3, account.address, "WindowAssessment", judging)

    sender = Sender(w3, account, max_fee_per_gas_wei=max_fee_per_gas_wei)
    gas_used = 0

    def create(what: str, *arguments: Any) -> Contract:
        nonlocal gas_used
        receipt = sender.send(None, creation(what, arguments))
        gas_used += receipt.gas_used
        if receipt.contract_address is None:
            raise ChainError(f"{receipt.tx_hash} created no {what}: is this an Ethereum node?")
        address = to_checksum_address(receipt.contract_address)
        return Contract(w3, address, artifact.load(what))

    def write(contract: Contract, function: str, *arguments: Any) -> int:
        nonlocal gas_used
        receipt = sender.send(contract.address, contract.encode(function, arguments))
        gas_used += receipt.gas_used
        return receipt.block_number

    if key_holders is not None:
        rules = replace(rules, key_holder=create(KEY_HOLDERS, *key_holders.to_abi()).address)
    if teaching is None:
        head = create("PerceptronHead", head_dimensions, head_classes)
        write(head, "write", list(head_words))
    else:
        head = create(TEACHABLE, head_dimensions, head_classes, *teaching)
        # Two slots a word: all at once could be more than a transaction may take.
        for start in range(0, len(head_words), _TEACHABLE_WORDS):
            write(head, "load", start, list(head_words[start : start + _TEACHABLE_WORDS]))
        write(head, "seal")
    quorum = create(CONTRACTS[quorum_scheme])
    if windows is not None:
        nonce = int(request(w3, "eth_getTransactionCount", [account.address, "pending"]), 16)
        future = create_address(account.address, nonce + 1)
        assessment = create("WindowAssessment", future, windows.to_abi(rules.deposit_wei))
        rules = replace(rules, assessment=assessment.address)
    before = int(request(w3, "eth_blockNumber", []), 16)
    federation = create(
        "Federation",
        rules.to_abi(),
        initial_model_digest,
        quorum.address,
        head.address,
        members[:INVITED_AT_ONCE],
    )
    for start in range(INVITED_AT_ONCE, len(members), INVITED_AT_ONCE):
        write(federation, "invite", members[start : start + INVITED_AT_ONCE])
    write(head, "transferOwnership", federation.address)
    write(quorum, "transferOwnership", federation.address)
    registry = create(NODE_REGISTRY, federation.address)
    batches = create(UPDATE_BATCHES).address if groups else None
    return Deployment(
        chain_id=_chain_id(w3),
        name=name,
        federation=federation.address,
        head=head.address,
        quorum=quorum.address,
        deployed_block=before,
        gas_used=gas_used,
        config=config,
        encryption_key_digest="0x" + rules.encryption_key_digest.hex(),
        initial_model_digest="0x" + initial_model_digest.hex(),
        key_holders=None if key_holders is None else rules.key_holder,
        node_registry=registry.address,
        update_batches=batches,
    )


def create_address(account: str, nonce: int) -> str:
    """Where the transaction of this nonce creates a contract (yellow paper, equation 88)."""
    encoded = rlp.encode([to_canonical_address(account), nonce])
    return str(to_checksum_address(keccak(encoded)[12:]))


def creation(what: str, arguments: Sequence[Any]) -> bytes:
    """Bytecode that creates a contract of ours, with its constructor's arguments.

    Raises:
        ConfigurationError: an argument is of another type, or out of its range.
    """
    compiled = artifact.load(what)
    entry = next((one for one in compiled.abi if one["type"] == "constructor"), None)
    types = get_abi_input_types(entry) if entry else []  # type: ignore[arg-type]
    try:
        return compiled.bytecode + abi.encode(types, list(arguments))
    except EncodingError as error:
        raise ConfigurationError(f"the rules do not fit {what}: {error}") from error


def _check_key_holders(rules: Rules, key_holders: HolderRules) -> None:
    """That they fit the rules. A coordinator that opens, too, could read single updates."""
    if rules.key_holder != NOBODY:
        raise ConfigurationError(
            f"rules.key_holder is {rules.key_holder}, but a contract of {len(key_holders.holders)} "
            f"key holders takes its place: give {NOBODY}"
        )
    if rules.encryption_key_digest != key_holders.key_digest:
        raise ConfigurationError(
            f"rules.encryption_key_digest is 0x{rules.encryption_key_digest.hex()}, but the key "
            f"that the holders share is 0x{key_holders.key_digest.hex()}: give that one"
        )
    if rules.coordinator in key_holders.holders:
        raise ConfigurationError(
            f"the coordinator {rules.coordinator} is one of the key holders: name another account"
        )


def _check_rules(
    w3: Web3, sponsor: str, rules: Rules, initial_model_digest: bytes, invited: Sequence[str]
) -> None:
    """Lets the constructor judge the rules by a free call, before its parts cost anything.

    The parts do not exist yet, so good rules end in ``NotReady``, which comes after them.
    """
    arguments = (rules.to_abi(), initial_model_digest, _NOWHERE, _NOWHERE, list(invited))
    _try_creation(w3, sponsor, "Federation", arguments, "NotReady")


def _try_creation(
    w3: Web3, sponsor: str, what: str, arguments: Sequence[Any], but: str = ""
) -> None:
    """Raises the error that a creation would end in, unless it is of the name ``but``."""
    call = {"from": sponsor, "data": "0x" + creation(what, arguments).hex()}
    try:
        request(w3, "eth_call", [call, "latest"])
    except RpcFailure as failure:
        refused = abi_errors.decode(failure)
        if refused is None:
            raise
        if not (isinstance(refused, ContractReverted) and refused.name == but):
            raise refused from failure
