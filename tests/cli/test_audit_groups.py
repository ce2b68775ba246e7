"""`ddcai audit groups` and the receipts; what each claim means is in `tests/audit`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ddcai
from tests.federation import SmallFederation
from tests.groups import TwoLevels, make_two_levels

STRANGER = "0x000000000000000000000000000000000000dEaD"
JSON = ("--format", "json")


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[TwoLevels]:
    with make_two_levels(tmp_path_factory.mktemp("groups"), chain_url) as made:
        made.run_round()
        yield made


@pytest.fixture
def place(levels: TwoLevels) -> list[object]:
    made = levels.federation
    return ["--deployment", made.deployment_path, "--rpc-url", made.url]


def test_groups_are_verified_by_their_blobs(
    ddcai: Ddcai, levels: TwoLevels, place: list[object], tmp_path: Path
) -> None:
    asked = ("audit", "groups", *place, "--store", levels.federation.store.url)
    answer = ddcai(*asked, "--round", 1)
    assert answer.code == 0
    assert len(answer.stdout.splitlines()) == 13
    assert "13 PASS, 0 FAIL" in answer.stderr
    claims = ddcai(*asked, "--round", 1, *JSON).json
    assert {one["status"] for one in claims} == {"PASS"}
    answer = ddcai(*asked, "--round", 2)
    assert (answer.code, answer.stdout) == (0, "")
    assert "no group posted a list in round 2" in answer.stderr
    answer = ddcai("audit", "groups", *place, "--store", tmp_path / "empty", "--round", 1)
    assert answer.code == 3
    assert "2 MISSING" in answer.stderr
    changed = Path(levels.federation.store.url) / levels.leaf_digest(1, 0, 0).hex()
    blob = changed.read_bytes()
    changed.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    try:
        assert ddcai(*asked, "--round", 1).code == 1
    finally:
        changed.write_bytes(blob)


def _posted(levels: TwoLevels) -> list[bytes]:
    """Digests of the first round's lists, by group."""
    batches = levels.federation.coordinator.party.update_batches
    assert batches is not None
    return [one.list_digest for one in batches.posted(levels.federation.contract.address, 1)]


def test_a_receipt_is_made_and_checked(
    ddcai: Ddcai, levels: TwoLevels, place: list[object], tmp_path: Path
) -> None:
    who, path = levels.accounts(1)[0], tmp_path / "receipt.json"
    asked = ("audit", "group-receipt", "--round", 1, *place)
    asked += ("--store", levels.federation.store.url, "--out", path)
    answer = ddcai(*asked, "--contributor", who)
    assert answer.code == 0
    assert f"{who} is on the list of the group {levels.federation.addresses[1]}" in answer.stderr
    shown = ddcai("audit", "check-group-receipt", path, *place, *JSON).json
    assert (shown["contributor"], shown["contributors"], shown["finalised"]) == (who, 2, True)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"contributor": levels.accounts(1)[1]}))
    answer = ddcai("audit", "check-group-receipt", path, *place)
    assert (answer.code, answer.stdout) == (1, "")
    assert "does not hold" in answer.stderr
    assert "did not sign" in answer.stderr
    digest = _posted(levels)[1]
    listed = Path(levels.federation.store.url) / digest.hex()
    blob = listed.read_bytes()
    listed.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
    answer = ddcai(*asked, "--contributor", who)
    listed.write_bytes(blob)
    assert answer.code not in (0, 1)
    assert "list of the group" in answer.stderr
    answer = ddcai(*asked, "--contributor", STRANGER)
    assert answer.code not in (0, 1)
    assert "is on no group's list of round 1" in answer.stderr


def test_a_federation_without_groups(ddcai: Ddcai, federation: SmallFederation) -> None:
    place = ("--deployment", federation.deployment_path, "--rpc-url", federation.url)
    answer = ddcai("audit", "groups", "--round", 1, *place)
    assert answer.code not in (0, 1)
    assert "names no update_batches" in answer.stderr
