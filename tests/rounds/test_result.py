"""A whole encrypted round beside plain FedAvg of the same trained models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.configuration import Aggregation, Encryption
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.updates import any_set
from ddcai.errors import RoundError
from ddcai.models import state
from ddcai.models.encoder import initial_state
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.result import next_model, quantiser, result_of
from tests.federation import make_federation, small_config


@pytest.fixture(scope="module")
def chain_url() -> Iterator[str]:
    """The embedded chain, also where the other tests of rounds have anvil."""
    with EmbeddedChain() as chain:
        yield chain.url


@pytest.mark.parametrize("weighting", ["examples", "uniform"])
def test_an_encrypted_round_is_fedavg_up_to_quantisation(
    tmp_path: Path, chain_url: str, weighting: str
) -> None:
    aggregation = Aggregation(weighting=weighting, max_examples=64)  # type: ignore[arg-type]
    config = small_config(aggregation=aggregation)
    with make_federation(tmp_path, url=chain_url, config=config) as federation:
        record = federation.coordinator.open_round()
        counts = (48, 31, 7)
        base = federation.coordinator.party.model(record.base_model_digest)
        trained = [federation.train(record, index) for index in range(3)]
        blobs = {}
        for index, contributor in enumerate(federation.contributors):
            checked = contributor.check_round(record.number, base)
            update = contributor.protect(checked, base, trained[index], counts[index])
            contributor.submit(checked, update)
            blobs[index] = update.blob
        record = federation.seal(record, blobs)
        opening = federation.opener.open(record.number)
        result = federation.finalize(record, opening, [0, 1, 2])

        # The oracle: float64 means of the readable models, clipped as agreed.
        deltas = []
        for model in trained:
            delta = state.flatten(model).astype(np.float64) - state.flatten(base)
            delta *= min(1.0, aggregation.clip_norm / np.linalg.norm(delta))
            deltas.append(np.clip(delta, -aggregation.value_range, aggregation.value_range))
        weights = np.array(counts if weighting == "examples" else (1, 1, 1), np.float64)
        plain = state.flatten(base) + np.average(deltas, axis=0, weights=weights)

        # Stochastic rounding moves each of the three integers by less than one step. A step is
        # worth value_range / value_limit of a full-weight delta; the mean divides by the counts.
        scale = quantiser(config)
        full = aggregation.max_examples if weighting == "examples" else 1
        step = aggregation.value_range / scale.value_limit
        bound = 3 * step * full / weights.sum() + np.spacing(np.abs(plain).max(), dtype=np.float32)
        got = state.flatten(result.model).astype(np.float64)
        assert np.abs(got - plain).max() <= bound
        assert np.abs(got - state.flatten(base)).max() > 10 * bound  # something was learnt

        # Everybody who looks computes the same bits, and the contract has their digest.
        total = opened_from_blob(opening.blob)
        for party in (one.party for one in federation.contributors):
            theirs = next_model(party.config, party.model(record.base_model_digest), total, 3, 1)
            assert state.to_canonical(theirs.model) == state.to_canonical(result.model)
            assert theirs.head_words == result.head_words
        assert federation.contract.model_digest() == result.model_digest
        assert federation.coordinator.current_model().keys() == result.model.keys()


def test_next_model_refuses_what_no_updates_add_up_to() -> None:
    config = small_config(encryption=Encryption(max_contributors=3))
    base = result_of(config, initial_state(config)).model
    size = state.count(base)
    limit = quantiser(config).value_limit
    total = np.zeros(COUNT_DIGITS + size, np.int64)
    total[0] = 30
    assert next_model(config, base, total, 3, 1).model_digest == state.digest(base)
    for position, value in ((COUNT_DIGITS, 3 * limit + 1), (size, -3 * limit - 1)):
        forged = total.copy()
        forged[position] = value
        with pytest.raises(RoundError, match="forged"):
            next_model(config, base, forged, 3, 1)
    with pytest.raises(RoundError, match="max_contributors"):
        next_model(config, base, total, 4, 1)
    with pytest.raises(RoundError):
        next_model(config, base, total[:-1], 3, 1)
    with pytest.raises(RoundError, match="counts 0"):
        next_model(config, base, np.zeros_like(total), 3, 1)


def test_next_model_takes_what_groups_of_the_planned_size_add_up_to() -> None:
    """Three updates, each the sum of up to 2 contributors: not 3 contributors, and not 7."""
    config = small_config(encryption=Encryption(max_contributors=7, group_size=2))
    base = result_of(config, initial_state(config)).model
    each, examples = quantiser(config).value_limit, config.aggregation.max_examples
    assert each == any_set(config.encryption.parameter_set).value_limit(7)
    total = np.zeros(COUNT_DIGITS + state.count(base), np.int64)
    total[:COUNT_DIGITS] = 6 * examples % (each + 1), 6 * examples // (each + 1)
    total[COUNT_DIGITS:] = 6 * each
    assert next_model(config, base, total, 3, 1).model_digest != state.digest(base)
    for position, value in ((0, total[0] + 1), (COUNT_DIGITS, 6 * each + 1)):
        forged = total.copy()
        forged[position] = value
        with pytest.raises(RoundError, match="forged"):
            next_model(config, base, forged, 3, 1)
    with pytest.raises(RoundError, match="group_size allow 3"):
        next_model(config, base, total, 4, 1)
