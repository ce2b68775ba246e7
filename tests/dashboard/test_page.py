"""The page in a browser, fed by a real run: what a reader sees, hears, and can do.

`DDCAI_SCREENSHOTS=FOLDER` keeps the pictures that are made here; docs/dashboard.png is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from ddcai.audit import Ledger
from ddcai.audit.claims import Claim, Status
from ddcai.audit.report.signed import Report
from ddcai.cli.processes import free_port
from ddcai.dashboard import Dashboard
from tests.dashboard.browsing import LOOKS, assert_accessible, keep, visit
from tests.dashboard.conftest import Run, running, until

pytestmark = pytest.mark.slow
SECTIONS = ("", "rounds", "round/2", "contributors", "money", "models", "verification")


@pytest.fixture(scope="module")
def site(run: Run) -> Iterator[str]:
    """The page, following the chain."""
    with running(dataclasses.replace(run.shown, following=run.follow())) as url:
        until(lambda: (run.shown.state()["federation"] or {}).get("rounds") == 4)
        yield url


def ledger(run: Run) -> Ledger:
    return run.shown.open()


def test_the_overview_shows_what_the_ledger_says(run: Run, site: str, page: Page) -> None:
    visit(page, site)
    expect(page.get_by_role("heading", level=1)).to_have_text("Federation small")
    expect(page.locator("#live-text")).to_contain_text("Live · block")
    with ledger(run) as answers:
        rounds, [*_, everybody] = answers.rounds(), answers.money()
    tiles = page.locator(".tile")
    expect(tiles.nth(0)).to_contain_text(str(len(rounds)))
    expect(tiles.nth(1)).to_contain_text("4")
    expect(tiles.nth(2)).to_contain_text(f"{everybody.deposited_wei / 10**18:g} ETH")
    expect(tiles.nth(3)).to_contain_text("PASS")
    for row in rounds:
        line = page.get_by_role("row").filter(has_text=f"Round {row.number}").first
        expect(line).to_contain_text(row.state)
        if row.model_digest:
            expect(line.locator(f"[title='{row.model_digest}']")).to_be_visible()
    chart = page.get_by_role("img", name="Accuracy over")
    expect(chart).to_be_visible()
    expect(page.get_by_text("Reported by the coordinator, not on chain.")).to_be_visible()
    expect(page.get_by_role("img", name="Balances over time of 4 contributors")).to_be_visible()


@pytest.mark.parametrize("scheme", LOOKS)
def test_every_section_is_accessible_and_fits(
    site: str, browser: Browser, tmp_path: Path, scheme: str
) -> None:
    assert_accessible(browser, site, SECTIONS, scheme, tmp_path)


def test_axe_finds_what_is_planted(page: Page) -> None:
    """The check above can fail."""
    page.set_content("<html><title>t</title><body><img src='data:,'><p>a</p></body></html>")
    found = Axe().run(page).response["violations"]
    assert "image-alt" in [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def test_a_new_round_appears_without_reload(run: Run, site: str, page: Page) -> None:
    visit(page, site)
    page.evaluate("window.marker = 1")
    page.locator("summary").first.click()
    record = run.round()
    expect(page.get_by_role("heading", level=2, name=f"Round {record.number}")).to_be_visible()
    expect(page.locator("#news")).to_contain_text(f"Round {record.number} is finalized")
    expect(page.locator(".tile").first).to_contain_text(str(record.number))
    assert page.evaluate("window.marker") == 1
    # What the reader had opened is still open.
    expect(page.locator("details").first).to_have_attribute("open", "")


def test_search_finds_accounts_digests_and_rounds(run: Run, site: str, page: Page) -> None:
    visit(page, site)
    box = page.get_by_role("searchbox")
    address = run.federation.addresses[1]
    box.fill(address)
    box.press("Enter")
    page.get_by_role("cell").locator(f"a[title='{address}']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Contributor")
    expect(page.locator(".whole")).to_have_text(address)
    expect(page.get_by_role("cell", name="forfeited")).to_be_visible()
    with ledger(run) as answers:
        digest = answers.rounds()[0].model_digest
    assert digest is not None
    box.fill(digest[:12])
    page.get_by_role("button", name="Search").click()
    page.locator(f"main a[title='{digest}']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Model")
    box.fill("nothing like this")
    box.press("Enter")
    expect(page.get_by_text("Nothing in this federation.")).to_be_visible()


def test_digests_are_whole_on_hover_and_when_copied(
    run: Run, site: str, page: Page, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, site, "models")
    digest = "0x" + run.federation.contract.model_digest().hex()
    line = page.locator(".lineage li.shown")
    expect(line.locator(f"[title='{digest}']")).to_be_visible()
    line.get_by_role("button", name=f"Copy model digest {digest}").click()
    expect(page.locator("#news")).to_have_text(f"Copied {digest}")
    assert page.evaluate("navigator.clipboard.readText()") == digest


def test_the_keyboard_reaches_everything(site: str, page: Page) -> None:
    visit(page, site)
    focused = "document.activeElement"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.id") == "main"
    page.reload()
    page.wait_for_selector("main[aria-busy=false] h1")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate(f"{focused}.textContent") == "Money":
            break
    ring = page.evaluate(f"getComputedStyle({focused}).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Money")
    expect(heading).to_be_focused()
    expect(page.get_by_role("link", name="Money")).to_have_attribute("aria-current", "page")


HOSTILE = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>'\"\u202e"


class _Hostile:
    """A ledger whose every text that is no time, digest, address or amount is an attack."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __enter__(self) -> _Hostile:
        return self

    def __exit__(self, *error: object) -> None:
        self._ledger.__exit__(None, None, None)

    def __getattr__(self, name: str) -> object:
        found = getattr(self._ledger, name)
        return (lambda *given: _spoilt(found(*given))) if callable(found) else _spoilt(found)


def _spoilt(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_spoilt, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value,
            **{
                field.name: _spoilt(getattr(value, field.name))
                for field in dataclasses.fields(value)
            },
        )
    if isinstance(value, str) and not value.startswith("0x") and value != "all":
        return HOSTILE
    return value


class _HostileDashboard(Dashboard):
    def open(self) -> Ledger:
        return cast(Ledger, _Hostile(super().open()))

    def state(self) -> dict[str, Any]:
        return super().state() | {"title": HOSTILE}


def test_the_attack_works_where_nothing_stops_it(page: Page) -> None:
    page.set_content(f"<p>{HOSTILE}</p>")
    page.wait_for_function("window.pwned === 1")


def test_nothing_in_a_judged_federation_becomes_markup(
    judged: Run, context: BrowserContext
) -> None:
    given = {one.name: getattr(judged.shown, one.name) for one in dataclasses.fields(Dashboard)}
    with running(_HostileDashboard(**given)) as site:
        page = context.new_page()
        for section in ("", "windows", "window/1", "window/2", "models", "contributors"):
            visit(page, site, section)
            _is_text(page)
        visit(page, site, "window/1")
        expect(page.get_by_text(HOSTILE).first).to_be_visible()


def test_nothing_from_a_chain_or_a_file_becomes_markup(
    run: Run, context: BrowserContext, tmp_path: Path
) -> None:
    page = context.new_page()
    given = {field.name: getattr(run.shown, field.name) for field in dataclasses.fields(Dashboard)}
    report = tmp_path / "<img src=x onerror=alert(1)>.json"
    assert run.shown.report is not None
    whole = Report.load(run.shown.report)
    claim = Claim(
        name=HOSTILE, status=Status.FAIL, subject=HOSTILE, expected=HOSTILE, found=HOSTILE
    )
    dataclasses.replace(whole, claims=(claim,), software=HOSTILE).save(report)
    hostile = _HostileDashboard(**(given | {"report": report}))
    with running(hostile) as site:
        for section in (*SECTIONS, f"contributor/{run.federation.addresses[0]}"):
            visit(page, site, section)
            _is_text(page)
        visit(page, site)
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Federation {HOSTILE}")
        page.get_by_role("searchbox").fill(HOSTILE)
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Search")
        expect(page.get_by_role("heading", level=2)).to_contain_text(HOSTILE)
        _is_text(page)
        visit(page, site, "verification")
        expect(page.get_by_role("alert")).to_contain_text("The auditor did not sign this")
        report.write_text("no report")
        with page.expect_event("console") as refused:
            page.goto(f"{site}#/verification")
            expect(page.get_by_role("heading", level=1)).to_have_text("This cannot be shown")
        assert "404" in refused.value.text
        expect(page.get_by_text("<img src=x onerror=alert(1)>.json is no report")).to_be_visible()
        _is_text(page)


def _is_text(page: Page) -> None:
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 1
    assert page.locator("script").count() == 1
    assert page.locator("[onerror]").count() == 0


def test_the_policy_stops_what_the_page_would_let_through(
    site: str, context: BrowserContext
) -> None:
    """Were text ever put in as markup, the browser itself would refuse."""
    page = context.new_page()
    visit(page, site)
    with page.expect_event("console") as refused:
        stopped = page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return false } "
            "catch { return true } }"
        )
    assert stopped
    assert "TrustedHTML" in refused.value.text


def test_before_there_is_an_index_the_page_says_so_and_then_fills(
    run: Run, page: Page, tmp_path: Path
) -> None:
    shown = dataclasses.replace(
        run.shown, index=tmp_path / "none.sqlite", report=None, metrics=None
    )
    with running(shown) as site:
        visit(page, site)
        expect(page.get_by_role("heading", level=1)).to_have_text("No federation in the index yet")
        expect(page.locator("#live-text")).to_have_text("No index yet")
        keep(page, tmp_path, "empty-1280.png")
        dataclasses.replace(run, shown=shown).synchronise()
        expect(page.get_by_role("heading", level=1)).to_have_text("Federation small")
        expect(page.locator("#live-text")).to_contain_text("Index · block")
        expect(page.get_by_text("Accuracy is no part of the chain.")).to_be_visible()
        page.get_by_role("link", name="Verification").first.click()
        expect(page.get_by_role("heading", level=2, name="No report")).to_be_visible()


def test_a_chain_that_is_gone_is_said_with_what_is_shown(
    run: Run, page: Page, tmp_path: Path
) -> None:
    index = tmp_path / "index.sqlite"
    shown = dataclasses.replace(run.shown, index=index)
    dataclasses.replace(run, shown=shown).synchronise()
    gone = dataclasses.replace(run, shown=shown).follow(f"http://127.0.0.1:{free_port()}")
    with running(dataclasses.replace(shown, following=gone)) as site:
        visit(page, site)
        expect(page.locator("#live-text")).to_have_text("Stale")
        expect(page.locator("#notice")).to_contain_text("The chain has not answered since")
        expect(page.locator("#notice")).to_contain_text("What is shown is from block")
        expect(page.get_by_role("heading", level=1)).to_have_text("Federation small")
        keep(page, tmp_path, "stale-1280.png")
        assert "127.0.0.1" not in page.locator("body").inner_text()


def test_a_server_that_is_gone_is_said(run: Run, context: BrowserContext) -> None:
    page = context.new_page()
    with running(run.shown) as site:
        visit(page, site)
    expect(page.locator("#live-text")).to_have_text("Disconnected")
    expect(page.locator("#notice")).to_contain_text("The page's server does not answer.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Federation small")
    page.get_by_role("link", name="Money").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The server does not answer")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_while_answers_are_awaited_the_page_says_so(site: str, page: Page, tmp_path: Path) -> None:
    held: list[Route] = []
    page.route("**/api/gas", lambda route: held.append(route))
    page.goto(f"{site}#/money")
    expect(page.get_by_text("Reading the index")).to_be_visible()
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    keep(page, tmp_path, "loading-1280.png")
    for route in held:
        route.continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text("Money")
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")


def test_what_is_not_there_is_refused_with_a_reason(site: str, context: BrowserContext) -> None:
    page = context.new_page()
    for section, reason in (
        ("round/99", "no round 99"),
        (f"contributor/0x{'1' * 40}", "never joined"),
        ("contributor/0x12", "addresses have 40 hex digits"),
        ("round/..%2F..%2Fapi", "There is nothing of this name."),
    ):
        visit(page, site, section)
        expect(page.get_by_role("heading", level=1)).to_have_text("This cannot be shown")
        expect(page.locator(".lonely")).to_contain_text(reason)
