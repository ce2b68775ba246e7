"""`ddcai audit receipt` and `check-receipt`; what each proves is in `tests/audit/report`."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from ddcai.models import state
from tests.cli.conftest import Ddcai, assert_refused
from tests.federation import SmallFederation

JSON = ("--format", "json")


@pytest.fixture
def place(federation: SmallFederation) -> list[str]:
    """As somebody who took no part names a federation."""
    return ["--contract", federation.deployment.federation, "--rpc-url", federation.url]


@pytest.fixture
def receipt(ddcai: Ddcai, federation: SmallFederation, place: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "receipt.json"
    who = federation.addresses[1]
    asked = ("--round", 1, "--contributor", who, "--out", path)
    answer = ddcai("audit", "receipt", *asked, *place)
    assert answer.code == 0
    assert f"{who}'s update is part of round 1's model" in answer.stderr
    return path


def test_a_receipt_is_checked_without_a_node(
    ddcai: Ddcai, federation: SmallFederation, receipt: Path
) -> None:
    answer = ddcai("audit", "check-receipt", receipt, *JSON)
    shown = answer.json
    assert shown["contributor"] == federation.addresses[1]
    assert shown["model_digest"] == "0x" + federation.contract.model_digest().hex()
    assert all(len(hash_) == 66 for hash_ in shown["blocks"].values())
    count = len(shown["blocks"])
    assert f"true if chain 31337 has these {count} blocks" in answer.stderr
    assert shown["model_digest"] in ddcai("audit", "check-receipt", receipt).stdout


def test_a_receipt_is_checked_with_a_node(
    ddcai: Ddcai, federation: SmallFederation, receipt: Path, place: list[str]
) -> None:
    answer = ddcai("audit", "check-receipt", receipt, *place, *JSON)
    assert answer.code == 0
    assert "came after the newest" in answer.stderr


def test_a_receipt_that_does_not_hold(ddcai: Ddcai, receipt: Path, place: list[str]) -> None:
    stranger = "0x000000000000000000000000000000000000dEaD"
    answer = ddcai("audit", "check-receipt", receipt, "--contract", stranger)
    assert answer.code == 1
    assert f"not {stranger}" in answer.stderr
    content = json.loads(receipt.read_text())
    content["round"] = 2
    receipt.write_text(json.dumps(content))
    answer = ddcai("audit", "check-receipt", receipt, *place)
    assert (answer.code, answer.stdout) == (1, "")
    assert "does not hold: round is 2, but the proof is of 1" in answer.stderr


def test_a_receipt_is_of_one_model_and_one_update(
    ddcai: Ddcai, federation: SmallFederation, receipt: Path, tmp_path: Path
) -> None:
    record, digest = federation.contract.round(1), federation.contract.model_digest()
    party = federation.coordinator.party
    state.save(tmp_path / "model.safetensors", party.model(digest))
    state.save(tmp_path / "base.safetensors", party.model(record.base_model_digest))
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    digests = {one.address: one.digest for one in record.sealed}
    own.write_bytes(federation.store.get(digests[federation.addresses[1]]))
    foreign.write_bytes(federation.store.get(digests[federation.addresses[0]]))
    check = ("audit", "check-receipt", receipt)
    given = ("--model", tmp_path / "model.safetensors", "--update", own)
    assert ddcai(*check, *given).code == 0
    for option, path, what in (
        ("--model", tmp_path / "base.safetensors", "model"),
        ("--update", foreign, "update"),
    ):
        answer = ddcai(*check, option, path)
        assert (answer.code, answer.stdout) == (1, "")
        assert f"does not hold: the receipt is of {what} 0x" in answer.stderr
    assert_refused(ddcai(*check, "--update", tmp_path / "none"), "cannot read")


def test_refused(
    ddcai: Ddcai, federation: SmallFederation, place: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "receipt.json"
    asked = ("--round", 9, "--contributor", federation.addresses[0], "--out", path)
    assert_refused(ddcai("audit", "receipt", *asked, *place), "round 9 was never opened")
    assert not path.exists()
    path.write_text("{}")
    assert_refused(ddcai("audit", "check-receipt", path), "is no receipt")


# Signed reports.


@pytest.fixture
def signer(federation: SmallFederation) -> list[str]:
    """The keystore of somebody who signs."""
    settings = federation.trial.coordinator
    return ["--keystore", settings.keystore, "--password-file", settings.password_file]


@pytest.fixture
def store(federation: SmallFederation) -> list[str]:
    return ["--store", federation.trial.coordinator.store]


@pytest.fixture
def report(
    ddcai: Ddcai, place: list[str], store: list[str], signer: list[str], tmp_path: Path
) -> Path:
    path, page = tmp_path / "report.json", tmp_path / "report.html"
    answer = ddcai("audit", "verify", *place, *store, *signer, "--report", path, "--html", page)
    assert answer.code == 0
    assert f"wrote {path}, signed by 0x" in answer.stderr
    assert page.read_text().startswith("<!DOCTYPE html>")
    return path


def test_a_report_is_checked_with_and_without_a_node(
    ddcai: Ddcai,
    federation: SmallFederation,
    report: Path,
    place: list[str],
    store: list[str],
    tmp_path: Path,
) -> None:
    auditor = federation.coordinator.party.address
    answer = ddcai("audit", "check-report", report, "--auditor", auditor, *JSON)
    shown = answer.json
    assert (answer.code, shown["auditor"]) == (0, auditor)
    assert (shown["counts"]["FAIL"], shown["contract"]) == (0, federation.deployment.federation)
    assert "its block is not checked" in answer.stderr
    assert auditor in ddcai("audit", "check-report", report).stdout

    answer = ddcai("audit", "check-report", report, *place)
    assert (answer.code, "the chain has its block" in answer.stderr) == (0, True)

    again = tmp_path / "again.html"
    answer = ddcai(
        "audit", "check-report", report, *place, *store, "--again", "--html", again, *JSON
    )
    assert (answer.code, answer.json["differences"]) == (0, [])
    assert again.read_bytes() == (tmp_path / "report.html").read_bytes()


def test_a_report_that_does_not_hold(ddcai: Ddcai, report: Path, place: list[str]) -> None:
    stranger = "0x000000000000000000000000000000000000dEaD"
    for option in ("--auditor", "--contract"):
        answer = ddcai("audit", "check-report", report, option, stranger)
        assert (answer.code, answer.stdout) == (1, "")
        assert f"not {stranger}" in answer.stderr
    raw = report.read_text()
    report.write_text(raw.replace("updates match their digests", "updates are all well", 1))
    answer = ddcai("audit", "check-report", report)
    assert (answer.code, answer.stdout) == (1, "")
    assert "does not hold: the signature is not that of the auditor" in answer.stderr
    report.write_text(raw + " ")
    assert_refused(ddcai("audit", "check-report", report), "canonical form")


def test_a_report_of_what_is_no_longer_so(
    ddcai: Ddcai, report: Path, place: list[str], tmp_path: Path
) -> None:
    """Verified again with an empty store."""
    empty = ("--store", tmp_path / "empty", "--again")
    answer = ddcai("audit", "check-report", report, *place, *empty, *JSON)
    assert answer.code == 1
    odd = answer.json["differences"]
    assert "updates match their digests" in {one["name"] for one in odd}
    assert "claims came out otherwise" in answer.stderr


def test_a_report_tells_of_what_failed(
    ddcai: Ddcai, federation: SmallFederation, place: list[str], signer: list[str], tmp_path: Path
) -> None:
    """The report holds; what it says is that a claim does not."""
    blobs = Path(shutil.copytree(federation.store.url, tmp_path / "blobs"))
    damaged = blobs / federation.contract.round(1).sum_digest.hex()
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    path, given = tmp_path / "report.json", ("--store", blobs, *signer)
    assert ddcai("audit", "verify", *place, *given, "--report", path).code == 1
    answer = ddcai("audit", "check-report", path, *place, *given[:2], "--again", *JSON)
    assert (answer.code, answer.json["counts"]["FAIL"]) == (0, 1)


def test_a_report_is_refused_before_anything_is_verified(
    ddcai: Ddcai, report: Path, place: list[str], signer: list[str], tmp_path: Path
) -> None:
    asked = ("audit", "verify", *place, "--report")
    assert_refused(ddcai(*asked, tmp_path / "r.json"), "keystore is not set")
    assert_refused(ddcai(*asked, tmp_path / "none" / "r.json", *signer), "there is no folder")
    assert_refused(ddcai("audit", "check-report", report, "--again"), "give --rpc-url")


# The archive.


def test_export(
    ddcai: Ddcai, place: list[str], store: list[str], report: Path, tmp_path: Path
) -> None:
    asked = ("--licence", "CC-BY-4.0", "--author", "Ada <https://orcid.org/0000-0002-1825-0097>")
    crate = ("--ro-crate", tmp_path / "archive" / "crate.zip", "--report", report)
    answer = ddcai("audit", "export", *crate, *asked, *place, *store)
    assert answer.code == 0
    assert "wrote 8 files" in answer.stderr
    with zipfile.ZipFile(tmp_path / "archive" / "crate.zip") as archive:
        content = json.loads(archive.read("ro-crate-metadata.json"))
        assert archive.read("report.json") == report.read_bytes()
    assert {one["name"] for one in content["@graph"] if one["@type"] == "Person"} == {"Ada"}


def test_export_offline_comes_from_the_index_alone(
    ddcai: Ddcai, place: list[str], store: list[str], tmp_path: Path
) -> None:
    """The same bytes, with an endpoint that nobody answers at."""
    given = ("--licence", "MIT", *store)
    gone = ("--rpc-url", "http://127.0.0.1:1", "--offline", "--index", "kept.sqlite")
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    assert_refused(ddcai("audit", "export", "--ro-crate", first, *given, *gone), "no index")
    asked = ("--index", "kept.sqlite", *place)
    assert ddcai("audit", "export", "--ro-crate", first, *given, *asked).code == 0
    answer = ddcai("audit", "export", "--ro-crate", second, *given, *gone)
    assert answer.code == 0, answer.stderr
    assert "second.zip, up to block" in answer.stderr
    assert first.read_bytes() == second.read_bytes()


def test_export_says_which_models_are_not_there(
    ddcai: Ddcai, federation: SmallFederation, place: list[str], tmp_path: Path
) -> None:
    blobs = Path(shutil.copytree(federation.store.url, tmp_path / "blobs"))
    (blobs / federation.contract.model_digest().hex()).unlink()
    given = ("--ro-crate", tmp_path / "crate", "--licence", "MIT", "--store", blobs)
    answer = ddcai("audit", "export", *given, *place)
    assert answer.code == 0
    assert "of rounds 1 (0 is the initial)" in answer.stderr


def test_export_refuses_a_licence_that_is_none(
    ddcai: Ddcai, place: list[str], store: list[str], tmp_path: Path
) -> None:
    given = ("--ro-crate", tmp_path / "crate", "--licence", "do what you like")
    assert_refused(ddcai("audit", "export", *given, *place, *store), "licence is")
    assert not (tmp_path / "crate").exists()
