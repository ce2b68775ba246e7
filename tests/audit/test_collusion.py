"""What parties can do together that the contract cannot see, done on a real chain.

The contract checks signatures, not arithmetic: a colluding quorum, or a coordinator with the
key holder, gets a false round finalised. Everybody can see it afterwards, and in which step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai import attestation, digests
from ddcai.audit import claims
from ddcai.audit.claims import Status
from ddcai.audit.verify import verify_at
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import RoundRecord
from ddcai.digests import RoundContext
from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.opening import opened_to_blob
from ddcai.encryption.summation import add
from ddcai.models import state
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.result import Result, result_of
from ddcai.rounds.update import Update
from tests.federation import SmallFederation, make_federation

Failure = tuple[str, int | None, str]


@pytest.fixture
def federation(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    with make_federation(tmp_path / "federation", url=chain_url) as made:
        yield made


def audit(federation: SmallFederation) -> tuple[set[Failure], set[Failure]]:
    """Which claims fail, and which are skipped."""
    found = list(verify_at(federation.url, federation.deployment.federation, federation.store))
    sets = [
        {(c.name, c.round, c.subject) for c in found if c.status is status}
        for status in (Status.FAIL, Status.SKIPPED)
    ]
    return sets[0], sets[1]


def context(federation: SmallFederation, number: int) -> RoundContext:
    return federation.coordinator.party.context(number)


def opened_round(federation: SmallFederation) -> tuple[RoundRecord, Opening, Result]:
    """An honest round up to the opened sum."""
    record = federation.coordinator.open_round()
    record = federation.seal(record, {i: federation.contribute(record, i).blob for i in range(3)})
    opening = federation.opener.open(record.number)
    return record, opening, federation.coordinator.result(record, opening)


def finalize_falsely(
    federation: SmallFederation, record: RoundRecord, opening: Opening, result: Result
) -> None:
    """Two of three contributors sign whatever they are given: a quorum."""
    message = result.message(context(federation, record.number), record.sum_digest, opening.digest)
    folder = federation.trial.folder
    password = federation.trial.coordinator.password()
    keys = [
        attestation.BlsSecretKey.load(folder / name / "bls.json", password)
        for name in federation.names[:2]
    ]
    signatures = {index: key.sign(message) for index, key in enumerate(keys)}
    federation.coordinator.finalize(record, opening, result, signatures)


def open_anything(federation: SmallFederation, record: RoundRecord, blob: bytes) -> Opening:
    """A key holder that decrypts and signs whatever it is given."""
    settings = federation.trial.key_holder
    secret = SecretKey.load(settings.encryption_key, settings.password())
    opened = opened_to_blob(secret.decrypt(blob))
    bound = context(federation, record.number)
    digest = digests.opened_digest(bound, opened)
    account = federation.opener.party.account
    assert account is not None
    signature = sign_opening(
        account, bound.chain_id, bound.contract, record.number, record.sum_digest, digest
    )
    return Opening(blob=opened, digest=digest, signature=signature)


def commit(federation: SmallFederation, record: RoundRecord, index: int, blob: bytes) -> Update:
    """A contributor submits a ciphertext of its choice."""
    contributor = federation.contributors[index]
    bound = context(federation, record.number)
    digest = digests.update_digest(bound, federation.addresses[index], blob)
    update = Update(blob=blob, digest=digest)
    contributor.submit(record, update)
    return update


def seal_anything(federation: SmallFederation, record: RoundRecord, blob: bytes) -> RoundRecord:
    """A coordinator that seals any ciphertext as the sum of all three."""
    digest = digests.sum_digest(context(federation, record.number), blob)
    federation.store.put(digest, blob)
    contract = federation.coordinator.party.federation
    contract.seal_round(record.number, digest, [0, 1, 2])
    return contract.round(record.number)


def test_a_quorum_signs_another_model(federation: SmallFederation) -> None:
    record, opening, result = opened_round(federation)
    vector = state.flatten(result.model)
    false = state.unflatten((vector + np.float32(0.25)).astype(np.float32), result.model)
    federation.store.put(state.digest(false), state.to_canonical(false))
    finalize_falsely(federation, record, opening, result_of(federation.config, false))
    assert audit(federation) == ({(claims.MODEL, 1, "")}, set())


def test_the_rounds_after_a_false_model_are_judged_by_themselves(
    federation: SmallFederation,
) -> None:
    record, opening, result = opened_round(federation)
    vector = state.flatten(result.model)
    false = state.unflatten((vector * np.float32(0.5)).astype(np.float32), result.model)
    federation.store.put(state.digest(false), state.to_canonical(false))
    finalize_falsely(federation, record, opening, result_of(federation.config, false))
    federation.run_round()
    assert audit(federation) == ({(claims.MODEL, 1, "")}, set())


def test_a_quorum_writes_another_head(federation: SmallFederation) -> None:
    record, opening, result = opened_round(federation)
    words = (result.head_words[0] ^ 1, *result.head_words[1:])
    false = Result(
        model=result.model,
        model_digest=result.model_digest,
        head_words=words,
        head_digest=digests.head_digest(words),
    )
    finalize_falsely(federation, record, opening, false)
    assert audit(federation) == ({(claims.HEAD, 1, ""), (claims.HEAD, None, "")}, set())


def test_one_update_is_passed_off_as_the_sum(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    updates = [federation.contribute(record, i) for i in range(3)]
    record = seal_anything(federation, record, updates[1].blob)
    opening = open_anything(federation, record, updates[1].blob)
    federation.finalize(record, opening, [0, 1, 2])
    assert audit(federation) == ({(claims.SUM, 1, "")}, set())


def test_an_update_is_added_twice_as_a_copy(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    first = federation.contribute(record, 0).blob
    commit(federation, record, 1, first)
    third = federation.contribute(record, 2).blob
    total = add([first, first, third])
    record = seal_anything(federation, record, total)
    opening = open_anything(federation, record, total)
    finalize_falsely(federation, record, opening, federation.coordinator.result(record, opening))
    assert audit(federation) == ({(claims.SUM, 1, "")}, set())


def test_an_update_of_an_earlier_round_is_used_again(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    old = {i: federation.contribute(record, i).blob for i in range(3)}
    record = federation.seal(record, old)
    federation.finalize(record, federation.opener.open(1), [0, 1, 2])
    record = federation.coordinator.open_round()
    blobs = [old[0], *(federation.contribute(record, i).blob for i in (1, 2))]
    commit(federation, record, 0, old[0])
    record = seal_anything(federation, record, add(blobs))
    opening = open_anything(federation, record, add(blobs))
    finalize_falsely(federation, record, opening, federation.coordinator.result(record, opening))
    assert audit(federation) == ({(claims.SUM, 2, "")}, set())


def test_a_malformed_update_is_sealed(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    good = [federation.contribute(record, i).blob for i in (0, 1)]
    commit(federation, record, 2, good[0][:-1])
    total = add(good)
    record = seal_anything(federation, record, total)
    opening = open_anything(federation, record, total)
    finalize_falsely(federation, record, opening, federation.coordinator.result(record, opening))
    assert audit(federation) == ({(claims.SUM, 1, "")}, set())


def test_a_sum_that_opens_to_another_number_of_values(federation: SmallFederation) -> None:
    record, _, result = opened_round(federation)
    bound = context(federation, 1)
    opened = opened_to_blob(np.ones(3, np.int64))
    digest = digests.opened_digest(bound, opened)
    federation.store.put(digest, opened)
    account = federation.opener.party.account
    assert account is not None
    signature = sign_opening(account, bound.chain_id, bound.contract, 1, record.sum_digest, digest)
    false = Opening(blob=opened, digest=digest, signature=signature)
    finalize_falsely(federation, record, false, result)
    assert audit(federation) == ({(claims.MODEL, 1, "")}, set())
