"""Judged rounds over two keys: a window that began under the first is judged under the second."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ddcai.chain.assessment import WindowState
from ddcai.chain.records import RoundState, WindowRules
from ddcai.encryption.journal import Journal
from ddcai.errors import ScalarBudget
from ddcai.flower import EncryptedFedAvg
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.key_use import KeyMeter
from ddcai.rounds.retiring import Retiring, retire
from ddcai.rounds.shared_opener import MOVEMENT, SCALARS, SUM, Asked, SharedOpener
from tests.epochs import Rekeyed, opener, rekey
from tests.federation import SmallFederation, make_federation
from tests.flower.support import Nodes
from tests.rounds.judged import CONFIG

from .test_judged import RULE, sites

assert RULE is not None
# By past movement: a root set would be trained on by every party, in every step.
MOVEMENT_RULE = dataclasses.replace(
    RULE, anchor="movement", root_set="", movement_lag=1, window=2, projections=4
)
BRIEF = dataclasses.replace(CONFIG, assessment=MOVEMENT_RULE)
WINDOWS = WindowRules(window_rounds=2, verdict_period_s=30 * 86_400, bond_wei=10**15)
GRACE_S = 7 * 86_400


def run(made: SmallFederation, coordinator: Coordinator, rounds: int) -> None:
    strategy = EncryptedFedAvg(coordinator, join_timeout_s=2.0)
    strategy.start(Nodes(made, sites(made, ())).grid(), num_rounds=rounds)


def test_a_window_over_two_keys(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path,
        url=chain_url,
        config=BRIEF,
        windows=WINDOWS,
        holders=(2, 3),
        grace_seconds=GRACE_S,
    ) as made:
        coordinator = made.coordinator
        run(made, coordinator, 1)
        rekeyed = rekey(made)
        made = rekeyed.made
        name, *_ = made.trial.key_holders
        folder = Path(made.trial.key_holders[name].encryption_key)

        # Its grace is over, and the window that round 1 is in still waits.
        made.pass_time(GRACE_S + 1)
        kept = {one.epoch: one.why for one in Retiring(made.contract).look(folder) if one.keep}
        assert kept == {
            1: "window 1 waits for its verdict, and has rounds of it: 1",
            2: "it is the current key",
        }
        run(made, coordinator, 3)
        assert [made.contract.round(n).state for n in (1, 2, 3)] == [RoundState.FINALIZED] * 3
        assert made.contract.assessment().window(1).state is WindowState.JUDGED

        _check_scalars_count_over_keys(rekeyed, name, coordinator)
        _check_chain_counts_no_less(rekeyed, name)

        files = Retiring(made.contract).look(folder)
        assert {one.epoch: one.keep for one in files} == {1: False, 2: True}
        retire(files)
        # What is left opens the rounds of the second key, and remembers those of the first.
        left = opener(made.trial.key_holders[name])
        left.share(Asked(what=SUM, round=3, responders=(0, 1, 2)))
        assert left._opened(3) == {1, 2, 3}


def _check_scalars_count_over_keys(rekeyed: Rekeyed, name: str, coordinator: Coordinator) -> None:
    """A holder that counted each key alone would open with one scalar less in the budget."""
    one = opener(rekeyed.made.trial.key_holders[name])
    context = one.party.context(2)
    spent = {
        epoch.number: sum(
            Journal(one._journals(one._rings[epoch.key_digest])[kind]).scalars_in_all(context)
            for kind in (SCALARS, MOVEMENT)
        )
        for epoch in rekeyed.epochs
    }
    assert all(spent.values())
    anchor = coordinator.publish_anchor(rekeyed.made.contract.round(2))
    asked = Asked(what=SCALARS, round=2, responders=(0, 1, 2), anchor=anchor)

    def with_budget(budget: int) -> SharedOpener:
        rings = list(one._rings.values())
        return SharedOpener(one.party, rings, one._folder, scalar_budget=budget)

    total = sum(spent.values())
    with_budget(total).share(asked)
    with pytest.raises(ScalarBudget):
        with_budget(total - 1).share(asked)


def _check_chain_counts_no_less(rekeyed: Rekeyed, name: str) -> None:
    """What `KeyMeter` reckons of the second key, and what a holder of it counted."""
    made = rekeyed.made
    one = opener(made.trial.key_holders[name])
    epoch = rekeyed.epochs[1]
    journals = one._journals(one._rings[epoch.key_digest]).values()
    counted = sum(Journal(path).ciphertexts() for path in journals)
    use = KeyMeter(made.config, made.coordinator.current_model()).of_federation(
        made.contract, epoch
    )
    # The movement of round 3 was not opened.
    assert 0 < counted < use.spent
    assert use.spent - counted < counted / 2
