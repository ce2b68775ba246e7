"""Contributors that are killed, come back, come late or say nothing while a round is open."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode

from ddcai.chain.records import RoundState
from ddcai.errors import DiskError, PolicyError
from ddcai.flower import InProcessGrid, messages, training
from ddcai.flower.roster import Roster
from ddcai.flower.training import UpdatesAsked
from ddcai.flower.waiting import Waiting
from tests.federation import make_federation

from .support import Nodes

A, B = "0xA", "0xB"


class Scripted(InProcessGrid):
    """Answers as it is told to: by node, what happens to its 1st, 2nd, ... message."""

    def __init__(self, script: dict[int, list[str]]) -> None:
        super().__init__({})
        self.script, self.asked, self.at_once = script, [], 0
        self._identifiers, self._ready = itertools.count(1), dict[str, Message]()

    def push_messages(self, sent: Iterable[Message]) -> Iterable[str]:
        made = []
        for message in sent:
            node = message.metadata.dst_node_id
            self.asked.append(node)
            identifier = str(next(self._identifiers))
            message.metadata.__dict__["_message_id"] = identifier
            what = self.script[node].pop(0) if self.script.get(node) else "silent"
            if what == "answer":
                self._ready[identifier] = Message(RecordDict(), reply_to=message)
            elif what == "gone":
                error = Error(ErrorCode.NODE_UNAVAILABLE, "gone")
                self._ready[identifier] = Message(error, reply_to=message)
            elif what in ("disk", "no"):
                error = DiskError(28, "full", "f") if what == "disk" else PolicyError("never")
                self._ready[identifier] = Message(messages.refusal(error), reply_to=message)
            made.append("" if what == "refused" else identifier)
        return made

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = [self._ready.pop(one) for one in list(message_ids) if one in self._ready]
        self.at_once = max(self.at_once, len(found))
        return found


def ask(
    grid: Scripted,
    contributors: dict[str, int],
    later: Callable[[Roster], None] = lambda roster: None,
    stored: tuple[str, ...] = (),
    least: int = 1,
    most: int = 10**6,
    timeout_s: float = 2.0,
    update_bytes: int = 1000,
) -> list[Message]:
    roster = Roster(contributors=dict(contributors))
    asked = UpdatesAsked(
        grid,
        roster,
        lambda: later(roster),
        lambda node: Message(RecordDict(), node, messages.TRAIN),
        lambda: stored,
        least,
        most,
        update_bytes,
    )
    return list(asked.replies(timeout_s, Waiting("an update", 0.0)))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "ASK_AGAIN_S", 0.15)
    monkeypatch.setattr(training, "LOOK_S", 0.05)
    monkeypatch.setattr(training, "MEND_S", 0.5)
    monkeypatch.setattr(training, "POLL_S", 0.02)


def test_a_silent_node_is_asked_again_ever_more_rarely() -> None:
    grid = Scripted({1: ["answer"], 2: ["silent", "silent", "answer"]})
    replies = ask(grid, {A: 1, B: 2})
    assert len(replies) == 2
    assert grid.asked == [1, 2, 2, 2]
    grid = Scripted({})
    assert ask(grid, {A: 1}, timeout_s=1.6) == []
    assert grid.asked == [1] * 4  # after 0.15, 0.45, 1.05 seconds


def test_one_that_comes_back_as_another_node_is_asked_at_once() -> None:
    """Its old node is known to be gone, and somebody else's answer is still awaited."""
    grid = Scripted({1: ["gone"], 2: ["silent", "answer"], 3: ["answer"]})

    def back(roster: Roster) -> None:
        roster.contributors[A] = 3

    replies = ask(grid, {A: 1, B: 2}, back)
    assert grid.asked == [1, 2, 3, 2]
    assert [one.has_error() for one in replies] == [True, False, False]


def test_one_that_comes_late_takes_part() -> None:
    grid = Scripted({1: ["silent", "answer"], 2: ["answer"]})

    def late(roster: Roster) -> None:
        roster.contributors[B] = 2

    assert len(ask(grid, {A: 1}, late)) == 2
    grid = Scripted({1: ["silent", "answer"], 2: ["answer"]})
    assert len(ask(grid, {A: 1}, late, most=1)) == 1
    assert 2 not in grid.asked


def test_one_that_refused_is_not_asked_again() -> None:
    grid = Scripted({1: ["no"], 2: ["silent", "answer"]})
    assert len(ask(grid, {A: 1, B: 2})) == 2
    assert grid.asked == [1, 2, 2]


@pytest.mark.parametrize("what", ["disk", "gone"])
def test_one_that_cannot_yet_is_asked_again(what: str) -> None:
    """Its disk is full, or it is away and comes back as the same node: the round needs it."""
    grid = Scripted({1: ["answer"], 2: [what, what, "answer"]})
    replies = ask(grid, {A: 1, B: 2}, least=2)
    assert grid.asked == [1, 2, 2, 2]
    assert [messages.refused(one) is None for one in replies].count(True) == 2


def test_one_whose_update_is_in_the_store_is_not_waited_for() -> None:
    grid = Scripted({1: ["answer"], 2: ["gone"]})
    assert len(ask(grid, {A: 1, B: 2}, stored=(B,), least=2, timeout_s=60)) == 2
    assert grid.asked == [1, 2]


def test_one_that_cannot_for_long_holds_up_the_others_for_a_while() -> None:
    """And until the deadline, where there are too few without it."""
    since = time.monotonic()
    ask(Scripted({1: ["answer"], 2: ["disk"] * 99}), {A: 1, B: 2}, least=1, timeout_s=60)
    assert time.monotonic() - since < 30
    grid = Scripted({1: ["answer"], 2: ["disk"] * 99})
    assert len(ask(grid, {A: 1, B: 2}, least=2, timeout_s=1.5)) > 2
    assert len(grid.asked) > 3


def test_a_second_answer_is_not_waited_for() -> None:
    grid = Scripted({1: ["answer", "answer"]})
    (reply,) = ask(grid, {A: 1})
    assert not reply.has_error()
    assert grid.asked == [1]


def test_a_message_that_flower_does_not_take_is_not_waited_for() -> None:
    assert ask(Scripted({1: ["refused"]}), {A: 1}, timeout_s=60) == []


@pytest.mark.parametrize(("size", "most"), [(1000, 8), (3 * 10**6, 2), (120 * 10**6, 1)])
def test_few_answers_are_in_memory_at_once(size: int, most: int) -> None:
    """The next ones are asked for when those were taken."""
    grid = Scripted({node: ["answer"] for node in range(1, 101)})
    contributors = {f"0x{node}": node for node in range(1, 101)}
    assert len(ask(grid, contributors, update_bytes=size)) == 100
    assert grid.at_once == most


def test_a_contributor_that_lost_its_message_is_in_the_round(
    tmp_path: Path, chain_url: str
) -> None:
    """Killed after the message was delivered: without the second one, the round would wait until
    no more updates are taken, and go on without it."""

    class Loses(InProcessGrid):
        lost = 0

        def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
            made: list[str] = []
            for message in messages:
                about = message.metadata
                if about.dst_node_id == 3 and about.message_type == "train" and not self.lost:
                    Loses.lost += 1
                    made.append("lost")
                else:
                    made += super().push_messages([message])
            return made

    with make_federation(tmp_path, url=chain_url, min_contributors=2) as made:
        nodes = Nodes(made)
        nodes.strategy().start(Loses(nodes.members), num_rounds=1)
        record = made.contract.round(1)
        assert record.state is RoundState.FINALIZED
        assert len(record.sealed) == 3
    assert Loses.lost == 1


@pytest.mark.parametrize("kind", ["query.identify", "train", "query.attest", "query.settle"])
def test_a_reply_that_flower_cannot_read_harms_nobody(
    tmp_path: Path, chain_url: str, kind: str
) -> None:
    """A node that is not ours may send any bytes, and Flower reads them in the coordinator."""

    class Hostile(InProcessGrid):
        read = 0

        def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
            sent = list(messages)
            made = list(super().push_messages(sent))
            for identifier, message in zip(made, sent, strict=True):
                about = message.metadata
                if about.dst_node_id == 3 and about.message_type == kind:
                    self._made_up = identifier
            return made

        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
            wanted = list(message_ids)
            if getattr(self, "_made_up", None) in wanted:
                Hostile.read += 1
                raise ValueError("no message")
            return super().pull_messages(wanted)

    with make_federation(tmp_path, url=chain_url, min_contributors=2, submit_period_s=5) as made:
        nodes = Nodes(made)
        nodes.strategy().start(Hostile(nodes.members), num_rounds=1)
        record = made.contract.round(1)
        assert record.state is RoundState.FINALIZED
        assert len(record.sealed) == (2 if kind == "query.identify" else 3)
    assert Hostile.read > 0
