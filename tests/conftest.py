"""Settings of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

from ddcai import keyfile
from ddcai.chain import accounts

# No test is timed: a slow or busy machine must not fail one.
settings.register_profile("ddcai", deadline=None)
settings.load_profile("ddcai")

# Hundreds of key files are made and opened. Each names its own cost, and this is the least one.
keyfile._LIGHT_COST = accounts._LIGHT_COST = 2**10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, or in the end one worker waits for the other's."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
