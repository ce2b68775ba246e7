"""The page of a federation whose updates are judged: windows, lineage and the reader's choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ddcai.dashboard import Dashboard
from tests.audit.colluding import empty_round, post
from tests.dashboard.browsing import LOOKS, assert_accessible, keep, visit
from tests.dashboard.conftest import WINDOWS, Run, running, until
from tests.federation import make_federation
from tests.rounds.judged import CONFIG

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(judged: Run) -> Iterator[str]:
    """The page, following the chain."""
    with running(dataclasses.replace(judged.shown, following=judged.follow())) as url:
        until(lambda: (judged.shown.state()["federation"] or {}).get("rounds") == 5)
        yield url


@pytest.mark.parametrize("scheme", LOOKS)
def test_sections_are_accessible_and_fit(
    judged: Run, site: str, browser: Browser, tmp_path: Path, scheme: str
) -> None:
    sections = (
        "",
        "windows",
        "window/2",
        "models",
        f"contributor/{judged.federation.addresses[0]}",
    )
    assert_accessible(browser, site, sections, scheme, tmp_path, "judged-")


def test_windows_are_the_ledger_s(judged: Run, site: str, page: Page) -> None:
    visit(page, site)
    page.get_by_role("link", name="Windows", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Windows")
    with judged.shown.open() as ledger:
        rows = ledger.windows()
    assert [row.state for row in rows] == ["standing", "judged", "filling"]
    for row in rows:
        line = page.get_by_role("row").filter(has_text=f"Window {row.number}")
        expect(line).to_contain_text(row.state)
        cells = line.get_by_role("cell")
        expect(cells.nth(5).locator(f"[title='{row.returned_wei / 10**18:g} ETH']")).to_be_visible()
        if row.forfeited_wei is not None:
            title = f"{row.forfeited_wei / 10**18:g} ETH"
            expect(cells.nth(6).locator(f"[title='{title}']")).to_be_visible()
        if row.until is not None:
            expect(cells.nth(8)).to_contain_text(f"{row.until:%Y-%m-%d %H:%M:%S}")
    page.get_by_role("link", name="Window 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Window 2")
    expect(page.get_by_text("Its verdict can be disputed.")).to_be_visible()
    expect(page.get_by_text("Disputed by 2")).to_be_visible()
    east = judged.federation.addresses[2]
    line = page.get_by_role("row").filter(has=page.locator(f"[title='{east}']"))
    expect(line).to_contain_text("forfeited")
    expect(line).to_contain_text("disputed it")


def test_windows_are_shown_only_where_there_is_a_judge(run: Run, page: Page) -> None:
    with running(run.shown) as site:
        visit(page, site)
        expect(page.get_by_role("link", name="Rounds").first).to_be_visible()
        expect(page.get_by_role("link", name="Windows", exact=True)).to_have_count(0)
        expect(page.get_by_role("heading", name="Latest windows")).to_have_count(0)
        visit(page, site, "windows")
        expect(page.get_by_text("are not judged")).to_be_visible()


def test_search_finds_a_window_s_contributor(judged: Run, site: str, page: Page) -> None:
    visit(page, site)
    address, box = judged.federation.addresses[2], page.get_by_role("searchbox")
    box.fill(address)
    box.press("Enter")
    page.get_by_role("cell").locator(f"a[title='{address}']").first.click()
    expect(page.locator(".whole")).to_have_text(address)
    page.get_by_role("link", name="Window 1").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Window 1")
    line = page.get_by_role("row").filter(has=page.locator(f"[title='{address}']"))
    expect(line).to_contain_text("forfeited")
    box.fill("3")
    box.press("Enter")
    expect(page.get_by_role("link", name="Window 3").first).to_be_visible()
    box.fill("0x1111111111")
    box.press("Enter")
    verdict = page.get_by_role("row").filter(has_text="VerdictPosted").first
    expect(verdict.get_by_role("link", name="0x1111…1111")).to_have_attribute("href", "#/window/1")


def test_lineage_goes_from_the_first_model_to_the_last(judged: Run, site: str, page: Page) -> None:
    visit(page, site, "models")
    with judged.shown.open() as ledger:
        rounds = ledger.rounds()
        chain = ledger.model(rounds[0].base_model_digest).descendants
    graph = page.get_by_role("img", name="Lineage over 5 rounds")
    expect(graph.locator("svg circle.model")).to_have_count(6)
    expect(graph.locator("svg path.link")).to_have_count(sum(len(one.updates) for one in chain))
    models = page.locator(".lineage > li")
    expect(models.first).to_contain_text("First model")
    for place, row in enumerate(chain, start=1):
        expect(models.nth(place).get_by_role("link", name=f"Round {row.round}")).to_be_visible()
        expect(models.nth(place).locator(".chip")).to_have_count(len(row.updates))
    # The first model's page has everything after it, by the keyboard too.
    first = models.first.get_by_role("link")
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lineage li.shown")).to_contain_text("First model")
    expect(page.locator(".lineage li.after")).to_have_count(5)


def test_the_reader_chooses_whose_balances_are_drawn(
    judged: Run, site: str, page: Page, tmp_path: Path
) -> None:
    visit(page, site, "contributors")
    page.get_by_text("Choose contributors").click()
    north = judged.federation.addresses[0]
    box = page.locator(f"input[value='{north}']")
    expect(page.locator("svg path.line")).to_have_count(4)
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator("svg path.line")).to_have_count(3)
    expect(box).to_be_focused()
    expect(page.get_by_role("img", name="Balances over time of 3 contributors")).to_be_visible()
    page.get_by_role("button", name="None").click()
    expect(page.get_by_text("Nobody is chosen.").first).to_be_visible()
    page.get_by_role("button", name="All").click()
    expect(page.locator("svg path.line")).to_have_count(4)
    keep(page, tmp_path, "choice-1280.png")


def test_news_of_windows_is_said_and_what_cannot_be_read_is_asked_again(
    context: BrowserContext, tmp_path: Path
) -> None:
    with make_federation(
        tmp_path / "run", 3, config=CONFIG, windows=WINDOWS, submit_period_s=10**6
    ) as made:
        shown = Dashboard(index=tmp_path / "index.sqlite", federation=made.deployment.federation)
        run = Run(federation=made, shown=shown)
        run.synchronise()
        with running(dataclasses.replace(shown, following=run.follow())) as site:
            page = context.new_page()
            visit(page, site, "windows")
            expect(page.get_by_text("No window yet.")).to_be_visible()
            empty_round(made)
            empty_round(made)
            line = page.get_by_role("row").filter(has_text="Window 1")
            expect(line).to_contain_text("full")
            visit(page, site, "contributors")
            page.get_by_text("Choose contributors").click()
            page.get_by_role("button", name="None").click()
            post(made, 1, {0: 3, 1: 4})
            expect(page.locator("#news")).to_contain_text("Window 1 is judged")
            # The choice stayed, so that nobody's balance was asked for since.
            expect(page.get_by_text("Nobody is chosen.").first).to_be_visible()
            page.route("**/flows", lambda route: route.abort())
            page.get_by_role("button", name="All").click()
            expect(page.get_by_text("These balances could not be read")).to_be_visible()
            page.unroute("**/flows")
            page.get_by_role("button", name="Try again").click()
            expect(page.locator("svg path.line")).to_have_count(3)
