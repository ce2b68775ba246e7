"""Judged rounds and windows through Flower: deposits of a flipper go to the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message
from flwr.clientapp import ClientApp

from ddcai.chain.assessment import WindowState
from ddcai.chain.records import RoundState, WindowRules
from ddcai.errors import ConfigurationError, RoundError
from ddcai.flower import messages
from ddcai.models import encoder, training
from ddcai.models.anchor import root_set_to_blob
from ddcai.models.state import State
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.verdicts import WindowJudge
from tests.federation import SmallFederation, make_federation
from tests.flower.support import KEY_HOLDER_NODE, Nodes, Site
from tests.flower.test_strategy import between
from tests.rounds.judged import CONFIG, ROOT_X, ROOT_Y

RULE = CONFIG.assessment
assert RULE is not None
BRIEF = dataclasses.replace(CONFIG, assessment=dataclasses.replace(RULE, movement_lag=1, window=2))
WINDOWS = WindowRules(window_rounds=2, dispute_period_s=600, bond_wei=10**15)
FLIPPER = 4


def sites(made: SmallFederation, flippers: tuple[int, ...]) -> dict[int, Site | ClientApp]:
    """Real training; the flippers' labels are turned round."""

    def trainer(index: int) -> Site:
        def train(model: State, node: int) -> State:
            network = encoder.build(made.config)
            encoder.load_state(network, model)
            x, y = made.data[index]
            labels = 1 - y if index in flippers else y
            training.train(network, x, labels, made.config.training, seed=node)
            return encoder.state_of(network)

        return Site(train=train, metrics={"num-examples": len(made.data[index][0])})

    return {index: trainer(index) for index in range(len(made.data))}


def test_rounds_and_windows_run_and_the_flipper_pays(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path, 5, url=chain_url, config=BRIEF, windows=WINDOWS, submit_period_s=10**6
    ) as made:
        nodes = Nodes(made, sites(made, (FLIPPER,)))
        party = made.coordinator.party
        with pytest.raises(ConfigurationError, match="root-set is not set"):
            nodes.strategy().start(nodes.grid(), num_rounds=1)
        other = Coordinator(party, root_set_to_blob(ROOT_X, 1 - ROOT_Y))
        with pytest.raises(ConfigurationError, match="the root set given is"):
            type(nodes.strategy())(other, join_timeout_s=2.0).start(nodes.grid(), num_rounds=1)
        assert made.contract.last_round() == 0

        coordinator = Coordinator(party, root_set_to_blob(ROOT_X, ROOT_Y))
        strategy = type(nodes.strategy())(coordinator, join_timeout_s=2.0)
        strategy.start(nodes.grid(), num_rounds=4)
        assessment = made.contract.assessment()
        assert [made.contract.round(n).state for n in range(1, 5)] == [RoundState.FINALIZED] * 4
        for number in (1, 2):
            window = assessment.window(number)
            assert window.state is WindowState.JUDGED
            verdicts = WindowJudge(made.contributors[0].party).check(window, window.scores_digest)
            assert verdicts.agreed == (0, 1, 2, 3)
            assert verdicts.until == 2 * number + (number == 1)  # no round came after the last
        made.pass_time(WINDOWS.dispute_period_s + 1)
        before = [made.contract.balance(address) for address in made.addresses]
        strategy.start(nodes.grid(), num_rounds=4)  # nothing to do but to settle
        gained = [made.contract.balance(a) - b for a, b in zip(made.addresses, before, strict=True)]
        deposit = made.contract.rules().deposit_wei
        assert all(one > 4 * deposit for one in gained[:4])
        assert gained[FLIPPER] <= 0
        assert sum(gained[:4]) > 20 * deposit - 2 * 10**15  # gas, and wei that shares leave


def test_a_round_that_cannot_be_judged_ends_and_every_deposit_comes_back(
    tmp_path: Path, chain_url: str
) -> None:
    with make_federation(
        tmp_path, 3, url=chain_url, config=BRIEF, windows=WINDOWS, submit_period_s=10**6
    ) as made:
        nodes = Nodes(made, sites(made, ()))
        holder = nodes.members[KEY_HOLDER_NODE]

        def change(message: Message, reply: Message) -> Message:
            blob = messages.read_reply(reply.content, ("scalars",))["scalars"]
            digits = np.frombuffer(blob, np.uint8).copy()
            place = (
                blob.index(b"[") + 1 + (blob[blob.index(b"[") + 1 : blob.index(b"[") + 2] == b"-")
            )
            digits[place] = ord("9") if digits[place] != ord("9") else ord("8")
            content = messages.reply_record({"scalars": digits.tobytes()})
            return Message(content, reply_to=message)

        nodes.members[KEY_HOLDER_NODE] = (
            between(Site(), f"query.{messages.OPEN_SCALARS}", change),
            holder[1],
        )
        coordinator = Coordinator(made.coordinator.party, root_set_to_blob(ROOT_X, ROOT_Y))
        strategy = type(nodes.strategy())(coordinator, join_timeout_s=2.0)
        with pytest.raises(RoundError, match="cannot be judged"):
            strategy.start(nodes.grid(), num_rounds=1)
        assert made.contract.round(1).state is RoundState.CANCELLED
        assert made.contract.balance() == 0  # every deposit went back

        # Where the gate leaves too few the round ends as well, and the run goes on.
        first = made.contract.model_digest()
        nodes = Nodes(made, sites(made, (1, 2)))
        strategy = type(nodes.strategy())(coordinator, join_timeout_s=2.0)
        result = strategy.start(nodes.grid(), num_rounds=3)
        assert [made.contract.round(n).state for n in (2, 3)] == [RoundState.CANCELLED] * 2
        assert result.train_metrics_clientapp == {}
        assert made.contract.model_digest() == first
        assert made.contract.balance() == 0
