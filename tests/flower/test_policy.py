"""A hostile server's app against a node's policy: no message changes it, or gets plaintext."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from ddcai.flower import messages
from ddcai.flower.messages import to_arrays
from ddcai.rounds.privacy import epsilon
from tests.federation import SmallFederation, make_federation
from tests.flower.support import (
    KEY_HOLDER_NODE,
    SECRET,
    Nodes,
    Site,
    WritePolicy,
    refused,
    shifted,
    wire_bytes,
)
from tests.rounds.test_privacy import CONFIG


@pytest.fixture
def federation(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    """Three contributors with a round under way."""
    with make_federation(tmp_path / "federation", url=chain_url) as made:
        made.coordinator.open_round()
        yield made


def _other_hours() -> str:
    """Hours that now is not in."""
    now = datetime.now(UTC)
    return f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"


def test_what_the_policy_does_not_allow_is_not_trained_for(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    rules = federation.contract.rules()
    forbidden = {
        "[leave]\nupdates = false": "PolicyLimit",
        f"[rounds]\nmin_contributors = {rules.min_contributors + 1}": "PolicyLimit",
        f'[rounds]\nhours = "{_other_hours()}"': "PolicyLimit",
        f"[money]\nmax_deposit_wei = {rules.deposit_wei - 1}": "PolicyLimit",
        f"[money]\nmax_spend_wei_per_day = {rules.deposit_wei}": "PolicyLimit",  # and the gas
        "[money]\nmax_gas_price_wei = 1": "ChainError",
        "[privacy]\nrequire = true": "PolicyLimit",
        "[privacy]\nmax_epsilon = 50\ndelta = 0.01": "PolicyLimit",
        "[leave]\nupdate = false": "ConfigurationError",
    }
    wishes = ConfigRecord({"policy": "", "max-deposit-wei": 10**20, "server-round": 1})
    model = to_arrays(federation.coordinator.current_model())
    content = messages.instruction(
        federation.coordinator.party.context(1), config=wishes, arrays=model
    )
    balance = federation.contract.balance(federation.addresses[0])
    for text, kind in forbidden.items():
        nodes = Nodes(federation, settings={0: {"policy": policy(text)}})
        assert refused(nodes.ask(1, "train", content)) == kind, text
        assert nodes.sites[0].called == []
    assert federation.contract.update_digest(1, federation.addresses[0]) is None
    assert federation.contract.balance(federation.addresses[0]) == balance


def test_a_hostile_app_gets_ciphertexts_and_refusals_alone(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    rules = federation.contract.rules()
    text = (
        "[leave]\nwork = false\n"
        f"[rounds]\nmin_contributors = {rules.min_contributors}\nmax_rounds_per_day = 1\n"
        f"[money]\nmax_deposit_wei = {rules.deposit_wei}\nmax_gas_price_wei = 100_000_000_000\n"
        f"max_spend_wei_per_day = {rules.deposit_wei + 10**17}\n"
    )
    site = Site(metrics={"num-examples": 20, "secret": 4711.25})
    nodes = Nodes(federation, {1: site}, {1: {"policy": policy(text)}})
    base = federation.coordinator.current_model()
    context = federation.coordinator.party.context(1)
    false = {name: array + np.float32(1) for name, array in base.items()}
    wishes = ConfigRecord({"return": "arrays", "plaintext": True, "allowed-metrics": "secret"})
    big = ConfigRecord({"fill": b"\xff" * 2**20})
    contents = [
        messages.instruction(context, config=wishes, arrays=to_arrays(base)),
        messages.instruction(context, config=big, arrays=to_arrays(base)),
        messages.instruction(context, arrays=to_arrays(false)),
        messages.instruction(context, arrays=ArrayRecord([np.zeros(2**18, np.float32)])),
        messages.instruction(context, reply={"challenge": b"x", "opened": b"", "signature": b""}),
        messages.instruction(context),
        RecordDict({"unknown": MetricRecord({"x": 1.0})}),
        RecordDict(),
    ]
    kinds = ["train", "evaluate", "query", "train.other", "evaluate.other", "query.weights"]
    kinds += [f"query.{action}" for action in messages.QUERIES]
    replies = [nodes.ask(2, kind, content) for kind in kinds for content in contents]
    updates = [one for one in replies if not one.has_error() and "ddcai-update" in one.content]
    # Two of the messages are honest enough to be trained for: the same update, once paid.
    assert len(updates) == 2
    found = [messages.UpdateReply.from_content(one.content) for one in updates]
    assert found[0].ciphertext == found[1].ciphertext
    assert [one.metrics for one in found] == [{}, {}]
    assert site.called == ["train"]
    trained = shifted(base, 2)
    plain = [SECRET.encode(), np.float64(4711.25).tobytes()]
    for name, array in trained.items():
        plain += [array.tobytes()[:8], (array - base[name]).tobytes()[:8]]
        plain.append((array.astype(np.float64) - base[name]).tobytes()[:8])
    for one in replies:
        sent = wire_bytes(one)
        assert not any(part in sent for part in plain)
        if one not in updates and not one.has_error() and "ddcai-refused" not in one.content:
            # Claims of deposits: an empty answer.
            assert set(one.content) == {"ddcai-reply"}
            assert dict(one.content["ddcai-reply"]) == {}
    state = Path(federation.trial.contributors[federation.names[1]].state)
    assert len(list(state.glob("*/policy-*.json"))) == 1


def test_a_second_round_of_the_day_and_a_short_list_are_refused(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    one_a_day = {"policy": policy("[rounds]\nmax_rounds_per_day = 1")}
    nodes = Nodes(federation, settings={1: one_a_day, 2: one_a_day})
    for node in (1, 2, 3):
        assert "ddcai-update" in nodes.ask(node, "train").content
    record = federation.contract.round(1)
    blobs = {n: federation.contributors[n].known_update(record) for n in range(3)}
    federation.seal(record, {n: one.blob for n, one in blobs.items() if one is not None})

    _, context = nodes.members[KEY_HOLDER_NODE]
    for least, kind in ((4, "PolicyLimit"), (3, "")):
        own = dict(federation.trial.key_holder.to_mapping())
        own["policy"] = policy(f"[rounds]\nmin_contributors = {least}")
        context.node_config = own
        reply = nodes.ask(KEY_HOLDER_NODE, "query.open_sum", round_=1)
        if kind:
            assert refused(reply) == kind
        else:
            assert set(messages.reply_bytes(reply.content)) == {"opened", "signature"}

    federation.coordinator.cancel(federation.contract.round(1))
    federation.coordinator.open_round()
    called = list(nodes.sites[1].called)
    # New nodes, as after a restart: the counter is on disk.
    again = Nodes(federation, settings={1: one_a_day})
    assert refused(again.ask(2, "train")) == "PolicyLimit"
    assert again.sites[1].called == []
    assert nodes.sites[1].called == called
    assert "ddcai-update" in again.ask(1, "train").content  # without a policy, no limit


def test_a_node_s_own_epsilon_ends_its_part(
    tmp_path: Path, chain_url: str, policy: WritePolicy
) -> None:
    with make_federation(tmp_path, url=chain_url, config=CONFIG, quorum_scheme="ecdsa") as made:
        made.coordinator.open_round()
        one = epsilon(CONFIG, 1, 1e-6)
        for bound, kind in ((one * 0.999, "PrivacyBudgetSpent"), (one * 1.001, "")):
            text = f"[privacy]\nrequire = true\nmax_epsilon = {bound!r}\ndelta = 1e-6"
            nodes = Nodes(made, settings={0: {"policy": policy(text)}})
            reply = nodes.ask(1, "train")
            if kind:
                assert refused(reply) == kind
                assert nodes.sites[0].called == []
            else:
                assert "ddcai-update" in reply.content
