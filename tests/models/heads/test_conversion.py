"""Twins against the models that they were made from: scikit-learn's own, and torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import NearestCentroid as SklearnCentroid
from sklearn.svm import LinearSVC
from torch import nn

from ddcai.data import sms
from ddcai.data.loading import load
from ddcai.data.partition import stratified_split
from ddcai.errors import ConfigurationError
from ddcai.models import heads
from ddcai.models.heads.conversion import convert
from ddcai.models.heads.perceptron_head import features_of

GENERATOR = np.random.default_rng(11)


def _rows(x: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(row) for row in x]


@pytest.fixture(scope="module")
def messages() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """SMS: what to train on, and what is held out."""
    x, y = load(sms.PATH, sms.sms_config())
    rows, test = stratified_split(y, test_share=0.3, seed=0)
    return x[rows], y[rows], x[test], y[test]


@pytest.fixture(scope="module")
def dense() -> tuple[np.ndarray, np.ndarray]:
    """Three classes in [-1, 1]^12, which overlap."""
    y = GENERATOR.integers(0, 3, 900)
    centres = GENERATOR.uniform(-0.3, 0.3, (3, 12))
    return (centres[y] + GENERATOR.normal(0, 0.2, (900, 12))).clip(-1, 1), y


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_naive_bayes_agrees_with_scikit_learn_on_the_sms_data(messages: Any, alpha: float) -> None:
    """At most 0.5 % may differ; none does of the 1,665 that are held out."""
    x, y, held_out, truth = messages
    fitted = MultinomialNB(alpha=alpha).fit(x, y)
    made = convert(fitted)
    assert made.rounding == 0
    found = made.model.twin.predict(_rows(held_out))
    assert len(truth) == 1665
    assert np.array_equal(found, fitted.predict(held_out))
    assert np.mean(found == truth) > 0.97
    # Scores are log-probabilities up to a term that the classes share.
    scores = made.model.twin.scores(_rows(held_out)) / made.model.scale
    joint = fitted.predict_joint_log_proba(held_out)
    difference = (scores[:, 1] - scores[:, 0]) - (joint[:, 1] - joint[:, 0])
    assert np.abs(difference).max() < 1e-9


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
def test_a_nearest_centroid_agrees_on_the_sms_data(messages: Any) -> None:
    x, y, held_out, _ = messages
    fitted = SklearnCentroid().fit(x, y)
    made = convert(fitted, kind="SparseNearestCentroid", examples=np.bincount(y))
    assert made.rounding < 1e-6  # counts are whole; the library's means are float32
    counts = np.stack([x[y == c].sum(axis=0) for c in (0, 1)])
    assert np.array_equal(made.model.twin.counts, counts)
    assert np.array_equal(made.model.twin.predict(_rows(held_out)), fitted.predict(held_out))


def test_a_dense_nearest_centroid_agrees_where_rounding_does_not_decide(dense: Any) -> None:
    x, y = dense
    fitted = SklearnCentroid().fit(x, y)
    made = convert(fitted)
    twin = made.model.twin
    features = features_of(x.astype(np.float32))
    assert made.rounding <= 0.5 / (127 * 1000) + 1e-12
    scores = twin.scores(features) / made.model.scale
    exact = 2 * (features / 127) @ fitted.centroids_.T - (fitted.centroids_**2).sum(axis=1)
    # 2 x m - |m|^2 moves by at most 2 |d| (|x| + |m|), 1-norms, where m is off by d.
    bound = 4 * 12 * made.rounding + 2 / made.model.scale
    assert np.abs(scores - exact).max() <= bound
    best = np.sort(exact, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * bound
    assert clear.mean() > 0.99
    assert np.array_equal(twin.predict(features)[clear], exact.argmax(axis=1)[clear])


LINEAR = [
    LogisticRegression(max_iter=1000),
    Perceptron(random_state=0),
    SGDClassifier(random_state=0),
    LinearSVC(random_state=0),
    LogisticRegression(max_iter=1000, fit_intercept=False),
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", LINEAR, ids=lambda one: type(one).__name__)
def test_a_dense_linear_model_is_off_by_its_rounding(
    dense: Any, estimator: Any, classes: int
) -> None:
    x, y = dense
    fitted = estimator.fit(x, y % classes)
    made = convert(fitted)
    features = features_of(x.astype(np.float32))
    exact = fitted.decision_function(features / 127)
    found = made.model.twin.scores(features) / made.model.scale
    if classes == 2:
        found = found[:, 1] - found[:, 0]
    bound = 2 * made.rounding * (1 + np.abs(features / 127).sum(axis=1))
    error = np.abs(found - exact)
    assert not (bound + 1e-12 < error.T).any()
    assert made.rounding <= 0.5 * 127 / made.model.scale
    answers = found.argmax(axis=1) if classes == 3 else (found > 0).astype(int)
    assert np.array_equal(made.model.twin.predict(features), answers)


@pytest.mark.parametrize("estimator", LINEAR, ids=lambda one: type(one).__name__)
def test_a_sparse_linear_model_is_off_by_its_rounding(messages: Any, estimator: Any) -> None:
    x, y, held_out, _ = messages
    fitted = estimator.fit(x, y)
    made = convert(fitted, kind="SparsePerceptron")
    exact = fitted.decision_function(held_out)
    found = made.model.twin.scores(_rows(held_out))[:, 1] / made.model.scale
    bound = made.rounding * (1 + held_out.sum(axis=1))
    assert (np.abs(found - exact) <= bound + 1e-9).all()
    clear = np.abs(exact) > bound
    assert clear.mean() > 0.98
    predicted = made.model.twin.predict(_rows(held_out))
    assert np.array_equal(predicted[clear], fitted.predict(held_out)[clear])


@pytest.mark.parametrize("kind", ["DensePerceptron", "SparsePerceptron"])
@pytest.mark.parametrize("classes", [2, 4])
def test_a_torch_layer_a_module_and_a_state_are_the_same(kind: str, classes: int) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(6, classes)
    module = nn.Module()
    module.head = layer
    state = {"encoder.weight": np.zeros(1), "head.weight": layer.weight.detach().numpy()}
    state["head.bias"] = layer.bias.detach().numpy()
    twins = [convert(one, kind=kind).model.twin for one in (layer, module, state)]
    assert len({twin.digest() for twin in twins}) == 1
    made = convert(layer, kind=kind)
    x = GENERATOR.integers(0, 2, (50, 6))
    with torch.no_grad():
        exact = layer(torch.tensor(x, dtype=torch.float32)).numpy()
    rows: Any = _rows(x) if kind == "SparsePerceptron" else (127 * x).astype(np.int8)
    scores = made.model.twin.scores(rows) / made.model.scale
    np.testing.assert_allclose(
        scores - scores[:, :1], exact - exact[:, :1], atol=14 * made.rounding + 1e-5
    )


@pytest.mark.parametrize("kind", ["DensePerceptron", "SparsePerceptron"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_learning_rate_is_in_the_model_s_own_units(kind: str, rows: int) -> None:
    """A mistake moves the difference of the two classes' scores as the trained model's would."""
    state = {"head.weight": np.zeros((rows, 4)), "head.bias": np.full(rows, 0.25)}
    if rows == 1:
        state["head.bias"][0] = -0.25
    made = convert(state, kind=kind, learning_rate=0.5, scale=2.0**9)
    twin, rate = made.model.twin, made.learning_rate
    assert rate == pytest.approx(0.5, rel=0.25)
    row: Any = np.array([0, 3]) if kind == "SparsePerceptron" else np.array([127, 0, 0, 127], "i1")
    before = twin.scores([row])[0] / made.model.scale
    assert twin.update(row, 1) == (0, True)
    after = twin.scores([row])[0] / made.model.scale
    moved = (after - before)[1] - (after - before)[0]
    # Two rows of the trained model move, or one; by the rate for each of 1, x_0 and x_3.
    assert moved == pytest.approx((2 if rows > 1 else 1) * 3 * rate)


def test_a_model_of_zeros_has_room_to_learn() -> None:
    for kind in ("DensePerceptron", "SparsePerceptron"):
        made = convert({"head.weight": np.zeros((3, 4)), "head.bias": np.zeros(3)}, kind=kind)
        assert made.learning_rate == pytest.approx(1, rel=0.01)
        assert made.rounding == 0


class Fitted:
    """An estimator's attributes, planted."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


BAYES: dict[str, Any] = {
    "class_count_": np.array([1.0, 2.0]),
    "feature_count_": np.array([[1.0, 0.0], [2.0, 3.0]]),
    "alpha": 1.0,
    "class_log_prior_": np.log([1 / 3, 2 / 3]),
}
LINE: dict[str, Any] = {"coef_": np.array([[1.0, -1.0]]), "intercept_": np.array([0.5])}
MEANS: dict[str, Any] = {"centroids_": np.array([[0.0, 1.0], [1.0, 0.0]])}


@pytest.mark.parametrize(
    ("attributes", "options", "says"),
    [
        (BAYES | {"feature_count_": np.array([[0.5, 0], [1, 1]])}, {}, r"0\.5.*sample_weight"),
        (BAYES | {"feature_count_": np.array([[-1.0, 0], [1, 1]])}, {}, "negative"),
        (BAYES | {"class_count_": np.array([0.0, 2.0])}, {}, "1 to 2\\^31 - 1 examples"),
        (BAYES | {"class_count_": np.array([np.nan, 2.0])}, {}, "NaN"),
        (BAYES | {"class_log_prior_": np.log([0.5, 0.5])}, {}, "fit_prior=True"),
        (BAYES | {"alpha": 0.001}, {}, "alpha is 0.001"),
        (BAYES | {"alpha": 256.0}, {}, "alpha is 256"),
        (BAYES | {"alpha": np.array([1.0, 2.0])}, {}, "one for all features"),
        (BAYES, {"kind": "SparsePerceptron"}, "cannot be a SparsePerceptron: choose NaiveBayes"),
        (BAYES, {"scale": 2.0}, "scale is 2.0"),
        (BAYES, {"learning_rate": 1.0}, "learning_rate is 1.0"),
        (BAYES, {"class_names": ["a"]}, "give 2, one a class"),
        (BAYES, {"kind": "Forest"}, "kind is 'Forest'"),
        (LINE | {"coef_": np.array([[np.inf, 0]])}, {}, "weights hold NaN or infinity"),
        (LINE | {"intercept_": np.array([np.nan])}, {}, "biases hold NaN or infinity"),
        (LINE | {"coef_": np.zeros(2)}, {}, "weights \\[2\\]"),
        (LINE | {"intercept_": np.zeros(3)}, {}, "biases \\[3\\]"),
        (LINE | {"coef_": np.array([["a", "b"]])}, {}, "no numbers"),
        (LINE, {"scale": 3.0}, "power of two"),
        (LINE, {"scale": 2.0**20}, "at most"),
        (LINE, {"learning_rate": 0.0}, "above 0"),
        (LINE, {"learning_rate": 1e9}, "at this scale it goes from"),
        (LINE, {"learning_rate": 1e-9}, "at this scale it goes from"),
        (LINE, {"examples": [1, 1]}, "examples is"),
        (MEANS | {"metric": "manhattan"}, {}, "manhattan"),
        (MEANS | {"class_prior_": np.array([0.3, 0.7])}, {}, "priors='uniform'"),
        (MEANS | {"centroids_": np.array([[1.5], [0]])}, {}, "scale them before fitting"),
        (MEANS | {"centroids_": np.array([[-0.5], [0]])}, {"kind": "SparseNearestCentroid"}, "-0"),
        (MEANS, {"examples": [1]}, "examples \\[1\\]"),
        (MEANS, {"examples": [0, 1]}, "1 or more"),
        ({}, {}, "neither coef_"),
        ({"head": Fitted()}, {}, "without a weight"),
    ],
)
def test_what_no_twin_can_be_is_refused(
    attributes: dict[str, Any], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        convert(Fitted(**attributes), **options)


def test_a_state_without_a_head_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\['last.weight'\], but no head.weight"):
        convert({"last.weight": np.zeros((2, 2))})


@pytest.mark.parametrize("size", [1e-6, 1.0, 40_000.0, 1e9])
def test_the_largest_scale_that_fits_is_taken(size: float) -> None:
    made = convert(Fitted(coef_=np.array([[size, -size]]), intercept_=0.0), kind="SparsePerceptron")
    largest = np.abs(made.model.twin.weights).max()
    assert 2**14 <= largest + 1 <= 2**15 or made.model.scale == 2**30
    assert isinstance(made.model.twin, heads.SparsePerceptron)
