from __future__ import annotations

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.common import Metadata
from flwr.serverapp.strategy import FedAvg, FedMedian, FedTrimmedAvg, Krum, MultiKrum

from ddcai.simulation.federation.comparators import COMPARATORS, fltrust

NOTHING = np.zeros(5, np.float32)


def by_flower(strategy, updates):
    replies = []
    for number, update in enumerate(updates):
        content = RecordDict(
            {
                "arrays": ArrayRecord([update.copy()]),
                "metrics": MetricRecord({"num-examples": 10}),
            }
        )
        metadata = Metadata(1, str(number), number, 0, "", "", 0.0, 1e9, "train")
        replies.append(Message(metadata=metadata, content=content))
    arrays, _ = strategy.aggregate_train(1, replies)
    return arrays.to_numpy_ndarrays()[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "attackers", "strategy"),
    [
        ("fedavg", 2, FedAvg()),
        ("krum", 2, Krum(num_malicious_nodes=2)),
        ("multi-krum", 2, MultiKrum(num_malicious_nodes=2, num_nodes_to_select=8)),
        ("trimmed-mean", 2, FedTrimmedAvg(beta=0.2)),
        ("median", 2, FedMedian()),
    ],
)
def test_comparators_are_flower_s_own(name, attackers, strategy, seed):
    rng = np.random.default_rng(seed)
    updates = rng.normal(0, 1, (10, 5)).astype(np.float32)
    updates[0] += 4
    found = COMPARATORS[name](updates, attackers, NOTHING)
    assert np.abs(found - by_flower(strategy, updates)).max() < 1e-5


def test_fltrust_weighs_by_agreement_at_the_root_s_length():
    root = np.array([2, 0], np.float32)
    updates = np.array([[5, 0], [3, 4], [-9, 0], [0, 0]], np.float32)
    # Trust 1, .6, 0, 0; each at length 2.
    expected = (np.array([2, 0]) + 0.6 * np.array([1.2, 1.6])) / 1.6
    assert fltrust(updates, 1, root) == pytest.approx(expected)
    assert not fltrust(-np.abs(updates), 1, root).any()
    assert not fltrust(updates, 1, np.zeros(2, np.float32)).any()


@pytest.mark.parametrize("name", COMPARATORS)
def test_one_update_is_its_own_mean(name):
    one = np.array([[1, -2, 3, 0, 0.5]], np.float32)
    root = one[0] * 1
    assert COMPARATORS[name](one, 0, root) == pytest.approx(one[0])
