from __future__ import annotations

import numpy as np
import pytest

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.scores import inner_products
from ddcai.errors import ConfigurationError
from ddcai.simulation.federation.attackers import ATTACKERS
from ddcai.simulation.federation.many import Job, run_all
from ddcai.simulation.federation.referee import DEPOSIT_WEI
from ddcai.simulation.federation.run import simulate
from ddcai.simulation.federation.summary import seed_of
from tests.simulation.federation.support import blobs, short


def flip(**changes):
    return simulate(blobs(), short(fraction=0.3, **changes), ATTACKERS["label-flip"](), seed=1)


def test_flippers_lose_their_deposits_and_the_honest_share_them():
    outcome = flip()
    numbers = seed_of(outcome)
    assert (numbers.hrr, numbers.afr) == (1, 1)
    assert numbers.attacker_pay == -1
    # Seven honest share three deposits, and a bounty of .05 for each of ten.
    assert numbers.honest_pay == pytest.approx(3.5 / 7)
    assert numbers.accuracy > 0.9
    assert len(outcome.settled) == 2
    assert all(len(settled.due) == 10 for settled in outcome.settled)
    assert len(outcome.accepted) == 8
    assert len(outcome.accuracy) == 9


def test_money_is_conserved_to_the_wei():
    outcome = flip()
    paid = sum(sum(settled.paid_wei.values()) for settled in outcome.settled)
    bounty = round(0.05 * DEPOSIT_WEI) * 20
    assert 0 <= bounty - paid < 20


def test_scalars_can_be_opened_otherwise_and_nothing_else_is():
    """The seam for real ciphertexts: called once a round, and once for its movement."""
    calls = []

    def open_scalars(vectors, values):
        calls.append((vectors.shape, values.shape))
        return inner_products(vectors, values)

    changed = simulate(
        blobs(),
        short(fraction=0.3),
        ATTACKERS["label-flip"](),
        seed=1,
        open_scalars=open_scalars,
    )
    assert changed.accuracy == flip().accuracy
    assert seed_of(changed) == seed_of(flip())
    s = Assessment().projections
    gates = [shape for shape, _ in calls if shape[0] > 1]
    assert [rows for rows, _ in gates[:5]] == [s + 1, s + 2, s + 3, s + 4, s + 4]
    assert len(calls) - len(gates) == 8
    blind = simulate(
        blobs(),
        short(fraction=0.3),
        ATTACKERS["label-flip"](),
        seed=1,
        open_scalars=lambda vectors, values: 0 * inner_products(vectors, values),
    )
    assert all(not accepted for accepted in blind.accepted)
    assert blind.accuracy[-1] == blind.accuracy[0]


def test_noise_on_what_is_opened_blurs_scores_and_changes_nothing_else():
    quiet, noisy, loud = flip(), flip(opening_noise=0.001), flip(opening_noise=100.0)
    assert noisy.accuracy != quiet.accuracy or noisy.settled != quiet.settled
    assert seed_of(noisy).afr == 1
    assert seed_of(loud).afr != 1 or seed_of(loud).hrr != 1
    assert quiet.sizes != noisy.sizes
    assert len(quiet.sizes) == 8


def test_who_takes_part_seldom_waits_for_its_own_window():
    outcome = flip(participation=0.6, rounds=16)
    judged = {}
    for settled in outcome.settled:
        assert set(settled.due) <= set(settled.verdicts.by_contributor)
        for name in settled.due:
            judged.setdefault(name, []).append(settled.round)
    assert all(np.diff(rounds).min(initial=4) >= 4 for rounds in judged.values())
    assert len({settled.round for settled in outcome.settled}) > 3
    assert min(rounds[0] for rounds in judged.values()) >= 4


def test_without_a_root_set_the_movement_is_the_anchor():
    rule = Assessment(window=4, block=64, anchor="movement")
    outcome = flip(root_set=0, rule=rule)
    assert len(outcome.accepted[0]) == 10
    assert seed_of(outcome).hrr > 0.8
    assert all(settled.verdicts.anchor is None for settled in outcome.settled)
    with pytest.raises(ConfigurationError, match="without a root set the anchor is the movement"):
        short(root_set=0)


@pytest.mark.parametrize("rule", ["fedavg", "krum", "fltrust"])
def test_comparators_judge_nobody(rule):
    outcome = simulate(
        blobs(), short(fraction=0.2, rounds=3), ATTACKERS["zero"](), seed=1, rule=rule
    )
    assert outcome.settled == ()
    assert len(outcome.accuracy) == 4
    numbers = seed_of(outcome)
    assert (numbers.hrr, numbers.afr, numbers.honest_pay) == (None, None, None)


def test_runs_are_the_same_in_any_number_of_processes():
    jobs = [
        Job(setting=short(rounds=3, fraction=0.2), attack="noise", seed=seed, rule=rule)
        for seed in (1, 2)
        for rule in ("assessment", "fedavg")
    ]
    one, two = run_all(blobs(), jobs), run_all(blobs(), jobs, jobs=2)
    assert [outcome.accuracy for outcome in one] == [outcome.accuracy for outcome in two]
    assert [outcome.accepted for outcome in one] == [outcome.accepted for outcome in two]
    assert len({outcome.accuracy for outcome in one}) > 1


def test_settings_that_cannot_work_are_refused():
    for name, value in (
        ("clients", 1),
        ("rounds", 0),
        ("fraction", 1.0),
        ("participation", 0.0),
        ("bounty", -1.0),
    ):
        with pytest.raises(ConfigurationError, match=f"{name} is"):
            short(**{name: value})
    with pytest.raises(ConfigurationError, match="rule is 'bulyan'"):
        simulate(blobs(), short(), ATTACKERS["zero"](), seed=0, rule="bulyan")
