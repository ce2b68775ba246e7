"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# No test is timed: a slow or busy machine must not fail one.
settings.register_profile("ddcai", deadline=None)
settings.load_profile("ddcai")
