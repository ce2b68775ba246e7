"""The facade on real contracts: what it sends is what happens, and what is read back."""

from __future__ import annotations

import pytest
from web3 import Web3

from ddcai.chain.contributions import (
    Closed,
    Contributed,
    Refunded,
    Reported,
    Withdrawn,
)
from ddcai.chain.incentive import Points
from ddcai.chain.node.connection import request
from ddcai.chain.trainer import Trainer
from ddcai.chain.transactions import Sender
from ddcai.digests import contribution_digest, record_digest
from ddcai.errors import ChainError, ContractReverted, NotATrainer
from ddcai.incentives.self_assessment import price_wei
from tests.chain import trainers
from tests.chain.support import CONTRIBUTORS, COORDINATOR, SPONSOR, STRANGER, advance
from tests.chain.trainers import DAY_S, WEIGHT, sample, teach

ALICE, BOB = CONTRIBUTORS[:2]


def test_a_contribution_s_life(node: Web3) -> None:
    """Taught, refunded, withdrawn; the records and events are those that the chain has."""
    deployed = trainers.deploy(node)
    alice = trainers.trainer(node, deployed, ALICE)
    incentive = alice.incentive
    assert alice.model_owner() == alice.address
    assert alice.owner() == SPONSOR.address
    assert alice.predict_many([sample(1), sample(2)]) == [0, 0]
    made = teach(alice, sample(1), 2)
    assert (made.id, made.contributor, made.label, made.predicted) == (1, ALICE.address, 2, 0)
    assert made.features == sample(1)
    assert alice.predict_many([sample(1)]) == [2]
    digest = record_digest(
        id_=1,
        contributor=ALICE.address,
        data=contribution_digest(2, sample(1)),
        predicted=0,
        price_wei=made.price_wei,
        time=made.time,
    )
    record = incentive.record_of(1)
    assert record.open
    assert record.left_wei == made.price_wei
    assert record.digest == digest[:21] + bytes(11)
    with pytest.raises(ContractReverted) as caught:
        alice.refund(made)
    assert caught.value.name == "TooEarly"
    advance(node, DAY_S)
    [refunded] = alice.events_in(alice.refund(made))
    assert isinstance(refunded, Refunded)
    assert (refunded.amount_wei, refunded.points) == (made.price_wei, 1)
    assert incentive.points(ALICE.address) == Points(1, 1)
    assert incentive.owed_wei(ALICE.address) == made.price_wei
    assert not incentive.record_of(1).open
    [withdrawn] = alice.events_in(incentive.withdraw())
    assert isinstance(withdrawn, Withdrawn)
    assert (withdrawn.account, withdrawn.amount_wei) == (ALICE.address, made.price_wei)
    assert incentive.owed_wei(ALICE.address) == 0
    kinds = [type(one) for one in alice.history()]
    assert kinds == [Contributed, Refunded, Withdrawn]
    assert alice.contributions() == [made]


def test_batches_claims_and_the_end(w3: Web3) -> None:
    deployed = trainers.deploy(w3)
    alice = trainers.trainer(w3, deployed, ALICE)
    price = alice.incentive.batch_price_wei(3)
    assert price - alice.incentive.price_wei() == 2 * price_wei(WEIGHT, 0)
    receipt = alice.contribute_many(
        [sample(1), sample(2), sample(3)],
        [1, 2, 1],
        release=0,
        maximum_wei=price,
        deadline=alice.block_time() + DAY_S,
        value_wei=price + 5,
    )
    made = alice.contributed_in(receipt)
    assert [(one.id, one.features, one.label) for one in made] == [
        (1, sample(1), 1),
        (2, sample(2), 2),
        (3, sample(3), 1),
    ]
    over = price + 5 - sum(one.price_wei for one in made)
    assert alice.incentive.owed_wei(ALICE.address) == over >= 5
    bob = trainers.trainer(w3, deployed, BOB)
    wrong = teach(bob, sample(1), 2)  # and back: alice's first one is disagreed with now
    assert bob.predict_many([sample(1)]) == [2]
    # The class with the lower number wins a tie: alice's third one still holds.
    agrees = [
        one
        for one, said in zip(made, bob.predict_many([one.features for one in made]), strict=True)
        if said == one.label
    ]
    assert made[0] not in agrees
    assert agrees
    advance(w3, DAY_S)
    alice.claim(refunds=agrees)
    trainers.trainer(w3, deployed, BOB).refund(wrong)
    [reported] = bob.events_in(bob.report(made[0]))
    assert isinstance(reported, Reported)
    assert (reported.id, reported.reporter) == (1, BOB.address)
    incentive = bob.incentive
    assert incentive.have_reported([1, 2], BOB.address)[1] is False  # type: ignore[attr-defined]
    with pytest.raises(ContractReverted) as caught:
        alice.close()
    assert caught.value.name == "OwnableUnauthorizedAccount"
    owner = trainers.trainer(w3, deployed, SPONSOR)
    events = owner.events_in(owner.close())
    assert [type(one) for one in events] == [Closed]
    assert incentive.is_closed()
    assert incentive.ended_id() == incentive.last_id() == 4
    assert owner.model_owner() == SPONSOR.address
    with pytest.raises(ContractReverted) as caught:
        teach(alice, sample(4), 1)
    assert caught.value.name == "ReleaseClosed"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"deadline": 1}, "DeadlinePassed"),
        ({"release": 1}, "WrongRelease"),
        ({"maximum_wei": 0}, "PriceTooHigh"),
        ({"value_wei": 0}, "DepositTooSmall"),
    ],
)
def test_a_refused_contribution_costs_nothing(w3: Web3, changes: dict[str, int], name: str) -> None:
    alice = trainers.trainer(w3, trainers.deploy(w3), STRANGER)
    before = trainers.nonce(w3, STRANGER)
    with pytest.raises(ContractReverted) as caught:
        teach(alice, sample(1), 2, **changes)
    assert caught.value.name == name
    assert trainers.nonce(w3, STRANGER) == before


def test_other_addresses_are_no_trainers(w3: Web3) -> None:
    deployed = trainers.deploy(w3)
    for address, said in (
        ("0x12", "not an address"),
        (STRANGER.address, "no contract at"),
        (deployed.model, "is no trainer"),
        (deployed.incentive, "is no trainer"),
    ):
        with pytest.raises(NotATrainer, match=said):
            Trainer.connect(w3, address)


def test_an_incentive_of_another_trainer_is_found(w3: Web3) -> None:
    """The constructor refuses it; a contract that only looks like a trainer may not."""
    honest = trainers.deploy(w3)
    # Answers `model` and `incentive` alike: with the honest incentive's address.
    runtime = bytes.fromhex("73" + honest.incentive[2:] + "5f5260205ff3")
    init = bytes.fromhex(f"60{len(runtime):02x}600b5f3960{len(runtime):02x}5ff3fe") + runtime
    created = Sender(w3, STRANGER).send(None, init)
    assert created.contract_address is not None
    with pytest.raises(NotATrainer, match="belongs to"):
        Trainer.connect(w3, created.contract_address)


def test_reading_needs_no_account_and_writing_does(w3: Web3) -> None:
    nobody = trainers.trainer(w3, trainers.deploy(w3), None)
    assert nobody.contributions() == []
    with pytest.raises(ChainError, match="--keystore"):
        nobody.close()
    with pytest.raises(ChainError, match="--keystore"):
        nobody.incentive.withdraw()


def test_a_history_with_holes_is_refused(w3: Web3) -> None:
    deployed = trainers.deploy(w3)
    alice = trainers.trainer(w3, deployed, ALICE)
    teach(alice, sample(1), 2)
    teach(alice, sample(2), 2)
    last = int(request(w3, "eth_blockNumber", []), 16)
    late = Trainer.connect(w3, deployed.trainer, from_block=last)
    with pytest.raises(ChainError, match="whole history"):
        late.contributions()
    assert COORDINATOR.address not in {one.contributor for one in alice.contributions()}
