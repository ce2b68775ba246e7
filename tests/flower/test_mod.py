"""Whatever a server's app asks, only ciphertexts and refusals leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from ddcai.digests import RoundContext
from ddcai.flower import messages
from ddcai.flower.messages import from_arrays, to_arrays
from ddcai.models import state
from tests.federation import SmallFederation, make_federation
from tests.flower.support import (
    KEY_HOLDER_NODE,
    SECRET,
    Nodes,
    Site,
    WritePolicy,
    refused,
    wire_bytes,
)


@pytest.fixture(scope="module")
def federation(
    tmp_path_factory: pytest.TempPathFactory, chain_url: str
) -> Iterator[SmallFederation]:
    """Three contributors with a round under way."""
    with make_federation(tmp_path_factory.mktemp("mod"), url=chain_url) as made:
        made.coordinator.open_round()
        yield made


@pytest.mark.parametrize(
    "kind",
    ["query.weights", "train.other", "evaluate.other", "query.train", "query.evaluate", "query"],
)
def test_no_function_of_the_app_is_reached_by_another_name(
    federation: SmallFederation, kind: str
) -> None:
    nodes = Nodes(federation)
    assert refused(nodes.ask(1, kind)) in ("PlaintextRefused", "flower")
    assert nodes.sites[0].called == []


def test_a_model_to_evaluate_must_be_the_federations_and_metrics_allowed(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    metrics: dict[str, Any] = {"accuracy": 0.75, "age_of_oldest": 97.0, "rows": [1.5, 2.5]}
    site = Site(metrics=metrics | {"train_s": 0.123456789, "weird": float("nan")})
    nodes = Nodes(federation, {0: site})
    assert refused(nodes.ask(1, "evaluate")) == "PolicyLimit"
    assert site.called == []  # nothing would leave, so nothing is computed

    text = '[leave]\nevaluation = true\nmetrics = ["accuracy", "rows", "weird"]'
    nodes = Nodes(federation, {0: site}, {0: {"policy": policy(text)}})
    reply = nodes.ask(1, "evaluate")
    assert dict(reply.content["metrics"]) == {"accuracy": 0.75}
    assert set(reply.content) == {"metrics"}

    site.called.clear()
    crafted = {n: a * 0 for n, a in federation.coordinator.current_model().items()}
    context = federation.coordinator.party.context(1)
    for arrays in (to_arrays(crafted), None):
        content = messages.instruction(context, arrays=arrays)
        assert refused(nodes.ask(1, "evaluate", content)) == "PolicyError"
    assert site.called == []


def test_messages_of_another_federation_or_of_none_are_refused(
    federation: SmallFederation,
) -> None:
    nodes = Nodes(federation)
    real = federation.coordinator.party.context(1)
    model = to_arrays(federation.coordinator.current_model())
    others = [
        RoundContext(chain_id=real.chain_id + 1, contract=real.contract, round=1),
        RoundContext(chain_id=real.chain_id, contract="0x" + "11" * 20, round=1),
    ]
    contents = [messages.instruction(one, arrays=model) for one in others]
    contents += [RecordDict(), RecordDict({"arrays": model}), RecordDict({"ddcai-round": model})]
    contents.append(
        RecordDict({"arrays": model, "ddcai-round": ConfigRecord({"round": 1, "chain-id": "x"})})
    )
    for content in contents:
        for kind in ("train", "evaluate", "query.settle", "query.identify"):
            assert refused(nodes.ask(1, kind, content)) in ("PolicyError", "MalformedError")
    for number in (0, 2, 10**9):
        assert refused(nodes.ask(1, "train", round_=number)) == "NotOpen"
    assert nodes.sites[0].called == []
    assert federation.contract.update_digest(1, federation.addresses[0]) is None


def test_a_false_base_model_is_not_trained(federation: SmallFederation) -> None:
    nodes = Nodes(federation)
    context = federation.coordinator.party.context(1)
    model = federation.coordinator.current_model()
    hostile = [
        {name: array + np.float32(1e-4) for name, array in model.items()},
        {name: array.astype(np.float64) for name, array in model.items()},
        {},
    ]
    for arrays in [to_arrays(one) for one in hostile] + [None]:
        content = messages.instruction(context, arrays=arrays)
        refused(nodes.ask(1, "train", content))
    assert nodes.sites[0].called == []


def test_a_node_has_one_role(federation: SmallFederation) -> None:
    nodes = Nodes(federation)
    assert refused(nodes.ask(KEY_HOLDER_NODE, "train")) == "PolicyError"
    assert refused(nodes.ask(KEY_HOLDER_NODE, "query.settle")) == "PolicyError"
    assert refused(nodes.ask(1, "query.open_sum")) == "PolicyError"
    assert refused(nodes.ask(KEY_HOLDER_NODE, "query.open_sum")) == "NotSealed"


class PatientError(Exception):
    """What a user's app raises."""


@pytest.mark.parametrize(
    ("spoil", "metrics", "kind"),
    [
        (lambda m: m | {"head.bias": m["head.bias"] * np.float32("nan")}, {}, "DataError"),
        (lambda m: m | {"head.bias": m["head.bias"] + np.float32("inf")}, {}, "DataError"),
        (lambda m: {"head.bias": m["head.bias"]}, {}, "DataError"),
        (lambda m: {n: a.astype(np.float64) for n, a in m.items()}, {}, "DataError"),
        (lambda m: {n: a + np.float32(5) for n, a in m.items()}, {}, "RoundError"),
        (lambda m: m, {"num-examples": None}, "DataError"),
        (lambda m: m, {"num-examples": 0}, "DataError"),
        (lambda m: m, {"num-examples": float("nan")}, "DataError"),
        (lambda m: m, {"num-examples": float("inf")}, "DataError"),
        (lambda m: m, {"num-examples": 1.5}, "DataError"),
        (lambda m: (_ for _ in ()).throw(PatientError(SECRET)), {}, "PatientError"),
    ],
)
def test_what_training_spoilt_is_not_sent_and_not_paid_for(
    federation: SmallFederation,
    caplog: pytest.LogCaptureFixture,
    spoil: Any,
    metrics: dict[str, Any],
    kind: str,
) -> None:
    values = {n: v for n, v in ({"num-examples": 9} | metrics).items() if v is not None}
    site = Site(train=lambda model, _: spoil(model), metrics=values)
    nodes = Nodes(federation, {1: site})
    address = federation.addresses[1]
    balance = federation.contract.balance(address)
    assert refused(nodes.ask(2, "train")) == kind
    assert site.called == ["train"]
    assert federation.contract.balance(address) == balance
    assert federation.contract.update_digest(1, address) is None
    assert any(record.name == "ddcai.node" for record in caplog.records)


def test_a_secret_in_any_error_stays_in_the_nodes_log(
    federation: SmallFederation, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(model: Any, _: int) -> Any:
        raise PatientError(SECRET)

    reply = Nodes(federation, {1: Site(train=fail)}).ask(2, "train")
    assert SECRET.encode() not in wire_bytes(reply)
    assert SECRET in caplog.text


def test_what_leaves_is_the_ciphertext_and_the_same_each_time(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    site = Site(metrics={"num-examples": 20, "loss": 0.25, "secret": 1.0, "encrypt_s": 1e9})
    nodes = Nodes(federation, {2: site}, {2: {"policy": policy('[leave]\nmetrics = ["loss"]')}})
    address = federation.addresses[2]
    reply = nodes.ask(3, "train")
    update = messages.UpdateReply.from_content(reply.content)
    assert update.contributor == address
    assert set(update.metrics) == {"loss", "encrypt_s", "clamped_share"}
    assert update.metrics["encrypt_s"] < 1e6  # measured here, not taken from the app
    sent = wire_bytes(reply)
    base = federation.coordinator.current_model()
    for array in site.train(base, 3).values():
        assert array.tobytes()[:8] not in sent
    assert state.flatten(base)[:2].tobytes() not in sent

    balance = federation.contract.balance(address)
    again = messages.UpdateReply.from_content(nodes.ask(3, "train").content)
    assert again.ciphertext == update.ciphertext
    assert site.called == ["train"]
    assert federation.contract.balance(address) == balance


def test_a_node_without_money_does_not_train(federation: SmallFederation) -> None:
    from ddcai.chain.node.connection import connect
    from ddcai.chain.node.embedded import dev_accounts
    from ddcai.chain.transactions import Sender

    sender = federation.contributors[1].party.federation.sender
    assert sender is not None
    price, have = sender.gas_price(), federation.contract.balance(sender.address)
    bank = dev_accounts()[0]
    sender.send(bank.address, b"", have - 21_000 * price * 3 // 2)
    try:
        nodes = Nodes(federation)
        assert refused(nodes.ask(2, "train")) == "InsufficientBalance"
        assert nodes.sites[1].called == []
    finally:
        Sender(connect(federation.url), bank).send(sender.address, b"", have)


def test_an_app_that_returns_more_than_metrics_from_evaluation_is_refused(
    federation: SmallFederation, policy: WritePolicy
) -> None:
    from flwr.app import Context
    from flwr.clientapp import ClientApp

    from ddcai.flower import SecureMod

    app = ClientApp(mods=[SecureMod()])

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        arrays = ArrayRecord([np.ones(3, np.float32)])
        return Message(
            RecordDict({"arrays": arrays, "metrics": MetricRecord({"a": 1.0})}), reply_to=message
        )

    path = policy('[leave]\nevaluation = true\nmetrics = ["a"]')
    nodes = Nodes(federation, {0: app}, {0: {"policy": path}})
    assert refused(nodes.ask(1, "evaluate")) == "PlaintextRefused"


@pytest.mark.parametrize("missing", ["deployment", "bls-key", "keystore", "password-file"])
def test_a_missing_setting_is_a_refusal_with_the_remedy_in_the_log(
    federation: SmallFederation,
    missing: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("ETH_KEYSTORE", "ETH_PASSWORD", "DDCAI_BLS_KEY", "DDCAI_DEPLOYMENT"):
        monkeypatch.delenv(variable, raising=False)
    nodes = Nodes(federation, settings={0: {missing: ""}})
    assert refused(nodes.ask(1, "train")) == "ConfigurationError"
    assert f"{missing} is not set" in caplog.text


def test_identity_is_for_one_node_and_one_challenge(federation: SmallFederation) -> None:
    nodes = Nodes(federation)
    context = federation.coordinator.party.context(0)
    for reply in (None, {"challenge": b"short"}, {"challenge": bytes(33)}):
        content = messages.instruction(context, reply=reply)
        assert refused(nodes.ask(1, "query.identify", content)) == "MalformedError"
    content = messages.instruction(context, reply={"challenge": bytes(32)})
    fields = messages.read_reply(
        nodes.ask(1, "query.identify", content).content, ("address", "role", "signature")
    )
    assert fields["address"].decode() == federation.addresses[0]
    assert from_arrays(ArrayRecord()) == {}
