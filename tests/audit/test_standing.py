"""Who is waited for, since when and until when: a real round, step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddcai.audit import standing
from ddcai.audit.standing import Standing, Standings, read_standing
from ddcai.chain.events import events
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundState
from ddcai.configuration import Encryption
from tests.federation import SmallFederation, make_federation, small_config
from tests.rounds.judged import CONFIG, commit_round, draw_round

SUBMIT_S, FINALIZE_S = 600, 900


@pytest.fixture
def made(tmp_path: Path) -> Iterator[SmallFederation]:
    """A chain of its own, since its clock is moved."""
    with make_federation(
        tmp_path, submit_period_s=SUBMIT_S, finalize_period_s=FINALIZE_S, min_contributors=2
    ) as federation:
        yield federation


def stands(made: SmallFederation) -> Standing:
    return read_standing(connect(made.url), made.contract)


def time_of(made: SmallFederation, name: str) -> int:
    """When the last event of a name was, by the chain."""
    found = events(connect(made.url), made.deployment.federation)
    return max(event.timestamp for event in found if event.name == name)


def roles(found: Standing) -> list[str]:
    return [one.role for one in found.waiting]


def test_before_the_first_round_nobody_is_late(made: SmallFederation) -> None:
    found = stands(made)
    assert (found.round, found.state, found.members) == (0, "none", 3)
    assert found.waiting == ()
    assert found.model_digest == "0x" + made.contract.model_digest().hex()
    assert (found.model_round, found.submit_deadline) == (0, None)


def test_members_that_are_needed_are_counted(tmp_path: Path) -> None:
    with make_federation(tmp_path, 2, min_contributors=3) as few:
        assert stands(few).step == "1 more members to join"


def test_a_contributor_that_does_not_come_is_named_with_since_and_until(
    made: SmallFederation,
) -> None:
    record = made.coordinator.open_round()
    for index in (0, 1):
        made.contribute(record, index)
    found = stands(made)
    [late] = found.waiting
    assert (late.account, late.role) == (made.addresses[2], "contributor")
    assert late.since.timestamp() == time_of(made, "RoundOpened")
    assert late.until is not None
    assert late.until.timestamp() == record.submit_deadline == time_of(made, "RoundOpened") + 600
    assert (found.submitted, found.sealed) == (2, 0)
    assert found.held_wei == 2 * made.contract.rules().deposit_wei

    made.pass_time(SUBMIT_S + 1)  # after its deadline, it is the coordinator's turn
    [turn] = stands(made).waiting
    assert (turn.account, turn.role) == (made.contract.rules().coordinator, "coordinator")
    assert turn.action == "seal the sum"
    assert turn.since.timestamp() == record.submit_deadline
    assert turn.until is not None
    assert turn.until.timestamp() == record.finalize_deadline

    made.pass_time(FINALIZE_S + 1)
    over = stands(made)
    assert over.waiting == ()
    assert "missed its deadline" in over.step


def test_too_few_updates_leave_only_cancelling(made: SmallFederation) -> None:
    record = made.coordinator.open_round()
    made.contribute(record, 0)
    made.pass_time(SUBMIT_S + 1)
    found = stands(made)
    assert found.step == "cancelling: 1 updates came, 2 are needed"
    assert [one.action for one in found.waiting] == ["cancel the round"]


def test_the_last_update_and_the_sealing_are_when_the_next_wait_begins(
    made: SmallFederation,
) -> None:
    record = made.coordinator.open_round()
    updates = {index: made.contribute(record, index).blob for index in range(3)}
    [sealing] = stands(made).waiting
    assert (sealing.role, sealing.action) == ("coordinator", "seal the sum")
    assert sealing.since.timestamp() == time_of(made, "UpdateSubmitted")

    record = made.seal(record, updates)
    found = stands(made)
    assert roles(found) == ["key holder", *["contributor"] * 3, "coordinator"]
    assert found.waiting[0].account == made.contract.rules().key_holder
    assert [one.account for one in found.waiting[1:4]] == list(made.addresses)
    assert {one.action for one in found.waiting[1:4]} == {"sign the result, 2 of 3"}
    assert {one.since.timestamp() for one in found.waiting} == {time_of(made, "RoundSealed")}

    made.finalize(record, made.open(record), range(3))
    ended = stands(made)
    assert (ended.state, ended.model_round) == ("finalized", 1)
    [turn] = ended.waiting
    assert turn.action == "open the next round"
    assert turn.since.timestamp() == time_of(made, "RoundFinalized")
    assert turn.until is None

    made.coordinator.cancel(made.coordinator.open_round())
    cancelled = stands(made)
    assert (cancelled.round, cancelled.state, cancelled.model_round) == (2, "cancelled", 1)


def test_all_holders_of_a_round_s_key_are_named(tmp_path: Path) -> None:
    config = small_config(encryption=Encryption(max_contributors=8, parameter_set="bfv-8192-3x20"))
    with make_federation(tmp_path, config=config, holders=(2, 3)) as made:
        record = made.coordinator.open_round()
        made.seal(record, {i: made.contribute(record, i).blob for i in range(3)})
        found = [one for one in stands(made).waiting if one.role == "key holder"]
        assert [one.account for one in found] == [one.party.address for one in made.openers]
        assert {one.action for one in found} == {"open the sum, 2 of 3"}


def test_a_judged_round_waits_for_the_draw_and_for_what_is_opened(tmp_path: Path) -> None:
    with make_federation(tmp_path, config=CONFIG) as made:
        record = commit_round(made)
        committed = stands(made)
        assert (committed.state, committed.step) == ("committed", "the draw")
        [turn] = committed.waiting
        assert turn.since.timestamp() == time_of(made, "RoundCommitted")
        draw_round(made, record)
        drawn = stands(made)
        assert roles(drawn) == ["key holder", "coordinator"]
        assert {one.since.timestamp() for one in drawn.waiting} == {time_of(made, "RoundDrawn")}


def test_what_a_replaced_block_said_is_asked_again(
    made: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made.run_round()
    w3, federation = connect(made.url), made.contract
    reading = Standings(w3, federation)
    assert reading.read().state == "finalized"
    # What an earlier chain said of round 1: kept, as rounds that are over do not change.
    federation._settled[1] = dataclasses.replace(record, state=RoundState.CANCELLED)
    assert reading.read().state == "cancelled"

    def replaced(w3: Any, method: str, params: list[Any]) -> Any:
        answer = asked(w3, method, params)
        if method == "eth_getBlockByNumber" and params[0] != "latest":
            answer = answer | {"hash": "0x" + "11" * 32}
        return answer

    asked = standing.request
    monkeypatch.setattr(standing, "request", replaced)
    assert reading.read().state == "finalized"
