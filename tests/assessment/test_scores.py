from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.assessment import scores
from ddcai.assessment.derivation import draw_projections
from ddcai.assessment.scores import Frame, cosine, inner_products, movement_score
from ddcai.errors import ConfigurationError

SEED = bytes(32)


def frame(rng, block=64, projections=8, replay=3, dimension=1000):
    return Frame(
        projections=draw_projections(rng.bytes(32), projections, block),
        anchor=rng.integers(-1, 2, block).astype(np.int8),
        replay=rng.integers(-15, 16, (replay, block)).astype(np.int8),
        dimension=dimension,
    )


def scored(made, update):
    products = inner_products(made.vectors, update[None])[0]
    return made.scores(made.opened(products.tolist()))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(2, 10))
def test_scores_are_those_of_plain_linear_algebra(seed, replay, projections):
    """Against float64 least squares, which knows nothing of determinants and fractions."""
    rng = np.random.default_rng(seed)
    made = frame(rng, replay=replay, projections=projections)
    update = rng.integers(-8000, 8001, 64)
    found = scored(made, update)
    past, anchor = made.replay.astype(float), made.anchor.astype(float)
    span = np.concatenate([past, anchor[None]])
    inside = span.T @ np.linalg.lstsq(span.T, update.astype(float), rcond=None)[0]
    rest = update - inside
    square = inside @ inside + ((made.projections.astype(float) @ rest) ** 2).mean()
    assert float(found.squared_length) == pytest.approx(square, rel=1e-9)
    assert found.length == pytest.approx(math.sqrt(square * 1000 / 64), rel=1e-9, abs=1e-5)
    expected = update @ anchor / math.sqrt(square * (anchor @ anchor))
    assert found.anchor == pytest.approx(max(-1, min(1, expected)), abs=1e-5)
    energy = 0.0
    if replay:
        part = past.T @ np.linalg.lstsq(past.T, update.astype(float), rcond=None)[0]
        energy = part @ part / square
    assert found.replay == pytest.approx(min(2, energy), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(-50, 50), min_size=3, max_size=3))
def test_a_replay_is_known_without_noise(seed, weights):
    made = frame(np.random.default_rng(seed), projections=2)
    update = np.array(weights) @ made.replay.astype(np.int64)
    found = scored(made, update)
    if update.any():
        assert found.replay == 1
        assert found.squared_length == int(update @ update)


def test_the_estimate_of_the_length_is_unbiased():
    rng = np.random.default_rng(3)
    made = [frame(rng, projections=4, replay=1) for _ in range(4000)]
    update = rng.integers(-8000, 8001, 64)
    estimates = [float(scored(one, update).squared_length) for one in made]
    true = float(update @ update)
    # Relative variance of the mean of 4 squares is about 2 / 4.
    assert abs(np.mean(estimates) / true - 1) < 5 * math.sqrt(0.5 / 4000)


@pytest.mark.parametrize(
    ("anchor", "replay"),
    [([0, 0, 0, 0], [[0, 0, 0, 0]]), ([1, 1, 0, 0], [[2, 2, 0, 0], [2, 2, 0, 0], [4, 4, 0, 0]])],
)
def test_directions_that_say_nothing_new_count_once(anchor, replay):
    made = Frame(
        projections=np.array([[1, 1, 1, -1], [1, -1, 1, 1]], np.int8),
        anchor=np.array(anchor, np.int8),
        replay=np.array(replay, np.int8),
        dimension=4,
    )
    found = scored(made, np.array([3, 3, 0, 0]))
    if any(anchor):
        assert (found.length, found.anchor, found.replay) == (
            pytest.approx(math.sqrt(18), abs=1e-5),
            1,
            1,
        )
    else:
        assert (found.squared_length, found.anchor, found.replay) == (18, 0, 0)


def test_an_update_of_zeros_has_scores_of_zero():
    made = frame(np.random.default_rng(0))
    found = scored(made, np.zeros(64, np.int64))
    assert (found.length, found.anchor, found.replay) == (0, 0, 0)
    assert movement_score(0, found.squared_length, made.anchor) == 0
    assert movement_score(7, Fraction(49), np.zeros(3, np.int8)) == 0


@given(st.integers(-(2**40), 2**40), st.integers(1, 2**60), st.integers(1, 2**20))
def test_a_cosine_is_on_the_grid_odd_and_within_one(product, square, direction):
    value = cosine(product, Fraction(square), direction)
    assert -1 <= value <= 1
    assert scores.on_grid(value) == value
    assert cosine(-product, Fraction(square), direction) == -value
    assert cosine(2 * product, Fraction(4 * square), direction) == value


@pytest.mark.parametrize(
    ("score", "integer"),
    [
        (0.0, 0),
        (1.0, 65536),
        (-1.0, -65536),
        (0.5 / 65536, 0),
        (1.5 / 65536, 2),
        (-2.5 / 65536, -2),
    ],
)
def test_fixed_rounds_half_to_even(score, integer):
    assert scores.fixed(score) == integer


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.integers(1, 200))
def test_inner_products_are_exact(seed, rows, vectors, size):
    rng = np.random.default_rng(seed)
    values = rng.integers(-(2**36), 2**36, (rows, size))
    public = rng.integers(-127, 128, (vectors, size)).astype(np.int8)
    expected = [
        [sum(int(a) * int(b) for a, b in zip(row, vector, strict=True)) for vector in public]
        for row in values
    ]
    assert inner_products(public, values).tolist() == expected


def test_bad_input_is_refused():
    made = frame(np.random.default_rng(0))
    with pytest.raises(ConfigurationError, match="not 12"):
        made.opened([0] * 11)
    other = frame(np.random.default_rng(0), replay=2)
    with pytest.raises(ConfigurationError, match="not 8 and 2"):
        other.scores(made.opened([0] * 12))
    with pytest.raises(ConfigurationError, match=r"give \[k, m\]"):
        inner_products(np.zeros((1, 3), np.int8), np.zeros((1, 4), np.int64))
    with pytest.raises(ConfigurationError, match=r"passes 2\*\*53"):
        inner_products(np.ones((1, 2), np.int8), np.full((1, 2), 2**46))
    with pytest.raises(ConfigurationError, match="give"):
        Frame(
            projections=np.ones((0, 3), np.int8),
            anchor=np.ones(3, np.int8),
            replay=np.ones((0, 3), np.int8),
            dimension=3,
        )
    assert inner_products(np.zeros((0, 3), np.int8), np.zeros((2, 3), np.int64)).shape == (2, 0)
