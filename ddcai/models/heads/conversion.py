"""From a trained model in floating point to a twin in integers, and so to a contract.

| trained | twin | needs |
|---|---|---|
| ``coef_`` and ``intercept_`` (LogisticRegression, Perceptron, SGDClassifier, LinearSVC), a ``torch.nn.Linear``, a state with ``head.weight`` and ``head.bias`` | DensePerceptron: features int8, rint(127 x) of x in [-1, 1]; SparsePerceptron: x of 0 and 1 | |
| ``class_count_`` and ``feature_count_`` (MultinomialNB) | NaiveBayes | whole counts, priors as counted |
| ``centroids_`` (NearestCentroid) | NearestCentroid (x in [-1, 1]), SparseNearestCentroid (0 and 1) | examples a class |

Estimators are known by these attributes: no library of theirs is imported here.

Linear models are multiplied by a power of two, `scale`, and rounded half to even: the largest at
which every weight fits int16 and every bias its type, unless a smaller one is given, which
leaves weights more room to learn in. Scores divided by the whole scale (127 * scale where
features are int8) are the model's own, off by at most the rounding times (1 + the sum of |x|).
Two classes of one row, w, become -w/2 and w/2 in a DensePerceptron: the difference of their
scores is the decision function. A SparsePerceptron keeps the difference of two classes alone.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError
from ddcai.models.heads.dense_perceptron import DensePerceptron
from ddcai.models.heads.fixed_log import DIGITS
from ddcai.models.heads.model_file import Model
from ddcai.models.heads.naive_bayes import SMOOTHING_UNIT, NaiveBayes
from ddcai.models.heads.nearest_centroid import UNIT, NearestCentroid
from ddcai.models.heads.perceptron_head import FEATURE_SCALE, Head
from ddcai.models.heads.sparse_centroid import UNIT as SPARSE_UNIT
from ddcai.models.heads.sparse_centroid import SparseNearestCentroid
from ddcai.models.heads.sparse_perceptron import SparsePerceptron

DEFAULT_LEARNING_RATE = 1.0
DEFAULT_EXAMPLES = 1000
KINDS = (
    DensePerceptron.kind,
    SparsePerceptron.kind,
    NaiveBayes.kind,
    NearestCentroid.kind,
    SparseNearestCentroid.kind,
)
_INT16, _INT32 = np.iinfo(np.int16).max, np.iinfo(np.int32).max
_MOST_SCALE, _LEAST_SCALE = 2.0**30, 2.0**-64
# Of a model of zeros, which fits any scale: leaves it room to learn.
_ZERO_SCALE = 2.0**7

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Converted:
    """A twin, and what was lost.

    Attributes:
        model: the twin and what its integers mean.
        rounding: the largest error of a weight, bias, mean or smoothing, in the trained model's
            own units.
        learning_rate: the one that the integers stand for; None for models that have none.
    """

    model: Model
    rounding: float
    learning_rate: float | None


def convert(
    trained: Any,
    *,
    kind: str | None = None,
    learning_rate: float | None = None,
    scale: float | None = None,
    examples: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
) -> Converted:
    """A twin of a fitted estimator, a torch module, or a state of named arrays.

    Args:
        trained: as in the table above. Of a torch module other than ``nn.Linear``, its attribute
            ``head`` is taken: what comes before it stays off chain.
        kind: the twin's; by default the dense one where there are two.
        learning_rate: of a perceptron, in the trained model's units: how far a mistake moves a
            class's weights, for a feature of 1. 1 by default, or the nearest that there is.
        scale: of a linear model, a power of two; the largest that fits by default.
        examples: of a nearest centroid, how many examples each mean stands for: more make it
            move less, and be kept more exactly; 1,000 each by default.
        class_names: by default the estimator's ``classes_``, or numbers.

    Raises:
        ConfigurationError: not fitted, of another kind, NaN or infinite, a wrong shape, or
            numbers that the twin cannot hold; naming the value and the remedy.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigurationError(f"kind is {kind!r}: choose one of {', '.join(KINDS)}")
    found, default = _family(trained)
    chosen = kind or default
    allowed = {
        "linear": (DensePerceptron.kind, SparsePerceptron.kind),
        "bayes": (NaiveBayes.kind,),
        "centroid": (NearestCentroid.kind, SparseNearestCentroid.kind),
    }[found]
    if chosen not in allowed:
        raise ConfigurationError(
            f"a {type(trained).__name__} cannot be a {chosen}: choose {' or '.join(allowed)}"
        )
    for name, value, of in (
        ("learning_rate", learning_rate, "linear"),
        ("scale", scale, "linear"),
        ("examples", examples, "centroid"),
    ):
        if value is not None and found != of:
            raise ConfigurationError(f"{name} is {value!r}: a {chosen} has none; leave it out")
    if found == "bayes":
        return _naive_bayes(trained, class_names)
    if found == "centroid":
        return _centroid(trained, chosen, examples, class_names)
    weight, bias = _linear(trained)
    names = _names(trained, max(2, len(weight)), class_names)
    make = _dense if chosen == DensePerceptron.kind else _sparse
    return make(weight, bias, learning_rate, scale, names)


def _family(trained: Any) -> tuple[str, str]:
    if hasattr(trained, "feature_count_") and hasattr(trained, "class_count_"):
        return "bayes", NaiveBayes.kind
    if hasattr(trained, "centroids_"):
        return "centroid", NearestCentroid.kind
    linear = hasattr(trained, "coef_") or hasattr(trained, "weight") or hasattr(trained, "head")
    if linear or isinstance(trained, Mapping):
        return "linear", DensePerceptron.kind
    raise ConfigurationError(
        f"a {type(trained).__name__} has neither coef_, feature_count_, centroids_, weight nor "
        "head: give a fitted linear model, MultinomialNB or NearestCentroid, or a torch module "
        "with a linear head"
    )


def _linear(trained: Any) -> tuple[_Array, _Array]:
    if isinstance(trained, Mapping):
        weight, bias = trained.get("head.weight"), trained.get("head.bias")
        if weight is None or bias is None:
            raise ConfigurationError(
                f"the state holds {list(trained)[:9]}, but no head.weight and head.bias: name the "
                "last layer `head`"
            )
    elif hasattr(trained, "coef_"):
        weight, bias = trained.coef_, getattr(trained, "intercept_", 0.0)
    else:
        layer = trained if hasattr(trained, "weight") else trained.head
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if weight is None:
            raise ConfigurationError(
                f"head is a {type(layer).__name__} without a weight: give an nn.Linear"
            )
        weight = weight.detach().cpu().numpy()
        bias = np.zeros(len(weight)) if bias is None else bias.detach().cpu().numpy()
    weight, bias = _numbers(weight, "weights"), np.atleast_1d(_numbers(bias, "biases"))
    if weight.ndim != 2 or not weight.size or bias.shape not in ((len(weight),), (1,)):
        raise ConfigurationError(
            f"weights {list(weight.shape)} and biases {list(bias.shape)}: give [classes, "
            "features] and [classes], or one row for two classes"
        )
    return weight, np.broadcast_to(bias, len(weight)).copy()


def _dense(
    weight: _Array, bias: _Array, rate: float | None, scale: float | None, names: Sequence[str]
) -> Converted:
    one_row = len(weight) == 1
    if one_row:
        weight = np.concatenate([-weight, weight]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    scale = _scale(scale, (weight, 1, _INT16), (bias, FEATURE_SCALE, _INT32))
    whole = scale * FEATURE_SCALE
    weights, biases = np.rint(weight * scale), np.rint(bias * whole)
    head = Head(weights.astype(np.int16), biases.astype(np.int32))
    # A mistake moves a row by rate * 127 x; the difference of two rows by twice that.
    step, effective = _rate(rate, scale / FEATURE_SCALE / (1 + one_row), DensePerceptron)
    return Converted(
        Model(DensePerceptron(head, step), tuple(names), whole),
        max(_error(weight, weights, scale), _error(bias, biases, whole)),
        effective,
    )


def _sparse(
    weight: _Array, bias: _Array, rate: float | None, scale: float | None, names: Sequence[str]
) -> Converted:
    # The difference of two rows moves twice as far as a row would.
    moves = 1
    if len(weight) == 2:
        weight, bias, moves = weight[1:] - weight[:1], bias[1:] - bias[:1], 2
    scale = _scale(scale, (weight, 1, _INT16), (bias, 1, _INT16))
    weights, biases = np.rint(weight * scale), np.rint(bias * scale)
    step, effective = _rate(rate, scale * moves, SparsePerceptron)
    twin = SparsePerceptron(weights.astype(np.int16), biases.astype(np.int16), step)
    return Converted(
        Model(twin, tuple(names), scale),
        max(_error(weight, weights, scale), _error(bias, biases, scale)),
        effective,
    )


def _naive_bayes(trained: Any, class_names: Sequence[str] | None) -> Converted:
    examples = _counts(trained.class_count_, "class_count_")
    counts = _counts(trained.feature_count_, "feature_count_")
    alpha = _numbers(getattr(trained, "alpha", 1.0), "alpha")
    if alpha.ndim:
        raise ConfigurationError(f"alpha is {list(alpha.shape)}: the twin has one for all features")
    smoothing = int(np.rint(float(alpha) * SMOOTHING_UNIT))
    if not 1 <= smoothing <= NaiveBayes.max_parameter:
        raise ConfigurationError(
            f"alpha is {float(alpha):g}: the contract holds 1/256 to 255.99 in steps of 1/256"
        )
    prior = getattr(trained, "class_log_prior_", None)
    if (examples > 0).all() and prior is not None:
        own = np.log(examples / examples.sum())
        if not np.allclose(np.asarray(prior, np.float64), own, rtol=0, atol=1e-9):
            raise ConfigurationError(
                "the class priors are not the shares of the examples, which are all that the "
                "contract knows: fit with fit_prior=True and without class_prior"
            )
    twin = NaiveBayes(examples, counts, smoothing)
    names = _names(trained, len(examples), class_names)
    # Units of a score are 2^-40 of a binary logarithm; scikit-learn's are natural ones.
    scale = 2.0**DIGITS / math.log(2)
    return Converted(
        Model(twin, names, scale), abs(float(alpha) - smoothing / SMOOTHING_UNIT), None
    )


def _centroid(
    trained: Any, kind: str, given: Sequence[int] | None, class_names: Sequence[str] | None
) -> Converted:
    means = _numbers(trained.centroids_, "centroids_")
    metric = getattr(trained, "metric", "euclidean")
    if metric != "euclidean":
        raise ConfigurationError(f"metric is {metric!r}: the contract's is euclidean")
    prior = np.asarray(getattr(trained, "class_prior_", np.ones(1)), np.float64)
    if not np.allclose(prior, prior[0]):
        raise ConfigurationError(
            f"class_prior_ is {prior.tolist()}: the contract has no priors; fit with "
            "priors='uniform'"
        )
    examples = np.array([DEFAULT_EXAMPLES] * len(means) if given is None else given, np.int64)
    if means.ndim != 2 or examples.shape != (len(means),):
        raise ConfigurationError(
            f"centroids {list(means.shape)} and examples {list(examples.shape)}: give [classes, "
            "features] and [classes]"
        )
    if (examples < 1).any():
        raise ConfigurationError(f"examples is {examples.tolist()}: each class needs 1 or more")
    dense = kind == NearestCentroid.kind
    low, unit = (-1.0, FEATURE_SCALE) if dense else (0.0, 1)
    if means.size and (means.min() < low or means.max() > 1):
        raise ConfigurationError(
            f"centroids go from {means.min():g} to {means.max():g}: a {kind} takes features in "
            f"[{low:g}, 1]; scale them before fitting"
        )
    factors = (unit * examples)[:, None]
    sums = np.rint(means * factors).astype(np.int64)
    twin = NearestCentroid(examples, sums) if dense else SparseNearestCentroid(examples, sums)
    scale = float(UNIT * FEATURE_SCALE**2 if dense else SPARSE_UNIT)
    rounding = float(np.abs(sums / factors - means).max())
    names = _names(trained, len(means), class_names)
    return Converted(Model(twin, names, scale), rounding, None)


def _numbers(values: Any, what: str) -> _Array:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} are no numbers: {error}") from error
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{what} hold NaN or infinity: train the model again")
    return array


def _counts(values: Any, what: str) -> npt.NDArray[np.int64]:
    array = _numbers(values, what)
    whole = np.rint(array)
    if (array != whole).any() or (np.abs(array) >= 2**53).any():
        raise ConfigurationError(
            f"{what} holds {array[array != whole].tolist()[:3]}, which are no whole numbers: fit "
            "on counts, and without sample_weight"
        )
    return whole.astype(np.int64)


def _names(trained: Any, classes: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        own = getattr(trained, "classes_", None)
        given = [str(n) for n in (range(classes) if own is None else np.asarray(own).tolist())]
    if len(given) != classes:
        raise ConfigurationError(f"class names {list(given)!r}: give {classes}, one a class")
    return tuple(given)


def _scale(given: float | None, *groups: tuple[_Array, int, int]) -> float:
    """The largest power of two at which all numbers fit, or the one that is given."""
    largest = _MOST_SCALE
    for values, times, most in groups:
        while np.abs(np.rint(values * largest * times)).max() > most:
            largest /= 2
            if largest < _LEAST_SCALE:
                raise ConfigurationError(
                    f"a weight or bias of {np.abs(values).max():g} fits no scale: train again"
                )
    if given is None:
        return largest if any(values.any() for values, _, _ in groups) else _ZERO_SCALE
    if not (math.isfinite(given) and given > 0 and math.frexp(given)[0] == 0.5):
        raise ConfigurationError(f"scale is {given!r}: give a power of two, such as {largest:g}")
    if given > largest:
        raise ConfigurationError(f"scale is {given:g}: at most {largest:g} fits this model")
    return float(given)


def _rate(
    given: float | None, steps: float, twin: type[DensePerceptron | SparsePerceptron]
) -> tuple[int, float]:
    """The contract's learning rate, and what it is in the trained model's units."""
    most = twin.max_parameter
    wanted = DEFAULT_LEARNING_RATE if given is None else given
    if not math.isfinite(wanted) or wanted <= 0:
        raise ConfigurationError(f"learning_rate is {wanted!r}: give a number above 0")
    step = int(np.rint(wanted * steps)) if wanted * steps < 2 * most else most + 1
    if given is not None and not 1 <= step <= most:
        raise ConfigurationError(
            f"learning_rate is {given:g}: at this scale it goes from {1 / steps:g} to "
            f"{most / steps:g}; give one of these, or another scale"
        )
    step = min(max(step, 1), most)
    return step, step / steps


def _error(values: _Array, rounded: _Array, scale: float) -> float:
    return float(np.abs(values - rounded / scale).max())
