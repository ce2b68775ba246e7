"""`ddcai market`: a market's whole life by commands, on a real chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.chain import market_deployment
from ddcai.chain.node.connection import connect, request
from ddcai.chain.prediction_market import PredictionMarket
from ddcai.chain.trainer_deployment import TrainerDeployment
from ddcai.errors import ChainError
from ddcai.models.heads import SparsePerceptron
from ddcai.models.heads.model_file import Model, save
from tests.chain.support import advance
from tests.cli.conftest import Ddcai, assert_refused
from tests.cli.test_trainer import ALICE, BOB, JSON, OWNER, Stage
from tests.federation import PlayChain, play_chain

BOUNTY, STAKE = 8_000_000, 10_000_000
RULES = (
    *("--bounty-wei", BOUNTY, "--stake-wei", STAKE, "--draw-delay-blocks", 3, "--show-s", 1000),
    *("--contribute-s", 1000, "--reveal-s", 1000, "--evaluate-s", 1000),
)


@pytest.fixture(scope="module")
def chain() -> Iterator[PlayChain]:
    with play_chain() as running:
        yield running


@pytest.fixture
def stage(chain: PlayChain, ddcai: Ddcai, tmp_path: Path, password: Path) -> Stage:
    """A blank model of four words and two classes, and a test set: word 1 means class 1."""
    w3 = connect(chain.url)
    keys = {one.address: tmp_path / f"{one.address}.json" for one in (OWNER, ALICE, BOB)}
    for one in (OWNER, ALICE, BOB):
        sealed = Account.encrypt(one.key, "open sesame", kdf="pbkdf2", iterations=2)
        keys[one.address].write_text(json.dumps(sealed))
    made = Stage(w3, chain.url, tmp_path / "none", keys, password, ddcai)
    twin = SparsePerceptron(np.zeros((1, 4), np.int16), np.zeros(1, np.int16), 1)
    save(tmp_path / "model.safetensors", Model(twin, ("ham", "spam"), 1.0))
    (tmp_path / "test.txt").write_text("1\n" * 6 + "0\n" * 2)
    labels = [word for one in ("spam",) * 6 + ("ham",) * 2 for word in ("--label", one)]
    done = made.ddcai(
        *("market", "commit", "--from", tmp_path / "model.safetensors", "--pieces", 4),
        *("--features", tmp_path / "test.txt", *labels, "--out", tmp_path / "hidden.json", *JSON),
    )
    assert done.code == 0, done.stderr
    assert done.json["samples"] == 8
    return made


def _deploy(stage: Stage, tmp_path: Path, *more: object) -> Stage:
    words = ("market", "deploy", "--from", tmp_path / "model.safetensors", *RULES, *more)
    done = stage.run(*words, "--test-set", tmp_path / "hidden.json", "--yes", *JSON, by=OWNER)
    assert done.code == 0, done.stderr
    stage.file = Path(done.json["deployment"])
    return stage


def _open(stage: Stage, tmp_path: Path) -> None:
    for _ in range(3):
        request(stage.w3, "evm_mine", [])
    hidden = ("--test-set", tmp_path / "hidden.json")
    for words in (("draw",), ("match",), ("reveal", *hidden)):
        done = stage.on("market", *words, *JSON, by=OWNER)
        assert done.code == 0, done.stderr


def _teach(stage: Stage, tmp_path: Path, row: str, label: str, by: LocalAccount) -> int:
    path = tmp_path / "rows.txt"
    path.write_text(row + "\n")
    done = stage.on(*("contribute", "--features", path, "--label", label, "--yes", *JSON), by=by)
    assert done.code == 0, done.stderr
    assert done.json[0]["price_wei"] == STAKE
    return int(done.json[0]["id"])


def _owed(stage: Stage, account: LocalAccount) -> int:
    found = TrainerDeployment.load(stage.file)
    return PredictionMarket(stage.w3, found.incentive).owed_wei(account.address)


def test_a_market_from_commitment_to_payment(stage: Stage, tmp_path: Path) -> None:
    _deploy(stage, tmp_path)
    shown = stage.on("market", "show", *JSON).json
    assert (shown["phase"], shown["bounty_wei"], shown["pieces"]) == ("committed", BOUNTY, 4)
    rows = tmp_path / "rows.txt"
    rows.write_text("1\n")
    early = stage.on("contribute", "--features", rows, "--label", "spam", "--yes", by=ALICE)
    assert_refused(early, "market show")
    _open(stage, tmp_path)
    _teach(stage, tmp_path, "1", "spam", ALICE)
    bad = _teach(stage, tmp_path, "1", "ham", BOB)
    hidden = ("--test-set", tmp_path / "hidden.json")
    assert_refused(stage.on("market", "reveal", *hidden, by=OWNER), "phase is OPEN")
    assert_refused(stage.on("market", "evaluate", by=OWNER), "phase is OPEN")
    bounty = stage.on("bounty", "deploy", "--per-point", 1, "--name", "none", by=OWNER)
    assert_refused(bounty, "gives no points")
    [claim] = stage.on("claims", "--account", BOB.address, *JSON).json
    assert (claim["id"], claim["now"], claim["why_not"]) == (bad, False, "WrongPhase")

    advance(stage.w3, 2001)
    revealed = stage.on("market", "reveal", *hidden, *JSON, by=OWNER)
    assert len(revealed.json["revealed"]) == 3
    assert revealed.json["phase"] == "evaluating"
    done = stage.on("market", "evaluate", *JSON, by=BOB)  # anyone may
    assert done.code == 0, done.stderr
    assert (done.json["contributions"], done.json["samples"]) == (2, 8)
    assert done.json["phase"] == "finished"

    # Of eight errors' worth, four went (6 to 2) and came back: a reward, and its loss.
    change = BOUNTY * 4 // 8
    assert [_owed(stage, one) for one in (ALICE, BOB)] == [STAKE + change, STAKE - change]
    assert stage.on("claims", "--account", BOB.address, *JSON).json == []
    paid = stage.on("claims", "--withdraw", by=ALICE)
    assert paid.code == 0, paid.stderr
    assert [_owed(stage, one) for one in (ALICE, BOB)] == [0, STAKE - change]
    left = stage.on("market", "collect", *JSON, by=OWNER)
    assert left.json["left_wei"] == BOUNTY  # what one took off the loss the other paid in
    assert_refused(stage.on("market", "collect", by=OWNER), "collected before")


def test_a_test_set_that_is_not_shown_forfeits_the_bounty(stage: Stage, tmp_path: Path) -> None:
    _deploy(stage, tmp_path)
    _open(stage, tmp_path)
    mine = _teach(stage, tmp_path, "1", "spam", ALICE)
    advance(stage.w3, 3001)  # the sponsor reveals nothing
    assert stage.on("market", "show", *JSON).json["phase"] == "forfeited"
    [claim] = stage.on("claims", "--account", ALICE.address, *JSON).json
    assert (claim["now"], claim["amount_wei"]) == (True, STAKE + BOUNTY // 2)
    got = stage.on("refund", mine, *JSON, by=ALICE)
    assert got.code == 0, got.stderr
    assert stage.on("claims", "--account", ALICE.address, *JSON).json == []
    assert stage.on("market", "collect", *JSON, by=OWNER).json["left_wei"] == 0


def test_what_cannot_work_is_refused_before_anything_is_sent(stage: Stage, tmp_path: Path) -> None:
    nonce = request(stage.w3, "eth_getTransactionCount", [OWNER.address, "latest"])
    words = ("market", "deploy", "--from", tmp_path / "model.safetensors", *RULES)
    hidden = ("--test-set", tmp_path / "hidden.json")
    dry = stage.run(*words, *hidden, "--dry-run", *JSON, by=OWNER)
    assert dry.json["bounty_wei"] == BOUNTY
    assert_refused(stage.run(*words, "--test-set", tmp_path / "no.json", by=OWNER), "no.json")
    (tmp_path / "other.json").write_text("{}")
    assert_refused(
        stage.run(*words, "--test-set", tmp_path / "other.json", by=OWNER), "not a test set"
    )
    assert_refused(stage.run(*words, *hidden, by=OWNER), "not confirmed")  # nobody answers
    again = ("market", "commit", "--from", tmp_path / "model.safetensors", "--label", "spam")
    refused = stage.ddcai(
        *again, "--features", tmp_path / "test.txt", "--pieces", 2, "--out", hidden[1]
    )
    assert_refused(refused, "exists")
    assert request(stage.w3, "eth_getTransactionCount", [OWNER.address, "latest"]) == nonce


@pytest.mark.parametrize("moment", ["deploy_classifier", "deploy_trainer", "Contract", "save"])
def test_a_deployment_that_was_broken_off_goes_on_with_its_deadlines(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before the models, the market, the hand-over, and when all that is left is the file."""
    folder = ("--deployments", tmp_path / "files")

    def broken(*_: object, **__: object) -> None:
        raise ChainError("the line went dead")

    where = market_deployment.TrainerDeployment if moment == "save" else market_deployment
    monkeypatch.setattr(where, moment, broken)
    words = ("market", "deploy", "--from", tmp_path / "model.safetensors", *RULES, *folder)
    hidden = ("--test-set", tmp_path / "hidden.json", "--yes")
    assert_refused(stage.run(*words, *hidden, by=OWNER), "line went dead")
    monkeypatch.undo()
    [draft] = (tmp_path / "files").glob("*.market-draft.json")
    wanted = json.loads(draft.read_text())["rules"]
    advance(stage.w3, 50)
    other = [*RULES]
    other[1] = BOUNTY + 1
    refused = stage.run(
        "market",
        "deploy",
        "--from",
        tmp_path / "model.safetensors",
        *other,
        *folder,
        *hidden,
        by=OWNER,
    )
    assert_refused(refused, "draft of another market")
    done = stage.run(*words, *hidden, *JSON, by=OWNER)
    assert done.code == 0, done.stderr
    stage.file = Path(done.json["deployment"])
    assert not list((tmp_path / "files").glob("*.market-draft.json"))
    shown = stage.on("market", "show", *JSON).json
    assert shown["bounty_wei"] == BOUNTY
    shown_by = int(datetime.fromisoformat(shown["show_by"]).timestamp())
    assert shown_by == wanted["show_by"]
    _open(stage, tmp_path)
