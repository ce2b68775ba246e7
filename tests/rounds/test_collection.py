"""What a hostile member delivers is dropped, and the round goes on with the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai import digests
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.encryption import bfv, wire
from ddcai.encryption.parameters import PARAMETER_SETS, parameter_set
from ddcai.errors import MalformedError, RoundError, UpdateMismatch
from ddcai.models import state
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.coordinator import Coordinator
from tests.federation import SmallFederation, make_federation

HOSTILE = 3


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """Four members, of whom the last is hostile; deadlines of seconds on the chain's clock."""
    folder = tmp_path_factory.mktemp("four")
    with make_federation(folder, 4, url=chain_url, submit_period_s=10**7) as made:
        made.run_round()
        yield made


def commit(federation: SmallFederation, record: RoundRecord, index: int, blob: bytes) -> bytes:
    """A member commits whatever it likes."""
    party = federation.contributors[index].party
    digest = digests.update_digest(party.context(record.number), party.address, blob)
    party.federation.submit_update(record.number, digest)
    return digest


def recoloured(blob: bytes, federation: SmallFederation) -> bytes:
    """The same c1 with another c0: a copy that no comparison of whole blobs finds."""
    parameters = parameter_set(federation.config.encryption.parameter_set)
    words = wire.parse(blob, parameters)
    words[:, 0] = (words[:, 0] + np.uint64(1)) % np.array(parameters.data_primes, dtype=np.uint64)[
        :, None
    ]
    return wire.to_blob(words, wire.open_blob(blob, parameters).values, parameters)


def other_key(federation: SmallFederation, parameter_set_id: str, extra: int = 0) -> bytes:
    """A ciphertext under a key of the member's own."""
    _, public = bfv.generate(PARAMETER_SETS[parameter_set_id])
    size = state.count(federation.coordinator.current_model()) + COUNT_DIGITS + extra
    return public.encrypt(np.zeros(size, np.int64))


def hostile_blobs(federation: SmallFederation, honest: bytes) -> dict[str, bytes]:
    own = federation.config.encryption.parameter_set
    another = next(name for name in PARAMETER_SETS if name != own)
    old = federation.contract.round(1).sealed[0]
    return {
        "empty": b"",
        "text": b"hello",
        "cut off": honest[:-1],
        "trailing": honest + b"\0",
        "plain floats": np.zeros(100, np.float32).tobytes(),
        "another version": bytes([9]) + honest[1:],
        "coefficients above the prime": honest[:-60] + b"\xff" * 60,
        "another size": other_key(federation, own, extra=1),
        "another set": other_key(federation, another),
        "another's": honest,
        "another's, another c0": recoloured(honest, federation),
        "an old round's": federation.store.get(old.digest),
        "an old round's, another c0": recoloured(federation.store.get(old.digest), federation),
    }


def test_the_round_goes_on_without_what_is_no_update(tmp_path: Path, chain_url: str) -> None:
    """Five hostile members, one bad update each and round, beside three honest ones."""
    with make_federation(tmp_path, 8, url=chain_url, submit_period_s=10**6) as eight:
        eight.run_round(silent=range(3, 8))
        bad = list(hostile_blobs(eight, eight.store.get(eight.contract.round(1).sealed[0].digest)))
        while bad:
            _one_round(eight, bad[:5])
            del bad[:5]
        assert eight.contract.balance() == 0
        assert eight.contract.last_round() == 4


def _one_round(eight: SmallFederation, bad: list[str]) -> None:
    record = eight.coordinator.open_round()
    base = eight.coordinator.party.model(record.base_model_digest)
    collection = eight.coordinator.collect(record, base)
    honest = {index: eight.contribute(record, index).blob for index in range(3)}
    for index, blob in honest.items():
        collection.add(eight.addresses[index], blob)
    before = collection.sum_blob()
    blobs = hostile_blobs(eight, honest[0])
    for index, name in enumerate(bad, start=3):
        address, blob = eight.addresses[index], blobs[name]
        with pytest.raises(UpdateMismatch, match="committed nothing"):
            collection.add(address, blob)
        digest = commit(eight, record, index, blob)
        with pytest.raises((UpdateMismatch, MalformedError)):
            collection.add(address, blob)
        with pytest.raises(UpdateMismatch, match="but committed"):
            collection.add(address, honest[1])
        eight.store.put(digest, blob)
        collection.add_from_store()
        assert collection.accepted == eight.addresses[:3], name
        assert collection.sum_blob() == before, name
    assert not eight.coordinator.everybody_delivered(record, collection)
    eight.pass_time(10**6 + 1)
    record = eight.coordinator.seal(record, collection)
    opening = eight.opener.open(record.number)
    eight.finalize(record, opening, [0, 1, 2])
    for one in eight.contributors[:3]:
        one.settle()
    for one in eight.contributors[3:]:
        assert one.settle() == []


def test_a_copy_that_arrives_before_its_original_makes_way(four: SmallFederation) -> None:
    record = four.coordinator.open_round()
    base = four.coordinator.party.model(record.base_model_digest)
    honest = {index: four.contribute(record, index).blob for index in range(HOSTILE)}
    copy = recoloured(honest[1], four)
    commit(four, record, HOSTILE, copy)
    assert four.contract.submission_order(record.number) == list(four.addresses)

    collection = four.coordinator.collect(record, base)
    collection.add(four.addresses[0], honest[0])
    collection.add(four.addresses[HOSTILE], copy)
    assert four.addresses[HOSTILE] in collection.accepted
    collection.add(four.addresses[1], honest[1])
    assert set(collection.accepted) == {four.addresses[0], four.addresses[1]}
    collection.add(four.addresses[2].lower(), honest[2])
    with pytest.raises(UpdateMismatch, match="copy of another's"):
        collection.add(four.addresses[HOSTILE], copy)

    plain = four.coordinator.collect(record, base)
    for index, blob in honest.items():
        plain.add(four.addresses[index], blob)
    assert collection.sum_blob() == plain.sum_blob()
    assert collection.accepted == four.addresses[:HOSTILE]
    four.coordinator.cancel(record)
    for one in four.contributors:
        one.settle()
    assert four.contract.balance() == 0


def test_a_coordinator_made_again_knows_the_ciphertexts_of_old_rounds(
    four: SmallFederation,
) -> None:
    record = four.coordinator.open_round()
    base = four.coordinator.party.model(record.base_model_digest)
    again = Coordinator(four.coordinator.party)
    old = four.contract.round(1).sealed[0]
    blob = recoloured(four.store.get(old.digest), four)
    commit(four, record, 0, blob)
    with pytest.raises(UpdateMismatch, match="used before"):
        again.collect(record, base).add(four.addresses[0], blob)
    # What the store has lost cannot be known, and is no reason to stop.
    Path(four.store.url, old.digest.hex()).write_bytes(b"nonsense")
    Coordinator(four.coordinator.party).collect(record, base)
    four.coordinator.cancel(record)
    four.contributors[0].settle()


def test_more_updates_than_planned_cannot_be_sealed(four: SmallFederation) -> None:
    from dataclasses import replace

    record = four.coordinator.open_round()
    base = four.coordinator.party.model(record.base_model_digest)
    blobs = {index: four.contribute(record, index).blob for index in range(3)}
    collection = four.coordinator.collect(record, base)
    party = four.coordinator.party
    wide = party.config
    party.config = replace(wide, encryption=replace(wide.encryption, max_contributors=2))
    try:
        collection.add(four.addresses[0], blobs[0])
        collection.add(four.addresses[1], blobs[1])
        with pytest.raises(RoundError, match="max_contributors"):
            collection.add(four.addresses[2], blobs[2])
    finally:
        party.config = wide
    with pytest.raises(RoundError, match="needs 3"):
        four.coordinator.seal(record, collection)
    four.coordinator.cancel(record)
    assert four.contract.round(record.number).state is RoundState.CANCELLED
    for one in four.contributors:
        one.settle()
