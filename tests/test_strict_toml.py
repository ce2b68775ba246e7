from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.strict_toml import LARGEST_FILE_BYTES, MOST_BRACKETS, loads, read


@given(st.text())
def test_any_text_is_a_table_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert isinstance(loads(text), dict)


def test_a_deep_document_does_not_end_the_process() -> None:
    """py_ecc raises the recursion limit, so that the parser alone would."""
    code = (
        "import py_ecc\nfrom ddcai.strict_toml import loads\nfrom ddcai.errors import *\n"
        "try: loads('a = ' + '[' * 10**6)\nexcept ConfigurationError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, str(MOST_BRACKETS) in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"#" * (LARGEST_FILE_BYTES + 1), "more than"), (b"a = '\xff'", "utf-8"), (None, "No such")],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "file.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as caught:
        read(path, "the file")
    assert str(path) in str(caught.value)


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        read("a\0b", "the file")
