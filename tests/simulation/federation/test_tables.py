"""docs/assessment.md says what benchmarks/results/assessment.json says."""

from __future__ import annotations

import pytest

from ddcai.assessment.configuration import Assessment
from tests.simulation.federation.tables import ROOT, more_seeds, results, tables

DOCUMENT = results()
TEXT = (ROOT / "docs" / "assessment.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", tables(DOCUMENT))
def test_every_row_is_in_the_document(name: str) -> None:
    rows = tables(DOCUMENT)[name]
    assert rows
    assert "\n".join(rows) in TEXT


def test_what_was_measured_is_the_rule_of_today() -> None:
    for document in (DOCUMENT, more_seeds()):
        assert document["rule_digest"] == Assessment().digest().hex()
    assert not set(DOCUMENT["reported_seeds"]) & set(DOCUMENT["settings_chosen_on_seeds"])
    assert len(DOCUMENT["reported_seeds"]) == 3
