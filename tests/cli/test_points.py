"""`ddcai trainer deploy --incentive points` and what follows: on a real chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from ddcai.chain.incentive import PointsIncentive
from ddcai.chain.node.connection import connect
from ddcai.chain.trainer import Trainer
from ddcai.chain.trainer_deployment import TrainerDeployment
from tests.chain import trainers
from tests.chain.support import advance
from tests.cli.conftest import Ddcai, assert_refused
from tests.cli.test_trainer import ALICE, BOB, JSON, OWNER, Stage
from tests.federation import PlayChain, play_chain


@pytest.fixture(scope="module")
def chain() -> Iterator[PlayChain]:
    with play_chain() as running:
        yield running


@pytest.fixture
def stage(chain: PlayChain, ddcai: Ddcai, tmp_path: Path, password: Path) -> Stage:
    """A trainer for points: three contributions a day, badges for one and for two points."""
    w3 = connect(chain.url)
    keys = {one.address: tmp_path / f"{one.address}.json" for one in (OWNER, ALICE, BOB)}
    for one in (OWNER, ALICE, BOB):
        sealed = Account.encrypt(one.key, "open sesame", kdf="pbkdf2", iterations=2)
        keys[one.address].write_text(json.dumps(sealed))
    made = Stage(w3, chain.url, tmp_path / "none", keys, password, ddcai)
    model = trainers.deploy_model(w3, OWNER)
    words = (
        *("trainer", "deploy", "--model", model, "--incentive", "points", "--refund-wait-s", 100),
        *("--daily-limit", 3, "--badge", 2, "--badge", 1),
    )
    dry = made.run(*words, "--dry-run", *JSON, by=OWNER)
    assert dry.code == 0, dry.stderr
    done = made.run(*words, *JSON, by=OWNER)
    assert done.code == 0, done.stderr
    assert done.json["trainer"] == dry.json["trainer"]
    assert done.json["gas_used"] <= dry.json["gas"]
    made.file = Path(done.json["deployment"])
    return made


def _facade(stage: Stage) -> PointsIncentive:
    found = TrainerDeployment.load(stage.file)
    trainer = Trainer.connect(stage.w3, found.trainer, incentive_kind=found.incentive_kind)
    assert isinstance(trainer.incentive, PointsIncentive)
    return trainer.incentive


def test_teach_wait_and_get_points_and_badges(stage: Stage, tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("1 3\n2\n")
    words = ("contribute", "--features", rows, "--label", 2, "--label", 1, "--yes", *JSON)
    done = stage.on(*words, by=ALICE)
    assert done.code == 0, done.stderr
    assert [one["price_wei"] for one in done.json] == [0, 0]
    assert _facade(stage).left_today(ALICE.address) == 1
    assert_refused(stage.on(*words, by=ALICE), "00:00 UTC")
    assert _facade(stage).left_today(ALICE.address) == 1
    listed = stage.on("claims", "--account", ALICE.address, *JSON).json
    assert [(one["points"], one["why_not"]) for one in listed] == [(1, "TooEarly")] * 2
    assert stage.on("claims", "--account", BOB.address, *JSON).json == []
    assert_refused(stage.on("refund", "--all", by=ALICE), "nothing to refund now")
    advance(stage.w3, 100)
    assert_refused(stage.on("refund", 1, by=BOB), "contribution 1")
    assert_refused(stage.on("report", 1, by=BOB), "contribution 1")
    got = stage.on("refund", "--all", *JSON, by=ALICE)
    assert got.code == 0, got.stderr
    assert [(one["amount_wei"], one["points"]) for one in got.json] == [(0, 1)] * 2
    assert f"points of {ALICE.address}: 2" in got.stderr
    assert _facade(stage).badges(ALICE.address) == [1, 2]
    assert _facade(stage).badges(BOB.address) == []
    assert stage.on("claims", "--account", ALICE.address, *JSON).json == []
    shown = stage.on("trainer", "show", *JSON).json
    assert (shown["points"], shown["held_wei"], shown["daily_limit"]) == (2, 0, 3)
    assert shown["badge_thresholds"] == [1, 2]
    assert shown["bounty"] is None


def test_no_point_while_the_model_disagrees(stage: Stage, tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("1\n")
    words = ("contribute", "--features", rows, "--yes")
    assert stage.on(*words, "--label", 1, by=ALICE).code == 0
    assert stage.on(*words, "--label", 2, by=BOB).code == 0
    assert stage.on(*words, "--label", 2, by=BOB).code == 0  # it says so already: no point
    advance(stage.w3, 100)
    [mine] = stage.on("claims", "--account", ALICE.address, *JSON).json
    assert (mine["now"], mine["why_not"]) == (False, "WrongPrediction")
    assert_refused(stage.on("refund", 1, by=ALICE), "disagrees")
    got = stage.on("refund", "--all", *JSON, by=BOB)
    assert [one["id"] for one in got.json] == [2]


def test_nothing_is_claimed_of_a_trainer_that_has_ended(stage: Stage, tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("1\n")
    assert stage.on("contribute", "--features", rows, "--label", 1, "--yes", by=ALICE).code == 0
    assert stage.on("trainer", "close", "--yes", by=OWNER).code == 0
    advance(stage.w3, 100)
    assert stage.on("claims", "--account", ALICE.address, *JSON).json == []


def test_rules_that_cannot_work_are_refused_before_anything_is_sent(stage: Stage) -> None:
    words = ("trainer", "deploy", "--model", "0x" + "11" * 20, "--incentive", "points")
    assert_refused(stage.run(*words, "--refund-wait-s", 0, by=OWNER), "refund_wait_s is 0")
    assert_refused(stage.run(*words, "--badge", 3, "--badge", 3, by=OWNER), "badge_thresholds")
