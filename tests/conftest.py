"""Settings of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

# No test is timed: a slow or busy machine must not fail one.
settings.register_profile("ddcai", deadline=None)
settings.load_profile("ddcai")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, or in the end one worker waits for the other's."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
