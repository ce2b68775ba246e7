from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddcai.assessment.configuration import Assessment
from ddcai.errors import ConfigurationError
from ddcai.simulation.federation.attackers import ATTACKERS
from ddcai.simulation.federation.custody import Encrypted, Twin
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


def test_ciphertexts_give_what_their_twins_give(tmp_path):
    """Every scalar and every sum, for each attack: the whole outcome is the same."""
    for attack in ("label-flip", "boosted-flip", "zero", "colluding"):
        setting = short(clients=5, rounds=4, fraction=0.4, root_set=30)
        found = [
            simulate(blobs(300), setting, ATTACKERS[attack](), seed=1, custody=custody)
            for custody in (None, Encrypted(tmp_path / attack))
        ]
        assert found[0].accuracy == found[1].accuracy
        assert found[0].accepted == found[1].accepted
        assert found[0].sizes == found[1].sizes
        assert [one.verdicts.to_bytes() for one in found[0].settled] == [
            one.verdicts.to_bytes() for one in found[1].settled
        ]
        assert found[0].settled
        journals = {path.name for path in (tmp_path / attack).iterdir()}
        assert journals == {"gate", "movement"}


class Watched(Twin):
    def __init__(self, factor=1):
        self.opened = []
        self.factor = factor

    def open(self, handle, purpose, block, vectors):
        self.opened.append((purpose, vectors.shape, block))
        return self.factor * super().open(handle, purpose, block, vectors)


def test_no_more_is_opened_than_the_rule_needs():
    watched = Watched()
    outcome = simulate(
        blobs(), short(fraction=0.3), ATTACKERS["label-flip"](), seed=1, custody=watched
    )
    assert outcome.accuracy == flip().accuracy
    s = Assessment().projections
    gates = [shape[0] for purpose, shape, _ in watched.opened if purpose == "gate"]
    moves = [shape[0] for purpose, shape, _ in watched.opened if purpose == "movement"]
    assert gates == [s + 1, s + 2, s + 3, *[s + 4] * 8]
    assert moves == [1] * 8
    lanes = {tuple(set((block % 2).tolist())) for _, _, block in watched.opened}
    assert lanes == {(0,), (1,)}


def test_where_nothing_can_be_learned_nobody_is_accepted():
    blind = simulate(
        blobs(), short(fraction=0.3), ATTACKERS["label-flip"](), seed=1, custody=Watched(0)
    )
    assert all(not accepted for accepted in blind.accepted)
    assert blind.accuracy[-1] == blind.accuracy[0]


def test_noise_on_what_is_opened_blurs_scores_and_changes_nothing_else():
    quiet, noisy, loud = (
        flip(rule=dataclasses.replace(short().rule, opening_noise=noise))
        for noise in (0.0, 0.001, 100.0)
    )
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
