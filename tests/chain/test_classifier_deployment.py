"""Deploying a classifier: costs known before, chunks within the cap, taken up after a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account
from web3 import Web3

from ddcai.chain import classifier_deployment as deployment
from ddcai.chain.classifier import Classifier
from ddcai.chain.classifier_deployment import (
    ClassifierDeployment,
    deploy_classifier,
    plan_classifier,
)
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ConfigurationError, InsufficientBalance
from ddcai.models import heads
from tests.chain.support import SPONSOR, STRANGER

GENERATOR = np.random.default_rng(4)
TRANSACTION_CAP = 2**24  # EIP-7825


def _perceptron(features: int = 40) -> heads.SparsePerceptron:
    weights = GENERATOR.integers(-(2**15), 2**15, (1, features)).astype(np.int16)
    return heads.SparsePerceptron(weights, np.array([7], np.int16), 1)


def _full(kind: str) -> heads.Classifier:
    """A model of 48 words or so without a zero word."""
    draw = GENERATOR.integers
    if kind == "DensePerceptron":
        head = heads.Head(draw(1, 99, (2, 384)).astype(np.int16), draw(1, 9, 2).astype(np.int32))
        return heads.DensePerceptron(head, 1)
    if kind == "SparsePerceptron":
        return _perceptron(800)
    if kind == "NaiveBayes":
        return heads.NaiveBayes(draw(1, 9, 2), draw(1, 2**31, (2, 200)), 256)
    if kind == "NearestCentroid":
        return heads.NearestCentroid(draw(9, 12, 2), draw(-999, 999, (2, 200)))
    return heads.SparseNearestCentroid(draw(9, 12, 2), draw(1, 9, (2, 200)))


def _deploy(w3: Web3, twin: heads.Classifier, folder: Path, **more: Any) -> ClassifierDeployment:
    names = [f"c{c}" for c in range(twin.class_limit)]
    arguments = {"name": "model", "class_names": names, "folder": folder} | more
    sender = arguments.pop("sender", Sender(w3, SPONSOR))
    return deploy_classifier(w3, sender, twin, **arguments)


def _sent(w3: Web3) -> int:
    return int(request(w3, "eth_getTransactionCount", [SPONSOR.address, "latest"]), 16)


@pytest.mark.parametrize("kind", sorted(heads.TWINS))
def test_what_it_costs_is_within_the_plan(w3: Web3, tmp_path: Path, kind: str) -> None:
    twin = _full(kind)
    deployed = _deploy(w3, twin, tmp_path, scale=0.5)
    plan = plan_classifier(twin)
    assert plan.gas / 2 < deployed.gas_used <= plan.gas
    assert (plan.words, plan.chunks) == (twin.word_count, 1)
    assert deployed == ClassifierDeployment.load(tmp_path / "31337-model.json")
    assert deployed.digest == "0x" + twin.digest().hex()
    assert deployed.scale == 0.5
    contract = Classifier(w3, deployed.address)
    assert contract.words() == twin.to_words()
    assert contract.sealed_digest(0) == twin.digest()


def test_a_large_model_goes_in_chunks_below_the_cap(w3: Web3, tmp_path: Path) -> None:
    twin = _perceptron(12_000)
    plan = plan_classifier(twin)
    assert (plan.words, plan.chunks) == (751, 3)
    loaded = []
    _deploy(w3, twin, tmp_path, progress=lambda words, _: loaded.append(words))
    assert loaded == [375, 750, 751]
    gas = []
    latest = int(request(w3, "eth_blockNumber", []), 16)
    for number in range(latest - 4, latest + 1):
        block = request(w3, "eth_getBlockByNumber", [hex(number), True])
        gas += [int(one["gas"], 16) for one in block["transactions"]]
    assert len(gas) >= 4
    assert max(gas) <= TRANSACTION_CAP


def test_what_a_crash_broke_off_is_taken_up(
    w3: Web3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step of a deployment in turn; nothing is sent twice."""
    monkeypatch.setattr(deployment, "CHUNK_GAS", deployment.WORD_GAS)
    twin = _perceptron()
    before = _sent(w3)
    for crash in range(1, twin.word_count + 1):

        def stop(loaded: int, count: int, crash: int = crash) -> None:
            if loaded == crash:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            _deploy(w3, twin, tmp_path, progress=stop)
    deployed = _deploy(w3, twin, tmp_path)
    assert _sent(w3) - before == 1 + twin.word_count + 1
    assert Classifier(w3, deployed.address).words() == twin.to_words()
    assert deployed.gas_used <= plan_classifier(twin).gas
    # Done already, even after the model has learned: nothing more is sent.
    Classifier(w3, deployed.address, Sender(w3, SPONSOR)).update(np.arange(40), 0)
    before = _sent(w3)
    assert _deploy(w3, twin, tmp_path) == deployed
    assert _sent(w3) == before


def _interrupted(w3: Web3, twin: heads.Classifier, folder: Path) -> ClassifierDeployment:
    def stop(loaded: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _deploy(w3, twin, folder, progress=stop)
    return ClassifierDeployment.load(folder / "31337-model.json")


def test_words_that_are_not_the_model_s_are_not_built_upon(w3: Web3, tmp_path: Path) -> None:
    twin, other = _perceptron(), _perceptron()
    begun = _interrupted(w3, twin, tmp_path)
    # As if the file of one deployment were given to another model of the same shape.
    replace(begun, digest="0x" + other.digest().hex()).save(tmp_path)
    before = _sent(w3)
    with pytest.raises(ChainError, match=r"first 3 words of .* are not this model's"):
        _deploy(w3, other, tmp_path)
    assert _sent(w3) == before


def test_a_model_that_was_sealed_otherwise_is_found_out(w3: Web3, tmp_path: Path) -> None:
    twin, other = _perceptron(), _perceptron()
    done = _deploy(w3, twin, tmp_path)
    replace(done, digest="0x" + other.digest().hex()).save(tmp_path)
    with pytest.raises(ChainError, match="sealed with digest 0x" + twin.digest().hex()):
        _deploy(w3, other, tmp_path)


def test_what_cannot_work_is_refused_before_anything_is_sent(w3: Web3, tmp_path: Path) -> None:
    twin = _perceptron()
    before = _sent(w3)
    with pytest.raises(ConfigurationError, match="1 class names for 2 classes"):
        _deploy(w3, twin, tmp_path, class_names=["one"])
    with pytest.raises(ConfigurationError, match="lower-case letters"):
        _deploy(w3, twin, tmp_path, name="No Name")
    poor = Account.create()
    with pytest.raises(InsufficientBalance):
        _deploy(w3, twin, tmp_path, sender=Sender(w3, poor))
    assert list(tmp_path.iterdir()) == []
    _interrupted(w3, twin, tmp_path)
    with pytest.raises(ConfigurationError, match="choose another name"):
        _deploy(w3, _perceptron(), tmp_path)
    with pytest.raises(ConfigurationError, match=f"belongs to {SPONSOR.address}"):
        _deploy(w3, twin, tmp_path, sender=Sender(w3, STRANGER))
    assert _sent(w3) - before == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "0x12"),
        ("kind", "Other"),
        ("features", 0),
        ("parameter", -1),
        ("class_names", ["a"]),
        ("class_names", ["a", "a"]),
        ("scale", 0),
        ("scale", "1"),
        ("digest", "0x12"),
        ("chain_id", 0),
        ("more", 1),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    good = {
        "chain_id": 1,
        "name": "m",
        "deployed_block": 0,
        "gas_used": 0,
        "address": SPONSOR.address,
        "kind": "NaiveBayes",
        "features": 1,
        "parameter": 1,
        "class_names": ["a", "b"],
        "scale": 1.0,
        "digest": "0x" + "ab" * 32,
    }
    path = tmp_path / "m.json"
    path.write_text(json.dumps(good))
    ClassifierDeployment.load(path)
    path.write_text(json.dumps(good | {field: value}))
    with pytest.raises(ConfigurationError, match=field):
        ClassifierDeployment.load(path)
