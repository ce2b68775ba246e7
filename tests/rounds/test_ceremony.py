from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.threshold.ceremony import PHASES
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import CeremonyFailed, CeremonyPaused, ConfigurationError, KeyfileError
from ddcai.rounds import ceremony
from ddcai.rounds.ceremony import PIECES_NAME, PUBLIC_NAME, RECORD_NAME, CeremonyRecord, hold
from ddcai.store import Files

PASSWORD = "p"
SECRETS = [bytes([i]) * 32 for i in (1, 2, 3)]
ACCOUNTS: list[LocalAccount] = sorted(
    (Account.from_key(secret) for secret in SECRETS), key=lambda one: one.address.lower()
)


def plan_of(label: str = "test") -> KeyPlan:
    return KeyPlan(
        label=label,
        parameters="bfv-8192-3x20",
        threshold=2,
        holders=tuple(one.address for one in ACCOUNTS),
    )


def run(plan: KeyPlan, index: int, folder: Path, timeout_s: float = 60.0) -> CeremonyRecord:
    return hold(
        plan,
        ACCOUNTS[index],
        Files(str(folder / "exchange")),
        folder / str(index),
        PASSWORD,
        timeout_s=timeout_s,
        light=True,
    )


def run_all(
    plan: KeyPlan, folder: Path, indices: Sequence[int] = (0, 1, 2)
) -> list[CeremonyRecord]:
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda index: run(plan, index, folder), indices))


def published(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "exchange").glob("*.json")}


def test_all_holders_end_with_the_same_record_and_keep_no_more_than_their_pieces(
    tmp_path: Path,
) -> None:
    plan = plan_of()
    records = run_all(plan, tmp_path)
    assert len({record.ceremony_digest for record in records}) == 1
    for index, record in enumerate(records):
        own = tmp_path / str(index)
        ring = KeyRing.load(own / PIECES_NAME, PASSWORD)
        assert ring.holder == ACCOUNTS[index].address
        assert ring.ceremony_digest == record.ceremony_digest
        assert PublicKey.load(own / PUBLIC_NAME).digest() == record.public_key_digest
        assert CeremonyRecord.load(own / RECORD_NAME) == record
        names = {path.name for path in own.iterdir()}
        assert names == {PIECES_NAME, PUBLIC_NAME, RECORD_NAME, "ceremony.lock"}
        assert (own / PIECES_NAME).stat().st_mode & 0o077 == 0
        assert run(plan, index, tmp_path) == record  # done already
    assert len(published(tmp_path)) == len(PHASES) * 3


@pytest.mark.parametrize("phase", ["commit", "reveal", "test"])
def test_a_holder_that_is_killed_goes_on_and_says_nothing_twice(tmp_path: Path, phase: str) -> None:
    plan = plan_of()
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)])
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(run, plan, index, tmp_path) for index in (1, 2)]
        mine = tmp_path / "0" / f"{phase}.json"
        deadline = time.monotonic() + 60
        while not mine.exists():
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        # Written before it was sent; whether it was sent too is the clock's.
        said = mine.read_bytes() if mine.exists() else None
        before = published(tmp_path)
        record = run(plan, 0, tmp_path)
        assert [other.result() for other in others] == [record, record]
    after = published(tmp_path)
    assert {name: after[name] for name in before} == before
    number = PHASES.index(phase) + 1
    if said is not None:
        (name,) = [name for name in after if f"-{number}-{phase}-0.json" in name]
        assert after[name] == said


_CHILD = """
import sys
from pathlib import Path
from tests.rounds.test_ceremony import plan_of, run
run(plan_of(), 0, Path(sys.argv[1]))
"""


def test_whoever_does_not_come_is_named_and_waited_for_again(tmp_path: Path) -> None:
    plan = plan_of()
    with pytest.raises(CeremonyPaused, match=ACCOUNTS[2].address) as paused:
        run(plan, 0, tmp_path, timeout_s=0.1)
    assert ACCOUNTS[1].address in str(paused.value)
    assert ACCOUNTS[0].address not in str(paused.value)
    run_all(plan, tmp_path)


def test_files_of_strangers_are_as_good_as_none(tmp_path: Path) -> None:
    """The attack: whoever can write into the folder puts messages there for a holder."""
    plan = plan_of()
    exchange = Files(str(tmp_path / "exchange"))
    stranger = Account.from_key(b"\x09" * 32)
    name = ceremony._name(plan, "commit", 2)
    for content in (
        b"",
        b"{",
        b"[]",
        b"{}",
        ceremony._message(plan, "commit", stranger, bytes(32), {}),
        ceremony._message(plan, "reveal", ACCOUNTS[2], bytes(32), {}),
        ceremony._message(plan_of("other"), "commit", ACCOUNTS[2], bytes(32), {}),
        ceremony._message(plan, "commit", ACCOUNTS[1], bytes(32), {}),
    ):
        exchange.write(name, content)
        with pytest.raises(CeremonyPaused, match=ACCOUNTS[2].address):
            run(plan, 0, tmp_path, timeout_s=0.05)
    message = json.loads(ceremony._message(plan, "commit", ACCOUNTS[2], bytes(32), {"a": 1}))
    exchange.write(name, json.dumps(message | {"body": {"a": 2}}).encode())
    with pytest.raises(CeremonyPaused, match=ACCOUNTS[2].address):
        run(plan, 0, tmp_path, timeout_s=0.05)
    run_all(plan, tmp_path)


def test_a_holder_that_shows_others_something_else_is_found_by_the_next_phase(
    tmp_path: Path,
) -> None:
    """The attack: holder 2 signs two commitments, one for holder 0 and one for holder 1."""
    plan = plan_of()
    for index in (0, 1):
        with pytest.raises(CeremonyPaused):
            run(plan, index, tmp_path / str(index), timeout_s=0.05)
    commits = [(tmp_path / str(i) / str(i) / "commit.json").read_bytes() for i in (0, 1)]
    for index in (0, 1):
        folder = tmp_path / f"cheat-{index}"
        with pytest.raises(CeremonyPaused):
            run(plan, 2, folder, timeout_s=0.05)
        exchange = Files(str(tmp_path / str(index) / "exchange"))
        exchange.write(
            ceremony._name(plan, "commit", 2), (folder / "2" / "commit.json").read_bytes()
        )
        exchange.write(ceremony._name(plan, "commit", 1 - index), commits[1 - index])
    for index in (0, 1):
        with pytest.raises(CeremonyPaused):  # each goes on to reveal
            run(plan, index, tmp_path / str(index), timeout_s=0.05)
    reveal = (tmp_path / "1" / "1" / "reveal.json").read_bytes()
    Files(str(tmp_path / "0" / "exchange")).write(ceremony._name(plan, "reveal", 1), reveal)
    with pytest.raises(CeremonyFailed, match="saw other messages") as failed:
        run(plan, 0, tmp_path / "0", timeout_s=0.05)
    assert ACCOUNTS[1].address in str(failed.value)


def test_a_folder_is_for_one_ceremony(tmp_path: Path) -> None:
    plan = plan_of()
    with pytest.raises(CeremonyPaused):
        run(plan, 0, tmp_path, timeout_s=0.01)
    with pytest.raises(KeyfileError, match="another plan"):
        run(plan_of("other"), 0, tmp_path, timeout_s=0.01)
    run_all(plan, tmp_path)
    with pytest.raises(KeyfileError, match="has the key 'test'"):
        run(plan_of("other"), 0, tmp_path, timeout_s=0.01)
    with pytest.raises(ConfigurationError, match="none of the plan's"):
        hold(
            plan,
            Account.from_key(b"\x09" * 32),
            Files(str(tmp_path / "exchange")),
            tmp_path / "9",
            PASSWORD,
        )


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": "ddcai-ceremony-1"}', b"[1]"])
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / RECORD_NAME
    path.write_bytes(content)
    with pytest.raises(KeyfileError, match="no record"):
        CeremonyRecord.load(path)
    with pytest.raises(KeyfileError, match="cannot read"):
        CeremonyRecord.load(tmp_path / "none.json")
