"""Values from strangers have one form each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.report import strict
from ddcai.errors import ConfigurationError, MalformedError


@given(st.binary(max_size=80))
def test_bytes_and_back(value: bytes) -> None:
    assert strict.bytes_("it", "0x" + value.hex()) == value


@given(st.text(max_size=12) | st.none() | st.integers() | st.floats() | st.lists(st.none()))
def test_whatever_it_takes_is_written_so(value: Any) -> None:
    try:
        found = strict.bytes_("it", value)
    except MalformedError:
        return
    assert "0x" + found.hex() == value


@given(st.integers())
def test_numbers_that_fit_63_bits(value: int) -> None:
    if 0 <= value < 2**63:
        assert strict.number("it", value) == value
    else:
        with pytest.raises(MalformedError, match="it is"):
            strict.number("it", value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]])
def test_refuses_what_is_no_number(value: object) -> None:
    with pytest.raises(MalformedError, match="it is"):
        strict.number("it", value)


@pytest.mark.parametrize(
    "value",
    [
        "0x000000000000000000000000000000000000dead",
        "000000000000000000000000000000000000dEaD",
        "0x000000000000000000000000000000000000dEaD\n",
        "0x000000000000000000000000000000000000dEa",
        b"\0" * 20,
        None,
    ],
)
def test_refuses_what_is_no_checksum_address(value: object) -> None:
    with pytest.raises(MalformedError, match="checksum"):
        strict.address("it", value)


@pytest.mark.parametrize("value", ["0x" + "ab" * 31, "0x" + "ab" * 33, "0x"])
def test_refuses_digests_of_another_length(value: str) -> None:
    with pytest.raises(MalformedError, match="a digest has 32"):
        strict.digest("it", value)


def test_a_file_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    strict.write(path, b"12345")
    assert strict.read(path, 5) == b"12345"
    with pytest.raises(MalformedError, match="more than 4 bytes"):
        strict.read(path, 4)
    with pytest.raises(ConfigurationError, match="cannot write"):
        strict.write(tmp_path / "none" / "file", b"")
