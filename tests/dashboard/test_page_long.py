"""The page of a federation with more rounds and contributors than it shows at once.

Made as benchmarks/audit_index.py makes its events: on anvil, with rounds of which nobody keeps
a blob.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from playwright.sync_api import Browser, Page, expect

from benchmarks.audit_index import ROUNDS_AT_ONCE, Rounds
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.dashboard import Dashboard
from tests.dashboard.browsing import assert_accessible, visit
from tests.dashboard.conftest import running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_anvil() is None, reason="anvil is not installed: npm ci in contracts"),
]
CONTRIBUTORS, DRAWN = 10, 8
# Of 20 rounds the 10th and the 20th are cancelled. The first 3 and the last 3 models, and those
# within 4 of the one that is looked at, are listed; here that is the current one.
FINALISED = [number for number in range(1, ROUNDS_AT_ONCE + 1) if number % 10]
FOLDED = FINALISED[2:-5]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Dashboard:
    """Twenty rounds of ten contributors."""
    path = tmp_path_factory.mktemp("long") / "index.sqlite"
    with ManagedAnvil(history=False) as chain:
        members = [Account.create() for _ in range(CONTRIBUTORS)]
        for one in members:
            request(connect(chain.url), "anvil_setBalance", [one.address, hex(10**21)])
        rounds = Rounds(chain.url, members)
        rounds.add()
        rounds.check()
        with Index(path, writable=True) as index:
            Sync(index, connect(chain.url), rounds.address).run()
    return Dashboard(index=path, federation=rounds.address)


@pytest.fixture(scope="module")
def site(shown: Dashboard) -> Iterator[str]:
    """The page."""
    with running(shown) as url:
        yield url


def test_a_long_lineage_is_folded_and_unfolds(shown: Dashboard, site: str, page: Page) -> None:
    visit(page, site, "models")
    with shown.open() as ledger:
        made = {row.round: row.model_digest for row in ledger.model().rounds}
    assert sorted(made) == FINALISED
    gap = page.locator(f"#rounds-{FOLDED[0]}-{FOLDED[-1]}")
    expect(gap.locator("summary").first).to_have_text(f"Rounds {FOLDED[0]} to {FOLDED[-1]}")
    for number in FINALISED:
        listed = page.locator(f".lineage [title='{made[number]}']")
        expect(listed).to_have_count(0 if number in FOLDED else 1)
    gap.locator("summary").first.press("Enter")
    for number in FOLDED:
        expect(gap.locator(f"[title='{made[number]}']")).to_be_visible()
    # Around a model in the middle nothing is folded that is near it.
    visit(page, site, f"model/{made[9]}")
    expect(page.locator(f".lineage li.shown [title='{made[9]}']").first).to_be_visible()
    for number in (7, 8, 11):
        expect(page.locator(f".lineage [title='{made[number]}']").first).to_be_visible()


def test_the_reader_chooses_whose_balances_are_drawn(site: str, page: Page) -> None:
    visit(page, site)
    expect(page.get_by_role("img", name=f"Balances over time of {DRAWN} contr")).to_be_visible()
    choice = page.locator("#choose-balances")
    choice.locator("summary").press("Enter")
    boxes = choice.get_by_role("checkbox")
    expect(boxes).to_have_count(CONTRIBUTORS)
    assert [box.is_checked() for box in boxes.all()] == [True] * DRAWN + [False] * 2
    boxes.nth(CONTRIBUTORS - 1).check()
    expect(choice.get_by_role("status")).to_have_text(f"9 of {CONTRIBUTORS} contributors")
    choice.get_by_role("button", name="None").click()
    expect(page.get_by_text("Nobody is chosen.").first).to_be_visible()
    choice.get_by_role("button", name="All", exact=True).click()
    expect(choice.get_by_role("status")).to_have_text(f"10 of {CONTRIBUTORS} contributors")
    choice.get_by_role("button", name=f"The first {DRAWN}").click()
    expect(choice.get_by_role("status")).to_have_text(f"8 of {CONTRIBUTORS} contributors")


def test_sections_are_accessible_and_fit_a_phone(
    site: str, browser: Browser, tmp_path: Path
) -> None:
    assert_accessible(browser, site, ("", "models"), "dark", tmp_path, "long-")
