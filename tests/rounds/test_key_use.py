"""How much of a key is spent, by the chain alone."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.records import Commitment, RoundRecord, RoundState, Submission
from ddcai.configuration import Encryption, FederationConfig, Training
from ddcai.encryption.planner import plan
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import BlobMissing, MalformedError, RoundError, StoreError
from ddcai.models import encoder, state
from ddcai.models.state import State
from ddcai.rounds.key_use import KeyMeter, KeyUse
from ddcai.store import Store
from tests.federation import SmallFederation, small_config
from tests.rounds.judged import CONFIG as JUDGED

ENCRYPTION = Encryption(max_contributors=8, parameter_set="bfv-8192-3x20")
CONFIG = small_config(encryption=ENCRYPTION)
# A head of 12 ciphertexts' values, and three times as many in the encoder.
LARGE: State = {
    "encoder.weight": np.zeros((3, 296_000), np.float32),
    "head.weight": np.zeros((2, 140_000), np.float32),
    "head.bias": np.zeros(2, np.float32),
}


def config_of(encoder_every: int) -> FederationConfig:
    training = Training(encoder_every=encoder_every)
    return small_config(encryption=ENCRYPTION, training=training)


def epoch_of(holders: int, threshold: int) -> KeyEpoch:
    return KeyEpoch(
        number=1,
        key_digest=bytes(32),
        ceremony_digest=bytes(32),
        threshold=threshold,
        holders=tuple(f"{n}" for n in range(holders)),
        registered_at=0,
        registered_block=0,
    )


def record(number: int, state_: RoundState, committed: int = 0) -> RoundRecord:
    listed = tuple(Submission(address=f"{n}", index=n, digest=bytes(32)) for n in range(committed))
    sealed = state_ in (RoundState.SEALED, RoundState.FINALIZED)
    one = Submission(address="0", index=0, digest=bytes(32))
    return RoundRecord(
        number=number,
        state=state_,
        base_model_digest=bytes(32),
        sum_digest=bytes(32),
        submit_deadline=0,
        finalize_deadline=0,
        submissions=(),
        sealed=(one,) if sealed else (),
        commitment=Commitment(
            draw_block=1,
            list_digest=bytes(32),
            randomness=bytes(32),
            scores_digest=bytes(32),
            committed=listed,
        )
        if committed
        else None,
    )


def use(meter: KeyMeter, *rounds: RoundRecord, number: int = 1) -> KeyUse:
    return meter.use(epoch_of(3, 2), rounds, number, 3)


def test_it_agrees_with_the_plan() -> None:
    model = encoder.initial_state(CONFIG)
    planned = plan(state.count(model), 8, ENCRYPTION.parameter_set, Sharing(3, 2))
    found = use(KeyMeter(CONFIG, model))
    assert planned.threshold is not None
    assert (found.most, found.rounds) == (
        planned.threshold.most_openings,
        planned.threshold.most_rounds,
    )
    assert (found.spent, found.next_round, found.rounds_left) == (
        0,
        planned.ciphertexts,
        found.rounds,
    )


def test_lists_that_were_sealed_count_whatever_became_of_them() -> None:
    meter = KeyMeter(CONFIG, encoder.initial_state(CONFIG))
    cancelled = record(3, RoundState.CANCELLED)
    sealed_first = dataclasses.replace(
        cancelled, number=4, sealed=record(4, RoundState.SEALED).sealed
    )
    finalised = record(1, RoundState.FINALIZED)
    assert use(meter, finalised).spent == 1
    assert use(meter, finalised, cancelled).spent == 1
    assert use(meter, finalised, cancelled, sealed_first).spent == 2
    # One that is under way will be opened.
    assert use(meter, finalised, record(2, RoundState.OPEN)).spent == 2
    assert use(meter, finalised, record(2, RoundState.SEALED)).spent == 2


@settings(max_examples=30)
@given(st.integers(0, 5), st.integers(1, 40), st.integers(0, 500))
def test_rounds_left_are_counted_round_by_round(every: int, number: int, most: int) -> None:
    """The oracle adds one round after the other."""
    config = config_of(every)
    meter = KeyMeter(config, LARGE)
    costs = {True: 48, False: 12}
    oracle, spent = 0, 0
    for at in itertools.count(number):
        spent += costs[config.training.trains_encoder(at)]
        if spent > most:
            break
        oracle += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smudging, "most_openings", lambda *_: most)
        found = use(meter, number=number)
    assert (found.rounds, found.rounds_left) == (oracle, oracle)
    assert found.next_round == costs[config.training.trains_encoder(number)]


def test_what_a_key_cannot_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smudging, "most_openings", lambda *_: 30)
    meter = KeyMeter(config_of(3), LARGE)
    first, second = record(1, RoundState.FINALIZED), record(2, RoundState.FINALIZED)
    enough = use(meter, first, number=2)
    assert (enough.spent, enough.rounds_left, enough.scarce) == (12, 1, False)
    enough.require(2)
    with pytest.raises(RoundError, match=r"round 3 takes the opening of 48 .* up to 24.* hides 30"):
        use(meter, first, second, number=3).require(3)
    assert use(meter, first, second, number=3).scarce


def test_few_rounds_are_said_to_be_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smudging, "most_openings", lambda *_: 20)
    meter = KeyMeter(CONFIG, encoder.initial_state(CONFIG))
    rounds = [record(n, RoundState.FINALIZED) for n in range(1, 20)]
    assert [use(meter, *rounds[:n], number=n + 1).scarce for n in (0, 18, 19)] == [
        False,
        False,
        True,
    ]


def test_a_key_of_too_many_pieces_opens_nothing() -> None:
    meter = KeyMeter(CONFIG, encoder.initial_state(CONFIG))
    found = meter.use(epoch_of(15, 8), [], 1, 3)
    assert (found.most, found.rounds_left) == (0, 0)
    with pytest.raises(RoundError, match="hides 0"):
        found.require(1)


def test_scalars_of_judged_updates_count_as_they_do_for_the_holders() -> None:
    model = encoder.initial_state(JUDGED)
    meter, sharing = KeyMeter(JUDGED, model), Sharing(3, 2)
    rule = JUDGED.assessment
    assert rule is not None
    one = [
        smudging.scalars_as_openings(
            meter._parameters, len(sharing.pieces), 8, ciphertexts=1, vectors=vectors
        )
        for vectors in (rule.projections + 1 + rule.replay_deltas, 1)
    ]
    finalised = use(meter, record(1, RoundState.FINALIZED, committed=5))
    assert 5 * sum(one) + 1 <= finalised.spent < 5 * sum(one) + 4
    cancelled = use(meter, record(1, RoundState.CANCELLED, committed=5))
    assert cancelled.spent == finalised.spent - 1
    assert use(meter, record(1, RoundState.OPEN)).spent == use(meter).next_round


def test_it_is_made_from_a_store_that_is_not_trusted(federation: SmallFederation) -> None:
    store, rules = federation.store, federation.contract.rules()
    model = federation.contract.model_digest()
    first = KeyMeter.from_store(store, rules.config_digest, model)
    assert first._head == 1
    with pytest.raises(BlobMissing):
        KeyMeter.from_store(store, bytes(32), model)
    for name, blob, error in (
        (b"\1" * 32, store.get(rules.config_digest), StoreError),
        (b"\2" * 32, b"no JSON", MalformedError),
    ):
        store.put(name, blob)
        with pytest.raises(error):
            KeyMeter.from_store(Store(store.url), name, model)
    store.put(b"\3" * 32, store.get(model))
    with pytest.raises(StoreError, match="another"):
        KeyMeter.from_store(store, rules.config_digest, b"\3" * 32)
