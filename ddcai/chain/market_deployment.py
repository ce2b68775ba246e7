"""Deploying a prediction market: the model twice, the market with one, the trainer with the other.

Deadlines are times, fixed when a deployment begins. They are written to a draft before anything
is sent, so that a deployment that was broken off goes on with the same ones, and finds its own
market again: a second one would cost a second bounty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai import strict_json
from ddcai.chain import abi_errors, artifact
from ddcai.chain.classifier_deployment import (
    ClassifierDeployment,
    deploy_classifier,
    plan_classifier,
)
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import creation
from ddcai.chain.deployment_file import check_name
from ddcai.chain.incentive import NewIncentive
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.prediction_market import PredictionMarket
from ddcai.chain.trainer import CLASSIFIER, CONTRACT
from ddcai.chain.trainer_deployment import TrainerDeployment, deploy_trainer
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError
from ddcai.incentives.prediction_market import Rules
from ddcai.keyfile import write_atomically
from ddcai.models.heads.model_file import Model

_FORMAT = "ddcai market draft 1"
# Creating a contract, as in `trainer_deployment`; and handing two models over.
_CREATE_GAS, _BYTE_GAS, _HAND_OVER_GAS = 60_000, 216, 140_000


@dataclass(frozen=True, kw_only=True)
class MarketPlan:
    """What a market's deployment costs, before anything is sent.

    Attributes:
        bounty_wei: paid in at once; what is left of it comes back, unless it is forfeited.
        gas: at most, in all.
        transactions: how many.
    """

    bounty_wei: int
    gas: int
    transactions: int


def plan_market(model: Model, pieces: int, bounty_wei: int) -> MarketPlan:
    """Gas and money of a market for a model, with a test set of so many pieces."""
    one = plan_classifier(model.twin)
    codes = sum(len(artifact.load(name).bytecode) for name in ("PredictionMarket", CONTRACT))
    gas = 2 * one.gas + 2 * _CREATE_GAS + _BYTE_GAS * (codes + 64 * pieces) + _HAND_OVER_GAS
    return MarketPlan(bounty_wei=bounty_wei, gas=gas, transactions=2 * (one.chunks + 2) + 4)


def prediction_market(
    replica: str, rules: Rules, digests: Sequence[bytes], bounty_wei: int
) -> NewIncentive:
    """A `PredictionMarket` that evaluates `replica`."""

    def made(w3: Web3, address: str) -> bool:
        market = PredictionMarket(w3, address)
        try:
            return (
                market.replica_address() == replica
                and market.rules() == rules
                and market.piece_digests() == list(digests)
                and market.bounty_wei() == bounty_wei
            )
        except ChainUnreachable:
            raise
        except ChainError:  # another contract
            return False

    return NewIncentive(
        kind=PredictionMarket.kind,
        arguments=(replica, rules.to_abi(), list(digests)),
        value_wei=bounty_wei,
        made=made,
    )


def deploy_market(
    w3: Web3,
    account: LocalAccount,
    model: Model,
    digests: Sequence[bytes],
    rules: Rules,
    *,
    bounty_wei: int,
    name: str,
    folder: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> TrainerDeployment:
    """Deploys all four contracts, or goes on where a deployment of that name was broken off.

    Args:
        account: the sponsor; pays, and owns the trainer.
        model: what is traded on; deployed twice.
        digests: of the pieces of the test set, `HiddenTestSet.digests`.
        rules: their times are those of the draft, where there is one.
        bounty_wei: the most that all rewards come to.
        name: of the deployment files: ``<chainId>-<name>.json``, and ``-model``, ``-replica``.
        folder: of these files.
        progress: called with a line a step.

    Raises:
        ConfigurationError: the draft is of another market; as `deploy_classifier`.
        ContractReverted: the market refuses its rules.
        InsufficientBalance: too little for the bounty and all of the gas; nothing was sent.
        ChainError: as `deploy_trainer`.
    """
    check_name(name)
    sender = Sender(w3, account)
    chain_id = int(request(w3, "eth_chainId", []), 16)
    draft = folder / f"{chain_id}-{name}.market-draft.json"
    known = _draft(draft, rules, digests, bounty_wei)
    if known is None:
        _judge(w3, account.address, rules, digests, bounty_wei)
        sender.require(bounty_wei, plan_market(model, len(digests), bounty_wei).gas)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "format": _FORMAT,
            "rules": asdict(rules),
            "pieces": [one.hex() for one in digests],
            "bounty_wei": bounty_wei,
        }
        write_atomically(draft, (json.dumps(content, indent=1) + "\n").encode(), mode=0o644)
    else:
        progress(f"going on with {draft}: its deadlines hold")
    rules = rules if known is None else known
    deployed = [
        deploy_classifier(
            w3,
            sender,
            model.twin,
            name=f"{name}-{what}",
            class_names=model.class_names,
            scale=model.scale,
            folder=folder,
            progress=lambda loaded, count, what=what: progress(  # type: ignore[misc]
                f"{what}: loaded {loaded} of {count} words"
            ),
        )
        for what in ("model", "replica")
    ]
    replica = str(to_checksum_address(deployed[1].address))
    incentive = prediction_market(replica, rules, digests, bounty_wei)
    contract = Contract(w3, replica, artifact.load(CLASSIFIER))
    owner = str(to_checksum_address(contract.call("owner")))
    if owner == account.address:
        trainer = deploy_trainer(
            w3,
            account,
            deployed[0].address,
            incentive,
            name=name,
            classes=list(model.class_names),
        )
        sender.send(replica, contract.encode("transferOwnership", [trainer.incentive]))
    else:
        trainer = _finished(w3, owner, incentive, deployed[0], deployed[1], name)
    trainer.save(folder)
    draft.unlink()
    return trainer


def _finished(
    w3: Web3,
    owner: str,
    incentive: NewIncentive,
    model: ClassifierDeployment,
    replica: ClassifierDeployment,
    name: str,
) -> TrainerDeployment:
    """A deployment of which nothing was left to do but to write its file.

    Raises:
        ConfigurationError: the replica is somebody else's.
    """
    assert incentive.made is not None
    if not incentive.made(w3, owner):
        raise ConfigurationError(
            f"the replica {replica.address} belongs to {owner}, which is not this market: choose "
            "another name"
        )
    return TrainerDeployment(
        chain_id=model.chain_id,
        name=name,
        deployed_block=replica.deployed_block,
        gas_used=0,
        trainer=PredictionMarket(w3, owner).trainer_address(),
        incentive=owner,
        incentive_kind=incentive.kind,
        model=str(to_checksum_address(model.address)),
        model_kind=model.kind,
        first_release=0,  # a classifier of its own is never replaced
        classes=model.class_names,
    )


def _draft(path: Path, rules: Rules, digests: Sequence[bytes], bounty_wei: int) -> Rules | None:
    """The rules of a deployment that was broken off; None where there is none.

    Raises:
        ConfigurationError: it is of another test set, bounty or stake, or damaged.
    """
    if not path.exists():
        return None
    try:
        content = strict_json.loads(path.read_bytes())
        found = Rules(**content["rules"])
        same = content["format"] == _FORMAT and (
            content["pieces"] == [one.hex() for one in digests]
            and content["bounty_wei"] == bounty_wei
            and (found.sponsor, found.stake_wei, found.max_contributions)
            == (rules.sponsor, rules.stake_wei, rules.max_contributions)
        )
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise ConfigurationError(
            f"{path} is the draft of another market, or damaged: choose another name, or move it "
            "away"
        )
    return found


def _judge(w3: Web3, account: str, rules: Rules, digests: Sequence[bytes], bounty_wei: int) -> None:
    """Lets the constructor judge the rules by a free call, before the models cost anything."""
    nowhere = "0x000000000000000000000000000000000000dEaD"
    data = creation("PredictionMarket", (nowhere, nowhere, rules.to_abi(), list(digests)))
    call = {"from": account, "data": "0x" + data.hex(), "value": hex(bounty_wei)}
    try:
        request(w3, "eth_call", [call, "latest"])
    except RpcFailure as failure:
        raise abi_errors.decode(failure) or failure from failure
