"""`ddcai trainer`, `contribute`, `refund`, `report`, `claims`, `data`: on a real chain."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.trainer_deployment import TrainerDeployment
from ddcai.data import sms
from tests.chain import trainers
from tests.chain.support import advance
from tests.cli.conftest import Answer, Ddcai, assert_refused
from tests.federation import PlayChain, play_chain

OWNER, ALICE, BOB = dev_accounts()[:3]
JSON = ("--format", "json")
WAITS = ("--refund-wait-s", 100, "--owner-wait-s", 200, "--anyone-wait-s", 300)


@dataclass
class Stage:
    """A trainer, and the key files of three accounts."""

    w3: Web3
    url: str
    file: Path
    keys: dict[str, Path]
    password: Path
    ddcai: Ddcai

    def run(self, *words: object, by: LocalAccount | None = None) -> Answer:
        rest: tuple[object, ...] = ("--rpc-url", self.url)
        if by is not None:
            rest += ("--keystore", self.keys[by.address], "--password-file", self.password)
        return self.ddcai(*words, *rest)

    def on(self, *words: object, by: LocalAccount | None = None) -> Answer:
        return self.run(*words, "--trainer", self.file, by=by)


@pytest.fixture(scope="module")
def chain() -> Iterator[PlayChain]:
    with play_chain() as running:
        yield running


@pytest.fixture
def stage(chain: PlayChain, ddcai: Ddcai, tmp_path: Path, password: Path) -> Stage:
    w3 = connect(chain.url)
    keys = {one.address: tmp_path / f"{one.address}.json" for one in (OWNER, ALICE, BOB)}
    for one in (OWNER, ALICE, BOB):
        sealed = Account.encrypt(one.key, "open sesame", kdf="pbkdf2", iterations=2)
        keys[one.address].write_text(json.dumps(sealed))
    made = Stage(w3, chain.url, tmp_path / "none", keys, password, ddcai)
    model = trainers.deploy_model(w3, OWNER)
    words = ("trainer", "deploy", "--model", model, *WAITS)
    dry = made.run(*words, "--dry-run", *JSON, by=OWNER)
    assert dry.code == 0, dry.stderr
    assert "nothing was sent" in dry.stderr
    done = made.run(*words, *JSON, by=OWNER)
    assert done.code == 0, done.stderr
    assert done.json["trainer"] == dry.json["trainer"]
    made.file = Path(done.json["deployment"])
    return made


def _rows(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rows.txt"
    path.write_text(text)
    return path


def test_teach_wait_refund_export(stage: Stage, tmp_path: Path) -> None:
    rows = _rows(tmp_path, "1 3\n2\n\n")
    words = ("contribute", "--features", rows, "--label", 2, *JSON)
    dry = stage.on(*words, "--dry-run", by=ALICE)
    assert dry.code == 0, dry.stderr
    assert "public, for ever" in dry.stderr
    assert "gas" in dry.stderr
    assert [one["model_says"] for one in dry.json] == [0, 0, 0]
    assert stage.on("trainer", "show", *JSON).json["contributions"] == 0
    assert_refused(stage.on(*words, by=ALICE), "not confirmed", "--yes")
    done = stage.on(*words, "--yes", by=ALICE)
    assert done.code == 0, done.stderr
    assert [one["id"] for one in done.json] == [1, 2, 3]
    paid = sum(one["price_wei"] for one in done.json)
    for name, said in (("refund", "can be claimed from"), ("report", "is nothing to report")):
        assert_refused(stage.on(name, 1, by=ALICE), "contribution 1", said)
    assert_refused(stage.on("refund", "--all", by=ALICE), "nothing to refund now")
    assert_refused(stage.on("refund", by=ALICE), "--all")
    listed = stage.on("claims", "--account", ALICE.address, *JSON).json
    assert [(one["now"], one["why_not"]) for one in listed] == [(False, "TooEarly")] * 3
    advance(stage.w3, 100)
    assert_refused(stage.on("refund", 1, by=BOB), "contribution 1 is nothing to refund")
    dry = stage.on("refund", "--all", "--dry-run", *JSON, by=ALICE)
    assert sum(one["amount_wei"] for one in dry.json) <= paid
    got = stage.on("refund", "--all", *JSON, by=ALICE)
    assert got.code == 0, got.stderr
    assert got.json == dry.json
    assert_refused(stage.on("refund", 1, by=ALICE), "settled")
    out = stage.on("claims", "--withdraw", by=ALICE)
    assert "withdrew" in out.stderr
    assert "nothing to withdraw" in stage.on("claims", "--withdraw", by=ALICE).stderr
    shown = stage.on("trainer", "show", *JSON).json
    assert shown["deposits_wei"] == paid
    assert shown["refunded_wei"] == sum(one["amount_wei"] for one in got.json)
    assert shown["held_wei"] == paid - shown["refunded_wei"]


def test_what_was_contributed_comes_back_bit_for_bit(stage: Stage, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, (5, trainers.FEATURES)).astype(np.int8)
    y = rng.integers(0, 3, 5)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    done = stage.on("contribute", "--data", tmp_path / "mine.npz", "--yes", by=ALICE)
    assert done.code == 0, done.stderr
    for suffix in ("npz", "csv", "jsonl"):
        out = tmp_path / f"all.{suffix}"
        assert stage.on("data", "export", "--out", out).code == 0
        assert_refused(stage.on("data", "export", "--out", out), "new file")
    with np.load(tmp_path / "all.npz") as arrays:
        assert (arrays["x"] == x).all()
        assert (arrays["y"] == y).all()
        assert set(arrays["outcome"]) == {"open"}
        assert set(arrays["contributor"]) == {ALICE.address}
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    hexes = ["0x" + trainers.sample(*np.flatnonzero(row)).hex() for row in x]
    assert [one["features"] for one in rows] == hexes == [one["features"] for one in lines]
    again = stage.on("contribute", "--data", tmp_path / "all.npz", "--dry-run", by=BOB)
    assert again.code == 0, again.stderr


def test_every_refusal_is_a_line_with_its_remedy(stage: Stage, tmp_path: Path) -> None:
    rows = _rows(tmp_path, "1\n")
    words = ("contribute", "--features", rows, "--yes")
    for more, parts in (
        (("--label", 2, "--max-price-wei", 0), ("--max-price-wei", "PriceTooHigh")),
        (("--label", 7), ("UnknownClass",)),
        (("--label", "spam"), ("label is 'spam'",)),
        (("--label", 1, "--label", 2), ("2 labels for 1 samples",)),
        ((), ("0 labels for 1 samples",)),
        (("--label", 1, "--text", "hello"), ("one of them",)),
        (("--label", 1, "--max-price-wei", 10**30), ("Send ether",)),
    ):
        assert_refused(stage.on(*words, *more, by=ALICE), *parts)
    assert_refused(stage.on("contribute", "--text", "hi", "--label", 1, by=ALICE), "1024")
    assert_refused(stage.on("trainer", "close", "--yes", by=ALICE), "only the owner")
    assert_refused(stage.on("trainer", "close", by=OWNER), "not confirmed")
    assert_refused(stage.on("claims", "--watch"), "--keystore")
    assert_refused(stage.on("claims"), "--account")
    bad = ("trainer", "deploy", "--model", OWNER.address, "--name", "other")
    assert_refused(stage.run(*bad, by=OWNER), "no contract at")
    assert_refused(stage.run(*bad, "--refund-wait-s", 10**7, by=OWNER), "refund-wait-s")
    assert_refused(stage.run(*bad, "--incentive", "luck", by=OWNER), "self-assessment")
    assert stage.on("trainer", "show", *JSON).json["contributions"] == 0
    assert stage.on("trainer", "close", "--yes", by=OWNER).code == 0
    assert "before" in stage.on("trainer", "close", "--yes", by=OWNER).stderr
    assert_refused(stage.on(*words, "--label", 1, by=ALICE), "has ended")


def test_reports_and_the_watch(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice teaches, Bob teaches the opposite: what Alice's was worth goes to who has points."""
    rows = _rows(tmp_path, "1\n")
    words = ("contribute", "--features", rows, "--yes")
    assert stage.on(*words, "--label", 1, by=ALICE).code == 0
    assert stage.on(*words, "--label", 2, by=BOB).code == 0
    advance(stage.w3, 100)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 4:
            raise KeyboardInterrupt

    # Its own pauses alone: those while a receipt is awaited are as many as the machine is slow.
    monkeypatch.setattr("ddcai.cli.claims.time", SimpleNamespace(sleep=sleep))
    watched = stage.on("claims", "--watch", "--withdraw", "--poll-s", 1, by=BOB)
    lines = watched.stderr.splitlines()
    assert any(line.startswith("refund of 2") for line in lines), watched.stderr
    assert any(line.startswith("report of 1") for line in lines), watched.stderr
    assert sum("nothing to claim: waiting" in line for line in lines) == 1
    shown = stage.on("trainer", "show", *JSON).json
    assert shown["held_wei"] == 0 or shown["withdrawn_wei"] > 0
    assert shown["reported_wei"] > 0
    assert_refused(stage.on("report", "--all", by=ALICE), "nothing to report")


def test_texts_are_hashed_and_taught(chain: PlayChain, stage: Stage, tmp_path: Path) -> None:
    model = trainers.deploy_model(stage.w3, OWNER, classes=2, features=sms.WIDTH)
    words = ("trainer", "deploy", "--model", model, "--name", "texts", *WAITS, *JSON)
    stage.file = Path(stage.run(*words, by=OWNER).json["deployment"])
    texts = ["free prize call now", "see you at home"]
    (tmp_path / "some.tsv").write_text("".join(f"{i}\t{one}\n" for i, one in enumerate(texts)))
    done = stage.on("contribute", "--data", tmp_path / "some.tsv", "--yes", *JSON, by=ALICE)
    assert done.code == 0, done.stderr
    more = stage.on(
        *("contribute", "--text", texts[0], "--text", texts[1], "--label", 1, "--label", 0),
        *("--yes", *JSON),
        by=ALICE,
    )
    assert more.code == 0, more.stderr
    made = trainers.Trainer.connect(stage.w3, TrainerDeployment.load(stage.file).trainer)
    hashed = [trainers.sample(*np.flatnonzero(row)) for row in sms.hash_features(texts)]
    assert [one.features for one in made.contributions()] == hashed * 2
    assert [one.label for one in made.contributions()] == [0, 1, 1, 0]
    (tmp_path / "bad.tsv").write_text("no tab here\n")
    refused = stage.on("contribute", "--data", tmp_path / "bad.tsv", "--yes", by=ALICE)
    assert_refused(refused, "line 1 has no tab")
