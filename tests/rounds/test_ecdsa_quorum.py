"""Whole rounds of a federation whose members attest with their accounts; and packed keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Status
from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect
from ddcai.chain.quorum import Quorum
from ddcai.chain.records import RoundState
from ddcai.errors import ContractReverted, MalformedError, PolicyError, VerificationError
from ddcai.quorum import EcdsaKey, EcdsaScheme
from ddcai.rounds.contributor import Contributor
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation


@pytest.fixture(scope="module")
def ecdsa(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """Three contributors without a BLS key, one finished round; tests leave none open."""
    folder = tmp_path_factory.mktemp("ecdsa")
    with make_federation(folder, url=chain_url, quorum_scheme="ecdsa") as made:
        assert made.run_round(unsigned=[1]).state is RoundState.FINALIZED
        yield made


def _failed(federation: SmallFederation, **changes: object) -> set[str]:
    """Names of the claims that fail, with the first round's finalisation changed."""
    history = read_history(connect(federation.url), federation.contract.address)
    first, *others = history.rounds
    assert first.finalisation is not None
    final = dataclasses.replace(first.finalisation, **changes)  # type: ignore[arg-type]
    changed = dataclasses.replace(first, finalisation=final)
    history = dataclasses.replace(history, rounds=(changed, *others))
    found = list(verify(history, federation.store))
    assert {one.name for one in found} >= {claims.QUORUM, claims.POSSESSION}
    return {one.name for one in found if one.status is not Status.PASS}


def test_members_attest_with_their_accounts(ecdsa: SmallFederation) -> None:
    assert ecdsa.contract.quorum_scheme() == "ecdsa"
    for index, contributor in enumerate(ecdsa.contributors):
        assert ecdsa.contract.pubkey(index).hex() == contributor.party.address[2:].lower()
    assert not any(settings.bls_key for settings in ecdsa.trial.contributors.values())


def test_the_audit_passes_and_catches_forged_signatures(ecdsa: SmallFederation) -> None:
    assert _failed(ecdsa) == set()
    history = read_history(connect(ecdsa.url), ecdsa.contract.address)
    final = history.rounds[0].finalisation
    assert final is not None
    assert final.signers == (0, 2)
    assert len(final.signature) == 2 * 65
    first, second = final.signature[:65], final.signature[65:]
    for forged in (second + first, first + first, first, bytes(130), final.signature + first):
        assert _failed(ecdsa, signature=forged) == {claims.QUORUM}
    assert _failed(ecdsa, signers=(0, 1)) == {claims.QUORUM}
    assert _failed(ecdsa, signers=(0, 1, 2)) == {claims.QUORUM}


def test_a_proof_that_was_not_the_members_is_caught(ecdsa: SmallFederation) -> None:
    history = read_history(connect(ecdsa.url), ecdsa.contract.address)
    first, second, *others = history.members
    changed = dataclasses.replace(first, proof=second.proof)
    history = dataclasses.replace(history, members=(changed, second, *others))
    failed = [one for one in verify(history, ecdsa.store) if one.status is not Status.PASS]
    assert [(one.name, one.subject) for one in failed] == [(claims.POSSESSION, first.address)]


def test_the_contract_refuses_forged_signatures(ecdsa: SmallFederation) -> None:
    record = ecdsa.coordinator.open_round()
    blobs = {index: ecdsa.contribute(record, index).blob for index in range(3)}
    record = ecdsa.seal(record, blobs)
    opening = ecdsa.opener.open(record.number)
    result = ecdsa.coordinator.result(record, opening)
    signatures = {
        index: contributor.attest(record.number, opening.blob, opening.signature)
        for index, contributor in enumerate(ecdsa.contributors)
    }
    for item in record.sealed:
        ecdsa.coordinator.check_signature(record, opening, result, item, signatures[item.index])
        other = signatures[(item.index + 1) % 3]
        with pytest.raises((VerificationError, MalformedError)):
            ecdsa.coordinator.check_signature(record, opening, result, item, other)
    swapped = {0: signatures[1], 1: signatures[0], 2: signatures[2]}
    with pytest.raises(ContractReverted) as caught:
        ecdsa.coordinator.finalize(record, opening, result, swapped)
    assert caught.value.name == "InvalidQuorumSignature"
    assert ecdsa.contract.round(record.number).state is RoundState.SEALED
    ecdsa.coordinator.finalize(record, opening, result, signatures)
    assert ecdsa.contract.round(record.number).state is RoundState.FINALIZED


def test_another_account_than_the_registered_one_does_not_train(ecdsa: SmallFederation) -> None:
    record = ecdsa.coordinator.open_round()
    first, second = (contributor.party for contributor in ecdsa.contributors[:2])
    assert second.account is not None
    assert isinstance(first.scheme, EcdsaScheme)
    other = Contributor(first, EcdsaKey(second.account, first.scheme), ecdsa.trial.folder)
    with pytest.raises(PolicyError, match="another attestation key"):
        other.check_round(record.number, ecdsa.coordinator.current_model())
    ecdsa.coordinator.cancel(record)


@pytest.mark.parametrize("scheme", ["bls", "ecdsa"])
def test_rounds_go_on_with_packed_keys(
    tmp_path_factory: pytest.TempPathFactory, chain_url: str, scheme: str
) -> None:
    folder = tmp_path_factory.mktemp(f"packed-{scheme}")
    with make_federation(folder, url=chain_url, quorum_scheme=scheme) as made:
        quorum = made.coordinator.party.federation.quorum()
        assert quorum.unpacked() == {0: 3}
        quorum.pack(0)
        assert quorum.unpacked() == {}
        with pytest.raises(ContractReverted) as caught:
            quorum.pack(0)
        assert caught.value.name == "NothingToPack"
        assert caught.value.arguments == {"page": 0, "keys": 3}
        reader = Quorum(connect(made.url), quorum.address)
        assert reader.scheme() == scheme
        for index, contributor in enumerate(made.contributors):
            assert reader.key(index) == made.contract.pubkey(index)
            assert contributor.party.scheme.name == scheme
        assert made.run_round(unsigned=[0]).state is RoundState.FINALIZED
        assert _failed(made) == set()


HARDFORKS = ["cancun"] if find_anvil() is not None else []


@pytest.mark.parametrize(
    "hardfork", HARDFORKS or [None], ids=HARDFORKS or ["anvil is not installed"]
)
def test_a_chain_before_prague_has_rounds(
    tmp_path_factory: pytest.TempPathFactory, hardfork: str | None
) -> None:
    if hardfork is None:
        assert find_anvil() is None
        return
    folder = tmp_path_factory.mktemp("cancun")
    with (
        ManagedAnvil(hardfork=hardfork) as anvil,
        make_federation(folder, url=anvil.url, quorum_scheme="ecdsa") as made,
    ):
        made.coordinator.party.federation.quorum().pack(0)
        assert made.run_round().state is RoundState.FINALIZED
        assert _failed(made) == set()
