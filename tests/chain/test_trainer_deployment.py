"""Deploying a trainer: checked before it costs, taken up where it broke off, never mixed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain import trainer_deployment
from ddcai.chain.deploy import Deployment
from ddcai.chain.incentive import SelfAssessment, self_assessment
from ddcai.chain.node.connection import request
from ddcai.chain.trainer_deployment import (
    TrainerDeployment,
    create_address,
    deploy_trainer,
    plan_trainer,
)
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ConfigurationError, ContractReverted, InsufficientBalance
from tests.chain import trainers
from tests.chain.support import SPONSOR, STRANGER


def _rich(w3: Web3, wei: int = 10**19) -> LocalAccount:
    """A new account, so that nobody else moves its nonce."""
    account: LocalAccount = Account.create()
    Sender(w3, SPONSOR).send(account.address, b"", wei)
    return account


def _deploy(w3: Web3, account: LocalAccount, model: str, **changes: Any) -> TrainerDeployment:
    return deploy_trainer(w3, account, model, self_assessment(trainers.rules(**changes)))


def test_a_deployment_is_what_was_asked_for(node: Web3, tmp_path: Path) -> None:
    account = _rich(node)
    model = trainers.deploy_model(node, account)
    plan = plan_trainer(node, account.address, model, self_assessment(trainers.rules()))
    deployed = deploy_trainer(
        node,
        account,
        model,
        self_assessment(trainers.rules()),
        name="words",
        classes=["a", "b", "c"],
    )
    assert (deployed.incentive, deployed.trainer) == (plan.incentive, plan.trainer)
    assert (plan.done, plan.model_kind, plan.classes) == (0, "SparsePerceptron", 3)
    assert deployed.gas_used <= plan.gas
    trainer = trainers.trainer(node, deployed, None)
    assert trainer.model_owner() == deployed.trainer
    assert trainer.owner() == account.address
    assert isinstance(trainer.incentive, SelfAssessment)
    assert trainer.incentive.rules() == trainers.rules()
    path = deployed.save(tmp_path)
    assert path == tmp_path / "31337-words.json"
    assert TrainerDeployment.load(path) == deployed
    assert deployed.save(tmp_path) == path
    other = replace(deployed, trainer=STRANGER.address)
    with pytest.raises(ConfigurationError, match="another deployment"):
        other.save(tmp_path)
    with pytest.raises(ConfigurationError, match="of this kind"):
        Deployment.load(path)


class _Cut(Exception):
    """The process ends here."""


def _cut_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """After so many transactions of a deployment nothing is sent any more."""
    send, sent = Sender.send, []

    def cut(self: Sender, *arguments: Any) -> Any:
        if len(sent) == steps:
            raise _Cut
        sent.append(arguments)
        return send(self, *arguments)

    monkeypatch.setattr(Sender, "send", cut)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_what_was_broken_off_is_taken_up(
    w3: Web3, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    if steps < 3:
        with monkeypatch.context() as patched:
            _cut_after(patched, steps)
            with pytest.raises(_Cut):
                _deploy(w3, account, model)
    else:
        _deploy(w3, account, model)  # and its file was not written
    before = trainers.nonce(w3, account)
    deployed = _deploy(w3, account, model)
    assert trainers.nonce(w3, account) == before + 3 - steps
    assert deployed.trainer == create_address(account.address, before + 1 - steps)
    trainer = trainers.trainer(w3, deployed, account)
    assert trainer.model_owner() == trainer.address
    trainers.teach(trainer, trainers.sample(1), 1)
    assert len(trainer.contributions()) == 1


def test_an_attempt_with_other_rules_is_not_taken_up(
    w3: Web3, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    with monkeypatch.context() as patched:
        _cut_after(patched, 1)
        with pytest.raises(_Cut):
            _deploy(w3, account, model, cost_weight_wei=5)
    before = trainers.nonce(w3, account)
    deployed = _deploy(w3, account, model)
    assert trainers.nonce(w3, account) == before + 3
    incentive = trainers.trainer(w3, deployed, None).incentive
    assert isinstance(incentive, SelfAssessment)
    assert incentive.rules() == trainers.rules()


@pytest.mark.parametrize("moment", ["CollaborativeTrainer", "SelfAssessment"])
def test_a_nonce_that_moved_is_refused(
    w3: Web3, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Somebody else sends from this account between two steps."""
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    make = trainer_deployment._create

    def late(
        w3: Web3, sender: Sender, what: str, expected: str, arguments: Any, value_wei: int
    ) -> int:
        if what == moment:
            Sender(w3, account).send(STRANGER.address, b"", 1)
        return make(w3, sender, what, expected, arguments, value_wei)

    monkeypatch.setattr(trainer_deployment, "_create", late)
    with pytest.raises(ChainError, match="came between"):
        _deploy(w3, account, model)
    monkeypatch.undo()
    assert _deploy(w3, account, model).model == model  # the model is still the account's


def test_a_creation_between_check_and_sending_is_found(
    w3: Web3, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    compile_, calls = trainer_deployment.creation, []

    def late(what: str, arguments: Any) -> bytes:
        calls.append(what)
        if calls.count("CollaborativeTrainer") == 1 and what == "CollaborativeTrainer":
            Sender(w3, account).send(STRANGER.address, b"", 1)
        return compile_(what, arguments)

    monkeypatch.setattr(trainer_deployment, "creation", late)
    with pytest.raises(ChainError, match="came between"):
        _deploy(w3, account, model)


Bad = Callable[[Web3, LocalAccount], tuple[str, dict[str, Any]]]


@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (lambda w3, a: ("0x12", {}), ConfigurationError, "deployed classifier"),
        (lambda w3, a: (STRANGER.address, {}), ConfigurationError, "no contract at"),
        (lambda w3, a: (trainers.deploy(w3).incentive, {}), ConfigurationError, "no classifier"),
        (lambda w3, a: (trainers.deploy(w3).model, {}), ConfigurationError, "belongs to"),
        (
            lambda w3, a: (trainers.deploy_model(w3, a, seal=False), {}),
            ConfigurationError,
            "not sealed",
        ),
        (
            lambda w3, a: (trainers.deploy_model(w3, a), {"owner_wait_s": 1}),
            ContractReverted,
            "ownerWaitS",
        ),
    ],
)
def test_what_cannot_work_costs_nothing(
    w3: Web3, bad: Bad, error: type[Exception], said: str
) -> None:
    account = _rich(w3)
    model, changes = bad(w3, account)
    before = trainers.nonce(w3, account)
    with pytest.raises(error, match=said):
        _deploy(w3, account, model, **changes)
    assert trainers.nonce(w3, account) == before


def test_classes_and_names_are_checked_first(w3: Web3) -> None:
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    before = trainers.nonce(w3, account)
    plan = self_assessment(trainers.rules())
    with pytest.raises(ConfigurationError, match="has 3 classes"):
        deploy_trainer(w3, account, model, plan, classes=["a", "b"])
    with pytest.raises(ConfigurationError, match="name is"):
        deploy_trainer(w3, account, model, plan, name="../up")
    assert trainers.nonce(w3, account) == before


def test_too_little_for_all_steps_costs_nothing(w3: Web3) -> None:
    account = _rich(w3)
    model = trainers.deploy_model(w3, account)
    have = int(request(w3, "eth_getBalance", [account.address, "latest"]), 16)
    sender = Sender(w3, account)
    plan = plan_trainer(w3, account.address, model, self_assessment(trainers.rules()))
    sender.send(STRANGER.address, b"", have - plan.gas * sender.gas_price() // 2)
    before = trainers.nonce(w3, account)
    with pytest.raises(InsufficientBalance):
        _deploy(w3, account, model)
    assert trainers.nonce(w3, account) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trainer", "0x12"),
        ("incentive_kind", "charity"),
        ("model_kind", ""),
        ("classes", ["a", "a"]),
        ("classes", "ab"),
        ("first_release", -1),
        ("chain_id", 0),
        ("gas_used", "7"),
    ],
)
def test_a_file_is_read_strictly(tmp_path: Path, field: str, value: Any) -> None:
    good = TrainerDeployment(
        chain_id=1,
        name="a",
        deployed_block=0,
        gas_used=0,
        trainer=SPONSOR.address,
        incentive=SPONSOR.address,
        incentive_kind="self-assessment",
        model=SPONSOR.address,
        model_kind="SparsePerceptron",
        first_release=0,
        classes=[],
    )
    path = good.save(tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {field: value}))
    with pytest.raises(ConfigurationError, match=str(path)):
        TrainerDeployment.load(path)
    path.write_text(json.dumps(content | {"more": 1}))
    with pytest.raises(ConfigurationError, match="not a deployment file"):
        TrainerDeployment.load(path)
