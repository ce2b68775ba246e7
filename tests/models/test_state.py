"""The canonical state: both round trips, the strict parser, and files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcai.errors import ConfigurationError, MalformedError, RoundError
from ddcai.models import state
from ddcai.models.state import State

_arrays = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)
_states = st.dictionaries(st.text(min_size=1, max_size=12), _arrays, max_size=5)


def _same(left: State, right: State) -> None:
    assert list(left) == list(right)
    for name, array in left.items():
        assert array.shape == right[name].shape
        assert array.tobytes() == right[name].tobytes()


def _example() -> State:
    return {
        "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a.bias": np.array([-0.0, 1.5], np.float32),
        "scalar": np.float32(7.0).reshape(()),
    }


@given(_states)
def test_canonical_round_trip(given_state: State) -> None:
    blob = state.to_canonical(given_state)
    _same(state.from_canonical(blob), given_state)
    assert state.to_canonical(state.from_canonical(blob)) == blob


@given(_states)
def test_flatten_round_trip(given_state: State) -> None:
    vector = state.flatten(given_state)
    assert vector.shape == (state.count(given_state),)
    _same(state.unflatten(vector, given_state), given_state)


@given(_states, st.data())
def test_the_parser_accepts_one_form_only(given_state: State, data: st.DataObject) -> None:
    """Any change of a byte is refused or gives a state with exactly those bytes."""
    blob = bytearray(state.to_canonical(given_state))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    try:
        parsed = state.from_canonical(bytes(blob))
    except MalformedError:
        return
    assert state.to_canonical(parsed) == bytes(blob)


@given(st.binary(max_size=200))
def test_the_parser_refuses_noise(blob: bytes) -> None:
    try:
        parsed = state.from_canonical(blob)
    except MalformedError:
        return
    assert state.to_canonical(parsed) == blob


def test_the_byte_form_is_as_written() -> None:
    name = b"a"
    expected = struct.pack("<BIH", 1, 1, 1) + name + struct.pack("<BI", 1, 2)
    expected += struct.pack("<2f", 1.0, -2.0)
    assert state.to_canonical({"a": np.array([1, -2], np.float32)}) == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda blob: b"\x02" + blob[1:], "version"),
        (lambda blob: blob + b"\0", "bytes"),
        (lambda blob: blob[:-1], "bytes"),
        (lambda blob: blob[:9], "early"),
        (lambda blob: blob[:1] + struct.pack("<I", 2**31) + blob[5:], "arrays"),
        (lambda blob: blob.replace(b"a.bias", b"a.bi\xff\xff"), "UTF-8"),
        (lambda blob: blob.replace(b"scalar", b"a.bias"), "twice"),
        (lambda blob: blob[:-4] + struct.pack("<f", float("nan")), "NaN"),
        (lambda blob: blob[:-4] + struct.pack("<f", float("inf")), "NaN"),
    ],
)
def test_malformed_models_are_refused(change, says: str) -> None:  # type: ignore[no-untyped-def]
    blob = state.to_canonical(_example())
    with pytest.raises(MalformedError, match=says):
        state.from_canonical(change(blob))


def test_huge_claimed_dimensions_are_refused_without_memory() -> None:
    blob = struct.pack("<BIH", 1, 1, 1) + b"a" + struct.pack("<B8I", 8, *[2**32 - 1] * 8)
    with pytest.raises(MalformedError, match="bytes"):
        state.from_canonical(blob)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_states_that_are_not_finite_have_no_form(value: float, tmp_path: Path) -> None:
    bad = _example() | {"a.bias": np.array([0, value], np.float32)}
    for use in (state.to_canonical, state.flatten, lambda s: state.save(tmp_path / "m", s)):
        with pytest.raises(RoundError, match=r"'a\.bias'.*learning_rate"):
            use(bad)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_depends_on_values_names_and_order() -> None:
    base = _example()
    changed = {name: array.copy() for name, array in base.items()}
    changed["b.weight"][0, 0] = np.nextafter(np.float32(0), np.float32(1))
    renamed = {("c" if name == "scalar" else name): array for name, array in base.items()}
    reordered = dict(reversed(base.items()))
    digests = {state.digest(s) for s in (base, changed, renamed, reordered)}
    assert len(digests) == 4


@pytest.mark.parametrize(
    "vector", [np.zeros(8, np.float32), np.zeros(9, np.float64), np.zeros((9, 1), np.float32)]
)
def test_a_vector_of_another_model_is_refused(vector: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="no model of 9 parameters"):
        state.unflatten(vector, _example())


def test_unflatten_does_not_share_memory() -> None:
    vector = np.zeros(9, np.float32)
    made = state.unflatten(vector, _example())
    made["b.weight"][:] = 1
    assert not vector.any()


def test_a_file_keeps_order_values_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state.save(path, _example(), {"round": "3"})
    loaded, metadata = state.load(path, expected_digest=state.digest(_example()))
    _same(loaded, _example())
    assert metadata == {"round": "3"}


def test_a_view_is_saved_as_it_reads(tmp_path: Path) -> None:
    transposed = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    state.save(tmp_path / "m", transposed)
    _same(state.load(tmp_path / "m")[0], transposed)


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state.save(path, _example())
    with pytest.raises(ConfigurationError, match=state.digest(_example()).hex()):
        state.load(path, expected_digest=bytes(32))


def test_a_changed_bit_in_a_file_is_seen_by_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state.save(path, _example())
    raw = bytearray(path.read_bytes())
    raw[-4] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match="digest"):
        state.load(path, expected_digest=state.digest(_example()))


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    noise = tmp_path / "noise"
    noise.write_bytes(b"not a model")
    foreign = tmp_path / "foreign"
    save_file({"w": np.zeros(2, np.float32)}, foreign)
    half = tmp_path / "half"
    save_file({"w": np.zeros(2, np.float16)}, half, {"ddcai.order": '["w"]'})
    for path, says in (
        (noise, "cannot read"),
        (tmp_path / "missing", "cannot read"),
        (foreign, "order"),
        (half, "float32"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            state.load(path)
