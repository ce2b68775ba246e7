from __future__ import annotations

from typing import Any

import pytest
from web3 import Web3

from ddcai.chain.events import events
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import bitmap_indices
from tests.chain.support import (
    CONTRIBUTORS,
    COORDINATOR,
    Scene,
    digest,
    faulty,
    refusal,
    stage,
)


@pytest.fixture(scope="module")
def told(w3: Web3) -> Scene:
    """A federation with a sealed round, and another one beside it."""
    scene = stage(w3)
    stage(w3)
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS[:2])
    scene.by(COORDINATOR).seal_round(number, digest(), [0, 1])
    return scene


def test_arguments_places_and_times(told: Scene) -> None:
    address = told.deployment.federation
    found = events(told.w3, address, told.deployment.deployed_block)
    places = [(event.block_number, event.log_index) for event in found]
    assert places == sorted(places)
    record = told.by(None).round(1)
    submitted = [event for event in found if event.name == "UpdateSubmitted"]
    assert [(event.args["contributor"], event.args["updateDigest"]) for event in submitted] == [
        (one.address, one.digest) for one in record.submissions
    ]
    sealed = next(event for event in found if event.name == "RoundSealed")
    assert sealed.args["sumDigest"] == record.sum_digest
    assert bitmap_indices(sealed.args["members"]) == (0, 1)
    for event in (found[0], sealed):
        block = request(told.w3, "eth_getBlockByNumber", [hex(event.block_number), False])
        assert event.timestamp == int(block["timestamp"], 16)
        assert event.tx_hash in block["transactions"]


def test_range_of_blocks(told: Scene) -> None:
    found = events(told.w3, told.deployment.federation)
    middle = found[len(found) // 2].block_number
    before = events(told.w3, told.deployment.federation, 0, middle - 1)
    after = events(told.w3, told.deployment.federation, middle)
    assert before + after == found
    assert events(told.w3, told.deployment.federation, 10**9) == []


def test_endpoint_with_a_limit_and_without_times_in_logs(chain: EmbeddedChain, told: Scene) -> None:
    def limited(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] != "eth_getLogs":
            return forward()
        span = asked["params"][0]
        if int(span["toBlock"], 16) - int(span["fromBlock"], 16) >= 5:
            return refusal(asked, "query exceeds max block range 5", -32005)
        answer = forward()
        for log in answer["result"]:
            del log["blockTimestamp"]
        return answer

    expected = events(told.w3, told.deployment.federation)
    with faulty(chain.url, limited) as through:
        assert events(through, told.deployment.federation) == expected


def test_endpoint_that_refuses_every_log(chain: EmbeddedChain, told: Scene) -> None:
    def closed(asked: dict[str, Any], forward: Any) -> Any:
        return refusal(asked, "no logs here") if asked["method"] == "eth_getLogs" else forward()

    with (
        faulty(chain.url, closed) as through,
        pytest.raises(RpcFailure, match="no logs here"),
    ):
        events(through, told.deployment.federation)
