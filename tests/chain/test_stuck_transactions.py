"""Transactions that are not mined for a while: replaced under the cap, and never done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.transactions import GWEI, Sender
from ddcai.errors import TransactionPending
from ddcai.policy.counters import Counters, Purse

pytestmark = pytest.mark.skipif(
    find_anvil() is None, reason="the embedded chain mines each transaction at once"
)


@pytest.fixture(scope="module")
def anvil() -> Iterator[str]:
    with ManagedAnvil() as chain:
        yield chain.url


@pytest.fixture
def w3(anvil: str) -> Iterator[Web3]:
    """A chain that mines when it is told to."""
    w3 = connect(anvil)
    request(w3, "evm_setAutomine", [False])
    yield w3
    request(w3, "evm_setAutomine", [True])
    _dear(w3, GWEI)


@pytest.fixture
def rich(w3: Web3) -> LocalAccount:
    account: LocalAccount = Account.create()
    request(w3, "anvil_setBalance", [account.address, hex(10**18)])
    return account


def _nonce(w3: Web3, address: str, at: str) -> int:
    return int(request(w3, "eth_getTransactionCount", [address, at]), 16)


def _balance(w3: Web3, address: str) -> int:
    return int(request(w3, "eth_getBalance", [address, "latest"]), 16)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _dear(w3: Web3, wei: int) -> None:
    """From the next block on; each empty one is an eighth cheaper."""
    request(w3, "anvil_setNextBlockBaseFeePerGas", [hex(wei)])
    request(w3, "evm_mine", [])


def test_a_stuck_transaction_is_replaced_under_the_cap(
    w3: Web3, rich: LocalAccount, tmp_path: Path
) -> None:
    target, cap = Account.create().address, 2000 * GWEI
    sender = Sender(w3, rich, max_fee_per_gas_wei=cap, reprice_s=0.2)
    counters = Counters(tmp_path / "counters.json", lambda: datetime(2030, 1, 1, tzinfo=UTC))
    sender.purse = Purse(counters, 10**18)
    receipts = []
    thread = threading.Thread(target=lambda: receipts.append(sender.send(target, b"", 5)))
    thread.start()
    _until(lambda: _nonce(w3, rich.address, "pending") == 1)
    _dear(w3, 500 * GWEI)
    while thread.is_alive():
        request(w3, "evm_mine", [])
        thread.join(timeout=0.2)
    (receipt,) = receipts
    found = request(w3, "eth_getTransactionByHash", [receipt.tx_hash])
    assert 300 * GWEI < int(found["maxFeePerGas"], 16) <= cap
    assert (_balance(w3, target), _nonce(w3, rich.address, "latest")) == (5, 1)
    # Of all that was set aside, what it did cost is counted.
    counters.check_payment(10**18 - receipt.cost_wei - 5, 10**18)
    with pytest.raises(Exception, match="max_spend_wei_per_day"):
        counters.check_payment(10**18 - receipt.cost_wei - 4, 10**18)


@pytest.mark.parametrize("limit", ["cap", "purse"])
def test_nothing_is_offered_above_cap_or_purse(
    w3: Web3, rich: LocalAccount, tmp_path: Path, limit: str
) -> None:
    fee = 2 * int(request(w3, "eth_getBlockByNumber", ["latest", False])["baseFeePerGas"], 16)
    fee += int(request(w3, "eth_maxPriorityFeePerGas", []), 16)
    cap = fee if limit == "cap" else 10 * fee
    sender = Sender(w3, rich, max_fee_per_gas_wei=cap, reprice_s=0.05, timeout_s=1)
    if limit == "purse":
        sender.purse = Purse(Counters(tmp_path / "counters.json"), 27_000 * fee)
    with pytest.raises(TransactionPending, match="gwei of at most") as caught:
        sender.send(rich.address, b"", 0)
    pool = request(w3, "txpool_content", [])["pending"]
    ((pending,),) = (
        list(pool[one].values()) for one in pool if one.lower() == rich.address.lower()
    )
    assert pending["hash"] in str(caught.value)
    assert int(pending["maxFeePerGas"], 16) <= fee


def test_what_a_dead_process_sent_is_waited_for(w3: Web3, rich: LocalAccount) -> None:
    with pytest.raises(TransactionPending):
        Sender(w3, rich, timeout_s=0).send(rich.address, b"", 0)
    again = Sender(w3, rich, timeout_s=0.2)
    with pytest.raises(TransactionPending, match="transaction number 0"):
        again.wait_for_pending()
    again.timeout_s = 20
    thread = threading.Thread(target=again.wait_for_pending)
    thread.start()
    request(w3, "evm_mine", [])
    thread.join(timeout=20)
    assert not thread.is_alive()
    again.wait_for_pending()  # at once
