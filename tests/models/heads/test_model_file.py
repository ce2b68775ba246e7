"""Files of classifiers: what is written is read back, and what was altered is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ddcai.errors import ConfigurationError
from ddcai.models import heads
from ddcai.models.heads import model_file
from ddcai.models.heads.model_file import KEY, Model

TWINS = [
    heads.DensePerceptron(heads.Head(np.ones((3, 5), np.int16), np.ones(3, np.int32)), 2),
    heads.SparsePerceptron(np.ones((1, 20), np.int16), np.zeros(1, np.int16), 3),
    heads.NaiveBayes(np.array([1, 2]), np.ones((2, 9), np.int64), 256),
    heads.NearestCentroid(np.array([1, 2]), np.ones((2, 9), np.int64)),
    heads.SparseNearestCentroid(np.array([1, 2]), np.ones((2, 9), np.int64)),
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    model_file.save(path, Model(TWINS[2], ("ham", "spam"), 2.0))
    return path


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.kind)
def test_what_is_written_is_read_back(tmp_path: Path, twin: heads.Classifier) -> None:
    names = tuple(f"class {c}" for c in range(twin.class_limit))
    path = tmp_path / "m.safetensors"
    model_file.save(path, Model(twin, names, 0.25))
    assert model_file.is_model_file(path)
    found = model_file.load(path)
    assert type(found.twin) is type(twin)
    assert found.twin.digest() == twin.digest()
    assert (found.class_names, found.scale) == (names, 0.25)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "no classifier of ours"),
        ({"more": 1}, "no classifier of ours"),
        ({"kind": "Forest"}, "'Forest'"),
        ({"kind": ["NaiveBayes"]}, "NaiveBayes"),
        ({"kind": "SparseNearestCentroid"}, "parameter 256"),
        ({"features": 10}, "digest"),
        ({"features": 99}, "words, not the"),
        ({"features": "9"}, "no numbers"),
        ({"parameter": 0}, "parameter 0"),
        ({"parameter": 255}, "it was altered"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": "1"}, "no numbers"),
        ({"class_names": ["a", "a"]}, "2 different ones"),
        ({"class_names": "ab"}, "list of names"),
        ({"digest": "0x00"}, "it was altered"),
    ],
)
def test_an_altered_header_is_refused(written: Path, changes: dict[str, Any], says: str) -> None:
    arrays = load_file(written)
    twin = TWINS[2]
    header = {
        "version": 1,
        "kind": twin.kind,
        "features": 9,
        "classes": 2,
        "parameter": 256,
        "scale": 2.0,
        "class_names": ["ham", "spam"],
        "digest": "0x" + twin.digest().hex(),
    }
    save_file(arrays, written, {KEY: json.dumps(header)})
    assert model_file.load(written).scale == 2
    save_file(arrays, written, {KEY: json.dumps(header | changes)})
    with pytest.raises(ConfigurationError, match=says):
        model_file.load(written)


def test_altered_words_are_refused(written: Path) -> None:
    raw = bytearray(written.read_bytes())
    raw[-40] ^= 1
    written.write_bytes(raw)
    with pytest.raises(ConfigurationError):
        model_file.load(written)
    written.write_bytes(raw[:-1])
    with pytest.raises(ConfigurationError, match="cannot read the model"):
        model_file.load(written)


@pytest.mark.parametrize("metadata", [{}, {KEY: "{"}, {KEY: "null"}])
def test_another_file_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"words": np.zeros((1, 32), np.uint8)}, path, metadata)
    assert model_file.is_model_file(path) == (KEY in metadata)
    with pytest.raises(ConfigurationError, match=str(path)):
        model_file.load(path)
    with pytest.raises(ConfigurationError, match="cannot read"):
        model_file.load(tmp_path / "none")
