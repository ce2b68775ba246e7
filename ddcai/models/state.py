"""A model's state: float32 arrays in a fixed, named order, with one byte form and one digest.

Guarantees:
- `from_canonical(to_canonical(state))` gives the same names, order, shapes and bits.
- `to_canonical(from_canonical(blob)) == blob` for every blob that is accepted.
- `unflatten(flatten(state), state)` gives the same bits.
- No state with NaN or infinity has a byte form or a vector.

Canonical form, little-endian: version byte 1; u32 number of arrays; for each array u16 length
of its name and the name (UTF-8), u8 number of dimensions, a u32 each; then every array's
float32 values in row-major order, array after array. Nothing follows.

safetensors files are for keeping and sharing; they do not fix an order of arrays, so ours is
in their metadata, and the digest is always that of the canonical form.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from ddcai import strict_json
from ddcai.digests import model_digest
from ddcai.errors import ConfigurationError, MalformedError, RoundError
from ddcai.keyfile import write_atomically

State: TypeAlias = dict[str, npt.NDArray[np.float32]]

VERSION = 1
MAX_ARRAYS = 65_536
MAX_DIMENSIONS = 8
_ORDER = "ddcai.order"


def flatten(state: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """All values in order, float32[n].

    Raises:
        RoundError: for NaN or infinity, naming the array.
    """
    _check(state)
    if not state:
        return np.zeros(0, np.float32)
    return np.concatenate([array.reshape(-1) for array in state.values()])


def unflatten(
    vector: npt.NDArray[np.float32], like: Mapping[str, npt.NDArray[np.float32]]
) -> State:
    """The state with the names and shapes of ``like`` and the values of ``vector``.

    Raises:
        ConfigurationError: if ``vector`` is not float32[n] with ``like``'s n.
    """
    size = count(like)
    if vector.dtype != np.float32 or vector.shape != (size,):
        raise ConfigurationError(
            f"a vector {vector.dtype}{list(vector.shape)} is no model of {size} parameters: "
            "give float32 values for the federation's own model"
        )
    state: State = {}
    start = 0
    for name, array in like.items():
        state[name] = vector[start : start + array.size].reshape(array.shape).copy()
        start += array.size
    return state


def count(state: Mapping[str, npt.NDArray[np.float32]]) -> int:
    """Number of parameters."""
    return sum(array.size for array in state.values())


def to_canonical(state: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """The state's one byte form (module docstring).

    Raises:
        RoundError: for NaN or infinity, naming the array.
        ConfigurationError: for names or shapes that the form cannot hold.
    """
    _check(state)
    if len(state) > MAX_ARRAYS:
        raise ConfigurationError(f"a model of {len(state)} arrays: at most {MAX_ARRAYS}")
    parts = [struct.pack("<BI", VERSION, len(state))]
    for name, array in state.items():
        encoded = name.encode("utf-8")
        fits = 1 <= len(encoded) <= 0xFFFF and array.ndim <= MAX_DIMENSIONS
        if not fits or any(size > 0xFFFFFFFF for size in array.shape):
            raise ConfigurationError(
                f"array {name[:80]!r} of shape {array.shape} has no byte form: use a name of 1 to "
                f"65535 bytes and at most {MAX_DIMENSIONS} dimensions"
            )
        parts.append(struct.pack("<H", len(encoded)) + encoded)
        parts.append(struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
    parts.extend(array.astype("<f4", copy=False).tobytes() for array in state.values())
    return b"".join(parts)


def from_canonical(blob: bytes) -> State:
    """Reads the byte form, strictly.

    Raises:
        MalformedError: for another version, a wrong length, a name given twice or not UTF-8,
            NaN or infinity.
    """
    cursor = 0

    def take(form: str) -> tuple[int, ...]:
        nonlocal cursor
        size = struct.calcsize(form)
        if cursor + size > len(blob):
            raise MalformedError(f"the model ends early, after {len(blob)} bytes: fetch it again")
        values = struct.unpack_from(form, blob, cursor)
        cursor += size
        return values

    version, arrays = take("<BI")
    if version != VERSION:
        raise MalformedError(f"model version {version}: this release reads version {VERSION}")
    if arrays > MAX_ARRAYS:
        raise MalformedError(f"a model of {arrays} arrays: at most {MAX_ARRAYS}")
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(arrays):
        (length,) = take("<H")
        raw = blob[cursor : cursor + length]
        take(f"<{length}x")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError(f"an array's name is not UTF-8: {raw[:40].hex()}") from error
        if not name or name in shapes:
            raise MalformedError(f"array {name!r} is unnamed or there twice")
        (dimensions,) = take("<B")
        if dimensions > MAX_DIMENSIONS:
            raise MalformedError(f"array {name!r} has {dimensions} dimensions, over the most")
        shapes[name] = take(f"<{dimensions}I")
    # Python integers: a product of hostile dimensions cannot wrap round.
    expected = cursor + 4 * sum(math.prod(shape) for shape in shapes.values())
    if len(blob) != expected:
        raise MalformedError(f"the model has {len(blob)} bytes, not {expected}: fetch it again")
    state: State = {}
    for name, shape in shapes.items():
        array = np.frombuffer(blob, "<f4", math.prod(shape), cursor).astype(np.float32)
        if not np.isfinite(array).all():
            raise MalformedError(f"array {name!r} holds NaN or infinity")
        state[name] = array.reshape(shape)
        cursor += array.nbytes
    return state


def digest(state: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """The model's digest: 32 bytes, over the canonical form."""
    return model_digest(to_canonical(state))


def save(
    path: Path | str,
    state: Mapping[str, npt.NDArray[np.float32]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a safetensors file, whole or not at all; ``metadata`` is text by name."""
    _check(state)
    given = dict(metadata or {})
    if _ORDER in given:
        raise ConfigurationError(f"metadata {_ORDER!r} is ours: use another name")
    header = given | {_ORDER: json.dumps(list(state))}
    # safetensors writes the memory as it lies, so views must be made contiguous first.
    arrays = {name: np.array(array, order="C") for name, array in state.items()}
    write_atomically(path, safetensors_bytes(arrays, header), mode=0o644)


def load(path: Path | str, *, expected_digest: bytes | None = None) -> tuple[State, dict[str, str]]:
    """Reads a file of `save`: the state and its metadata.

    Args:
        path: the safetensors file.
        expected_digest: 32 bytes; the file's model must have this digest.

    Raises:
        ConfigurationError: if the file cannot be read, is no model of ours, or has another
            digest.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            order = strict_json.loads(metadata.pop(_ORDER, "null"))
            names = set(file.keys())
            if not isinstance(order, list) or len(order) != len(names) or set(order) != names:
                raise ConfigurationError(
                    f"{path} does not say the order of its arrays: give a model saved by ddcai"
                )
            state: State = {name: file.get_tensor(name) for name in order}
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise ConfigurationError(f"cannot read the model {path}: {error}") from error
    for name, array in state.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ConfigurationError(
                f"{path}: array {name!r} is not finite float32: give a model saved by ddcai"
            )
    if expected_digest is not None and (found := digest(state)) != expected_digest:
        raise ConfigurationError(
            f"{path} has digest {found.hex()}, not {expected_digest.hex()}: fetch the model that "
            "the federation names"
        )
    return state, metadata


def _check(state: Mapping[str, npt.NDArray[np.float32]]) -> None:
    for name, array in state.items():
        if array.dtype != np.float32:
            raise ConfigurationError(f"array {name!r} is {array.dtype}: a model's state is float32")
        if not np.isfinite(array).all():
            raise RoundError(
                f"array {name!r} holds NaN or infinity: training diverged, lower "
                "training.learning_rate"
            )
