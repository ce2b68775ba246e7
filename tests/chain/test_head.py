from __future__ import annotations

import numpy as np
import pytest
from web3 import Web3

from ddcai.chain.deploy import deploy_federation
from ddcai.chain.head import Head
from ddcai.errors import ConfigurationError
from tests.chain.support import CLASSES, CONFIG, DIMENSIONS, SPONSOR, default_rules, digest


def _head(w3: Web3, weights: np.ndarray, bias: np.ndarray) -> Head:
    words = []
    for row in weights:
        for start in range(0, DIMENSIONS, 16):
            packed = row[start : start + 16].astype("<i2").tobytes().ljust(32, b"\0")
            words.append(int.from_bytes(packed, "little"))
    words.append(int.from_bytes(bias.astype("<i4").tobytes().ljust(32, b"\0"), "little"))
    deployment = deploy_federation(
        w3, SPONSOR, default_rules(), DIMENSIONS, CLASSES, words, digest(), config=CONFIG
    )
    head = Head(w3, deployment.head)
    assert head.words() == tuple(words)
    return head


def test_predict_equals_integer_arithmetic(node: Web3) -> None:
    generator = np.random.default_rng(7)
    weights = generator.integers(-(2**15), 2**15, (CLASSES, DIMENSIONS))
    bias = generator.integers(-(2**31), 2**31, CLASSES)
    head = _head(node, weights, bias)
    assert head.shape() == (DIMENSIONS, CLASSES)
    features = generator.integers(-128, 128, (120, DIMENSIONS)).astype(np.int8)
    features[0], features[1] = -128, 127
    classes, scores = head.predict(features)
    expected = features.astype(np.int64) @ weights.T + bias
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(classes, expected.argmax(axis=1))
    assert classes.dtype == scores.dtype == np.int64


def test_ties_and_no_rows(w3: Web3) -> None:
    head = _head(w3, np.zeros((CLASSES, DIMENSIONS)), np.zeros(CLASSES))
    classes, scores = head.predict(np.ones((1, DIMENSIONS), dtype=np.int8))
    assert classes.tolist() == [0]
    assert scores.tolist() == [[0, 0, 0]]
    classes, scores = head.predict(np.empty((0, DIMENSIONS), dtype=np.int8))
    assert (classes.shape, scores.shape) == ((0,), (0, CLASSES))
    for wrong in (np.zeros((1, 19), np.int8), np.zeros((1, 20)), np.zeros(20, np.int8)):
        with pytest.raises(ConfigurationError, match=r"takes int8\[n, 20\]"):
            head.predict(wrong)
