"""The views that docs/audit.md describes are those of the file."""

from __future__ import annotations

import re
from pathlib import Path

from ddcai.audit.ledger import Ledger
from ddcai.audit.ledger.views import VIEWS

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|$", re.MULTILINE)


def test_the_documented_views_are_those_of_the_file(ledger: Ledger) -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    section = text[text.index("## Questions in SQL") :]
    documented = {
        name: tuple(re.findall(r"\w+", columns)) for name, columns in ROW.findall(section)
    }
    found = {name: ledger.sql(f"SELECT * FROM {name}").columns for name in VIEWS}
    assert documented == found
    assert all(ledger.sql(f"SELECT * FROM {name}").rows for name in VIEWS)
