"""How much of a key is spent, as `audit keys` and `federation show` say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcai.encryption.threshold import smudging
from tests.cli.conftest import Ddcai
from tests.federation import SmallFederation, make_federation
from tests.flower.test_holders import CONFIG

JSON = ("--format", "json")


@pytest.fixture(scope="module")
def shared(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    """Of 2 of 3 key holders, after one round."""
    folder = tmp_path_factory.mktemp("shared")
    with make_federation(folder, url=chain_url, config=CONFIG, holders=(2, 3)) as made:
        made.run_round()
        yield made


def test_they_say_how_much_of_a_key_is_spent(ddcai: Ddcai, shared: SmallFederation) -> None:
    party = shared.coordinator.party
    most = smudging.most_openings(party.encryption_key().parameters, 3, 8)
    where = ("--rpc-url", shared.url, "--store", shared.store.url, *JSON)
    for named in (
        ("--contract", shared.deployment.federation),
        ("--deployment", shared.deployment_path),
    ):
        (row,) = ddcai("audit", "keys", *named, *where).json
        assert (row["opened"], row["most"], row["rounds_left"]) == (1, most, most - 1)
    shown = ddcai("federation", "show", "--deployment", shared.deployment_path, *where).json
    assert shown["key_openings"] == f"1 of {most} ciphertexts"
    assert shown["key_rounds_left"] == most - 1


def test_without_the_store_they_say_that_it_is_not_known(
    ddcai: Ddcai, shared: SmallFederation, tmp_path: Path
) -> None:
    where = ("--rpc-url", shared.url, *JSON)
    answer = ddcai("audit", "keys", "--contract", shared.deployment.federation, *where)
    (row,) = answer.json
    assert (row["rounds"], row["opened"], row["rounds_left"]) == ([1], None, None)
    assert "is not known: ddcai-store is not there; give the blob store with --store" in (
        answer.stderr
    )
    answer = ddcai("federation", "show", "--deployment", shared.deployment_path, *where)
    assert "key_openings" not in answer.json
    assert answer.json["key_holders"] == "2 of 3 holders of epoch 1"
    assert not list(tmp_path.iterdir())  # and make none
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = ddcai(
        "audit", "keys", "--contract", shared.deployment.federation, *where, "--store", empty
    )
    assert answer.code == 0
    assert "does not hold" in answer.stderr
