"""Looking at the page with a browser: its fixtures, and what each page must hold to.

`DDCAI_SCREENSHOTS=FOLDER` keeps the pictures that are made; docs/dashboard.png is one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

# Without these chromium asks hosts of its maker's; the sandbox is not for root.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VISITS = itertools.count()
WAIT_MS = 30_000
WIDE, NARROW = (1280, 900), (390, 844)
LOOKS = {"light": WIDE, "dark": NARROW}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": WIDE[0], "height": WIDE[1]}, reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab, in which nothing may go wrong unseen."""
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert said == []


def visit(page: Page, site: str, section: str = "") -> None:
    """Loads the page anew: another query makes the browser ask for it again."""
    page.goto(f"{site}?{next(VISITS)}#/{section}")
    page.wait_for_selector("main[aria-busy=false] h1")


def keep(page: Page, folder: Path, name: str) -> bytes:
    """A picture of the whole page, kept where `DDCAI_SCREENSHOTS` says."""
    page.wait_for_timeout(200)
    picture = page.screenshot(full_page=True, path=folder / name)
    kept = os.environ.get("DDCAI_SCREENSHOTS")
    if kept:
        (Path(kept) / name).write_bytes(picture)
    return picture


def assert_accessible(
    browser: Browser,
    site: str,
    sections: Sequence[str],
    scheme: str,
    folder: Path,
    prefix: str = "",
) -> None:
    """Sections fit the screen, axe-core finds nothing in them, and the browser says nothing."""
    width, height = LOOKS[scheme]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for section in sections:
        visit(page, site, section)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, section
        picture = keep(page, folder, f"{prefix}{section.split('/')[0] or 'overview'}-{width}.png")
        assert picture.startswith(b"\x89PNG")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = Axe().run(page).response["violations"]
        assert [
            (section, one["id"], one["impact"], [node["html"] for node in one["nodes"]])
            for one in found
        ] == []
    context.close()
    assert said == []
