"""What tests of trainers share: a small real model, deployed, and its trainer."""

from __future__ import annotations

from typing import Any

from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import creation
from ddcai.chain.incentive import self_assessment
from ddcai.chain.node.connection import request
from ddcai.chain.trainer import Trainer
from ddcai.chain.trainer_deployment import TrainerDeployment, deploy_trainer
from ddcai.chain.transactions import Sender
from ddcai.incentives.self_assessment import Rules
from tests.chain.support import COORDINATOR, SPONSOR

FEATURES = 16
DAY_S = 86_400
WEIGHT = 1_000_003  # wei: shares leave remainders


def sample(*indices: int) -> bytes:
    """Features of the sparse model: these are present."""
    return b"".join(int(index).to_bytes(2, "big") for index in indices)


def deploy_model(
    w3: Web3,
    account: LocalAccount,
    *,
    seal: bool = True,
    classes: int = 3,
    features: int = FEATURES,
) -> str:
    """A sparse Perceptron that says class 0 to everything, until it is taught otherwise."""
    sender = Sender(w3, account)
    created = sender.send(None, creation("SparsePerceptron", (features, classes, 1)))
    assert created.contract_address is not None
    model = Contract(w3, created.contract_address, artifact.load("SparsePerceptron"))
    words = [0] * model.call("wordCount")
    sender.send(model.address, model.encode("load", [0, words]))
    if seal:
        sender.send(model.address, model.encode("seal", []))
    return created.contract_address


def rules(**changes: Any) -> Rules:
    given = {
        "owner": COORDINATOR.address,
        "cost_weight_wei": WEIGHT,
        "refund_wait_s": DAY_S,
        "owner_wait_s": 2 * DAY_S,
        "anyone_wait_s": 3 * DAY_S,
    }
    return Rules(**(given | changes))


def deploy(w3: Web3, account: LocalAccount = SPONSOR, **changes: Any) -> TrainerDeployment:
    model = deploy_model(w3, account)
    return deploy_trainer(w3, account, model, self_assessment(rules(**changes)))


def trainer(w3: Web3, deployment: TrainerDeployment, account: LocalAccount | None) -> Trainer:
    sender = None if account is None else Sender(w3, account)
    return Trainer.connect(w3, deployment.trainer, sender, from_block=deployment.deployed_block)


def teach(by: Trainer, features: bytes, label: int, **changes: Any) -> Any:
    """Contributes at the price; what the event says."""
    price = by.incentive.batch_price_wei(1)
    given = {
        "release": 0,
        "maximum_wei": price,
        "deadline": by.block_time() + 10 * DAY_S,
        "value_wei": price,
    }
    receipt = by.contribute(features, label, **(given | changes))
    [made] = by.contributed_in(receipt)
    return made


def nonce(w3: Web3, account: LocalAccount) -> int:
    return int(request(w3, "eth_getTransactionCount", [account.address, "latest"]), 16)
