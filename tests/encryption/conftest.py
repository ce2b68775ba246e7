"""One key pair of each parameter set, made once a process: they hold no state."""

from __future__ import annotations

from functools import lru_cache

import pytest

from ddcai.encryption import bfv
from ddcai.encryption.bfv import PublicKey, SecretKey
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet


@lru_cache
def key_pair(set_id: str) -> tuple[SecretKey, PublicKey]:
    return bfv.generate(PARAMETER_SETS[set_id])


@pytest.fixture(params=sorted(PARAMETER_SETS))
def parameters(request: pytest.FixtureRequest) -> ParameterSet:
    return PARAMETER_SETS[request.param]


@pytest.fixture
def keys(parameters: ParameterSet) -> tuple[SecretKey, PublicKey]:
    return key_pair(parameters.id)
