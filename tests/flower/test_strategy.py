"""Rounds through Flower: honest ones, hostile members, interruptions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from ddcai import digests
from ddcai.chain.records import RoundState
from ddcai.errors import ChainUnreachable, ConfigurationError, RoundError, RoundPaused
from ddcai.flower import EncryptedFedAvg, RoundReport, messages, training
from ddcai.flower.messages import from_arrays, to_arrays
from ddcai.models import state
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from tests.federation import SmallFederation, make_federation
from tests.flower.support import KEY_HOLDER_NODE, Nodes, Site

Change = Callable[[Message, Message], Message]


@pytest.fixture
def three(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    """Three contributors of which all are needed."""
    with make_federation(tmp_path, 3, url=chain_url, submit_period_s=10**6) as made:
        yield made


@pytest.fixture
def four(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    """Four contributors; three are enough."""
    with make_federation(tmp_path, 4, url=chain_url, submit_period_s=10**6) as made:
        yield made


def between(site: Site, kind: str, change: Change) -> ClientApp:
    """A node that behaves but for its answers to one kind of message."""
    app = site.app()
    inner = app.__call__

    class Changed(ClientApp):
        def __call__(self, message: Message, context: Context) -> Message:
            reply = inner(message, context)
            return change(message, reply) if message.metadata.message_type == kind else reply

    return Changed()


def gone(message: Message, _: Message) -> Message:
    raise ConnectionError("the hospital's cable was cut")


def settled(federation: SmallFederation) -> None:
    """Nothing is left in the contract once everybody has settled."""
    for one in federation.contributors:
        one.settle()
    assert federation.contract.balance() == 0


def test_rounds_run_report_and_go_on_when_started_again(three: SmallFederation) -> None:
    reports: list[RoundReport] = []
    evaluated: list[int] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        evaluated.append(number)
        return MetricRecord({"size": float(state.count(from_arrays(arrays)))})

    nodes = Nodes(three)
    strategy = nodes.strategy(report=reports.append)
    first = to_arrays(three.coordinator.current_model())
    result = strategy.start(nodes.grid(), first, num_rounds=2, evaluate_fn=evaluate)
    assert evaluated == [0, 1, 2]
    assert [item.round for item in reports] == [1, 2]
    assert all(set(item.contributors) == set(three.addresses) for item in reports)
    assert all(item.left_out == () and item.update_bytes > 70_000 for item in reports)
    assert set(reports[0].seconds) == {"open", "train", "seal", "open_sum", "attest", "finalize"}
    assert state.digest(from_arrays(result.arrays)) == three.contract.model_digest()
    assert three.contract.balance() == 0  # everybody has settled

    fresh = EncryptedFedAvg(
        Coordinator(Party.connect(three.trial.coordinator)), report=reports.append
    )
    fresh.start(nodes.grid(), num_rounds=3)
    assert three.contract.last_round() == 3
    assert [item.round for item in reports] == [1, 2, 3]
    done = fresh.start(nodes.grid(), num_rounds=3)
    assert three.contract.last_round() == 3
    assert state.digest(from_arrays(done.arrays)) == three.contract.model_digest()


def test_another_first_model_is_refused(three: SmallFederation) -> None:
    other = {n: a + np.float32(1) for n, a in three.coordinator.current_model().items()}
    nodes = Nodes(three)
    with pytest.raises(ConfigurationError, match="initial model's digest"):
        nodes.strategy().start(nodes.grid(), to_arrays(other), num_rounds=1)
    assert three.contract.last_round() == 0


def plaintext(message: Message, reply: Message) -> Message:
    return Message(RecordDict({"arrays": message.content["arrays"]}), reply_to=message)


def broken_array(message: Message, reply: Message) -> Message:
    content = RecordDict(dict(reply.content))
    content["ddcai-update"]["ciphertext"].data = b"no array"  # type: ignore[index,union-attr]
    return Message(content, reply_to=message)


def another_name(message: Message, reply: Message) -> Message:
    content = RecordDict(dict(reply.content))
    content["ddcai-reply"] = ConfigRecord({"contributor": "0x" + "ab" * 20})
    return Message(content, reply_to=message)


def garbled(message: Message, reply: Message) -> Message:
    update = messages.UpdateReply.from_content(reply.content)
    blob = update.ciphertext[:-1] + bytes([update.ciphertext[-1] ^ 1])
    other = messages.UpdateReply(contributor=update.contributor, ciphertext=blob, metrics={})
    return Message(other.to_content(), reply_to=message)


@pytest.mark.parametrize("change", [plaintext, broken_array, another_name, garbled, gone])
def test_a_reply_that_is_no_update_is_dropped_and_the_stores_copy_taken(
    three: SmallFederation, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    """What the member stored is right, so it loses nothing; its message does no harm."""
    hostile = between(Site(), "train", change)
    nodes = Nodes(three, {0: hostile})
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert len(three.contract.round(1).sealed) == 3
    assert "dropped" in caplog.text or "sent no update" in caplog.text
    assert three.contract.balance() == 0


class _Committing:
    """A member that commits a digest of nothing, and lets the deadline pass."""

    def __init__(self, federation: SmallFederation, index: int) -> None:
        self.federation, self.index = federation, index

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if message.metadata.message_type != "train":
            return call_next(message, context)
        party = self.federation.contributors[self.index].party
        number = messages.round_context(message.content).round
        digest = digests.update_digest(party.context(number), party.address, b"never seen")
        party.federation.submit_update(number, digest)
        self.federation.pass_time(10**6 + 1)
        raise TimeoutError


def test_one_that_commits_and_never_delivers_forfeits_on_the_chains_clock(
    four: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddcai.flower import SecureMod

    monkeypatch.setattr(training, "MEND_S", 0.1)
    secure = SecureMod()
    late = ClientApp(mods=[_Committing(four, 3), secure])
    secure.register(late)

    @late.train()
    def train(message: Message, context: Context) -> Message:
        raise AssertionError

    reports: list[RoundReport] = []
    nodes = Nodes(four, {3: late})
    before = four.contract.balance(four.addresses[3])
    nodes.strategy(report=reports.append).start(nodes.grid(), num_rounds=1)
    assert reports[0].left_out == (four.addresses[3],)
    assert set(reports[0].contributors) == set(four.addresses[:3])
    assert four.contract.balance() == 0  # shared among the three
    deposit = four.contract.rules().deposit_wei
    assert before - four.contract.balance(four.addresses[3]) >= deposit


def false_signature(message: Message, reply: Message) -> Message:
    signature = messages.read_reply(reply.content, ("signature",))["signature"]
    return Message(
        messages.reply_record({"signature": signature[:-1] + bytes([signature[-1] ^ 1])}),
        reply_to=message,
    )


def no_signature(message: Message, reply: Message) -> Message:
    return Message(messages.reply_record({"signature": b"hello"}), reply_to=message)


@pytest.mark.parametrize("change", [false_signature, no_signature])
def test_a_false_signature_is_dropped_and_the_others_are_enough(
    three: SmallFederation, change: Change
) -> None:
    nodes = Nodes(three, {1: between(Site(), "query.attest", change)})
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.FINALIZED


def test_without_a_quorum_that_will_sign_the_round_is_cancelled(three: SmallFederation) -> None:
    hostile: dict[int, Any] = {
        index: between(Site(), "query.attest", false_signature) for index in (0, 1)
    }
    nodes = Nodes(three, hostile)
    with pytest.raises(RoundError, match="1 of 3 contributors attested"):
        nodes.strategy().start(nodes.grid(), num_rounds=2)
    assert three.contract.round(1).state is RoundState.CANCELLED
    assert three.contract.balance() == 0  # settled already


def test_too_few_updates_cancel_the_round_and_return_the_deposits(three: SmallFederation) -> None:
    def diverge(model: Any, _: int) -> Any:
        return {name: array * np.float32("nan") for name, array in model.items()}

    nodes = Nodes(three, {0: Site(train=diverge)})
    with pytest.raises(RoundError, match="2 updates, but needs 3"):
        nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.CANCELLED
    assert three.contract.balance() == 0
    Nodes(three).strategy().start(Nodes(three).grid(), num_rounds=2)
    assert three.contract.round(2).state is RoundState.FINALIZED


def test_too_few_or_no_key_holder_open_no_round(three: SmallFederation) -> None:
    nodes = Nodes(three)
    holder = nodes.members.pop(KEY_HOLDER_NODE)
    with pytest.raises(RoundError, match=r"key holder .* did not connect"):
        nodes.strategy(join_timeout_s=0.0).start(nodes.grid(), num_rounds=1)
    nodes.members[KEY_HOLDER_NODE] = holder
    del nodes.members[1]
    with pytest.raises(RoundError, match="2 contributors connected"):
        nodes.strategy(join_timeout_s=0.0).start(nodes.grid(), num_rounds=1)
    assert three.contract.last_round() == 0


def test_a_key_holder_that_is_away_leaves_the_round_for_a_restart(
    three: SmallFederation,
) -> None:
    nodes = Nodes(three)
    app, context = nodes.members[KEY_HOLDER_NODE]
    nodes.members[KEY_HOLDER_NODE] = (between(Site(), "query.open_sum", gone), context)
    with pytest.raises(RoundPaused, match="start the coordinator again before"):
        nodes.strategy().start(nodes.grid(), num_rounds=1, timeout=2)
    assert three.contract.round(1).state is RoundState.SEALED
    nodes.members[KEY_HOLDER_NODE] = (app, context)
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.FINALIZED
    assert all(site.called == ["train"] for site in nodes.sites)


def test_contributors_that_are_away_leave_the_round_for_a_restart(three: SmallFederation) -> None:
    nodes = Nodes(three)
    members = dict(nodes.members)
    for node in (1, 2):
        nodes.members[node] = (between(Site(), "query.attest", gone), members[node][1])
    with pytest.raises(RoundPaused, match="1 of 3"):
        nodes.strategy().start(nodes.grid(), num_rounds=1, timeout=2)
    nodes.members = members
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.FINALIZED


def test_a_key_holder_that_refuses_for_good_ends_the_round(three: SmallFederation) -> None:
    """The coordinator's account sealed one update as the sum; the strategy takes over."""
    nodes = Nodes(three)
    record = three.coordinator.open_round()
    updates = [three.contribute(record, index) for index in range(3)]
    party = three.coordinator.party
    digest = digests.sum_digest(party.context(1), updates[0].blob)
    party.federation.seal_round(1, digest, [0, 1, 2])
    with pytest.raises(RoundError, match="SumMismatch"):
        nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.CANCELLED
    assert three.contract.balance() == 0


def forged_opening(message: Message, reply: Message) -> Message:
    fields = messages.read_reply(reply.content, ("opened", "signature"))
    blob = fields["opened"][:-1] + bytes([fields["opened"][-1] ^ 1])
    return Message(
        messages.reply_record({"opened": blob, "signature": fields["signature"]}), reply_to=message
    )


def test_a_forged_opening_is_not_taken(three: SmallFederation) -> None:
    nodes = Nodes(three)
    _, context = nodes.members[KEY_HOLDER_NODE]
    nodes.members[KEY_HOLDER_NODE] = (between(Site(), "query.open_sum", forged_opening), context)
    with pytest.raises(RoundError, match="has no result"):
        nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.CANCELLED


class _Crash(Exception):
    pass


STEPS = ("open_round", "collect", "seal", "result", "check_signature", "finalize")


def test_a_coordinator_that_dies_at_each_step_is_replaced(three: SmallFederation) -> None:
    """Each time a new one knows only the chain and the store; one round comes of it."""
    nodes = Nodes(three)

    class Mortal(Coordinator):
        dies_after = ""

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name != super().__getattribute__("dies_after"):
                return found

            def last(*arguments: Any, **named: Any) -> Any:
                found(*arguments, **named)
                raise _Crash

            return last

    for step in STEPS:
        mortal = Mortal(Party.connect(three.trial.coordinator))
        mortal.dies_after = step
        with pytest.raises(_Crash):
            EncryptedFedAvg(mortal).start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.FINALIZED
    assert all(site.called == ["train"] for site in nodes.sites)
    # The last one died before it asked for settlement.
    assert three.contract.balance() > 0
    nodes.strategy().start(nodes.grid(), num_rounds=1)
    assert three.contract.last_round() == 1
    assert three.contract.balance() == 0


def test_an_outage_of_the_chain_cancels_nothing(three: SmallFederation) -> None:
    nodes = Nodes(three)

    class CutOff(Coordinator):
        def finalize(self, *_: Any, **__: Any) -> Any:
            raise ChainUnreachable("no answer")

    strategy = EncryptedFedAvg(CutOff(Party.connect(three.trial.coordinator)))
    with pytest.raises(ChainUnreachable):
        strategy.start(nodes.grid(), num_rounds=1)
    assert three.contract.round(1).state is RoundState.SEALED


def test_the_first_error_is_not_hidden_by_a_failed_cancel(three: SmallFederation) -> None:
    nodes = Nodes(three)

    class Unlucky(Coordinator):
        def seal(self, *_: Any, **__: Any) -> Any:
            raise RoundError("the first error")

        def cancel(self, *_: Any, **__: Any) -> Any:
            raise ChainUnreachable("the second error")

    strategy = EncryptedFedAvg(Unlucky(Party.connect(three.trial.coordinator)))
    with pytest.raises(RoundError, match="the first error"):
        strategy.start(nodes.grid(), num_rounds=1)


def test_a_round_that_missed_its_deadline_is_ended_and_the_next_one_runs(
    tmp_path: Path, chain_url: str
) -> None:
    periods = {"submit_period_s": 1000, "finalize_period_s": 1000}
    with make_federation(tmp_path, 3, url=chain_url, **periods) as federation:
        nodes = Nodes(federation)
        record = federation.coordinator.open_round()
        federation.contribute(record, 0)
        federation.pass_time(2001)
        nodes.strategy().start(nodes.grid(), num_rounds=2)
        assert federation.contract.round(1).state is RoundState.CANCELLED
        assert federation.contract.round(2).state is RoundState.FINALIZED
        assert federation.contract.balance() == 0

        # It passes while the contributors sign: the round cannot be finalised any more.
        def too_late(message: Message, reply: Message) -> Message:
            federation.pass_time(2001)
            return reply

        nodes = Nodes(federation, {2: between(Site(), "query.attest", too_late)})
        with pytest.raises(RoundError, match="missed its deadline"):
            nodes.strategy().start(nodes.grid(), num_rounds=3)
        assert federation.contract.round(3).state is RoundState.CANCELLED
        assert federation.contract.balance() == 0


def test_a_node_cannot_take_anothers_place(
    four: SmallFederation, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes first and says that it is another member, or the key holder."""
    victim, holder = four.addresses[1], four.contract.rules().key_holder
    nodes = Nodes(four)
    for node, (address, role) in {
        -1: (victim, b"contributor"),
        0: (holder, b"keyholder"),
        -2: ("0x\nERROR", b"contributor"),
    }.items():

        def lie(
            message: Message, reply: Message, address: str = address, role: bytes = role
        ) -> Message:
            said = messages.reply_bytes(reply.content)
            said |= {"address": address.encode(), "role": role}
            return Message(messages.reply_record(said), reply_to=message)

        own = Nodes(four).members[4][1].node_config
        context = Context(1, node, own, RecordDict(), {})
        nodes.members[node] = (between(Site(), "query.identify", lie), context)
    nodes.strategy(join_timeout_s=0.0).start(nodes.grid(), num_rounds=1)
    assert {item.address for item in four.contract.round(1).sealed} == set(four.addresses)
    assert f"says it is {victim}, but signed as {four.addresses[3]}" in caplog.text
    assert "0x\nERROR" not in caplog.text


def test_two_nodes_with_one_account_are_one_contributor(
    four: SmallFederation, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = Nodes(four)
    twin = Site()
    context = Context(1, 50, nodes.members[1][1].node_config, RecordDict(), {})
    nodes.members[50] = (twin.app(), context)
    nodes.strategy(join_timeout_s=0.0).start(nodes.grid(), num_rounds=1)
    assert twin.called == []
    assert "both use the account" in caplog.text
    assert len(four.contract.round(1).sealed) == 4


def test_a_strategy_from_the_run_config(three: SmallFederation) -> None:
    config: dict[str, Any] = dict(three.trial.coordinator.to_mapping())
    strategy = EncryptedFedAvg.from_config(config)
    nodes = Nodes(three)
    assert list(strategy.configure_evaluate(1, ArrayRecord(), ConfigRecord(), nodes.grid())) == []
    assert strategy.aggregate_evaluate(1, []) is None
    with pytest.raises(RoundError, match="use `start`"):
        strategy.aggregate_train(1, [])
    with pytest.raises(ConfigurationError, match="coordinator's keystore"):
        EncryptedFedAvg.from_config(dict(three.trial.key_holder.to_mapping()))


def test_every_start_says_that_a_single_key_holder_is_for_trials(
    three: SmallFederation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Nodes(three).strategy().summary()
    (said,) = [record.message for record in caplog.records if "single key holder" in record.message]
    assert three.contract.rules().key_holder in said
    assert "could read every update" in said
