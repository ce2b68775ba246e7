"""Key holders that open together, through Flower."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.configuration import Encryption
from ddcai.errors import RoundError, RoundPaused
from ddcai.flower import messages, mod
from ddcai.rounds import keyholder, openable
from ddcai.rounds.party import Party, Settings
from ddcai.rounds.shared_opener import Asked, Found, SharedOpener
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation, small_config

from .support import KEY_HOLDER_NODE, Nodes, wire_bytes

CONFIG = small_config(encryption=Encryption(max_contributors=8, parameter_set="bfv-8192-3x20"))


@contextmanager
def federation_of(
    folder: Path, url: str, threshold: int, holders: int
) -> Iterator[SmallFederation]:
    with make_federation(
        folder,
        3,
        url=url,
        config=CONFIG,
        holders=(threshold, holders),
        submit_period_s=60,
        finalize_period_s=60,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def shared(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    with federation_of(tmp_path_factory.mktemp("shared"), chain_url, 2, 3) as made:
        yield made


def node_of(made: SmallFederation, number: int) -> int:
    """The node of the holder of a number."""
    address = made.openers[number].party.address
    settings = list(made.trial.key_holders.values())
    accounts = [Party.connect(one).address for one in settings]
    return KEY_HOLDER_NODE + accounts.index(address)


def name(made: SmallFederation, number: int) -> str:
    return made.openers[number].party.address


class Cheat(SharedOpener):
    """A holder that shifts its partial openings of some pieces, in all that it does."""

    shifted: Callable[[tuple[int, ...]], bool] = staticmethod(lambda piece: True)

    def _partial(self, asked: Asked) -> Any:
        ring, honest = super()._partial(asked)
        own = {
            piece: bytes([packed[0] ^ 1]) + packed[1:] if self.shifted(piece) else packed
            for piece, packed in honest.own.items()
        }
        return ring, dataclasses.replace(honest, own=own)


class Garbage(SharedOpener):
    """A holder that sends noise instead of its share."""

    def share(self, asked: Asked) -> bytes:
        return os.urandom(len(super().share(asked)))


class Liar(SharedOpener):
    """A holder that signs another sum than the shares come to."""

    def combine(self, asked: Asked, shares: Any) -> Found:
        honest = super().combine(asked, shares)
        blob = honest.value[:-1] + bytes([honest.value[-1] ^ 1])
        sealed = openable.sealed_round(self.party, asked.round, frozenset())
        opening = keyholder.sign_sum(self.party, sealed, blob)
        return dataclasses.replace(honest, value=blob, signature=opening.signature)


class Broken(SharedOpener):
    """A holder whose second answer never comes."""

    def combine(self, asked: Asked, shares: Any) -> Found:
        raise OSError("disk full")


@contextmanager
def replaced(
    made: SmallFederation, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SharedOpener]
) -> Iterator[None]:
    """One holder's software is another."""
    address, honest = name(made, number), mod._opener

    def opener(settings: Settings) -> Any:
        found = honest(settings)
        if found.party.address == address:
            other = copy.copy(found)
            other.__class__ = kind
            return other
        return found

    with monkeypatch.context() as patch:
        patch.setattr(mod, "_opener", opener)
        yield


def run_one(made: SmallFederation, **options: Any) -> int:
    nodes, number = Nodes(made), made.contract.last_round() + 1
    nodes.strategy(**options).start(nodes.grid(), num_rounds=number)
    return number


def test_holders_open_together_and_the_federation_audits_clean(shared: SmallFederation) -> None:
    nodes = Nodes(shared)
    before = shared.contract.last_round()
    nodes.strategy().start(nodes.grid(), num_rounds=before + 2)
    history = read_history(connect(shared.url), shared.deployment.federation)
    claims = list(verify(history, shared.store))
    assert claims
    assert [claim for claim in claims if not claim.passed] == []
    assert any("2 of 3" in f"{claim.expected}{claim.found}" for claim in claims)


def test_a_holder_that_is_away_is_done_without(shared: SmallFederation) -> None:
    nodes = Nodes(shared)
    del nodes.members[node_of(shared, 1)]
    before = shared.contract.last_round()
    nodes.strategy().start(nodes.grid(), num_rounds=before + 1)
    assert shared.contract.round(before + 1).state.name == "FINALIZED"


def test_too_few_holders_open_nothing(shared: SmallFederation) -> None:
    nodes = Nodes(shared)
    for number in (1, 2):
        del nodes.members[node_of(shared, number)]
    with pytest.raises(RoundError, match="2 are needed"):
        nodes.strategy(join_timeout_s=0.5).start(
            nodes.grid(), num_rounds=shared.contract.last_round() + 1
        )


@pytest.mark.parametrize("kind", [Cheat, Garbage])
def test_a_holder_whose_share_is_false_is_named_and_the_others_go_on(
    shared: SmallFederation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type[SharedOpener],
) -> None:
    with replaced(shared, monkeypatch, 1, kind), caplog.at_level(logging.ERROR):
        number = run_one(shared)
    assert shared.contract.round(number).state.name == "FINALIZED"
    named = [record for record in caplog.records if "is left out" in record.message]
    assert len(named) == 1
    assert name(shared, 1) in named[0].message


@pytest.mark.parametrize("kind", [Liar, Broken])
def test_a_holder_that_signs_something_else_or_nothing_changes_nothing(
    shared: SmallFederation, monkeypatch: pytest.MonkeyPatch, kind: type[SharedOpener]
) -> None:
    with replaced(shared, monkeypatch, 2, kind):
        number = run_one(shared)
    assert shared.contract.round(number).state.name == "FINALIZED"


def test_two_that_contradict_one_another_alone_are_both_named_until_one_is_left_out(
    shared: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2 of 3 a piece has two holders: nobody else can tell which of them computes falsely."""

    class One(Cheat):
        shifted = staticmethod(lambda piece: piece == (0,))  # holders 1 and 2 have it

    with replaced(shared, monkeypatch, 1, One):
        with pytest.raises(RoundPaused, match="contradict one another") as paused:
            run_one(shared)
        for number in (1, 2):
            assert name(shared, number) in str(paused.value)
        assert name(shared, 0) not in str(paused.value)
        run = run_one(shared, leave_out=frozenset({name(shared, 1)}))
    assert shared.contract.round(run - 1).state.name == "FINALIZED"


def test_the_coordinator_sees_no_partial_opening(
    shared: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: the coordinator keeps all that passes, to put it together itself."""
    partials: list[bytes] = []
    partial_of = SharedOpener._partial

    def watched(self: SharedOpener, asked: Asked) -> Any:
        found = partial_of(self, asked)
        partials.extend(found[1].own.values())
        return found

    monkeypatch.setattr(SharedOpener, "_partial", watched)
    nodes = Nodes(shared)
    grid = nodes.grid()
    seen: list[bytes] = []
    push, pull = grid.push_messages, grid.pull_messages

    def pushed(sent: Any) -> Any:
        sent = list(sent)
        seen.extend(wire_bytes(message) for message in sent)
        return push(sent)

    def pulled(identifiers: Any) -> Any:
        replies = list(pull(identifiers))
        seen.extend(wire_bytes(message) for message in replies)
        return replies

    monkeypatch.setattr(grid, "push_messages", pushed)
    monkeypatch.setattr(grid, "pull_messages", pulled)
    nodes.strategy().start(grid, num_rounds=shared.contract.last_round() + 1)
    assert len(partials) >= 6
    for packed in partials:
        for at in range(0, len(packed) - 24, len(packed) // 20):
            assert not any(packed[at : at + 24] in message for message in seen)


def test_a_holder_is_asked_with_enough_others_and_itself_alone(shared: SmallFederation) -> None:
    nodes = Nodes(shared)
    node, number = node_of(shared, 0), run_one(shared)

    def ask(fields: dict[str, bytes]) -> str:
        content = messages.instruction(shared.coordinator.party.context(number), reply=fields)
        reply = nodes.ask(node, f"query.{messages.OPEN_SUM}", content)
        why = messages.refused(reply)
        assert why is not None
        return why.kind

    assert ask({}) == "MalformedError"
    assert ask({"responders": b"\1"}) == "MalformedError"
    assert ask(messages.holders_question({}, [0], {})) == "RoundError"
    assert ask(messages.holders_question({}, [1, 2], {})) == "RoundError"
    assert ask(messages.holders_question({}, [0, 63], {})) == "RoundError"


def test_five_holders_name_one_false_piece(
    chain_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of 3 of 5 a piece has three holders: two of them find the third false."""

    class One(Cheat):
        shifted = staticmethod(lambda piece: piece == (0, 1))

    with federation_of(tmp_path, chain_url, 3, 5) as five:
        with replaced(five, monkeypatch, 3, One), caplog.at_level(logging.ERROR):
            number = run_one(five)
        assert five.contract.round(number).state.name == "FINALIZED"
    named = [record for record in caplog.records if "is left out" in record.message]
    assert len(named) == 1
    assert name(five, 3) in named[0].message


def test_a_key_of_several_needs_no_warning(
    shared: SmallFederation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Nodes(shared).strategy().summary()
    assert not [record for record in caplog.records if "single key holder" in record.message]
