from __future__ import annotations

import dataclasses
import math

import pytest

from ddcai.assessment.configuration import Assessment
from ddcai.errors import ConfigurationError

# Computed with ddcai 0.1.0: federations hold this digest.
DEFAULT = "daab3b2d72c3dbd1550a08364d4063f93b88d095dad10cf64e02e1047c4935fd"


def test_the_digest_is_of_every_field_and_of_no_spelling():
    assert Assessment().digest().hex() == DEFAULT
    assert Assessment(size_factor=3, movement_floor=-0.04).digest() == Assessment().digest()
    seen = {Assessment().digest()}
    for field in dataclasses.fields(Assessment):
        value = getattr(Assessment(), field.name)
        texts = {"anchor": "movement", "root_set": "ab" * 32}
        other: object = texts[field.name] if isinstance(value, str) else value + 1
        if isinstance(value, float):
            other = value / 2 or 0.5 if value not in (1.5, 2.0, 3.0) else value + 1
        seen.add(dataclasses.replace(Assessment(), **{field.name: other}).digest())
    assert len(seen) == 1 + len(dataclasses.fields(Assessment))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anchor", "none"),
        ("root_set", "AB" * 32),
        ("root_set", "ab" * 31),
        ("block", 0),
        ("block", 4096.0),
        ("projections", 1),
        ("projections", True),
        ("window", 0),
        ("movement_lag", 0),
        ("replay_limit", 128),
        ("size_factor", 0.5),
        ("size_factor", math.nan),
        ("size_factor", "3"),
        ("decay", 1.0),
        ("movement_share", 1.5),
        ("movement_floor", 0.04),
        ("anchor_floor", math.inf),
        ("spread_floor", -0.1),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=rf"assessment\.{name} is"):
        Assessment(**{name: value})


@pytest.mark.parametrize(
    ("samples", "classes", "anchor", "judges"),
    [
        (200, 10, "root_set", True),
        (199, 10, "root_set", False),
        (1000, 2, "root_set", False),
        (1000, 3, "movement", False),
    ],
)
def test_a_small_or_binary_root_set_does_not_judge(samples, classes, anchor, judges):
    assert Assessment(anchor=anchor).anchor_judges(samples, classes) is judges
