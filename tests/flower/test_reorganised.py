"""A chain that takes back its last five blocks in the middle of a round."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from flwr.app import Message

from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.errors import ContractReverted, DdcaiError
from ddcai.flower import InProcessGrid, messages
from tests.audit.node_reading import read_history
from tests.federation import make_federation

from .support import Nodes

BLOCKS = 5


@pytest.mark.skipif(find_anvil() is None, reason="the embedded chain takes nothing back")
@pytest.mark.parametrize("asked", ["train", f"query.{messages.OPEN_SUM}", "query.attest"])
def test_a_round_goes_on_or_is_done_again(tmp_path: Path, asked: str) -> None:
    """Each transaction in them is lost: of opening, updates, sealing."""
    with make_federation(tmp_path) as made:
        w3 = connect(made.url)
        request(w3, "anvil_mine", [hex(BLOCKS)])

        class Reorganises(InProcessGrid):
            done = False

            def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
                sent = list(messages)
                if sent[0].metadata.message_type == asked and not self.done:
                    self.done = True
                    request(w3, "anvil_reorg", [BLOCKS, []])
                return super().push_messages(sent)

        grid, starts = Reorganises(Nodes(made).members), 0
        while not grid.done or made.contract.round(1).state is not RoundState.FINALIZED:
            starts += 1
            assert starts == 1
            try:
                Nodes(made).strategy().start(grid, num_rounds=1)
            except DdcaiError as error:
                print(type(error), error)
        assert grid.done
        assert {one.address for one in made.contract.round(1).sealed} == set(made.addresses)
        assert made.contract.balance() == 0
        claims = list(verify(read_history(w3, made.deployment.federation), made.store))
        assert [claim for claim in claims if not claim.passed] == []


@pytest.mark.parametrize("times", [3, 99])
def test_a_transaction_that_comes_too_late_or_too_early_ends_no_run(
    tmp_path: Path, chain_url: str, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The endpoint showed another state than the one that the contract has; not for ever."""
    with make_federation(tmp_path, url=chain_url) as made:
        strategy = Nodes(made).strategy()
        opens, refused = made.coordinator.open_round, [0]

        def open_round() -> RoundRecord:
            if refused[0] < times:
                refused[0] += 1
                raise ContractReverted("WrongState", {"round": 0, "state": 2}, "refused")
            return opens()

        monkeypatch.setattr(made.coordinator, "open_round", open_round)
        if times == 99:
            with pytest.raises(ContractReverted):
                strategy.start(Nodes(made).grid(), num_rounds=1)
            assert refused[0] < 99
        else:
            strategy.start(Nodes(made).grid(), num_rounds=1)
            assert made.contract.round(1).state is RoundState.FINALIZED
