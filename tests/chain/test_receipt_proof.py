"""Proofs of events on each kind of node, and what becomes of forged ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from ddcai.chain.events import Event, events
from ddcai.chain.node.connection import request
from ddcai.chain.receipt_proof import LogProof, prove_log
from ddcai.errors import ChainError, MalformedError, VerificationError
from tests.chain.support import CONTRIBUTORS, COORDINATOR, Scene, digest, faulty, reply, stage

RECEIPTS_ROOT = 5


@pytest.fixture(scope="module")
def told(node: Web3) -> Scene:
    """A federation with a finalised round."""
    scene = stage(node)
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS[:2])
    scene.by(COORDINATOR).seal_round(number, digest(), [0, 1])
    scene.by(COORDINATOR).finalize_round(number, **scene.result(number, (0, 1)))
    return scene


def all_events(scene: Scene) -> list[Event]:
    return events(scene.w3, scene.deployment.federation, scene.deployment.deployed_block)


def one_event(scene: Scene, name: str) -> Event:
    return next(event for event in all_events(scene) if event.name == name)


def test_every_event_is_proven(told: Scene) -> None:
    found = all_events(told)
    assert {"MemberRegistered", "UpdateSubmitted", "RoundFinalized"} <= {one.name for one in found}
    for event in found:
        log = prove_log(told.w3, event.tx_hash, event.log_index).log()
        block = request(told.w3, "eth_getBlockByNumber", [hex(event.block_number), False])
        assert "0x" + log.block_hash.hex() == block["hash"]
        assert (log.block_number, log.timestamp) == (event.block_number, event.timestamp)
        [own] = [
            one
            for one in request(
                told.w3, "eth_getLogs", [{"fromBlock": block["number"], "toBlock": block["number"]}]
            )
            if int(one["logIndex"], 16) == event.log_index
        ]
        assert log.address == told.deployment.federation
        assert ["0x" + topic.hex() for topic in log.topics] == own["topics"]
        assert "0x" + log.data.hex() == own["data"]


def test_an_event_that_is_not_there(told: Scene) -> None:
    event = one_event(told, "RoundSealed")
    with pytest.raises(ChainError, match="no event with index 77"):
        prove_log(told.w3, event.tx_hash, 77)
    with pytest.raises(ChainError, match="no receipt of"):
        prove_log(told.w3, "0x" + "11" * 32, 0)


def test_a_node_that_changes_a_receipt(told: Scene) -> None:
    event = one_event(told, "UpdateSubmitted")

    def lie(asked: dict[str, Any], forward: Any) -> Any:
        answer = forward()
        result = answer.get("result")
        if asked["method"] in ("eth_getBlockReceipts", "eth_getTransactionReceipt") and result:
            for receipt in result if isinstance(result, list) else [result]:
                receipt["logs"][-1]["topics"][-1] = "0x" + "22" * 32
        return answer

    with (
        faulty(told.w3.provider.endpoint_uri, lie) as w3,  # type: ignore[attr-defined]
        pytest.raises(ChainError, match="do not have the root"),
    ):
        prove_log(w3, event.tx_hash, event.log_index)


def test_a_node_without_block_receipts_that_lacks_one(told: Scene) -> None:
    event = one_event(told, "UpdateSubmitted")

    def forget(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_getBlockReceipts":
            return reply(asked, None)
        answer = forward()
        if asked["method"] == "eth_getBlockByNumber":
            answer["result"]["transactions"] = ["0x" + "11" * 32]
        return answer

    with (
        faulty(told.w3.provider.endpoint_uri, forget) as w3,  # type: ignore[attr-defined]
        pytest.raises(ChainError, match="all receipts"),
    ):
        prove_log(w3, event.tx_hash, event.log_index)


def test_many_transactions_of_several_types_in_a_block(node: Web3) -> None:
    """A legacy transaction, one of EIP-2930, and many of EIP-1559; anvil alone can hold them."""
    if not str(request(node, "web3_clientVersion", [])).startswith("anvil/"):
        pytest.skip("the embedded chain puts each transaction into a block of its own")
    scene = stage(node)
    federation, sender = scene.deployment.federation, CONTRIBUTORS[0].address
    number = scene.open()
    request(node, "evm_setAutomine", [False])
    try:
        for kind in ["0x0", "0x1", *["0x2"] * 30]:
            own = {"from": sender, "to": sender, "value": "0x1", "gas": "0x5208", "type": kind}
            price = "0x77359400"
            own |= (
                {"gasPrice": price}
                if kind != "0x2"
                else {"maxFeePerGas": price, "maxPriorityFeePerGas": "0x1"}
            )
            request(node, "eth_sendTransaction", [own])
        calls = [
            request(
                node,
                "eth_sendTransaction",
                [
                    {
                        "from": account.address,
                        "to": federation,
                        "value": hex(10**15 + 1),
                        "gas": "0x40000",
                        "data": "0x"
                        + keccak(text="submitUpdate(uint64,bytes32)")[:4].hex()
                        + number.to_bytes(32, "big").hex()
                        + digest().hex(),
                    }
                ],
            )
            for account in CONTRIBUTORS[:2]
        ]
        request(node, "evm_mine", [])
    finally:
        request(node, "evm_setAutomine", [True])
    found = [event for event in all_events(scene) if event.name == "UpdateSubmitted"]
    assert {event.tx_hash for event in found} == set(calls)
    assert len({event.block_number for event in found}) == 1
    for event in found:
        proof = prove_log(node, event.tx_hash, event.log_index)
        assert len(proof.nodes) > 1
        assert proof.log().topics[3] == event.args["updateDigest"]


# Forgeries.


@pytest.fixture(scope="module")
def proof(told: Scene) -> LogProof:
    event = one_event(told, "RoundFinalized")
    return prove_log(told.w3, event.tx_hash, event.log_index)


@given(data=st.data())
def test_a_flipped_bit_is_found_or_changes_the_block_s_hash(
    proof: LogProof, data: st.DataObject
) -> None:
    parts = [proof.header, *proof.nodes]
    number = data.draw(st.integers(0, len(parts) - 1))
    changed = bytearray(parts[number])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[number] = bytes(changed)
    forged = dataclasses.replace(proof, header=parts[0], nodes=tuple(parts[1:]))
    try:
        found = forged.log()
    except (MalformedError, VerificationError):
        return
    assert number == 0
    assert found.block_hash != proof.log().block_hash


def test_a_forged_receipt_needs_a_forged_header(proof: LogProof) -> None:
    """Whoever changes the event can make a header for it, of a block that no chain has."""
    honest = proof.log()
    raw = proof.nodes[-1].replace(honest.topics[-1], b"\x22" * 32)
    with pytest.raises(VerificationError, match="node 0"):
        dataclasses.replace(proof, nodes=(raw,)).log()
    fields = rlp.decode(proof.header)
    fields[RECEIPTS_ROOT] = keccak(raw)
    forged = dataclasses.replace(proof, nodes=(raw,), header=rlp.encode(fields)).log()
    assert forged.topics[-1] == b"\x22" * 32
    assert forged.block_hash != honest.block_hash


def forged_with(receipt: bytes) -> LogProof:
    """A proof whose header was made for these bytes."""
    node = rlp.encode([b"\x20\x80", receipt])
    fields = [b""] * 15
    fields[RECEIPTS_ROOT] = keccak(node)
    return LogProof(header=rlp.encode(fields), transaction_index=0, nodes=(node,), position=0)


BLOOM = bytes(256)
LOG: list[Any] = [bytes(20), [bytes(32)], b"data"]


def test_the_forgeries_below_are_well_made() -> None:
    for prefix in (b"", b"\x02"):
        log = forged_with(prefix + rlp.encode([b"\1", b"\1", BLOOM, [LOG]])).log()
        assert (log.address, log.topics, log.data) == ("0x" + "00" * 20, (bytes(32),), b"data")


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        ([b"", b"\1", BLOOM, [LOG]], "failed"),
        ([b"\2", b"\1", BLOOM, [LOG]], "failed"),
        ([b"\1", b"\0", BLOOM, [LOG]], "gas"),
        ([b"\1", b"\1", BLOOM[1:], [LOG]], "bloom"),
        ([b"\1", b"\1", BLOOM, b"logs"], "bloom"),
        ([b"\1", b"\1", BLOOM, []], "has 0 events"),
        ([b"\1", b"\1", BLOOM], "four fields"),
        ([b"\1", b"\1", BLOOM, [b"log"]], "three fields"),
        ([b"\1", b"\1", BLOOM, [[bytes(19), [], b""]]], "no contract"),
        ([b"\1", b"\1", BLOOM, [[bytes(20), [bytes(32)] * 5, b""]]], "four topics"),
        ([b"\1", b"\1", BLOOM, [[bytes(20), [bytes(31)], b""]]], "32 bytes"),
        ([b"\1", b"\1", BLOOM, [[bytes(20), [[b"", [b""]]], b""]]], "too deep"),
        ([b"\1", b"\1", BLOOM, [[bytes(20), [], [b""]]]], "without data"),
    ],
)
def test_refuses_receipts_that_are_none(receipt: Any, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        forged_with(rlp.encode(receipt)).log()


@pytest.mark.parametrize(
    "fields", [b"", [b""] * 14, [b""] * 65, [[b""]] * 15, [b"\0" * 32] * 15], ids=range(5)
)
def test_refuses_headers_that_are_none(proof: LogProof, fields: Any) -> None:
    with pytest.raises(MalformedError):
        dataclasses.replace(proof, header=rlp.encode(fields)).log()
