"""Rounds that train the head alone, beside rounds that train all: whole and encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Status
from ddcai.audit.verify import verify_at
from ddcai.configuration import Training
from ddcai.encryption.wire import open_blob
from ddcai.errors import DataError, MalformedError, RoundError, VerificationError
from ddcai.models import state
from ddcai.models.encoder import initial_state
from ddcai.models.state import State
from ddcai.models.trained import num_values
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.result import next_model, quantiser, result_of
from tests.audit.test_collusion import finalize_falsely, opened_round
from tests.federation import SmallFederation, make_federation, small_config

TRAINING = Training(local_epochs=1, batch_size=16, learning_rate=0.05, encoder_every=2)


@pytest.fixture
def alternating(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    """Even rounds train encoder and head, odd ones the head."""
    config = small_config(training=TRAINING)
    with make_federation(tmp_path / "federation", url=chain_url, config=config) as made:
        yield made


def failed(federation: SmallFederation) -> set[tuple[str, int | None]]:
    found = list(verify_at(federation.url, federation.deployment.federation, federation.store))
    assert Status.SKIPPED not in {one.status for one in found}
    return {(one.name, one.round) for one in found if one.status is Status.FAIL}


def changed_arrays(before: State, after: State) -> set[str]:
    assert list(before) == list(after)
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def test_odd_rounds_leave_the_encoder_to_the_bit(alternating: SmallFederation) -> None:
    models, sizes = [alternating.coordinator.current_model()], []
    for _ in range(3):
        record = alternating.run_round()
        models.append(alternating.coordinator.current_model())
        blob = alternating.store.get(record.sealed[0].digest)
        sizes.append(open_blob(blob).values)
    changes = [changed_arrays(*models[place : place + 2]) for place in range(3)]
    head = {"head.weight", "head.bias"}
    assert changes == [head, set(models[0]), head]
    config = alternating.config
    assert sizes == [num_values(config, models[0], number) for number in (1, 2, 3)]
    assert sizes[0] == COUNT_DIGITS + 14 < sizes[1]
    assert failed(alternating) == set()


def test_training_that_moved_the_encoder_is_not_sent(alternating: SmallFederation) -> None:
    record = alternating.coordinator.open_round()
    contributor = alternating.contributors[0]
    base = contributor.party.model(record.base_model_digest)
    trained = alternating.train(record, 0)
    moved = trained | {"encoder.0.bias": trained["encoder.0.bias"] + np.float32(1e-3)}
    with pytest.raises(DataError, match=r"encoder\.0\.bias.*round 1 trains the head alone"):
        contributor.protect(record, base, moved, 10)
    assert contributor.known_update(record) is None
    contributor.protect(record, base, trained, 10)


def test_an_update_of_the_whole_model_has_no_place_in_it(alternating: SmallFederation) -> None:
    record = alternating.coordinator.open_round()
    base = alternating.coordinator.current_model()
    collection = alternating.coordinator.collect(record, base)
    party = alternating.contributors[0].party
    values = np.zeros(COUNT_DIGITS + state.count(base), np.int64)
    blob = party.encryption_key().encrypt(values)
    digest = digests.update_digest(party.context(record.number), party.address, blob)
    party.federation.submit_update(record.number, digest)
    with pytest.raises(MalformedError):
        collection.add(party.address, blob)


def test_a_quorum_that_moves_the_encoder_too_is_found(alternating: SmallFederation) -> None:
    record, opening, result = opened_round(alternating)
    bias = result.model["encoder.0.bias"].copy()
    bias.view(np.uint32)[0] ^= 1
    false = result_of(alternating.config, result.model | {"encoder.0.bias": bias})
    assert false.head_words == result.head_words  # the contract could not tell
    alternating.store.put(false.model_digest, state.to_canonical(false.model))
    # No honest contributor signs it: each signs what it computes, and nothing else after that.
    for contributor in alternating.contributors:
        signed = contributor.attest(record.number, opening.blob, opening.signature)
        with pytest.raises(VerificationError):
            alternating.coordinator.check_signature(
                record,
                opening,
                false,
                next(one for one in record.sealed if one.address == contributor.party.address),
                signed,
            )
    finalize_falsely(alternating, record, opening, false)
    assert failed(alternating) == {(claims.MODEL, 1)}


def test_a_sum_of_the_other_kind_of_round_is_refused() -> None:
    config = small_config(training=TRAINING)
    base = initial_state(config)
    for number in (1, 2):
        total = np.zeros(num_values(config, base, number), np.int64)
        total[0] = 30
        total[-1] = quantiser(config).value_limit
        new = next_model(config, base, total, 3, number).model
        assert changed_arrays(base, new) == {"head.bias"}
        with pytest.raises(RoundError):
            next_model(config, base, total, 3, number + 1)
