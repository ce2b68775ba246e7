from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.assessment import derivation
from ddcai.digests import tag
from ddcai.errors import ConfigurationError

SEED = bytes(range(32))

# Computed with ddcai 0.1.0: verdicts hang on what is drawn.
BLOCK = "7f39ff63a71162807fa17866ce90f8681f2e692b011859e6ae924dc8b274c995"
SIGNS = "f52f0be36c094319fdafdd5ebd8dc8df730d9e222b998760e6b520255038f3ad"
seeds = st.binary(min_size=32, max_size=32)


@given(seeds, st.integers(1, 400), st.integers(1, 500))
def test_a_block_is_the_smallest_keys_in_order(seed, dimension, size):
    block = derivation.draw_block(seed, dimension, size)
    assert block.dtype == np.int64
    stream = hashlib.shake_256(tag("assessment-block") + seed).digest(8 * dimension)
    keys = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(dimension)]
    wanted = sorted(range(dimension), key=lambda i: (keys[i], i))[:size]
    assert block.tolist() == sorted(wanted)


def test_equal_keys_go_by_place(monkeypatch):
    monkeypatch.setattr(derivation, "_expand", lambda seed, kind, length: bytes(length))
    assert derivation.draw_block(SEED, 50, 7).tolist() == list(range(7))


@given(seeds, st.sets(st.integers(0, 299), min_size=1), st.integers(1, 300))
def test_only_allowed_coordinates_are_drawn(seed, allowed, size):
    given_ = np.array(sorted(allowed), np.int64)
    block = derivation.draw_block(seed, 300, size, given_)
    assert set(block.tolist()) <= allowed
    assert block.size == min(size, len(allowed))
    assert (np.diff(block) > 0).all()


def test_every_coordinate_is_drawn_as_often():
    counts = np.zeros(40)
    for number in range(2000):
        counts[derivation.draw_block(number.to_bytes(32, "big"), 40, 10)] += 1
    # 500 expected, standard deviation 19.4.
    assert np.abs(counts - 500).max() < 5 * 19.4


@given(seeds, st.integers(1, 9), st.integers(1, 70))
def test_projections_are_signs(seed, count, size):
    signs = derivation.draw_projections(seed, count, size)
    assert signs.shape == (count, size)
    assert signs.dtype == np.int8
    assert set(np.unique(signs)) <= {-1, 1}


def test_every_lane_is_drawn_as_often():
    for lanes in (1, 2, 3):
        drawn = [derivation.draw_lane(i.to_bytes(32, "big"), lanes) for i in range(3000)]
        counts = np.bincount(drawn, minlength=lanes)
        assert len(counts) == lanes
        assert np.abs(counts - 3000 / lanes).max() <= 5 * np.sqrt(3000 / lanes)
    with pytest.raises(ConfigurationError, match="0 lanes"):
        derivation.draw_lane(SEED, 0)


def test_projections_are_fair_and_independent():
    signs = derivation.draw_projections(SEED, 16, 8192).astype(int)
    gram = signs @ signs.T - 8192 * np.eye(16, dtype=int)
    assert np.abs(gram).max() < 5 * np.sqrt(8192)
    assert np.abs(signs.sum(axis=1)).max() < 5 * np.sqrt(8192)


def test_block_and_projections_do_not_change():
    block = derivation.draw_block(SEED, 1000, 100)
    signs = derivation.draw_projections(SEED, 8, 100)
    assert hashlib.sha256(block.astype("<i8").tobytes()).hexdigest() == BLOCK
    assert hashlib.sha256(signs.tobytes()).hexdigest() == SIGNS


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 127), st.floats(1e-6, 1e6))
def test_a_quantised_movement_keeps_the_direction_and_forgets_the_scale(seed, limit, scale):
    rng = np.random.default_rng(seed)
    before = np.zeros(300, np.float32)
    after = rng.normal(0, 1, 300).astype(np.float32)
    block = np.arange(0, 300, 2)
    quantised = derivation.quantised_movement(before, after, block, limit)
    assert np.abs(quantised).max() <= limit
    moved = after[block].astype(np.float64)
    rms = np.sqrt((moved**2).mean())
    exact = np.clip(moved / rms * 4, -limit, limit)
    assert np.abs(quantised - exact).max() <= 0.5 + 1e-9
    doubled = derivation.quantised_movement(before, (after * 2).astype(np.float32), block, limit)
    assert (doubled == quantised).all()
    small = (after * np.float32(scale)).astype(np.float32)
    assert (derivation.movement_signs(before, small, block) == np.sign(moved)).all()


def test_no_movement_has_no_direction():
    state = np.full(10, 3, np.float32)
    block = np.arange(5)
    assert not derivation.quantised_movement(state, state, block, 15).any()
    assert not derivation.movement_signs(state, state, block).any()
    tiny = np.nextafter(state, np.float32(4))
    assert (derivation.movement_signs(state, tiny, block) == 1).all()
    assert (derivation.quantised_movement(state, tiny, block, 15) == 4).all()


@pytest.mark.parametrize(("states", "rows"), [(1, 0), (2, 1), (4, 3), (9, 3)])
def test_past_movements_are_the_latest_newest_first(states, rows):
    models = [np.eye(12, dtype=np.float32)[:i].sum(axis=0) for i in range(states)]
    models = [np.asarray(model, np.float32).reshape(12) for model in models]
    past = derivation.past_movements(models, np.arange(12), count=3, limit=15)
    assert past.shape == (rows, 12)
    assert [int(row.argmax()) for row in past] == list(range(states - 2, states - 2 - rows, -1))


def test_no_replay_is_looked_for_where_none_is_wanted():
    models = [np.zeros(4, np.float32), np.ones(4, np.float32)]
    assert derivation.past_movements(models, np.arange(4), count=0, limit=15).shape == (0, 4)


def test_blended_movements_decay():
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)
    first = derivation.blend_movement(None, zero, one, 0.75)
    assert first.tolist() == [1, 1]
    assert derivation.blend_movement(first, one, zero, 0.75).tolist() == [0.5, 0.5]
    assert derivation.signs(np.array([0.5, -2, 0.0]), np.array([1, 2])).tolist() == [-1, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: derivation.draw_block(b"", 5, 2),
        lambda: derivation.draw_block(SEED, 5, 0),
        lambda: derivation.draw_block(SEED, 5, 2, np.array([3, 1])),
        lambda: derivation.draw_block(SEED, 5, 2, np.array([1, 1])),
        lambda: derivation.draw_block(SEED, 5, 2, np.array([1, 5])),
        lambda: derivation.draw_block(SEED, 5, 2, np.array([], np.int64)),
        lambda: derivation.draw_projections(SEED, 0, 2),
        lambda: derivation.draw_projections(SEED[:-1], 1, 2),
        lambda: derivation.movement_signs(np.zeros(2), np.zeros(2), np.arange(1)),
        lambda: derivation.quantised_movement(
            np.zeros(2, np.float32), np.zeros(3, np.float32), np.arange(1), 3
        ),
        lambda: derivation.quantised_movement(
            np.zeros(2, np.float32), np.zeros(2, np.float32), np.arange(1), 0
        ),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ConfigurationError):
        call()
