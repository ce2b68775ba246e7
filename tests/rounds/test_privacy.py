"""Noise in real rounds, and a budget that a dishonest coordinator cannot pass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ddcai.audit import Ledger
from ddcai.audit.claims import all_hold
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundRecord
from ddcai.configuration import Aggregation, Encryption
from ddcai.encryption import bfv
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.summation import SumAccumulator
from ddcai.errors import ConfigurationError, PlanError, PrivacyBudgetSpent, RoundError
from ddcai.privacy.configuration import Privacy
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds import privacy, trial
from ddcai.rounds.founding import Founding
from ddcai.rounds.party import Party
from ddcai.rounds.result import next_model, quantiser, reach
from tests.audit.node_reading import read_history
from tests.cli.conftest import invoke
from tests.federation import SmallFederation, make_federation, small_config

PRIVACY = Privacy(noise_multiplier=1.0, delta=1e-5, epsilon_budget=8.0, min_contributors=3)
# Epsilon is 4.75 after one round, 7.26 after two, 9.33 after three.
CONFIG = small_config(
    aggregation=Aggregation(
        weighting="uniform", clip_norm=1.0, value_range=0.5, clamped_share_limit=1.0
    ),
    privacy=PRIVACY,
)
PARAMETERS = parameter_set(CONFIG.encryption.parameter_set)


@pytest.fixture
def private(tmp_path: Path, chain_url: str) -> Iterator[SmallFederation]:
    with make_federation(tmp_path, url=chain_url, config=CONFIG, quorum_scheme="ecdsa") as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """For tests that seal no round, and end the one that they open."""
    folder = tmp_path_factory.mktemp("private")
    with make_federation(folder, url=chain_url, config=CONFIG, quorum_scheme="ecdsa") as made:
        yield made


def test_the_budget_stops_coordinator_contributor_and_key_holder(
    private: SmallFederation, tmp_path: Path
) -> None:
    """Two rounds are in the budget. A coordinator that keeps none opens a third, with members
    that keep none: those that do refuse, and so does the key holder."""
    for _ in range(2):
        record = private.run_round(settle=False)
    reached = [privacy.epsilon(CONFIG, rounds) for rounds in range(4)]
    assert reached[2] < PRIVACY.epsilon_budget < reached[3]
    found = read_history(connect(private.url), private.deployment.federation)
    assert all_hold(list(verify(found, private.store)))
    named = ["--deployment", str(private.deployment_path), "--rpc-url", private.url]
    named += ["--index", str(tmp_path / "index.sqlite")]
    told = invoke(["audit", "rounds", *named, "--format", "json"])
    assert [row["epsilon"] for row in json.loads(told.stdout)] == reached[1:3]
    with Ledger.open(tmp_path / "index.sqlite") as ledger:
        assert [row.epsilon for row in ledger.rounds()] == [None, None]
    with pytest.raises(ConfigurationError, match="this federation's deployment file"):
        Ledger.open(tmp_path / "index.sqlite", config=small_config())

    said = (
        rf"round 3 .*epsilon to {reached[3]:.4g} at delta 1e-05.*budget is 8, which is enough for 2"
    )
    with pytest.raises(PrivacyBudgetSpent, match=said):
        private.coordinator.open_round()
    coordinator = private.coordinator.party
    coordinator.federation.open_round(3, coordinator.federation.model_digest())
    third = coordinator.federation.round(3)
    base = coordinator.model(third.base_model_digest)
    honest = private.contributors[0]
    with pytest.raises(PrivacyBudgetSpent, match=said):
        honest.check_round(3, base)
    with pytest.raises(PrivacyBudgetSpent, match=said):
        honest.protect(third, base, base, 10)
    assert honest.known_update(third) is None

    without_budget(private)
    sealed_round(private)
    with pytest.raises(PrivacyBudgetSpent, match=said):
        private.opener.open(3)
    again = private.opener.open(record.number)  # what was opened is given again
    assert again.blob
    assert private.opener._holder.opened(coordinator.context(3)) == {1, 2}


def test_sealed_rounds_count_though_they_were_cancelled(private: SmallFederation) -> None:
    for number in (1, 2):
        record = sealed_round(private)
        private.opener.open(number)
        private.coordinator.cancel(record)
    with pytest.raises(PrivacyBudgetSpent, match="round 3 would be opened sum number 3"):
        private.coordinator.open_round()


def test_a_key_holder_counts_what_it_opened_whatever_the_chain_shows(
    private: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that hides earlier rounds from it gains nothing."""
    for number in (1, 2):
        record = sealed_round(private)
        private.opener.open(number)
        private.coordinator.cancel(record)
    without_budget(private)
    third = sealed_round(private)
    federation = private.opener.party.federation
    shown = federation.round
    hidden = dataclasses.replace(shown(1), sealed=(), sum_digest=bytes(32))
    monkeypatch.setattr(federation, "round", lambda n: hidden if n < 3 else shown(n))
    with pytest.raises(PrivacyBudgetSpent, match="opened sum number 3"):
        private.opener.open(third.number)


def test_a_contributor_counts_what_it_attested_whatever_the_chain_shows(
    shared: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = shared.coordinator.open_round()
    contributor = shared.contributors[1]
    base = contributor.party.model(record.base_model_digest)
    contributor.check_round(record.number, base)
    for number in (901, 902):
        contributor._remember_message(dataclasses.replace(record, number=number), b"result")
    with pytest.raises(PrivacyBudgetSpent, match="opened sum number 3"):
        contributor.check_round(record.number, base)
    for number in (901, 902):
        (contributor.folder / f"round-{number}.attested").unlink()
    shared.coordinator.cancel(record)


def test_nothing_that_follows_from_the_data_is_told_beside_the_ciphertext(
    shared: SmallFederation,
) -> None:
    record = shared.coordinator.open_round()
    assert shared.contribute(record, 0).metrics == {}
    shared.coordinator.cancel(record)


def test_what_a_contributor_encrypts_has_its_noise_on_it(shared: SmallFederation) -> None:
    """A contributor that learned nothing, under the microscope of whoever has the key."""
    record = shared.coordinator.open_round()
    base = shared.coordinator.party.model(record.base_model_digest)
    update = shared.contributors[2].protect(record, base, base, 10)
    values = shared.opener._holder._secret.decrypt(update.blob)
    assert values[:COUNT_DIGITS].tolist() == [1, 0]
    made, noise = privacy.mechanism(CONFIG), values[COUNT_DIGITS:]
    assert made is not None
    low, high = stats.chi2.interval(1 - 1e-6, noise.size) / np.float64(noise.size)
    assert low < (noise**2).mean() / made.variance < high
    shared.coordinator.cancel(record)


def test_a_contract_of_smaller_sums_is_refused_before_and_after_deployment(
    shared: SmallFederation, tmp_path: Path
) -> None:
    more = dataclasses.replace(
        CONFIG, privacy=dataclasses.replace(PRIVACY, min_contributors=4), name="more"
    )
    with pytest.raises(ConfigurationError, match=r"min_contributors is 4.*sums of 3 updates"):
        trial.set_up(tmp_path / "more", shared.url, more, [])
    federation = shared.contract
    rules = dataclasses.replace(federation.rules(), config_digest=more.digest())
    federation.rules = lambda: rules  # type: ignore[method-assign]
    with pytest.raises(ConfigurationError, match=r"min_contributors is 4.*sums of 3 updates"):
        Party(federation, more, shared.store)


def test_noise_that_does_not_fit_is_refused_before_anything_is_sent() -> None:
    _, public = bfv.generate(PARAMETERS)
    loud = dataclasses.replace(PRIVACY, noise_multiplier=900.0)
    with pytest.raises(PlanError, match=r"noise_multiplier is 900"):
        Founding.prepare(dataclasses.replace(CONFIG, privacy=loud), public)
    crowded = dataclasses.replace(
        CONFIG,
        privacy=dataclasses.replace(PRIVACY, noise_multiplier=8.0),
        encryption=Encryption(parameter_set=PARAMETERS.id, max_contributors=64),
    )
    assert privacy.mechanism(crowded).sensitivity == 42
    Founding.prepare(crowded, public)  # 68 parameters
    wide = dataclasses.replace(crowded, model=dataclasses.replace(CONFIG.model, hidden=(60,)))
    with pytest.raises(PlanError, match=r"662 parameters may be 42 steps long, and takes 52"):
        Founding.prepare(wide, public)
    planned = Founding.prepare(CONFIG, public).plan
    assert planned.value_limit == quantiser(CONFIG).value_limit < reach(CONFIG)


@pytest.mark.parametrize("bearing", [12, 8], ids=["everybody", "two thirds"])
def test_the_noise_s_scale_is_found_in_sums_of_real_ciphertexts(bearing: int) -> None:
    """Zero updates of twelve contributors, encrypted, added and opened: the sum's variance is
    bearing / 8 of the target, by a chi-square interval of 7 % on either side."""
    setting = dataclasses.replace(PRIVACY, min_contributors=12)
    config = dataclasses.replace(
        CONFIG,
        privacy=setting,
        encryption=Encryption(parameter_set=PARAMETERS.id, max_contributors=12),
    )
    made = privacy.mechanism(config)
    assert made is not None
    assert made.bearing == 8
    size = 12_000
    encoded = quantiser(config).encode(np.zeros(size), 10).values
    secret, public = bfv.generate(PARAMETERS)
    accumulator = SumAccumulator(PARAMETERS)
    for contributor in range(12):
        noisy = contributor < bearing
        accumulator.add(public.encrypt(privacy.with_noise(config, encoded) if noisy else encoded))
    total = secret.decrypt(accumulator.to_blob())
    assert quantiser(config).total_count(total, 12) == 12
    noise = total[COUNT_DIGITS:]
    low, high = stats.chi2.interval(1 - 1e-6, size) / np.float64(size)
    target = (setting.noise_multiplier * made.sensitivity) ** 2
    expected = target * bearing / 8
    assert low < noise.var() / expected < high
    assert 0.93 < low < high < 1.07
    assert abs(noise.mean()) < 5 * np.sqrt(expected / size)
    assert np.abs(total).max() <= 12 * made.reach <= PARAMETERS.lane_max


def test_a_mean_of_many_noisy_updates_is_theirs_and_inside_the_checked_range() -> None:
    """The integer path: protect, sum, decode; without noise the same to rounding."""
    made = privacy.mechanism(CONFIG)
    assert made is not None
    scale, rng = quantiser(CONFIG), np.random.default_rng(4)
    deltas = rng.normal(0, 0.02, (8, 500))
    encoded = [scale.encode(delta, 10) for delta in deltas]
    total = sum(privacy.with_noise(CONFIG, one.values) for one in encoded)
    assert np.abs(total).max() <= 8 * reach(CONFIG)
    error = (scale.decode(total, 8) - deltas.mean(axis=0)) * 8
    step = CONFIG.aggregation.value_range / scale.value_limit
    deviation = np.sqrt(8 * made.variance) * step
    assert 0.8 < error.std() / deviation < 1.2
    assert privacy.with_noise(small_config(), encoded[0].values) is encoded[0].values


def test_a_sum_beyond_the_noise_s_reach_makes_no_model(shared: SmallFederation) -> None:
    party = shared.coordinator.party
    base = party.model(party.federation.model_digest())
    total = np.zeros(COUNT_DIGITS + sum(a.size for a in base.values()), np.int64)
    total[0], total[-1] = 3, 3 * reach(CONFIG)
    assert next_model(CONFIG, base, total, 3, 1).model_digest
    total[-1] += 1
    with pytest.raises(RoundError, match="forged"):
        next_model(CONFIG, base, total, 3, 1)


def sealed_round(made: SmallFederation) -> RoundRecord:
    """Everybody's update, sealed; nobody has opened the sum."""
    record = made.coordinator.open_round()
    updates = {index: made.contribute(record, index).blob for index in range(len(made.data))}
    return made.seal(record, updates)


def without_budget(made: SmallFederation) -> None:
    """Coordinator and contributors from now on run a software that keeps no budget."""
    spent = dataclasses.replace(PRIVACY, epsilon_budget=50.0)
    for party in (made.coordinator.party, *(one.party for one in made.contributors)):
        party.config = dataclasses.replace(made.config, privacy=spent)
