"""Rounds of the compact scheme, through Flower."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.configuration import Encryption
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation, small_config

from .support import Nodes
from .test_holders import Cheat, Garbage, name, replaced, run_one

CONFIG = small_config(encryption=Encryption(max_contributors=8, parameter_set="compact-64-3x18"))


@pytest.fixture(scope="module")
def compact(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    with make_federation(
        tmp_path_factory.mktemp("compact"), 3, url=chain_url, config=CONFIG, holders=(2, 3)
    ) as made:
        yield made


def test_rounds_are_opened_and_audit_clean(compact: SmallFederation) -> None:
    nodes = Nodes(compact)
    nodes.strategy().start(nodes.grid(), num_rounds=compact.contract.last_round() + 2)
    history = read_history(connect(compact.url), compact.deployment.federation)
    claims = list(verify(history, compact.store))
    assert claims
    assert [claim for claim in claims if not claim.passed] == []
    assert any("2 of 3" in f"{claim.expected}{claim.found}" for claim in claims)
    (blob,) = {len(compact.store.get(item.digest)) for item in compact.contract.round(1).sealed}
    assert blob < 25_000  # of BFV it would be 294,923


@pytest.mark.parametrize("kind", [Cheat, Garbage])
def test_a_holder_whose_share_is_false_is_named_and_the_others_go_on(
    compact: SmallFederation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type,
) -> None:
    with replaced(compact, monkeypatch, 2, kind), caplog.at_level(logging.ERROR):
        number = run_one(compact)
    assert compact.contract.round(number).state.name == "FINALIZED"
    (named,) = [record for record in caplog.records if "is left out" in record.message]
    assert name(compact, 2) in named.message
