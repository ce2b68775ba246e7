from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain, dev_accounts
from ddcai.chain.transactions import Sender, ether
from ddcai.errors import (
    ChainError,
    ChainUnreachable,
    ContractReverted,
    InsufficientBalance,
    PolicyLimit,
    TransactionPending,
)
from ddcai.policy.counters import Counters, Purse
from tests.chain.support import (
    CONTRIBUTORS,
    COORDINATOR,
    STRANGER,
    Scene,
    digest,
    faulty,
    refusal,
    reply,
    stage,
)

# Deploys a contract whose only code is REVERT with no data, or that uses up all gas.
REVERTS = bytes.fromhex("6460006000fd6000526005601bf3")
INVALID = bytes.fromhex("60fe60005360016000f3")


def _nonce(w3: Web3, account: LocalAccount) -> int:
    return int(request(w3, "eth_getTransactionCount", [account.address, "latest"]), 16)


def _balance(w3: Web3, address: str) -> int:
    return int(request(w3, "eth_getBalance", [address, "latest"]), 16)


def test_send_pays_what_the_receipt_says(node: Web3) -> None:
    sender, target = Sender(node, STRANGER), Account.create().address
    before = _balance(node, STRANGER.address)
    receipt = sender.send(target, b"", 12345)
    assert _balance(node, target) == 12345
    assert _balance(node, STRANGER.address) == before - 12345 - receipt.cost_wei
    assert receipt.gas_used == 21_000
    found = request(node, "eth_getTransactionByHash", [receipt.tx_hash])
    assert int(found["blockNumber"], 16) == receipt.block_number
    assert int(found["type"], 16) == 2


def test_fee_above_the_cap_is_not_paid(w3: Web3) -> None:
    before = _nonce(w3, STRANGER)
    sender = Sender(w3, STRANGER, max_fee_per_gas_wei=10**6)
    with pytest.raises(ChainError, match=r"above the cap of 0\.001 gwei"):
        sender.send(STRANGER.address, b"", 1)
    assert _nonce(w3, STRANGER) == before


def test_fee_offered_never_exceeds_the_cap(w3: Web3) -> None:
    price = Sender(w3, STRANGER).gas_price()
    cap = price - 1
    receipt = Sender(w3, STRANGER, max_fee_per_gas_wei=cap).send(STRANGER.address, b"", 1)
    found = request(w3, "eth_getTransactionByHash", [receipt.tx_hash])
    assert int(found["maxFeePerGas"], 16) <= cap


@pytest.mark.parametrize(("funds_wei", "value_wei"), [(0, 0), (10**9, 10**18), (30_000, 1)])
def test_too_little_balance_is_said_in_ether_and_wei(
    node: Web3, funds_wei: int, value_wei: int
) -> None:
    poor = Account.create()
    if funds_wei:
        Sender(node, STRANGER).send(poor.address, b"", funds_wei)
    with pytest.raises(InsufficientBalance) as caught:
        Sender(node, poor).send(STRANGER.address, b"", value_wei)
    told = str(caught.value)
    assert poor.address in told
    assert f"has {ether(funds_wei)} ({funds_wei} wei)" in told
    assert "needs" in told
    assert ether(value_wei) in told
    assert _nonce(node, poor) == 0


@pytest.mark.parametrize(
    ("wei", "shown"),
    [
        (0, "0 ETH"),
        (1, "0.000000000000000001 ETH"),
        (15 * 10**17, "1.5 ETH"),
        (10**19, "10 ETH"),
        (-4 * 10**16, "-0.04 ETH"),
        (-(10**18), "-1 ETH"),
    ],
)
def test_ether_is_exact(wei: int, shown: str) -> None:
    assert ether(wei) == shown


def test_revert_without_a_reason(node: Web3) -> None:
    sender = Sender(node, STRANGER)
    address = sender.send(None, REVERTS).contract_address
    assert address is not None
    before = _nonce(node, STRANGER)
    with pytest.raises(ContractReverted, match="without giving a reason") as caught:
        sender.send(address, b"\1\2\3\4")
    assert caught.value.arguments == {"data": "0x"}
    assert _nonce(node, STRANGER) == before


def test_invalid_instruction_is_refused_before_sending(node: Web3) -> None:
    sender = Sender(node, STRANGER)
    address = sender.send(None, INVALID).contract_address
    before = _nonce(node, STRANGER)
    with pytest.raises(ChainError):
        sender.send(address, b"")
    assert _nonce(node, STRANGER) == before


# What the network does to a transaction.


def test_lost_answer_does_not_send_twice(chain: EmbeddedChain, w3: Web3) -> None:
    lost: list[str] = []

    def lose_first_answer(asked: dict[str, Any], forward: Any) -> Any:
        answer = forward()
        if asked["method"] == "eth_sendRawTransaction" and not lost:
            lost.append(answer["result"])
            return None
        return answer

    before, target = _nonce(w3, STRANGER), Account.create().address
    with faulty(chain.url, lose_first_answer) as through:
        receipt = Sender(through, STRANGER).send(target, b"", 7)
    assert receipt.tx_hash == lost[0]
    assert _balance(w3, target) == 7
    assert _nonce(w3, STRANGER) == before + 1


def test_lost_request_is_sent_again(chain: EmbeddedChain, w3: Web3) -> None:
    attempts: list[str] = []

    def lose_first_request(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_sendRawTransaction":
            attempts.append(asked["params"][0])
            if len(attempts) == 1:
                return None
        return forward()

    target = Account.create().address
    with faulty(chain.url, lose_first_request) as through:
        Sender(through, STRANGER).send(target, b"", 7)
    assert _balance(w3, target) == 7
    assert attempts[0] == attempts[1]  # the same bytes: only one of them can ever be mined


def test_node_that_dies_while_sending(chain: EmbeddedChain) -> None:
    def dead(asked: dict[str, Any], forward: Any) -> Any:
        return None if asked["method"] == "eth_sendRawTransaction" else forward()

    with (
        faulty(chain.url, dead) as through,
        pytest.raises(ChainUnreachable, match=r"Transaction 0x[0-9a-f]{64} may have been sent"),
    ):
        Sender(through, STRANGER).send(STRANGER.address, b"", 1)


@pytest.mark.parametrize("words", ["nonce too low", "replacement transaction underpriced"])
def test_nonce_taken_by_another_process(chain: EmbeddedChain, w3: Web3, words: str) -> None:
    stale: list[str] = []

    def lag(asked: dict[str, Any], forward: Any) -> Any:
        answer = forward()
        if asked["method"] == "eth_getTransactionCount" and not stale:
            stale.append(answer["result"])
            Sender(w3, STRANGER).send(STRANGER.address, b"", 0)  # the other process
            return answer
        if "error" in answer and "nonce too low" in answer["error"]["message"]:
            return refusal(asked, words)
        return answer

    target = Account.create().address
    with faulty(chain.url, lag) as through:
        Sender(through, STRANGER).send(target, b"", 9)
    assert _balance(w3, target) == 9
    assert _nonce(w3, STRANGER) == int(stale[0], 16) + 2


def test_transaction_replaced_in_the_pool_is_sent_anew(chain: EmbeddedChain, w3: Web3) -> None:
    swallowed: list[str] = []

    def swallow(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_sendRawTransaction" and not swallowed:
            swallowed.append(asked["params"][0])
            tx_hash = Web3.keccak(hexstr=asked["params"][0]).to_0x_hex()
            Sender(w3, STRANGER).send(STRANGER.address, b"", 0)  # wins the nonce
            return reply(asked, tx_hash)
        return forward()

    target = Account.create().address
    with faulty(chain.url, swallow) as through:
        receipt = Sender(through, STRANGER).send(target, b"", 11)
    assert _balance(w3, target) == 11
    assert receipt.tx_hash != Web3.keccak(hexstr=swallowed[0]).to_0x_hex()


def test_transaction_that_is_not_mined_in_time(chain: EmbeddedChain) -> None:
    sent: list[str] = []

    def swallow(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] != "eth_sendRawTransaction":
            return forward()
        sent.append(Web3.keccak(hexstr=asked["params"][0]).to_0x_hex())
        return reply(asked, sent[0])

    with faulty(chain.url, swallow) as through, pytest.raises(TransactionPending) as caught:
        Sender(through, STRANGER, timeout_s=0.3).send(STRANGER.address, b"", 1)
    assert sent[0] in str(caught.value)
    assert len(sent) == 1


def test_node_without_batches_and_without_a_tip_method(chain: EmbeddedChain, w3: Web3) -> None:
    def old(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_maxPriorityFeePerGas":
            return refusal(asked, "method not found", -32601)
        return forward()

    target = Account.create().address
    with faulty(chain.url, old) as through:
        Sender(through, STRANGER).send(target, b"", 3)
    assert _balance(w3, target) == 3


def test_refusal_for_another_reason_is_handed_on(chain: EmbeddedChain) -> None:
    def full(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_sendRawTransaction":
            return refusal(asked, "txpool is full")
        return forward()

    with faulty(chain.url, full) as through, pytest.raises(ChainError, match="txpool is full"):
        Sender(through, STRANGER).send(STRANGER.address, b"", 1)


def test_transaction_that_fails_once_mined(chain: EmbeddedChain) -> None:
    """The estimate passed, but another transaction came first: the reason is found again."""
    scene: Scene = stage(connect(chain.url))
    number = scene.open()

    def cancel_meanwhile(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_sendRawTransaction":
            scene.by(COORDINATOR).cancel_round(number)
        return forward()

    member = CONTRIBUTORS[0]
    with faulty(chain.url, cancel_meanwhile) as through:
        late = Scene(through, scene.deployment, scene.initial_model, scene.keys).by(member)
        with pytest.raises(ContractReverted) as caught:
            late.submit_update(number, digest())
    assert (caught.value.name, caught.value.arguments["state"]) == ("WrongState", 4)
    assert scene.by(None).update_digest(number, member.address) is None


# Several senders at once.


def _pay(url: str, index: int, target: str, times: int, wei: int) -> None:
    sender = Sender(connect(url), dev_accounts()[index])
    for _ in range(times):
        sender.send(target, b"", wei)


def test_threads_share_one_sender(w3: Web3) -> None:
    sender, target = Sender(w3, STRANGER), Account.create().address
    before = _nonce(w3, STRANGER)
    threads = [
        threading.Thread(target=lambda: [sender.send(target, b"", 1) for _ in range(3)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _balance(w3, target) == 12
    assert _nonce(w3, STRANGER) == before + 12


def test_processes_send_at_once(chain: EmbeddedChain, w3: Web3) -> None:
    """Three processes, two of them with the same account: nothing is lost, nothing doubled."""
    target = Account.create().address
    context = multiprocessing.get_context("spawn")
    jobs = [(5, 1), (5, 1), (6, 10_000)]
    before = _nonce(w3, dev_accounts()[5])
    processes = [
        context.Process(target=_pay, args=(chain.url, index, target, 4, wei)) for index, wei in jobs
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert _balance(w3, target) == 2 * 4 * 1 + 4 * 10_000
    assert _nonce(w3, dev_accounts()[5]) == before + 8


def test_a_purse_counts_what_was_really_paid_and_ends(node: Web3, tmp_path: Path) -> None:
    sender, target = Sender(node, STRANGER), Account.create().address
    counters = Counters(tmp_path / "policy.json")
    sender.purse = Purse(counters, 10**18)
    cost = sender.send(target, b"", 12345).cost_wei
    before = _nonce(node, STRANGER)
    rest = 10**18 - 12345 - cost
    counters.check_payment(rest, 10**18)
    with pytest.raises(PolicyLimit, match=f"with {12345 + cost} spent"):
        counters.check_payment(rest + 1, 10**18)
    with pytest.raises(PolicyLimit):  # for the gas
        sender.send(target, b"", rest)
    assert _nonce(node, STRANGER) == before
    assert _balance(node, target) == 12345
