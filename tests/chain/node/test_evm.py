from __future__ import annotations

import time
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from ddcai.chain.node.connection import RpcFailure, connect, request
from ddcai.chain.node.embedded import CHAIN_ID, DEV_BALANCE_WEI, EmbeddedChain, dev_accounts
from ddcai.chain.transactions import Sender
from tests.chain.support import CONTRIBUTORS, COORDINATOR, STRANGER, Scene, digest, stage

RICH, TARGET = dev_accounts()[8], dev_accounts()[7].address


def _raw(w3: Web3, **changes: Any) -> str:
    nonce = int(request(w3, "eth_getTransactionCount", [RICH.address, "latest"]), 16)
    transaction = {
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "to": TARGET,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 5 * 10**9,
        "maxPriorityFeePerGas": 10**9,
        "type": 2,
    }
    signed = RICH.sign_transaction({**transaction, **changes})
    return "0x" + bytes(signed.raw_transaction).hex()


def test_development_accounts_are_the_usual_ones(node: Web3) -> None:
    assert dev_accounts()[0].address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert request(node, "eth_accounts", [])
    for account in dev_accounts():
        balance = int(request(node, "eth_getBalance", [account.address, "latest"]), 16)
        # Other tests of this file spend and receive some.
        assert abs(balance - DEV_BALANCE_WEI) < DEV_BALANCE_WEI // 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chainId": 1}, "invalid chain id"),
        ({"nonce": 10_000}, "nonce too high"),
        ({"gas": 20_999}, "intrinsic gas too low"),
        ({"gas": 10**9}, "exceeds block gas limit"),
        ({"value": DEV_BALANCE_WEI}, "insufficient funds"),
        ({"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, "less than block base fee"),
    ],
)
def test_transactions_that_no_block_takes(w3: Web3, changes: dict[str, Any], words: str) -> None:
    height = request(w3, "eth_blockNumber", [])
    with pytest.raises(RpcFailure, match=words):
        request(w3, "eth_sendRawTransaction", [_raw(w3, **changes)])
    assert request(w3, "eth_blockNumber", []) == height


def test_transaction_sent_twice_is_known(w3: Web3) -> None:
    raw = _raw(w3)
    request(w3, "eth_sendRawTransaction", [raw])
    with pytest.raises(RpcFailure, match="already known"):
        request(w3, "eth_sendRawTransaction", [raw])
    other = _raw(w3, nonce=0, value=2)
    with pytest.raises(RpcFailure, match="nonce too low"):
        request(w3, "eth_sendRawTransaction", [other])


@pytest.mark.parametrize("kind", ["legacy", "access list", "dynamic fee"])
def test_kinds_of_transactions(w3: Web3, kind: str) -> None:
    nonce = int(request(w3, "eth_getTransactionCount", [RICH.address, "latest"]), 16)
    base = {"chainId": CHAIN_ID, "nonce": nonce, "to": TARGET, "value": 5, "gas": 30_000}
    fees: dict[str, Any] = {
        "legacy": {"gasPrice": 5 * 10**9},
        "access list": {
            "gasPrice": 5 * 10**9,
            "type": 1,
            "accessList": [{"address": TARGET, "storageKeys": ["0x" + "00" * 32]}],
        },
        "dynamic fee": {"maxFeePerGas": 5 * 10**9, "maxPriorityFeePerGas": 10**9, "type": 2},
    }[kind]
    signed = RICH.sign_transaction({**base, **fees})
    tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = w3.eth.get_transaction_receipt(tx_hash)
    found = w3.eth.get_transaction(tx_hash)
    assert receipt["status"] == 1
    assert receipt["type"] == found["type"] == fees.get("type", 0)
    assert found["value"] == 5
    assert found["gasPrice"] == receipt["effectiveGasPrice"]
    assert (found["r"], found["s"]) == (signed.r.to_bytes(32), signed.s.to_bytes(32))


def test_blocks_have_wall_clock_times_that_never_fall(w3: Web3) -> None:
    sender = Sender(w3, RICH)
    times = []
    for _ in range(5):
        number = sender.send(TARGET, b"", 1).block_number
        times.append(w3.eth.get_block(number)["timestamp"])
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 60  # not one second a block ahead


def test_time_moves_on_request(node: Web3) -> None:
    before = int(request(node, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
    request(node, "evm_increaseTime", [5_000])
    request(node, "evm_mine", [])
    after = int(request(node, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
    assert after >= before + 5_000


def test_calls_see_the_time_of_the_next_block() -> None:
    """An estimate must refuse what the block would: without a block in between."""
    with EmbeddedChain() as chain:
        w3 = connect(chain.url)
        scene = stage(w3)
        number = scene.open()
        request(w3, "evm_increaseTime", [100_000])
        scene.by(STRANGER).cancel_round(number)


def test_state_of_old_blocks(w3: Web3) -> None:
    fresh = Account.create().address
    number = Sender(w3, RICH).send(fresh, b"", 17).block_number
    assert w3.eth.get_balance(fresh, number - 1) == 0
    assert w3.eth.get_balance(fresh, number) == 17
    assert w3.eth.get_balance(fresh, "earliest") == 0
    by_hash = {"blockHash": w3.eth.get_block(number)["hash"].to_0x_hex()}
    assert int(request(w3, "eth_getBalance", [fresh, by_hash]), 16) == 17


def test_receipts_and_blocks_as_web3_reads_them(node: Web3) -> None:
    tx_hash = node.eth.send_raw_transaction(_raw(node))
    receipt = node.eth.wait_for_transaction_receipt(tx_hash)
    block = node.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert block["hash"] == receipt["blockHash"]
    assert block["transactions"][0]["hash"] == tx_hash
    assert block["gasUsed"] == receipt["gasUsed"] == 21_000
    parent = node.eth.get_block(receipt["blockNumber"] - 1)
    assert block["parentHash"] == parent["hash"]
    assert node.eth.get_block(block["hash"])["number"] == block["number"]
    assert request(node, "eth_getBlockByNumber", [hex(10**6), False]) is None
    assert request(node, "eth_getTransactionReceipt", ["0x" + "11" * 32]) is None


def test_fee_history(node: Web3) -> None:
    for _ in range(3):
        Sender(node, RICH).send(TARGET, b"", 1)
    history = node.eth.fee_history(2, "latest", [10, 90])
    latest = node.eth.get_block("latest")
    assert history["oldestBlock"] == latest["number"] - 1
    assert len(history["baseFeePerGas"]) == 3
    assert history["baseFeePerGas"][1] == latest["baseFeePerGas"]
    assert history["gasUsedRatio"][1] == latest["gasUsed"] / latest["gasLimit"]
    assert [len(one) for one in history["reward"]] == [2, 2]
    Sender(node, RICH).send(TARGET, b"", 1)
    assert node.eth.get_block("latest")["baseFeePerGas"] == history["baseFeePerGas"][2]


# Events, against a walk over all receipts.


@pytest.fixture(scope="module")
def busy(w3: Web3) -> Scene:
    first, second = stage(w3), stage(w3)
    for scene in (first, second):
        number = scene.open()
        scene.submit(number, *CONTRIBUTORS[:2])
        scene.by(COORDINATOR).seal_round(number, digest(), [0, 1])
    return first


def _walk(w3: Web3) -> list[dict[str, Any]]:
    found = []
    for number in range(w3.eth.block_number + 1):
        block = request(w3, "eth_getBlockByNumber", [hex(number), False])
        for tx_hash in block["transactions"]:
            found += request(w3, "eth_getTransactionReceipt", [tx_hash])["logs"]
    return found


def test_logs_are_those_of_a_walk_over_the_chain(busy: Scene) -> None:
    w3, everything = busy.w3, _walk(busy.w3)
    last = w3.eth.block_number
    one, other = busy.deployment.federation, busy.deployment.head
    kinds = sorted({log["topics"][0] for log in everything})
    people = [log["topics"][1] for log in everything if len(log["topics"]) > 1]

    def expected(**wanted: Any) -> list[dict[str, Any]]:
        return [log for log in everything if all(test(log) for test in wanted.values())]

    def found(**given: Any) -> list[dict[str, Any]]:
        span = {"fromBlock": "0x0", "toBlock": "latest"}
        return list(request(w3, "eth_getLogs", [{**span, **given}]))

    assert found() == everything
    assert found(address=one) == expected(a=lambda log: log["address"] == one)
    assert found(address=[other, one]) == expected(a=lambda log: log["address"] in (one, other))
    assert found(address=STRANGER.address) == []
    for kind in kinds:
        assert found(topics=[kind]) == expected(a=lambda log, k=kind: log["topics"][0] == k)
    assert found(topics=[kinds[:2]]) == expected(a=lambda log: log["topics"][0] in kinds[:2])
    assert found(topics=[None, people[0]]) == expected(
        a=lambda log: len(log["topics"]) > 1 and log["topics"][1] == people[0]
    )
    assert found(topics=[None, None, None, None]) == expected(a=lambda log: len(log["topics"]) == 4)
    for first in range(0, last + 1, 7):
        span = {"fromBlock": hex(first), "toBlock": hex(first + 6)}
        assert found(**span) == expected(
            a=lambda log, f=first: f <= int(log["blockNumber"], 16) <= f + 6
        )
    assert found(fromBlock=hex(last + 5), toBlock=hex(last + 9)) == []
    block = request(w3, "eth_getBlockByNumber", [everything[0]["blockNumber"], False])
    by_hash = request(w3, "eth_getLogs", [{"blockHash": block["hash"]}])
    assert by_hash == expected(a=lambda log: log["blockHash"] == block["hash"])


def test_gas_is_that_of_anvil(node: Web3) -> None:
    """A fixed call costs the same on each node: the embedded chain bends no rule of Prague."""
    creation = bytes.fromhex("6460006000fd6000526005601bf3")  # returns five bytes of code
    call_data = 16 * 11 + 4 * 3
    execution = 4 * 3 + 6  # four pushes, and a store that takes a word of memory
    expected = 21_000 + 32_000 + call_data + 2 + execution + 5 * 200
    assert Sender(node, RICH).send(None, creation).gas_used == expected


def test_unknown_method_is_named(w3: Web3) -> None:
    with pytest.raises(RpcFailure, match="eth_getProof is not available"):
        request(w3, "eth_getProof", [])
