from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddcai.assessment.configuration import Assessment
from ddcai.errors import ConfigurationError
from ddcai.models.entry_points import resolve
from ddcai.simulation.federation.attackers import (
    ATTACKERS,
    Attacker,
    View,
    cosine,
    lengths,
    make_attacker,
)


class Mine(Attacker):
    """A user's own."""


def view(rng, rounds=4):
    states = list(np.cumsum(rng.normal(0, 0.1, (rounds, 400)), axis=0).astype(np.float32))
    return View(
        round=rounds,
        states=states,
        honest=rng.normal(0, 1, (3, 400)).astype(np.float32),
        poisoned=rng.normal(0, 1, (3, 400)).astype(np.float32),
        rule=Assessment(),
        rng=np.random.default_rng(5),
    )


@pytest.mark.parametrize("name", ATTACKERS)
@pytest.mark.parametrize("rounds", [1, 2, 8])
def test_every_attacker_sends_what_can_be_sent(name, rounds):
    seen = view(np.random.default_rng(3), rounds)
    sent = ATTACKERS[name]().send(seen)
    assert sent.shape == (3, 400)
    assert np.isfinite(sent).all()


def test_what_they_send_is_what_they_are_called():
    seen = view(np.random.default_rng(3))
    send = {name: kind().send(seen) for name, kind in ATTACKERS.items()}
    moved = seen.states[-1] - seen.states[-2]
    assert (send["label-flip"] == seen.poisoned).all()
    assert (send["sign-flip"] == -seen.honest).all()
    assert not send["zero"].any()
    assert np.allclose(lengths(send["boosted-flip"]), 10 * lengths(seen.poisoned))
    assert np.allclose(lengths(send["noise"]), lengths(seen.honest))
    assert all(cosine(one, moved) > 0.9999 for one in send["stale-replay"])
    assert all(0.6 < cosine(one, moved) < 0.8 for one in send["blended-replay"])
    assert all(cosine(one, send["colluding"][0]) > 0.9999 for one in send["colluding"])
    direction = np.sign(seen.honest.mean(axis=0))
    for honest, one in zip(seen.honest, send["adaptive"], strict=True):
        share = cosine(one, direction) / cosine(honest, direction)
        assert share == pytest.approx(0.35, abs=0.01)
    bound = Assessment().size_factor * lengths(seen.honest)
    assert (lengths(send["adaptive"]) < bound).all()


def test_what_they_train_on_is_what_they_are_called():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 0.5, (40, 6)).astype(np.float32), rng.integers(0, 10, 40)
    flipped = ATTACKERS["label-flip"]().data(x, y, 10, rng)[1]
    assert (flipped == 9 - y).all()
    targeted = ATTACKERS["targeted-flip"]().data(x, y, 10, rng)[1]
    assert (targeted[y == 1] == 7).all()
    assert (targeted[y != 1] == y[y != 1]).all()
    marked, backdoor = ATTACKERS["backdoor"]().data(x, y, 10, rng)
    trigger = (marked[:, :3] == 1).all(axis=1)
    assert 5 < trigger.sum() < 35
    assert (backdoor[trigger] == 0).all()
    assert (marked[~trigger] == x[~trigger]).all()
    assert (backdoor[~trigger] == y[~trigger]).all()
    assert x.max() < 1


def test_success_is_measured_on_what_they_aim_at():
    x = np.zeros((6, 4), np.float32)
    y = np.array([0, 1, 1, 2, 3, 1])
    targeted = ATTACKERS["targeted-flip"]()
    assert targeted.success(lambda rows: np.array([7, 1, 7]), (x, y), 10) == pytest.approx(2 / 3)
    backdoor = ATTACKERS["backdoor"]()

    def predict(rows):
        assert len(rows) == 5
        assert (rows[:, :3] == 1).all()
        return np.array([0, 0, 2, 3, 1])

    assert backdoor.success(predict, (x, y), 10) == pytest.approx(0.4)
    assert np.isnan(ATTACKERS["noise"]().success(predict, (x, y), 10))


def test_a_user_s_own_attacker_by_name():
    assert type(make_attacker(f"{__name__}:Mine", resolve)).__name__ == "Mine"
    assert make_attacker("boosted-flip:4", resolve).strength == 4
    for name in ("noise:4", "boosted-flip:x"):
        with pytest.raises(ConfigurationError, match="a number goes with targeted-flip and boost"):
            make_attacker(name, resolve)
    with pytest.raises(ConfigurationError, match="give module:class, or one of label-flip"):
        make_attacker("thief", resolve)
    with pytest.raises(ConfigurationError, match="derive it from Attacker"):
        make_attacker("builtins:dict", resolve)


def test_a_sleeper_strikes_only_when_its_standing_bears_it():
    rng = np.random.default_rng(3)
    sleeper = ATTACKERS["sleeper"]()
    struck = []
    for round_ in range(1, 9):
        honest = np.abs(rng.normal(0, 1, (2, 400))).astype(np.float32)
        seen = dataclasses.replace(view(rng), round=round_, honest=honest, poisoned=-honest)
        sent = sleeper.send(seen)
        struck.append((sent != honest).any(axis=1).tolist())
        assert all(
            (a == b).all() or cosine(a, -b) > 0.999 for a, b in zip(sent, honest, strict=True)
        )
    assert struck[0] == [False, False]
    # Agreement .8 and -.8: .32, .51, .62 and .37 are borne, and what follows is not.
    assert 0 < sum(one for one, _ in struck) < 5
