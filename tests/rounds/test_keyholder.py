"""A key holder opens what the chain sealed, whatever a coordinator that lies has sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcai import digests
from ddcai.errors import (
    AlreadyOpened,
    AttestationRefused,
    ConfigurationError,
    NotSealed,
    SumMismatch,
    UpdateMismatch,
)
from ddcai.rounds.keyholder import Opener
from tests.federation import SmallFederation


def contributed(federation: SmallFederation):  # type: ignore[no-untyped-def]
    record = federation.coordinator.open_round()
    return record, [federation.contribute(record, index) for index in range(3)]


def seal_falsely(
    federation: SmallFederation, number: int, blob: bytes, indices: list[int]
) -> bytes:
    """The coordinator commits a sum of its own choice."""
    party = federation.coordinator.party
    digest = digests.sum_digest(party.context(number), blob)
    party.store.put(digest, blob)
    party.federation.seal_round(number, digest, indices)
    return digest


def test_only_sealed_rounds_are_opened(federation: SmallFederation) -> None:
    record, _ = contributed(federation)
    for number in (record.number, record.number + 1):
        with pytest.raises(NotSealed):
            federation.opener.open(number)
    federation.coordinator.cancel(record)
    with pytest.raises(NotSealed, match="CANCELLED"):
        federation.opener.open(record.number)
    assert federation.store.has(record.base_model_digest)


def test_one_update_passed_off_as_the_sum_is_refused(federation: SmallFederation) -> None:
    record, updates = contributed(federation)
    seal_falsely(federation, record.number, updates[0].blob, [0, 1, 2])
    with pytest.raises(SumMismatch):
        federation.opener.open(record.number)


def test_the_sum_of_another_list_is_refused(federation: SmallFederation) -> None:
    record, updates = contributed(federation)
    collection = federation.coordinator.collect(
        record, federation.coordinator.party.model(record.base_model_digest)
    )
    for index in (0, 1):
        collection.add(federation.addresses[index], updates[index].blob)
    seal_falsely(federation, record.number, collection.sum_blob(), [0, 1, 2])
    with pytest.raises(SumMismatch):
        federation.opener.open(record.number)


def test_an_update_that_is_gone_or_changed_is_refused(federation: SmallFederation) -> None:
    record, updates = contributed(federation)
    record = federation.seal(record, {index: one.blob for index, one in enumerate(updates)})
    path = Path(federation.store.url, updates[1].digest.hex())
    right = path.read_bytes()
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(UpdateMismatch):
        federation.opener.open(record.number)
    path.unlink()
    with pytest.raises(UpdateMismatch):
        federation.opener.open(record.number)
    path.write_bytes(right)
    first = federation.opener.open(record.number)
    again = federation.opener.open(record.number)
    assert (again.blob, again.digest) == (first.blob, first.digest)


def test_a_chain_that_tells_two_stories_gets_one_opening(federation: SmallFederation) -> None:
    """The same round, sealed with another list after a fork."""
    record, updates = contributed(federation)
    record = federation.seal(record, {index: one.blob for index, one in enumerate(updates)})
    federation.opener.open(record.number)
    party = federation.opener.party
    told = party.federation.round
    base = federation.coordinator.party.model(record.base_model_digest)
    collection = federation.coordinator.collect(record, base)
    for index in (0, 1):
        collection.add(federation.addresses[index], updates[index].blob)
    digest = digests.sum_digest(party.context(record.number), collection.sum_blob())
    from dataclasses import replace

    fork = replace(record, sealed=record.sealed[:2], sum_digest=digest)
    party.federation.round = lambda _: fork  # type: ignore[method-assign]
    rules = replace(party.federation.rules(), min_contributors=2)
    party.federation.rules = lambda: rules  # type: ignore[method-assign]
    try:
        with pytest.raises(AlreadyOpened):
            federation.opener.open(record.number)
    finally:
        del party.federation.round, party.federation.rules  # type: ignore[method-assign]
    assert party.federation.round == told


def test_contributors_do_not_sign_a_list_without_them(federation: SmallFederation) -> None:
    record, updates = contributed(federation)
    record = federation.seal(record, {index: one.blob for index, one in enumerate(updates)})
    opening = federation.opener.open(record.number)
    one = federation.contributors[0]
    (one.folder / f"round-{record.number}.update").unlink()
    with pytest.raises(AttestationRefused, match="without this contributor"):
        one.attest(record.number, opening.blob, opening.signature)


def test_another_account_is_no_key_holder(federation: SmallFederation, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="key holder's keystore"):
        Opener(federation.coordinator.party, federation.opener._holder._secret, tmp_path)
