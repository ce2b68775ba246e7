"""The chain's endpoint goes away, or is behind, in the middle of a round."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message

from ddcai.chain.node.connection import connect, request
from ddcai.chain.records import RoundState
from ddcai.errors import ChainUnreachable
from ddcai.flower import EncryptedFedAvg, InProcessGrid
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from tests.chain.support import faulty
from tests.endpoint import AWAY, BEHIND, Endpoint
from tests.federation import make_federation

from .support import Nodes

TROUBLE_S = 3.0


@pytest.mark.parametrize(
    ("asked", "trouble"),
    [
        ("train", AWAY),
        ("query.open_sum", AWAY),
        ("query.attest", AWAY),
        ("train", BEHIND),
        ("query.open_sum", BEHIND),
    ],
)
def test_a_round_waits_for_it(tmp_path: Path, chain_url: str, asked: str, trouble: str) -> None:
    """For nodes and coordinator, whose transactions are sent once."""
    endpoint, mended = Endpoint(chain_url), threading.Timer(TROUBLE_S, lambda: None)

    def mend() -> None:
        endpoint.trouble = None

    class Troubled(InProcessGrid):
        def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
            nonlocal mended
            sent = list(messages)
            if sent[0].metadata.message_type == asked and not endpoint.troubled:
                endpoint.trouble = trouble
                mended = threading.Timer(TROUBLE_S, mend)
                mended.start()
            return super().push_messages(sent)

    with make_federation(tmp_path, url=chain_url) as made, endpoint.serving():
        url = endpoint.url
        nodes = Nodes(made, settings={index: {"rpc-url": url} for index in range(3)})
        settings = replace(made.trial.coordinator, rpc_url=url)
        coordinator = Coordinator(Party.connect(settings, patience_s=60))
        EncryptedFedAvg(coordinator, join_timeout_s=2).start(Troubled(nodes.members), num_rounds=1)
        mended.join()
        record = made.contract.round(1)
        assert record.state is RoundState.FINALIZED
        assert len(record.sealed) == 3
        assert made.contract.last_round() == 1
        assert endpoint.troubled > 1


def test_a_command_that_somebody_waits_for_fails_at_once(chain_url: str) -> None:
    gone = [False]

    def fault(asked_: dict[str, Any], forward: Any) -> Any:
        return None if gone[0] else forward()

    with faulty(chain_url, fault) as through:
        w3 = connect(str(through.provider.endpoint_uri))  # type: ignore[attr-defined]
        gone[0] = True
        with pytest.raises(ChainUnreachable):
            request(w3, "eth_blockNumber", [])
