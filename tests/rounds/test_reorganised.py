"""Blocks that are taken back between what a coordinator reads and what it sends."""

from __future__ import annotations

import pytest

from ddcai.chain.node.anvil import find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.records import RoundState
from ddcai.errors import Reorganised
from ddcai.rounds import coordinator
from tests.federation import SmallFederation

pytestmark = pytest.mark.skipif(find_anvil() is None, reason="anvil alone takes blocks back")


def _take_back(federation: SmallFederation) -> None:
    request(connect(federation.url), "anvil_reorg", [1, []])


def test_a_list_is_not_sealed_without_an_update_of_its_sum(federation: SmallFederation) -> None:
    """Key holders would refuse that sum, and the round be lost."""
    record = federation.coordinator.open_round()
    updates = {index: federation.contribute(record, index).blob for index in range(3)}
    base = federation.coordinator.party.model(record.base_model_digest)
    collection = federation.coordinator.collect(record, base)
    for index, blob in updates.items():
        collection.add(federation.addresses[index], blob)
    _take_back(federation)
    with pytest.raises(Reorganised, match=federation.addresses[2]):
        federation.coordinator.seal(record, collection)
    assert federation.contract.round(record.number).state is RoundState.OPEN
    again = {index: federation.contribute(record, index).blob for index in range(3)}
    assert again == updates
    sealed = federation.seal(record, updates)
    opening = federation.open(sealed)
    federation.finalize(sealed, opening, [0, 1, 2])


def test_a_round_that_was_taken_back_at_once_is_not_gone_on_with(
    federation: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the transaction that opens it, and reading it."""
    monkeypatch.setattr(coordinator, "SHOWN_S", 0.5)
    number = federation.contract.last_round() + 1
    with monkeypatch.context() as patched:
        patched.setattr(federation.coordinator, "_compare_clocks", lambda: _take_back(federation))
        with pytest.raises(Reorganised, match=f"round {number} was brought to OPEN, and is NONE"):
            federation.coordinator.open_round()
    record = federation.coordinator.open_round()
    assert (record.number, record.state) == (number, RoundState.OPEN)
