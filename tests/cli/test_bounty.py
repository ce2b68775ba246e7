"""`ddcai bounty`: good contributors gain although nobody was bad, on a real chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from ddcai.chain.node.connection import connect, request
from ddcai.chain.transactions import Sender
from tests.chain import trainers
from tests.chain.support import advance
from tests.cli.conftest import Ddcai, assert_refused
from tests.cli.test_trainer import ALICE, BOB, JSON, OWNER, WAITS, Stage
from tests.federation import PlayChain, play_chain

PER_POINT = 10**18


@pytest.fixture(scope="module")
def chain() -> Iterator[PlayChain]:
    with play_chain() as running:
        yield running


@pytest.fixture
def stage(chain: PlayChain, ddcai: Ddcai, tmp_path: Path, password: Path) -> Stage:
    """A trainer with deposits, and a bounty of BOB's on it, attached by its owner."""
    w3 = connect(chain.url)
    keys = {one.address: tmp_path / f"{one.address}.json" for one in (OWNER, ALICE, BOB)}
    for one in (OWNER, ALICE, BOB):
        sealed = Account.encrypt(one.key, "open sesame", kdf="pbkdf2", iterations=2)
        keys[one.address].write_text(json.dumps(sealed))
    made = Stage(w3, chain.url, tmp_path / "none", keys, password, ddcai)
    model = trainers.deploy_model(w3, OWNER)
    done = made.run("trainer", "deploy", "--model", model, *WAITS, *JSON, by=OWNER)
    made.file = Path(done.json["deployment"])
    words = ("bounty", "deploy", "--per-point", PER_POINT, "--seconds", 10_000)
    done = made.on(*words, *JSON, by=BOB)
    assert done.code == 0, done.stderr
    assert OWNER.address in done.stderr
    return made


BOUNTY = ("--bounty", "deployments/31337-bounty.json")


def _balance(stage: Stage, address: str) -> int:
    return int(request(stage.w3, "eth_getBalance", [address, "latest"]), 16)


def _earn(stage: Stage, tmp_path: Path) -> None:
    """Alice teaches, waits, and gets her deposit and a point."""
    rows = tmp_path / "rows.txt"
    rows.write_text("1 3\n")
    done = stage.on("contribute", "--features", rows, "--label", 2, "--yes", *JSON, by=ALICE)
    assert done.code == 0, done.stderr
    advance(stage.w3, 100)
    got = stage.on("refund", "--all", *JSON, by=ALICE)
    assert got.code == 0, got.stderr
    assert [one["points"] for one in got.json] == [1]
    assert stage.on("claims", "--withdraw", by=ALICE).code == 0


def test_an_honest_contributor_gains_although_nobody_was_bad(stage: Stage, tmp_path: Path) -> None:
    assert stage.on("bounty", "attach", *BOUNTY, *JSON, by=OWNER).code == 0
    dry = stage.run(
        "bounty", "fund", *BOUNTY, "--amount", 3 * PER_POINT, "--dry-run", *JSON, by=BOB
    )
    assert dry.json["points_paid_for"] == 3
    assert stage.run("bounty", "show", *BOUNTY, *JSON).json["left"] == 0
    done = stage.run("bounty", "fund", *BOUNTY, "--amount", 3 * PER_POINT, *JSON, by=BOB)
    assert (done.json["left"], done.json["points_paid_for"]) == (3 * PER_POINT, 3)
    before = _balance(stage, ALICE.address)
    assert_refused(stage.run("bounty", "claim", *BOUNTY, by=ALICE), "nothing is put aside")
    _earn(stage, tmp_path)
    shown = stage.run("bounty", "show", *BOUNTY, "--account", ALICE.address, *JSON).json
    assert (shown["owed"], shown["owed_to_account"]) == (PER_POINT, PER_POINT)
    got = stage.run("bounty", "claim", *BOUNTY, *JSON, by=ALICE)
    assert got.json["amount"] == PER_POINT
    gained = _balance(stage, ALICE.address) - before
    assert PER_POINT - 10**16 < gained < PER_POINT  # the gas of five transactions
    assert_refused(stage.run("bounty", "claim", *BOUNTY, by=ALICE), "nothing is put aside")

    assert_refused(stage.run("bounty", "reclaim", *BOUNTY, by=BOB), "the bounty runs")
    advance(stage.w3, 10_001)
    late = ("bounty", "fund", *BOUNTY, "--amount", 1)
    assert_refused(stage.run(*late, by=BOB), "the bounty is over")
    assert_refused(stage.run(*late, "--dry-run", by=BOB), "the bounty is over")
    sponsor = _balance(stage, BOB.address)
    assert stage.run("bounty", "reclaim", *BOUNTY, *JSON, by=ALICE).code == 0  # anyone may
    assert _balance(stage, BOB.address) == sponsor + 2 * PER_POINT
    assert_refused(stage.run("bounty", "reclaim", *BOUNTY, by=BOB), "nothing is left")


def test_what_is_not_attached_pays_nothing(stage: Stage, tmp_path: Path) -> None:
    early = stage.run("bounty", "fund", *BOUNTY, "--amount", PER_POINT, by=BOB)
    assert early.code == 0
    assert "not attached" in early.stderr
    assert_refused(stage.on("bounty", "attach", *BOUNTY, by=BOB), "only the trainer's owner")
    _earn(stage, tmp_path)
    assert stage.run("bounty", "show", *BOUNTY, *JSON).json["owed"] == 0
    assert stage.on("bounty", "attach", *BOUNTY, by=OWNER).code == 0
    again = stage.on("bounty", "attach", *BOUNTY, *JSON, by=OWNER)
    assert again.json["tx_hash"] is None
    second = stage.on("bounty", "deploy", "--per-point", 1, "--name", "second", *JSON, by=BOB)
    assert second.code == 0
    refused = stage.on("bounty", "attach", "--bounty", "deployments/31337-second.json", by=OWNER)
    assert_refused(refused, "one at a time")


def test_what_cannot_work_is_refused_before_anything_is_sent(stage: Stage) -> None:
    nonce = request(stage.w3, "eth_getTransactionCount", [BOB.address, "latest"])
    words = ("bounty", "deploy", "--per-point", 1)
    assert_refused(stage.on(*words, by=BOB), "is there already")
    bad = stage.on(*words, "--name", "other", "--token", ALICE.address, by=BOB)
    assert_refused(bad, "refuses its terms", "asset")
    assert_refused(stage.on(*words, "--name", "other", "--token", "0x12", by=BOB), "0x12")
    assert stage.on("trainer", "close", "--yes", by=OWNER).code == 0
    assert_refused(stage.on(*words, "--name", "other", by=BOB), "has ended")
    assert request(stage.w3, "eth_getTransactionCount", [BOB.address, "latest"]) == nonce
    assert_refused(
        stage.run("bounty", "show", "--bounty", stage.file), "not a deployment file of this kind"
    )


def test_a_bounty_in_tokens_is_approved(stage: Stage) -> None:
    token = _token(stage, 10)
    done = stage.on(
        *("bounty", "deploy", "--per-point", 4, "--token", token, "--name", "tokens", *JSON),
        by=BOB,
    )
    assert done.code == 0, done.stderr
    file = ("--bounty", done.json["deployment"])
    assert_refused(stage.run("bounty", "fund", *file, "--amount", 11, by=BOB), "has 10 of")
    assert stage.on("bounty", "attach", *file, by=OWNER).code == 0
    funded = stage.run("bounty", "fund", *file, "--amount", 9, *JSON, by=BOB)
    assert funded.code == 0, funded.stderr
    assert (funded.json["left"], funded.json["points_paid_for"]) == (9, 2)
    assert _tokens(stage, token, BOB.address) == 1
    nonce = request(stage.w3, "eth_getTransactionCount", [BOB.address, "latest"])
    advance(stage.w3, 31 * 86_400)
    late = stage.run("bounty", "fund", *file, "--amount", 1, by=BOB)
    assert_refused(late, "the bounty is over")  # and nothing was approved
    assert request(stage.w3, "eth_getTransactionCount", [BOB.address, "latest"]) == nonce


def test_points_bring_tokens(stage: Stage, tmp_path: Path) -> None:
    token = _token(stage, 10)
    done = stage.on(
        *("bounty", "deploy", "--per-point", 4, "--token", token, "--name", "tokens", *JSON),
        by=BOB,
    )
    file = ("--bounty", done.json["deployment"])
    assert stage.on("bounty", "attach", *file, by=OWNER).code == 0
    # An allowance that is there already, and too small.
    approve = "095ea7b3" + _bounty(stage, file[1])[2:].lower().rjust(64, "0") + f"{3:064x}"
    Sender(stage.w3, BOB).send(token, bytes.fromhex(approve))
    assert stage.run("bounty", "fund", *file, "--amount", 9, by=BOB).code == 0
    _earn(stage, tmp_path)
    assert stage.run("bounty", "claim", *file, *JSON, by=ALICE).json["amount"] == 4
    assert _tokens(stage, token, ALICE.address) == 4


def _token(stage: Stage, amount: int) -> str:
    """An ERC-20 of OpenZeppelin's, of which BOB has so much."""
    code = json.loads((Path(trainers.__file__).parent / "plain_token.json").read_text())
    sender = Sender(stage.w3, BOB)
    receipt = sender.send(None, bytes.fromhex(code["bytecode"][2:]))
    assert receipt.contract_address is not None
    mint = "40c10f19" + BOB.address[2:].lower().rjust(64, "0") + f"{amount:064x}"
    sender.send(receipt.contract_address, bytes.fromhex(mint))
    return receipt.contract_address


def _tokens(stage: Stage, token: str, account: str) -> int:
    data = "0x70a08231" + account[2:].lower().rjust(64, "0")
    return int(request(stage.w3, "eth_call", [{"to": token, "data": data}, "latest"]), 16)


def _bounty(stage: Stage, file: str) -> str:
    return str(json.loads(Path(file).read_text())["bounty"])
