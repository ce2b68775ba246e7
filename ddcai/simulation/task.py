"""What agents teach: a model that was trained a little, samples to contribute, and a test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.data import heart_disease, sms
from ddcai.errors import ConfigurationError
from ddcai.models.heads import FEATURE_SCALE, Classifier, NearestCentroid, SparsePerceptron

Row = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]

# Samples that the first model is trained on, and passes over them. The published simulation of
# the first system (Harris and Waggoner 2019, section VI) starts from 2,000 samples too.
SMS_START, HEART_START, EPOCHS = 2_000, 300, 20
# A lesson moves a weight by 1, and the first weights were learned with lessons of this size: with
# lessons as large as those, one wrong label turns the model's mind about a message.
SMS_SCALE = 64
TEST_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A task for a simulation.

    Attributes:
        name: of `TASKS`.
        classes: names.
        model: makes the first model, always the same.
        pool: rows that agents may contribute.
        pool_labels: their true labels.
        test, test_labels: what accuracy is measured on; no agent sees it.
    """

    name: str
    classes: tuple[str, ...]
    model: Callable[[], Classifier]
    pool: list[Row]
    pool_labels: Labels
    test: list[Row]
    test_labels: Labels

    def accuracy(self, model: Classifier) -> float:
        """Share of the test set that a model has right."""
        rows: Any = np.stack(self.test) if model.dense else self.test
        return float((model.predict(rows) == self.test_labels).mean())


def sms_task(seed: int) -> Task:
    """SMS spam: 1,024 hashed words, a sparse Perceptron of one row of weights."""
    x, y = sms.dataset(str(sms.PATH), sms.sms_config())
    rows: list[Row] = [np.flatnonzero(row) for row in x]
    start, pool, test = _split(y, SMS_START, seed)
    weights, bias = np.zeros((1, sms.WIDTH), np.int64), np.zeros(1, np.int64)
    for row in start * EPOCHS:
        score = bias[0] + weights[0, rows[row]].sum()
        if (score > 0) != y[row]:
            step = 1 if y[row] else -1
            weights[0, rows[row]] += step
            bias[0] += step
    first = (SMS_SCALE * weights).astype(np.int16), (SMS_SCALE * bias).astype(np.int16)
    return Task(
        name="sms",
        classes=sms.CLASSES,
        model=lambda: SparsePerceptron(first[0].copy(), first[1].copy(), 1),
        pool=[rows[row] for row in pool],
        pool_labels=y[pool],
        test=[rows[row] for row in test],
        test_labels=y[test],
    )


def heart_task(seed: int) -> Task:
    """Heart disease in four hospitals: nearest centroids of the scaled columns."""
    config = heart_disease.heart_config()
    sites = heart_disease.load_sites(seed, config)
    x = np.concatenate([np.concatenate([site.x_train, site.x_test]) for site in sites])
    y = np.concatenate([np.concatenate([site.y_train, site.y_test]) for site in sites])
    rows = np.rint(x.clip(-1, 1) * FEATURE_SCALE).astype(np.int8)
    start, pool, test = _split(y, HEART_START, seed)
    classes = config.task.classes
    labels = y[start]
    sums = np.stack(
        [rows[start][labels == c].sum(axis=0, dtype=np.int64) for c in range(len(classes))]
    )
    numbers = np.bincount(labels, minlength=len(classes)).astype(np.int64)
    return Task(
        name="heart",
        classes=classes,
        model=lambda: NearestCentroid(numbers.copy(), sums.copy()),
        pool=[rows[row] for row in pool],
        pool_labels=y[pool],
        test=[rows[row] for row in test],
        test_labels=y[test],
    )


def _split(y: Labels, start: int, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Row numbers to start from, to contribute and to test on, in random order."""
    order = np.random.default_rng([seed, 1]).permutation(len(y)).tolist()
    tested = round(TEST_SHARE * len(y))
    started = tested + start
    return order[tested:started], order[started:], order[:tested]


TASKS: dict[str, Callable[[int], Task]] = {"sms": sms_task, "heart": heart_task}


def task(name: str, seed: int) -> Task:
    """One of `TASKS`, split by the seed.

    Raises:
        ConfigurationError: there is no such task.
    """
    if name not in TASKS:
        raise ConfigurationError(f"data is {name!r}: give one of {', '.join(TASKS)}")
    return TASKS[name](seed)
