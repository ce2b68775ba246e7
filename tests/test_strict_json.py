from __future__ import annotations

import json

import py_ecc  # noqa: F401  (raises the recursion limit, as in every process of ddcai)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.strict_json import MAX_DEPTH, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=200,
)


@given(VALUES, st.booleans())
def test_agrees_with_json(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert loads(text) == loads(text.encode()) == value


@given(st.binary(max_size=200))
def test_other_bytes_are_a_value_error_or_json(data: bytes) -> None:
    try:
        expected = json.loads(data.decode())
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            loads(data)
    else:
        assert json.dumps(loads(data)) == json.dumps(expected)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'["]",{"b":'])
def test_deep_nesting_is_refused_not_crashed_on(opening: bytes) -> None:
    with pytest.raises(ValueError, match="nested deeper than 64"):
        loads(opening * 100_000)


def test_depth_is_not_the_number_of_brackets() -> None:
    assert len(loads("[" + ",".join(["[]"] * 1_000) + "]")) == 1_000
    assert loads('["' + "[" * 1_000 + '\\"[["]') == ["[" * 1_000 + '"[[']
    loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="nested"):
        loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "", "[", '"\\', b"\xff"])
def test_what_is_not_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)
