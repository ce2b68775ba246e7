"""The page: it says what the report says, and no text in it can be anything but text."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.claims import Claim, Status
from ddcai.audit.report.page import as_html
from ddcai.audit.report.signed import Report

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table></style><img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- ",
    "]]><![CDATA[",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "<style>@import 'http://evil'</style>",
    "<meta http-equiv=refresh content='0;url=http://evil'>",
    "{{7*7}}${7*7}",
]
VOID = {"meta", "col"}


class Seen(HTMLParser):
    """The elements of a page, and the text in its cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def seen(page: str) -> Seen:
    found = Seen()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def with_claim(report: Report, text: str, status: Status = Status.FAIL) -> Report:
    claim = Claim(name=text, status=status, subject=text, expected=text, found=text)
    return dataclasses.replace(report, claims=(*report.claims, claim), software=text)


def test_it_says_what_the_report_says(report: Report) -> None:
    page = as_html(report)
    text = " ".join(seen(page).text)
    for value in (
        report.contract,
        report.auditor,
        "0x" + report.block.hash.hex(),
        "0x" + report.signature.hex(),
        "0x" + report.digest().hex(),
        f"{len(report.claims)} PASS, 0 FAIL",
        "Every claim passed.",
        "Round 1",
        "Round 4",
    ):
        assert value in text
    for claim in report.claims:
        assert claim.expected in text
    failed = as_html(with_claim(report, "the one that failed"))
    assert "Every claim passed." not in failed
    assert failed.index("the one that failed") < failed.index("All claims")


def test_one_file_without_scripts_that_fetches_nothing(report: Report) -> None:
    page = as_html(report)
    tags = seen(page).tags
    assert {tag for tag, _ in tags}.isdisjoint(
        {"script", "img", "link", "iframe", "object", "form", "a", "base", "svg"}
    )
    assert not [name for _, attributes in tags for name, _ in attributes if name.startswith("on")]
    assert not re.search(r"https?://|url\(|@import", page)
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "@media print" in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(report: Report, text: str) -> None:
    plain, found = (
        seen(as_html(with_claim(report, "plain"))),
        seen(as_html(with_claim(report, text))),
    )
    assert found.tags == plain.tags
    assert found.comments == []
    assert found.text.count(text) == plain.text.count("plain") > 0


@given(text=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_any_text_stays_text(report: Report, text: str) -> None:
    small = dataclasses.replace(report, claims=())
    found = seen(as_html(with_claim(small, text)))
    assert found.tags == seen(as_html(with_claim(small, "plain"))).tags
    assert text in found.text


@pytest.mark.parametrize("code", [0x00, 0x0A, 0x1B, 0x200B, 0x202E, 0x2066, 0xFEFF, 0xE0041])
def test_what_cannot_be_seen_is_shown_by_number(report: Report, code: int) -> None:
    page = as_html(with_claim(report, f"a{chr(code)}b"))
    assert f"a[U+{code:04X}]b" in page
    if code != 0x0A:  # the page itself has lines
        assert chr(code) not in page
