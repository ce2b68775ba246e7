"""A contributor's checks: what is wrong costs nothing, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddcai import attestation
from ddcai.attestation import BlsSecretKey
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.records import RoundState
from ddcai.chain.transactions import Sender
from ddcai.errors import (
    AttestationRefused,
    ContractReverted,
    DataError,
    DdcaiError,
    InsufficientBalance,
    MalformedError,
    NotSealed,
    PolicyError,
    RoundError,
)
from ddcai.models import state
from ddcai.models.state import State
from ddcai.rounds.contributor import SUBMIT_GAS, Contributor
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.party import Party
from ddcai.store import Store
from tests.federation import SmallFederation, make_federation


def changed(model: State, **arrays: np.ndarray) -> State:  # type: ignore[type-arg]
    return model | arrays


def opened(federation: SmallFederation):  # type: ignore[no-untyped-def]
    """An open round, its base model, and the first contributor."""
    record = federation.coordinator.open_round()
    return (
        record,
        federation.coordinator.party.model(record.base_model_digest),
        (federation.contributors[0]),
    )


def test_a_round_that_the_chain_does_not_know_is_not_trained_for(
    federation: SmallFederation,
) -> None:
    record, base, contributor = opened(federation)
    assert contributor.check_round(record.number, base).number == record.number
    with pytest.raises(PolicyError, match="NONE"):
        contributor.check_round(record.number + 1, base)
    false = {name: array + np.float32(1e-3) for name, array in base.items()}
    with pytest.raises(PolicyError, match="coordinator sent another"):
        contributor.check_round(record.number, false)
    federation.coordinator.cancel(record)
    with pytest.raises(PolicyError, match="CANCELLED"):
        contributor.check_round(record.number, base)


def test_another_attestation_key_than_the_registered_one_is_noticed_before_training(
    federation: SmallFederation, tmp_path: Path
) -> None:
    record, base, contributor = opened(federation)
    other = Contributor(contributor.party, BlsSecretKey.generate(), tmp_path)
    with pytest.raises(PolicyError, match="another attestation key"):
        other.check_round(record.number, base)


def test_an_account_that_never_joined_does_not_train(
    federation: SmallFederation, tmp_path: Path
) -> None:
    record, base, _ = opened(federation)
    stranger = Contributor(federation.coordinator.party, BlsSecretKey.generate(), tmp_path)
    with pytest.raises(PolicyError, match="no member"):
        stranger.check_round(record.number, base)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m | {"head.weight": m["head.weight"] * np.float32("nan")}, "NaN or infinite"),
        (lambda m: m | {"head.bias": m["head.bias"] + np.float32("inf")}, "NaN or infinite"),
        (lambda m: m | {"head.bias": m["head.bias"].astype(np.float64)}, "same names"),
        (lambda m: m | {"head.bias": np.zeros(3, np.float32)}, "same names"),
        (lambda m: m | {"more": np.zeros(3, np.float32)}, "same names"),
        (lambda m: dict(list(m.items())[:-1]), "same names"),
        (lambda m: dict(reversed(m.items())), "same names"),
        (lambda m: {}, "same names"),
        (lambda m: {n: a + np.float32(9) for n, a in m.items()}, "value_range"),
    ],
)
def test_a_spoilt_model_is_refused_and_costs_nothing(
    federation: SmallFederation,
    spoil,
    message: str,  # type: ignore[no-untyped-def]
) -> None:
    record, base, contributor = opened(federation)
    balance = federation.contract.balance(contributor.party.address)
    blobs = sorted(Path(contributor.party.store.url).iterdir())
    with pytest.raises((DataError, RoundError), match=message):
        contributor.protect(record, base, spoil(federation.train(record, 0)), 10)
    assert federation.contract.balance(contributor.party.address) == balance
    assert federation.contract.round(record.number).submissions == ()
    assert sorted(Path(contributor.party.store.url).iterdir()) == blobs
    assert contributor.known_update(record) is None


@pytest.mark.parametrize("count", [0, -1, True, 1.5, float("nan")])
def test_a_wrong_number_of_examples_is_refused(federation: SmallFederation, count: object) -> None:
    record, base, contributor = opened(federation)
    with pytest.raises(DdcaiError, match="num_examples"):
        contributor.protect(record, base, federation.train(record, 0), count)  # type: ignore[arg-type]
    assert contributor.known_update(record) is None


def test_asked_twice_a_contributor_sends_the_same_bytes_and_one_transaction(
    federation: SmallFederation,
) -> None:
    record, base, contributor = opened(federation)
    trained = federation.train(record, 0)
    first = contributor.protect(record, base, trained, 10)
    again = contributor.protect(record, base, changed(trained), 11)
    assert (again.blob, again.digest) == (first.blob, first.digest)
    assert contributor.submit(record, first) is not None
    paid = federation.contract.balance(contributor.party.address)
    assert contributor.submit(record, again) is None
    assert federation.contract.balance(contributor.party.address) == paid
    assert contributor.party.store.get(first.digest) == first.blob


def test_two_processes_that_race_end_up_with_one_update(federation: SmallFederation) -> None:
    record, base, contributor = opened(federation)
    twin = Contributor(contributor.party, contributor._key, contributor.folder)
    trained = federation.train(record, 0)
    # The twin finishes between the other's look for a known update and its writing.
    contributor.known_update = lambda _: None  # type: ignore[method-assign]
    theirs = twin.protect(record, base, trained, 10)
    ours = contributor.protect(record, base, trained, 10)
    del contributor.known_update  # type: ignore[method-assign]
    assert ours.digest == theirs.digest
    assert not [path for path in contributor.folder.iterdir() if path.name.startswith(".")]


def test_two_clients_with_one_account_are_told(federation: SmallFederation, tmp_path: Path) -> None:
    record, base, contributor = opened(federation)
    update = contributor.protect(record, base, federation.train(record, 0), 10)
    contributor.submit(record, update)
    second = Contributor(contributor.party, contributor._key, tmp_path)
    other = second.protect(record, base, federation.train(record, 1), 10)
    with pytest.raises(PolicyError, match="must not share one account"):
        second.submit(record, other)


def test_too_little_money_is_said_before_training(federation: SmallFederation) -> None:
    record, base, contributor = opened(federation)
    sender = contributor.party.federation.sender
    assert sender is not None
    bank = dev_accounts()[0]
    price = sender.gas_price()
    # Enough for the deposit and some gas, but not for all of it.
    left = federation.contract.rules().deposit_wei + SUBMIT_GAS * price // 4
    have = federation.contract.balance(sender.address)
    sender.send(bank.address, b"", have - left - 21_000 * price * 5 // 4)
    try:
        with pytest.raises(InsufficientBalance, match="Send ether"):
            contributor.check_round(record.number, base)
    finally:
        Sender(connect(federation.url), bank).send(sender.address, b"", 10**17)
    assert federation.contract.round(record.number).submissions == ()
    contributor.check_round(record.number, base)


def test_a_store_that_is_full_does_not_cost_the_deposit(
    federation: SmallFederation, tmp_path: Path
) -> None:
    record, base, contributor = opened(federation)
    party = contributor.party
    cramped = Party(
        party.federation, party.config, Store(party.store.url, max_blob_bytes=10_000), party.account
    )
    cramped._keys[party.encryption_key_digest()] = party.encryption_key()
    alone = Contributor(cramped, contributor._key, tmp_path)
    update = alone.protect(record, base, federation.train(record, 0), 10)
    assert alone.submit(record, update) is not None
    assert not party.store.has(update.digest)
    collection = federation.coordinator.collect(record, base)
    collection.add(party.address, update.blob)
    assert party.store.get(update.digest) == update.blob  # for key holder and auditors


def test_results_that_are_not_the_rounds_are_not_signed(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    one = federation.contributors[0]
    updates = {index: federation.contribute(record, index).blob for index in range(3)}
    with pytest.raises(NotSealed):
        one.attest(record.number, b"", b"")
    record = federation.seal(record, updates)
    opening = federation.opener.open(record.number)

    flipped = bytearray(opening.blob)
    flipped[-1] ^= 1
    for blob, signature in (
        (bytes(flipped), opening.signature),
        (opening.blob, opening.signature[:-2] + bytes(2)),
        (opening.blob, b""),
        (b"", opening.signature),
        (opening.blob, forge(federation, record.number, opening)),
    ):
        with pytest.raises(AttestationRefused, match="not signed"):
            one.attest(record.number, blob, signature)
    assert not (one.folder / f"round-{record.number}.attested").exists()

    signature = one.attest(record.number, opening.blob, opening.signature)
    assert one.attest(record.number, opening.blob, opening.signature) == signature
    result = federation.coordinator.result(record, opening)
    message = result.message(one.party.context(record.number), record.sum_digest, opening.digest)
    attestation.verify(one._key.pubkey, message, signature)


def forge(federation: SmallFederation, number: int, opening: Opening) -> bytes:
    """The coordinator signs the opened sum in the key holder's place."""
    from ddcai.chain.opening import sign_opening

    party = federation.coordinator.party
    assert party.account is not None
    record = federation.contract.round(number)
    return sign_opening(
        party.account,
        federation.contract.chain_id,
        federation.contract.address,
        number,
        record.sum_digest,
        opening.digest,
    )


def test_a_second_result_of_one_round_is_not_signed(federation: SmallFederation) -> None:
    """Even with the key holder's signature: key holder and coordinator may conspire."""
    from ddcai.chain.opening import sign_opening
    from ddcai.encryption.opening import opened_from_blob, opened_to_blob

    record = federation.coordinator.open_round()
    updates = {index: federation.contribute(record, index).blob for index in range(3)}
    record = federation.seal(record, updates)
    opening = federation.opener.open(record.number)
    one = federation.contributors[0]
    one.attest(record.number, opening.blob, opening.signature)
    values = opened_from_blob(opening.blob)
    values[-1] += 1
    holder = federation.opener.party
    assert holder.account is not None
    other = Opening.of(holder.context(record.number), opened_to_blob(values), b"")
    signature = sign_opening(
        holder.account,
        federation.contract.chain_id,
        federation.contract.address,
        record.number,
        record.sum_digest,
        other.digest,
    )
    with pytest.raises(AttestationRefused, match="signed before"):
        one.attest(record.number, other.blob, signature)
    # Nobody is talked into a sum that honest updates cannot add up to, either.
    values[-1] = 2**18
    huge = Opening.of(holder.context(record.number), opened_to_blob(values), b"")
    signature = sign_opening(
        holder.account,
        federation.contract.chain_id,
        federation.contract.address,
        record.number,
        record.sum_digest,
        huge.digest,
    )
    with pytest.raises(RoundError, match="forged"):
        federation.contributors[1].attest(record.number, huge.blob, signature)
    with pytest.raises((MalformedError, AttestationRefused)):
        federation.contributors[1].attest(record.number, huge.blob[:-1], signature)


def test_deadlines_forfeits_and_settlement(tmp_path: Path) -> None:
    """One never delivers: it forfeits, the others share, and the money adds up."""
    deposit = 10**17 + 1
    with make_federation(tmp_path, 4, deposit_wei=deposit, submit_period_s=600) as federation:
        contract = federation.contract
        record = federation.coordinator.open_round()
        base = federation.coordinator.party.model(record.base_model_digest)
        updates = {index: federation.contribute(record, index).blob for index in range(3)}
        Path(federation.store.url, updates_digest(federation, record.number, 2).hex()).unlink()
        del updates[2]
        collection = federation.coordinator.collect(record, base)
        for index, blob in updates.items():
            collection.add(federation.addresses[index], blob)
        collection.add_from_store()
        assert not federation.coordinator.everybody_delivered(record, collection)

        federation.pass_time(601)
        assert federation.coordinator.now() > record.submit_deadline
        with pytest.raises(PolicyError, match="took updates until"):
            federation.contributors[3].check_round(record.number, base)
        with pytest.raises(RoundError, match="needs 3"):
            federation.coordinator.seal(record, collection)
        federation.coordinator.cancel(record)
        assert federation.coordinator.cancel(record) is None  # it is cancelled already
        assert contract.balance() == 3 * deposit
        for one in federation.contributors:
            one.settle()
        assert contract.balance() == 0
        assert not list(federation.contributors[0].folder.glob("*.update"))

        before = [contract.balance(address) for address in federation.addresses]
        record = federation.coordinator.open_round()
        assert record.number == 2
        updates = {index: federation.contribute(record, index).blob for index in range(4)}
        del updates[3]
        with pytest.raises(ContractReverted, match="DeadlineNotReached"):
            federation.seal(record, updates)
        federation.pass_time(601)
        record = federation.seal(record, updates)
        opening = federation.opener.open(2)
        with pytest.raises(AttestationRefused, match="without this contributor"):
            federation.contributors[3].attest(2, opening.blob, opening.signature)
        federation.finalize(record, opening, [0, 1])
        gas = []
        for one in federation.contributors:
            receipts = one.settle()
            gas.append(sum(receipt.cost_wei for receipt in receipts))
            assert one.settle() == []
        after = [contract.balance(address) for address in federation.addresses]
        gains = [b - a for a, b in zip(before, after, strict=True)]
        # A third of the forfeited deposit each; gas is a hundredth of that.
        assert contract.balance() == 0
        assert contract.round(2).state is RoundState.FINALIZED
        assert all(deposit // 3 * 0.98 < gain <= deposit // 3 + 1 for gain in gains[:3]), gains
        assert -1.02 * deposit < gains[3] < -deposit
        assert gas[3] == 0  # nothing to claim, nothing sent


def updates_digest(federation: SmallFederation, number: int, index: int) -> bytes:
    digest = federation.contract.update_digest(number, federation.addresses[index])
    assert digest is not None
    return digest


def test_a_round_has_room_for_as_many_as_were_planned(
    federation: SmallFederation,
) -> None:
    record, base, contributor = opened(federation)
    for index in (1, 2):
        federation.contribute(record, index)
    party = contributor.party
    narrow = replace(party.config, encryption=replace(party.config.encryption, max_contributors=2))
    party.config, wide = narrow, party.config
    try:
        with pytest.raises(PolicyError, match="group_size allow 2"):
            contributor.check_round(record.number, base)
    finally:
        party.config = wide


def test_no_secret_and_no_readable_update_is_on_disk(federation: SmallFederation) -> None:
    record, base, contributor = opened(federation)
    trained = federation.train(record, 0)
    update = contributor.protect(record, base, trained, 10)
    contributor.submit(record, update)
    delta = state.flatten(trained) - state.flatten(base)
    account = contributor.party.account
    assert account is not None
    secrets = [bytes(account.key), account.key.hex().encode()]
    readable = [delta[:4].tobytes(), delta.astype(np.float64)[:4].tobytes()]
    readable += [array.tobytes()[:16] for array in trained.values() if array.size >= 4]
    folder = Path(federation.trial.folder)
    looked_at = 0
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            looked_at += 1
            assert not any(secret in content for secret in secrets), path
            assert not any(part in content for part in readable), path
    assert looked_at > 10
    for path in contributor.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
