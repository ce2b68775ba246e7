"""A classifier in a file: its words, and what its integers mean.

A safetensors file with one array, ``words``, uint8[n, 32], each word big-endian, and the rest as
JSON in its metadata under ``ddcai.classifier``. The digest there is the one that the contract
emits for these words; a file that does not have it is refused.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from ddcai import strict_json
from ddcai.errors import ConfigurationError, MalformedError
from ddcai.keyfile import write_atomically
from ddcai.models.heads.classifier import WORD_BYTES, Classifier
from ddcai.models.heads.twins import TWINS

KEY = "ddcai.classifier"
_FIELDS = {"version", "kind", "features", "classes", "parameter", "scale", "class_names", "digest"}
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A twin and what its integers mean.

    Attributes:
        twin: the model.
        class_names: one a class, in order.
        scale: scores divided by this are those of the model that the twin was made from.
    """

    twin: Classifier
    class_names: tuple[str, ...]
    scale: float

    def __post_init__(self) -> None:
        names = self.class_names
        good = all(isinstance(name, str) and name for name in names)
        if not good or len(names) != self.twin.class_limit or len(set(names)) != len(names):
            raise ConfigurationError(
                f"class names {list(names)!r}: give {self.twin.class_limit} different ones"
            )
        if not math.isfinite(self.scale) or self.scale <= 0:
            raise ConfigurationError(f"scale is {self.scale!r}: give a number above 0")


def save(path: Path | str, model: Model) -> None:
    """Writes a file, whole or not at all."""
    twin = model.twin
    raw = b"".join(word.to_bytes(WORD_BYTES, "big") for word in twin.to_words())
    header = {
        "version": _VERSION,
        "kind": twin.kind,
        "features": twin.feature_limit,
        "classes": twin.class_limit,
        "parameter": twin.parameter,
        "scale": float(model.scale),
        "class_names": list(model.class_names),
        "digest": "0x" + twin.digest().hex(),
    }
    arrays = {"words": np.frombuffer(raw, np.uint8).reshape(-1, WORD_BYTES)}
    write_atomically(path, safetensors_bytes(arrays, {KEY: json.dumps(header)}), mode=0o644)


def is_model_file(path: Path | str) -> bool:
    """Whether a safetensors file says that it holds a classifier.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return KEY in _open(path)[1]


def load(path: Path | str) -> Model:
    """Reads what `save` wrote, strictly.

    Raises:
        ConfigurationError: it cannot be read, is of another form, or its words have another
            digest than it says.
    """
    arrays, metadata = _open(path)
    try:
        header = strict_json.loads(metadata.get(KEY, "null"))
    except ValueError as error:
        raise ConfigurationError(f"{path}: {KEY} is not JSON: {error}") from error
    if not isinstance(header, dict) or set(header) != _FIELDS or header["version"] != _VERSION:
        raise ConfigurationError(f"{path} is no classifier of ours: give one that `save` wrote")
    words = arrays.get("words")
    good = words is not None and words.dtype == np.uint8 and words.ndim == 2
    if not good or words.shape[1] != WORD_BYTES or len(arrays) != 1:  # type: ignore[union-attr]
        raise ConfigurationError(f"{path}: give one array, words, uint8[n, {WORD_BYTES}]")
    kind, numbers = header["kind"], [header[n] for n in ("features", "classes", "parameter")]
    names, scale = header["class_names"], header["scale"]
    if not isinstance(kind, str) or kind not in TWINS:
        raise ConfigurationError(f"{path} is a {kind!r}: known are {', '.join(sorted(TWINS))}")
    if any(type(number) is not int for number in numbers) or type(scale) is not float:
        raise ConfigurationError(f"{path}: shape {numbers} and scale {scale!r} are no numbers")
    if not isinstance(names, list):
        raise ConfigurationError(f"{path}: class_names is {names!r}: give a list of names")
    values = [int.from_bytes(word.tobytes(), "big") for word in words]  # type: ignore[union-attr]
    try:
        twin = TWINS[kind].from_words(values, *numbers)
        model = Model(twin, tuple(names), scale)
    except (MalformedError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if header["digest"] != "0x" + twin.digest().hex():
        raise ConfigurationError(
            f"{path} says digest {header['digest']!r}, but its words have "
            f"0x{twin.digest().hex()}: it was altered; fetch it again"
        )
    return model


def _open(path: Path | str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise ConfigurationError(f"cannot read the model {path}: {error}") from error
