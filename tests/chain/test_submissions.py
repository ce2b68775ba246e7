"""What one call reads of a round is what the contract says, member by member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from ddcai.chain import submissions
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import Submission
from ddcai.chain.submissions import read_submissions
from ddcai.errors import ChainError, ContractReverted
from tests.chain.support import CONTRIBUTORS, Scene, faulty


@pytest.fixture(scope="module")
def number(scene: Scene) -> int:
    """A round to which the second member brought nothing."""
    opened = scene.open()
    scene.submit(opened, *(CONTRIBUTORS[i] for i in (0, 2, 3)))
    return opened


@pytest.mark.parametrize("at_once", [1, 3, 383])
def test_all_updates_in_the_order_of_members(
    scene: Scene, number: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "AT_ONCE", at_once)
    federation = scene.by(None)
    expected = tuple(
        Submission(address=CONTRIBUTORS[i].address, index=i, digest=digest)
        for i in (0, 2, 3)
        if (digest := federation.update_digest(number, CONTRIBUTORS[i].address))
    )
    assert len(expected) == 3
    assert read_submissions(scene.w3, federation.address, number, 4) == expected
    assert federation.round(number).submissions == expected
    assert read_submissions(scene.w3, federation.address, number, 2) == expected[:1]
    assert read_submissions(scene.w3, federation.address, number + 1, 4) == ()


def test_as_many_as_a_node_takes_fit_one_call() -> None:
    """24,576 bytes (EIP-170): one member more does not fit."""
    assert 32 * (1 + 2 * submissions.AT_ONCE) <= 24_576 < 32 * (3 + 2 * submissions.AT_ONCE)


def test_a_member_that_is_not_there(scene: Scene, number: int) -> None:
    with pytest.raises(ContractReverted):
        read_submissions(scene.w3, scene.deployment.federation, number, 5)


@pytest.mark.parametrize(
    "change",
    [
        lambda result: "0x",
        lambda result: result[:-2],
        lambda result: result + "00",
    ],
)
def test_a_node_that_answers_something_else(
    scene: Scene, number: int, chain: EmbeddedChain, change: Callable[[str], str]
) -> None:
    def fault(asked: dict[str, Any], ask: Callable[[], Any]) -> Any:
        answer = ask()
        if asked["method"] == "eth_call" and "to" not in asked["params"][0]:
            answer["result"] = change(answer["result"])
        return answer

    with faulty(chain.url, fault) as w3, pytest.raises(ChainError, match="use another node"):
        read_submissions(w3, scene.deployment.federation, number, 4)


def test_a_thousand_members_are_read_in_three_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def count(w3: Web3, requests: list[Any]) -> list[str]:
        asked.extend(requests)
        return ["0x" + "11" * 32 * (1 + 2 * n) for n in (383, 383, 234)]

    monkeypatch.setattr(submissions, "request_many", count)
    found = read_submissions(Web3(), Account.create().address, 1, 1000)
    assert len(asked) == 3
    assert [one.index for one in found] == list(range(1000))
