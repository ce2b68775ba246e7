"""The classifier's facade answers as the twin does, and says what is wrong before it sends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from web3 import Web3

from ddcai.chain import classifier as facade
from ddcai.chain.classifier import Classifier, Shape
from ddcai.chain.classifier_deployment import deploy_classifier
from ddcai.chain.transactions import Sender
from ddcai.errors import ConfigurationError, ContractReverted
from ddcai.models import heads
from tests.chain.support import SPONSOR, STRANGER, deploy

GENERATOR = np.random.default_rng(3)


def _twins() -> list[heads.Classifier]:
    draw = GENERATOR.integers
    head = heads.Head(draw(-99, 99, (3, 20)).astype(np.int16), draw(-9, 9, 3).astype(np.int32))
    return [
        heads.DensePerceptron(head, 2),
        heads.SparsePerceptron(draw(-99, 99, (1, 20)).astype(np.int16), np.array([3], np.int16), 5),
        heads.NaiveBayes(draw(1, 9, 3), draw(0, 9, (3, 20)), 256),
        heads.NearestCentroid(draw(5, 9, 3), draw(-99, 99, (3, 20))),
        heads.SparseNearestCentroid(draw(9, 12, 3), draw(0, 9, (3, 20))),
    ]


@pytest.mark.parametrize("twin", _twins(), ids=lambda twin: twin.kind)
def test_the_facade_answers_as_the_twin(w3: Web3, twin: heads.Classifier, tmp_path: Path) -> None:
    names = [f"class {c}" for c in range(twin.class_limit)]
    deployed = deploy_classifier(
        w3, Sender(w3, SPONSOR), twin, name="m", class_names=names, folder=tmp_path
    )
    rows = (
        GENERATOR.integers(-128, 128, (7, 20)).astype(np.int8)
        if twin.dense
        else [np.flatnonzero(GENERATOR.integers(0, 2, 20)) for _ in range(7)]
    )
    contract = Classifier(w3, deployed.address, Sender(w3, SPONSOR))
    assert contract.shape == Shape(
        kind=twin.kind, features=20, classes=twin.class_limit, parameter=twin.parameter
    )
    for _ in range(2):
        classes, scores = contract.predict(rows)
        np.testing.assert_array_equal(classes, twin.predict(rows))
        np.testing.assert_array_equal(scores, twin.scores(rows))
        assert contract.words() == contract.twin().to_words() == twin.to_words()
        for row in rows[:3]:
            twin.update(row, 1)
            contract.update(row, 1)
    assert contract.state() == (True, twin.word_count, twin.word_count, SPONSOR.address)


@pytest.fixture
def contract(w3: Web3, tmp_path: Path) -> Classifier:
    twin = heads.SparsePerceptron(np.zeros((1, 40), np.int16), np.zeros(1, np.int16), 1)
    deployed = deploy_classifier(
        w3, Sender(w3, SPONSOR), twin, name="m", class_names=["a", "b"], folder=tmp_path
    )
    return Classifier(w3, deployed.address, Sender(w3, SPONSOR))


def test_words_are_read_in_parts(contract: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    contract.update(np.array([0, 39]), 1)
    whole = contract.words()
    monkeypatch.setattr(facade, "WORDS_A_CALL", 2)
    assert contract.words() == whole
    assert len(whole) == 3
    assert contract.words(1) == whole[:1]


def test_what_the_contract_would_refuse_is_refused_here(w3: Web3, contract: Classifier) -> None:
    for row in (np.array([40]), np.array([2, 2]), np.zeros(3)):
        with pytest.raises(ConfigurationError, match="feature"):
            contract.predict([row])
        with pytest.raises(ConfigurationError, match="feature"):
            contract.update(row, 0)
    with pytest.raises(ConfigurationError, match="give 0x and 40 hex digits"):
        contract.transfer_ownership("0x12")
    with pytest.raises(ConfigurationError, match="needs an account"):
        Classifier(w3, contract.address).update(np.array([1]), 0)


def test_what_the_contract_refuses_is_said(w3: Web3, contract: Classifier) -> None:
    before = contract.words()
    with pytest.raises(ContractReverted, match=r"UnknownClass\(class=2, classes=2\)"):
        contract.update(np.array([1]), 2)
    with pytest.raises(ContractReverted, match="WrongLoadState"):
        contract.load(0, [1])
    stranger = Classifier(w3, contract.address, Sender(w3, STRANGER))
    with pytest.raises(ContractReverted, match="OwnableUnauthorizedAccount"):
        stranger.update(np.array([1]), 1)
    assert contract.words() == before
    contract.transfer_ownership(STRANGER.address)
    stranger.update(np.array([1]), 1)
    assert stranger.words() != before


def test_an_address_without_a_classifier_is_refused(w3: Web3) -> None:
    deployment, _ = deploy(w3)
    for address in (STRANGER.address, deployment.head):
        with pytest.raises(ConfigurationError, match="is no classifier"):
            Classifier(w3, address)
    with pytest.raises(ConfigurationError, match="hex digits"):
        Classifier(w3, "0x1")
