from __future__ import annotations

import pytest

from ddcai.chain import artifact
from ddcai.errors import ChainError


@pytest.mark.parametrize("name", artifact.NAMES)
def test_artifacts_are_in_the_package(name: str) -> None:
    loaded = artifact.load(name)
    assert loaded.name == name
    assert loaded.abi
    # EIP-170 and EIP-3860: larger ones could not be deployed.
    assert 0 < len(loaded.bytecode) <= 49_152
    assert artifact.load(name) is loaded


def test_missing_artifact() -> None:
    with pytest.raises(ChainError, match="contracts/build"):
        artifact.load("Nothing")
