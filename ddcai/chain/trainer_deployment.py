"""Deploying a trainer for a model that is there, and the file that says where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import is_address, to_checksum_address
from web3 import Web3

from ddcai.chain import abi_errors, artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import create_address, creation
from ddcai.chain.deployment_file import DeploymentFile, check_address, check_name, check_number
from ddcai.chain.head import TEACHABLE, teaching
from ddcai.chain.incentive import NewIncentive
from ddcai.chain.kinds import kind_of
from ddcai.chain.node.connection import RpcFailure, request, request_many
from ddcai.chain.trainer import CLASSIFIER, CONTRACT
from ddcai.chain.transactions import DEFAULT_FEE_CAP_WEI, Sender
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError, ContractReverted

_HAND_OVER = "transferOwnership"
# Handing the model over costs 29k gas, and choosing a teacher 50k.
_HAND_OVER_GAS = 70_000
# Creating a contract: 32,000 for it, 21,000 for the transaction, at most 16 gas a byte of
# calldata, and 200 a byte of code.
_CREATE_GAS, _BYTE_GAS = 60_000, 216


@dataclass(frozen=True, kw_only=True)
class TrainerDeployment(DeploymentFile):
    """Where a trainer is, and what a contributor needs to use it.

    Attributes:
        trainer, incentive, model: contract addresses.
        incentive_kind: of `ddcai.chain.kinds.KINDS`.
        model_kind: the classifier's, of `ddcai.models.heads.TWINS`.
        first_release: the model's release when the trainer was deployed.
        classes: names of the classes, in order; empty where they have none.
    """

    trainer: str
    incentive: str
    incentive_kind: str
    model: str
    model_kind: str
    first_release: int
    classes: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("trainer", "incentive", "model"):
            check_address(field, getattr(self, field))
        check_number("first_release", self.first_release, 0)
        kind_of(self.incentive_kind)
        if not isinstance(self.model_kind, str) or not self.model_kind:
            raise ConfigurationError(f"model_kind is {self.model_kind!r}: give a contract's name")
        names = self.classes
        if not isinstance(names, list) or not all(isinstance(one, str) and one for one in names):
            raise ConfigurationError(f"classes is {names!r}: give a list of names")
        if len(set(names)) != len(names):
            raise ConfigurationError(f"classes is {names!r}: a name is there twice")

    @property
    def main_address(self) -> str:
        return self.trainer


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `deploy_trainer` will do, as far as it can be known before anything is sent.

    Attributes:
        model: the classifier's address.
        model_kind, features, classes, release: as the model says.
        incentive, trainer: addresses that are, or will be, theirs.
        done: transactions of an earlier attempt that need not be sent again: 0 to 3.
        gas: at most, for what is left to do.
    """

    model: str
    model_kind: str
    features: int
    classes: int
    release: int
    incentive: str
    trainer: str
    done: int
    gas: int


def plan_trainer(w3: Web3, account: str, model: str, incentive: NewIncentive) -> Plan:
    """Finds out what can be known to fail, and what an earlier attempt has done already.

    An attempt that was broken off has left the incentive, or the trainer too, as the last thing
    that the account created; its code says for which rules.

    Raises:
        ConfigurationError: no classifier there, or not sealed, or not the account's.
        ContractReverted: the incentive refuses its rules.
    """
    if not is_address(model):
        raise ConfigurationError(f"model is {model!r}: give the address of a deployed classifier")
    model = str(to_checksum_address(model))
    classifier = Contract(w3, model, artifact.load(CLASSIFIER))
    kind, features, classes, release, owner = _describe(w3, classifier)
    nonce, pending = (
        int(answer, 16)
        for answer in request_many(
            w3,
            [("eth_getTransactionCount", [account, tag]) for tag in ("latest", "pending")],
        )
    )
    if nonce != pending:
        raise ChainError(
            f"{account} has {pending - nonce} transactions that are not mined: wait for them, as "
            "the trainer's address depends on their number"
        )
    done, first = _done(w3, account, classifier, owner, incentive, nonce)
    trainer = create_address(account, first + 1)
    if done < 3 and owner != account:
        raise ConfigurationError(
            f"the model {model} belongs to {owner}, not to {account}: its owner deploys the trainer"
        )
    sizes = [
        len(creation(kind_of(incentive.kind).contract_name, (trainer, *incentive.arguments))),
        len(artifact.load(CONTRACT).bytecode) + 64,
    ]
    gas = sum(_CREATE_GAS + _BYTE_GAS * size for size in sizes[done:])
    return Plan(
        model=model,
        model_kind=kind,
        features=features,
        classes=classes,
        release=release,
        incentive=create_address(account, first),
        trainer=trainer,
        done=done,
        gas=gas + (_HAND_OVER_GAS if done < 3 else 0),
    )


def deploy_trainer(
    w3: Web3,
    account: LocalAccount,
    model: str,
    incentive: NewIncentive,
    *,
    name: str = "trainer",
    classes: list[str] | None = None,
    max_fee_per_gas_wei: int = DEFAULT_FEE_CAP_WEI,
) -> TrainerDeployment:
    """Deploys incentive and trainer, and hands the model to the trainer.

    A federation's head stays the federation's: the trainer becomes its teacher.

    What can be known to fail is found out before anything is sent. An attempt that was broken
    off is taken up where it ended, if the account has sent nothing else since.

    Args:
        account: owns the model, and will own the trainer; pays.
        model: address of a sealed classifier.
        incentive: what contributions are to cost and bring.
        classes: names of the classes, for people; None for none.

    Raises:
        ConfigurationError, ContractReverted: as `plan_trainer`; a bad name.
        InsufficientBalance: not enough for all of the steps.
        ChainError: another transaction of this account came between; as `Sender.send`.
    """
    check_name(name)
    plan = plan_trainer(w3, account.address, model, incentive)
    names = [] if classes is None else list(classes)
    if names and len(names) != plan.classes:
        raise ConfigurationError(
            f"classes is {names!r}: the model {plan.model} has {plan.classes} classes"
        )
    sender = Sender(w3, account, max_fee_per_gas_wei=max_fee_per_gas_wei)
    sender.require(incentive.value_wei if plan.done == 0 else 0, plan.gas)
    before = _block_before(w3, plan)
    gas_used = 0
    for what, expected, arguments, value_wei in (
        (
            kind_of(incentive.kind).contract_name,
            plan.incentive,
            (plan.trainer, *incentive.arguments),
            incentive.value_wei,
        ),
        (CONTRACT, plan.trainer, (plan.model, plan.incentive), 0),
    )[plan.done :]:
        gas_used += _create(w3, sender, what, expected, arguments, value_wei)
    if plan.done < 3:
        of_a_federation = teaching(w3, plan.model) is not None
        kind, step = (TEACHABLE, "setTeacher") if of_a_federation else (CLASSIFIER, _HAND_OVER)
        data = Contract(w3, plan.model, artifact.load(kind)).encode(step, [plan.trainer])
        gas_used += sender.send(plan.model, data).gas_used
    return TrainerDeployment(
        chain_id=int(request(w3, "eth_chainId", []), 16),
        name=name,
        deployed_block=before,
        gas_used=gas_used,
        trainer=plan.trainer,
        incentive=plan.incentive,
        incentive_kind=incentive.kind,
        model=plan.model,
        model_kind=plan.model_kind,
        first_release=plan.release,
        classes=names,
    )


def _describe(w3: Web3, classifier: Contract) -> tuple[str, int, int, int, str]:
    """Kind, features, classes, release of a sealed classifier, and who may hand it on.

    That is its owner; of a federation's head, its teacher, or the founder while there is none.
    """
    model = classifier.address
    if _code(w3, model) == b"":
        raise ConfigurationError(
            f"no contract at the model's address {model}: deploy the classifier first, and give "
            "the endpoint of its chain"
        )
    names = ("kind", "featureLimit", "classLimit", "release", "owner", "isSealed")
    try:
        kind, features, classes, release, owner, is_sealed = classifier.call_many(
            [(name, []) for name in names]
        )
    except ChainUnreachable:
        raise
    except ChainError as error:
        raise ConfigurationError(
            f"the contract at the model's address {model} is no classifier that learns: {error}"
        ) from error
    if not is_sealed:
        raise ConfigurationError(f"the model {model} is not sealed: finish its deployment first")
    head = teaching(w3, model)
    if head is not None:  # its owner is the federation; who chooses the teacher deploys
        owner = head.teacher or head.founder
    return str(kind), int(features), int(classes), int(release), str(to_checksum_address(owner))


def _done(
    w3: Web3, account: str, model: Contract, owner: str, incentive: NewIncentive, nonce: int
) -> tuple[int, int]:
    """Steps that are done, and the nonce that the incentive has or will have.

    Done is what the account's last transactions were: the incentive; the trainer after it; or
    the model handed over after both.
    """
    for done in (3, 2, 1):
        first = nonce - done
        if first < 0 or (done == 3) != (owner == create_address(account, first + 1)):
            continue
        if not _is_made(w3, account, incentive, first):
            continue
        if done == 1 or _is_trainer_of(w3, account, model, first):
            return done, first
    _code_made(w3, account, incentive, nonce)  # lets the constructor judge the rules
    return 0, nonce


def _is_made(w3: Web3, account: str, incentive: NewIncentive, first: int) -> bool:
    """Whether the account's creation of this nonce is the incentive."""
    address = create_address(account, first)
    if incentive.made is not None:
        return _code(w3, address) != b"" and incentive.made(w3, address)
    return _code(w3, address) == _code_made(w3, account, incentive, first)


def _code_made(w3: Web3, account: str, incentive: NewIncentive, first: int) -> bytes:
    """The code that the incentive has if the account creates it with this nonce, by a free call.

    Raises:
        ContractReverted: it refuses its rules.
    """
    name = kind_of(incentive.kind).contract_name
    data = creation(name, (create_address(account, first + 1), *incentive.arguments))
    call = {"from": account, "data": "0x" + data.hex(), "value": hex(incentive.value_wei)}
    try:
        answer = request(w3, "eth_call", [call, "latest"])
    except RpcFailure as failure:
        raise abi_errors.decode(failure) or failure from failure
    return bytes.fromhex(answer[2:])


def _is_trainer_of(w3: Web3, account: str, model: Contract, first: int) -> bool:
    """Whether the account's creation after the incentive is the trainer of both."""
    address = create_address(account, first + 1)
    if _code(w3, address) == b"":
        return False
    trainer = Contract(w3, address, artifact.load(CONTRACT))
    try:
        answers = trainer.call_many([("model", []), ("incentive", []), ("owner", [])])
    except ChainUnreachable:
        raise
    except ChainError:
        return False
    wanted = [model.address, create_address(account, first), account]
    return [to_checksum_address(one) for one in answers] == wanted


def _create(
    w3: Web3,
    sender: Sender,
    what: str,
    expected: str,
    arguments: tuple[Any, ...],
    value_wei: int,
) -> int:
    """Creates a contract where it must be; the gas."""
    other = (
        f"another transaction of {sender.address} came between, so that the addresses no longer "
        "fit: nothing but gas is lost; stop what else sends from this account, and run it again"
    )
    nonce = int(request(w3, "eth_getTransactionCount", [sender.address, "pending"]), 16)
    if create_address(sender.address, nonce) != expected:
        raise ChainError(other)
    try:
        receipt = sender.send(None, creation(what, arguments), value_wei)
    except ContractReverted as error:
        if error.name == "WrongIncentive":
            raise ChainError(other) from error
        raise
    if receipt.contract_address is None:
        raise ChainError(f"{receipt.tx_hash} created no {what}: is this an Ethereum node?")
    if receipt.contract_address != expected:
        raise ChainError(other)
    return receipt.gas_used


def _block_before(w3: Web3, plan: Plan) -> int:
    """A block at or before the trainer's first event; 0 where an earlier attempt made it."""
    return int(request(w3, "eth_blockNumber", []), 16) if plan.done < 2 else 0


def _code(w3: Web3, address: str) -> bytes:
    answer = request(w3, "eth_getCode", [address, "latest"])
    return bytes.fromhex((answer or "0x")[2:])
