"""A report as one HTML page to read and to print: no scripts, and nothing fetched from anywhere.

The page is made of the report alone; whoever wants to be sure checks the report's file.
"""

from __future__ import annotations

import base64
import hashlib
import html
import unicodedata
from collections.abc import Iterable, Sequence

from ddcai.audit.claims import Claim, Status
from ddcai.audit.report.signed import Report

# Control and format characters, among them those that turn the direction of text, and what has
# no character at all: shown by number.
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_COLUMNS = ("Status", "Claim", "Of", "Expected", "Found")

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --rule: #bbb; --soft: #f2f2f2;
  --good: #11632c; --bad: #a4121b; --open: #7a4b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181a; --rule: #555;
  --soft: #24272a; --good: #7fd79a; --bad: #ff8f8f; --open: #f2c063; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 75rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border: 1px solid var(--rule); padding: .3rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { background: var(--soft); } td { font-size: .85rem; }
col.status { width: 6rem; } col.name { width: 24%; }
.PASS { color: var(--good); } .FAIL { color: var(--bad); }
.MISSING, .SKIPPED { color: var(--open); } .status { font-weight: 600; }
@media screen and (max-width: 40rem) { body { padding: .75rem; } dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .5rem; } h1 { font-size: 1.25rem; }
  table, caption, tbody, tr, td { display: block; width: auto; }
  thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  tr { border: 1px solid var(--rule); margin-bottom: .75rem; padding: .3rem .5rem; }
  td { border: 0; padding: .1rem 0; } td:empty { display: none; }
  td::before { content: attr(data-name) ": "; font-weight: 600; } }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --rule: #888;
  --soft: #eee; --good: #000; --bad: #000; --open: #000; }
  body { max-width: none; padding: 0; font-size: 9pt; } thead { display: table-header-group; }
  tr, dl { break-inside: avoid; } h2, caption { break-after: avoid; } td { font-size: 7.5pt; }
  @page { margin: 15mm; } }
"""


def as_html(report: Report) -> str:
    """The page, a whole document."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Audit of federation {report.contract}"
    odd = [claim for claim in report.claims if claim.status is not Status.PASS]
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="referrer" content="no-referrer">\n',
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n",
        f"<h1>{_text(title)}</h1>\n",
        _summary(report),
        "<h2>What did not pass</h2>\n",
        _table("Claims that did not pass", odd) if odd else "<p>Every claim passed.</p>\n",
        "<h2>All claims</h2>\n",
        *_by_place(report.claims),
        "<h2>What this report does not show</h2>\n<p>That an opened sum is what the ciphertexts "
        "decrypt to: the key holders answer for that with their signatures. The signature of the "
        "report says who is answerable for it, and not that its claims are true: "
        "<code>ddcai audit check-report --again</code> makes them anew from the chain and the "
        "blobs.</p>\n</main>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def _summary(report: Report) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    scope = "the whole federation" if report.round is None else f"round {report.round}"
    rows = {
        "Result": counts,
        "Verified": scope,
        "Contract": report.contract,
        "Chain": str(report.chain_id),
        "State after block": f"{report.block.number}, {report.time:%Y-%m-%d %H:%M:%S} UTC",
        "Hash of the block": "0x" + report.block.hash.hex(),
        "Auditor": report.auditor,
        "Software": report.software,
        "Digest of the report": "0x" + report.digest().hex(),
        "Signature": "0x" + report.signature.hex(),
    }
    shown = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>\n" for name, value in rows.items()
    )
    return f"<dl>\n{shown}</dl>\n"


def _by_place(claims: Iterable[Claim]) -> Iterable[str]:
    """A table for the federation, one for each round, one for each window."""
    places: dict[str, list[Claim]] = {}
    for claim in claims:
        place = "The federation"
        if claim.window is not None:
            place = f"Window {claim.window}"
        elif claim.round is not None:
            place = f"Round {claim.round}"
        places.setdefault(place, []).append(claim)
    return (_table(place, found) for place, found in places.items())


def _table(caption: str, claims: Sequence[Claim]) -> str:
    head = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in _COLUMNS)
    rows = "".join(f'<tr role="row">{_cells(claim)}</tr>\n' for claim in claims)
    columns = '<colgroup><col class="status"><col class="name"><col><col><col></colgroup>'
    return (
        f'<table role="table">\n<caption>{_text(caption)}</caption>\n{columns}\n'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{rows}</tbody>\n</table>\n'
    )


def _cells(claim: Claim) -> str:
    """A claim's cells; narrow screens show each below the other, with the column's name."""
    values = (claim.where + claim.name, claim.subject, claim.expected, claim.found)
    status = claim.status.value
    first = f'<td role="cell" class="status {status}" data-name="{_COLUMNS[0]}">{status}</td>'
    return first + "".join(
        f'<td role="cell" data-name="{name}">{_text(value)}</td>'
        for name, value in zip(_COLUMNS[1:], values, strict=True)
    )


def _text(value: str) -> str:
    """Text that stays text: escaped, and with nothing in it that a reader cannot see."""
    shown = "".join(
        f"[U+{ord(one):04X}]" if unicodedata.category(one) in _HIDDEN else one for one in value
    )
    return html.escape(shown, quote=True)
