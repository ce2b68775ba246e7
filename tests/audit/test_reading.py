"""A history is what the facade reads, and refuses to be half of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcai.attestation import signature_from_eip2537, verify_possession
from ddcai.audit.history import History
from ddcai.audit.verify import verify_at
from ddcai.chain.head import Head
from ddcai.chain.node.connection import connect, request
from ddcai.chain.records import RoundState
from ddcai.errors import ChainError, NotAFederation
from tests.audit.claimable import claimable_of
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation


def test_events_and_reads_agree(history: History, audited: SmallFederation) -> None:
    contract = audited.contract
    assert history.last_round == len(history.rounds) == 4
    for round_ in history.rounds:
        record = contract.round(round_.number)
        assert round_.state is record.state
        assert round_.base_model_digest == record.base_model_digest
        assert round_.submit_deadline == record.submit_deadline
        assert round_.finalize_deadline == record.finalize_deadline
        submitted = [(one.address, one.index, one.digest) for one in round_.commitments]
        assert submitted == [(one.address, one.index, one.digest) for one in record.submissions]
        assert [one.index for one in round_.sealed] == [one.index for one in record.sealed]
        if round_.sealing is not None:
            assert round_.sealing.sum_digest == record.sum_digest
    assert history.rules == contract.rules()
    assert history.sponsor == audited.coordinator.party.address
    words = Head(connect(audited.url), contract.head_address()).words()
    assert history.head_words == words


def test_members_have_their_keys_and_proofs(history: History, audited: SmallFederation) -> None:
    assert tuple(one.address for one in history.members) == audited.addresses
    for index, (member, name) in enumerate(zip(history.members, audited.names, strict=True)):
        assert member.index == index
        assert member.key == audited.contract.pubkey(index)
        settings = audited.trial.contributors[name]
        assert settings.keystore.lower().endswith(member.address[2:].lower())
        assert member.proof is not None
        proof = signature_from_eip2537(member.proof)
        pubkey = audited.contributors[index]._key.pubkey
        verify_possession(pubkey, proof)


def test_what_is_claimable_is_what_was_not_paid(history: History, audited: SmallFederation) -> None:
    north, _, east = audited.addresses
    found = claimable_of(connect(audited.url), history)
    assert set(found) == {(2, east), (3, north)}
    assert history.claimable_wei == sum(map(sum, found.values()))


def test_one_settling_transaction_is_shared_by_its_rounds(tmp_path: Path, chain_url: str) -> None:
    with make_federation(tmp_path / "federation", url=chain_url) as federation:
        for _ in range(2):
            federation.run_round(settle=False)
        (receipt,) = federation.contributors[0].settle()
        read = read_history(connect(chain_url), federation.deployment.federation)
    gas = [one.step.gas_used for round_ in read.rounds for one in round_.refunds]
    assert gas == [receipt.gas_used // 2] * 2


def test_a_member_that_left_keeps_its_past(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path / "federation", url=chain_url, registration_stake_wei=10**9
    ) as federation:
        federation.run_round()
        federation.contributors[1].party.federation.leave()
        read = read_history(connect(chain_url), federation.deployment.federation)
        assert [member.left is None for member in read.members] == [True, False, True]
        found = list(verify_at(chain_url, federation.deployment.federation, federation.store))
    assert all(claim.passed for claim in found)


def test_a_federation_without_rounds(tmp_path: Path, chain_url: str) -> None:
    with make_federation(tmp_path / "federation", url=chain_url) as federation:
        read = read_history(connect(chain_url), federation.deployment.federation)
        assert read.rounds == ()
        assert read.initial_model_digest == read.model_digest
        found = list(verify_at(chain_url, federation.deployment.federation, federation.store))
    assert all(claim.passed for claim in found)


def test_an_open_round_is_read(tmp_path: Path, chain_url: str) -> None:
    with make_federation(tmp_path / "federation", url=chain_url) as federation:
        record = federation.coordinator.open_round()
        federation.contribute(record, 1)
        read = read_history(connect(chain_url), federation.deployment.federation)
        assert [round_.state for round_ in read.rounds] == [RoundState.OPEN]
        found = list(verify_at(chain_url, federation.deployment.federation, federation.store))
    assert all(claim.passed for claim in found)


def test_the_deployments_block_is_early_enough(history: History, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    deployment = audited.deployment
    assert read_history(w3, deployment.federation, deployment.deployed_block) == history


def test_a_block_that_is_too_late_is_refused(history: History, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    after_joining = history.rounds[0].opened.block_number
    with pytest.raises(ChainError, match="earlier block"):
        read_history(w3, audited.deployment.federation, after_joining)
    within_a_round = history.rounds[1].opened.block_number + 1
    with pytest.raises(ChainError, match="earlier block"):
        read_history(w3, audited.deployment.federation, within_a_round)


def test_another_address_is_refused(audited: SmallFederation) -> None:
    for address in (audited.deployment.head, audited.addresses[0], "0x12"):
        with pytest.raises(NotAFederation):
            read_history(connect(audited.url), address)
    assert request(connect(audited.url), "eth_chainId", []) == hex(31337)
