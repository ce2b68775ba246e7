"""What coordinator and nodes log of a round: everything with its party, and no secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from ddcai.attestation import BlsSecretKey
from ddcai.chain.accounts import load_account
from ddcai.event_log import line, of_record
from tests.federation import SmallFederation, make_federation
from tests.flower.support import Nodes


@pytest.fixture
def three(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    """Three contributors, one who will not come needed for none."""
    with make_federation(tmp_path, 3, url=chain_url, submit_period_s=10**6) as made:
        yield made


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """Every log call of every library, at every level."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, root, ours = Keep(), logging.getLogger(), logging.getLogger("ddcai")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    yield records
    root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def secrets_of(federation: SmallFederation) -> set[str]:
    """Private keys of accounts and of attestation, and passwords."""
    trial, found = federation.trial, set()
    for settings in (trial.coordinator, *trial.contributors.values()):
        password = settings.password()
        found |= {password, load_account(settings.keystore, password).key.hex().removeprefix("0x")}
        if settings.bls_key:
            key = BlsSecretKey.load(settings.bls_key, password)
            found.add(f"{key._scalar:064x}")
    return found


def shown(records: list[logging.LogRecord]) -> str:
    """All of it in both forms."""
    return "\n".join(line(of_record(one), form) for one in records for form in ("text", "json"))


def test_a_round_is_logged_by_step_and_party_without_secrets(
    three: SmallFederation, logged: list[logging.LogRecord]
) -> None:
    nodes = Nodes(three)
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    events: list[dict[str, Any]] = [
        json.loads(line(of_record(one), "json")) for one in logged if one.name[:6] == "ddcai."
    ]
    steps = [one["step"] for one in events if one["event"] == "step" and one["round"] == 1]
    assert steps == ["open", "train", "seal", "open_sum", "attest", "finalize"]
    joined = {one["party"] for one in events if one["event"] == "joined"}
    assert joined >= set(three.addresses)
    answered = {
        (one["party"], one["asked"])
        for one in events
        if one["event"] == "answered" and one["round"]
    }
    for address in three.addresses:
        assert {(address, "train"), (address, "query.attest")} <= answered
    text, secrets = shown(logged).lower(), secrets_of(three)
    assert len(secrets) >= 1 + 2 * 3
    for secret in secrets:
        assert len(secret) > 7
        assert secret.lower() not in text


def test_the_search_finds_a_secret_that_is_logged(
    three: SmallFederation, logged: list[logging.LogRecord]
) -> None:
    for secret in secrets_of(three):
        logging.getLogger("ddcai.node").warning("planted %s", secret)
        assert secret.lower() in shown(logged).lower()


def test_a_node_cannot_write_lines_of_the_coordinator_s(
    three: SmallFederation, logged: list[logging.LogRecord]
) -> None:
    forged = "no\n2026-01-01T00:00:00.000Z INFO round_finalized round=9: \x1b[2Jdone"

    class Hostile(ClientApp):
        def __call__(self, message: Message, context: Context) -> Message:
            record = ConfigRecord({"kind": forged, "meaning": forged})
            return Message(RecordDict({"ddcai-refused": record}), reply_to=message)

    nodes = Nodes(three, {0: Hostile()})
    with pytest.raises(Exception, match="contributors"):
        nodes.strategy(join_timeout_s=0.0).start(nodes.grid(), num_rounds=1)
    lines = [line(of_record(one), "text") for one in logged if one.name[:6] == "ddcai."]
    assert any("does not say who it is" in one for one in lines)
    for one in lines:
        first, *rest = one.split("\n")
        assert re.match(r"\S+Z [A-Z]+ \w+", first)
        assert "\x1b" not in one
        assert all(part.startswith("  | ") for part in rest)
        assert "INFO round_finalized round=9" not in first[:60]
