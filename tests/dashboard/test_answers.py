"""The page's answers are the ledger's rows, to the wei."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.ledger.rows import plain
from ddcai.dashboard import make_app
from ddcai.dashboard.answers import json_value
from ddcai.dashboard.guard import HEADERS
from tests.dashboard.conftest import Run


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    paid_wei: int
    gas: int
    when: datetime
    signed: bool | None
    updates: tuple[tuple[str, str], ...]


@given(
    st.text(),
    st.integers(-(2**300), 2**300),
    st.integers(-(2**80), 2**80),
    st.datetimes(min_value=datetime(1970, 1, 1)),
    st.sampled_from([True, False, None]),
)
def test_nothing_is_lost_on_the_way_to_a_browser(
    name: str, paid: int, gas: int, when: datetime, signed: bool | None
) -> None:
    when = when.replace(microsecond=0, tzinfo=UTC)
    row = Row(name, paid, gas, when, signed, ((name, "0x12"),))
    # A browser reads every number as a float64.
    read = json.loads(json.dumps(json_value((row,))), parse_int=float)[0]
    assert read["paid_wei"] == str(paid)
    assert int(read["gas"]) == gas
    assert datetime.fromisoformat(read["when"]) == when
    assert read["signed"] is signed
    assert (read["name"], read["updates"]) == (name, [[name, "0x12"]])


def ask(run: Run, *paths: str) -> list[httpx.Response]:
    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(make_app(run.shown))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(asked())


def _texts(value: Any, name: str = "") -> Any:
    """Amounts as strings, which is all that the page's JSON changes."""
    if isinstance(value, dict):
        return {key: _texts(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item, name) for item in value]
    return str(value) if name.endswith("_wei") else value


def test_answers_are_the_ledger_s_rows(run: Run) -> None:
    run.synchronise()
    address = run.federation.addresses[1]
    model = "0x" + run.federation.contract.model_digest().hex()
    with run.shown.open() as ledger:
        expected = {
            "rounds": ledger.rounds(),
            "rounds/2": ledger.round(2),
            "rounds/2/attestations": ledger.attestations(2),
            "money": ledger.money(),
            "claimable": ledger.claimable(),
            "gas": ledger.gas(),
            "anomalies": ledger.anomalies(),
            "contributions": ledger.contributions(),
            "contributors": ledger.contributors(),
            "windows": ledger.windows(),
            f"contributors/{address}": ledger.contributor(address),
            f"contributors/{address}/flows": ledger.flows(address),
            f"models/{model}": ledger.model(model),
            f"search?text={address[:12]}": ledger.search(address[:12]),
        }
    answers = ask(run, *(f"/api/{path}" for path in expected))
    for (path, rows), answer in zip(expected.items(), answers, strict=True):
        assert answer.status_code == 200, path
        assert answer.json() == _texts(plain(rows)), path
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers.items() >= {k.lower(): v for k, v in HEADERS.items()}.items()
    # The amounts of this federation need more than a browser's numbers have.
    assert any(int(row.deposited_wei) > 2**53 for row in expected["money"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("rounds/99", 404),
        ("rounds/0", 422),
        ("rounds/x", 422),
        (f"rounds/{2**63}", 422),
        (f"contributors/0x{'1' * 40}", 404),
        ("contributors/all", 422),
        ("windows/1", 404),
        ("windows/0", 422),
        (f"models/0x{'1' * 64}", 404),
        ("models/..%2F..%2Fetc", 404),
        ("search", 422),
        (f"search?text={'a' * 201}", 422),
    ],
)
def test_what_is_not_there_is_refused(run: Run, path: str, code: int) -> None:
    run.synchronise()
    (answer,) = ask(run, f"/api/{path}")
    assert answer.status_code == code
    assert "Traceback" not in answer.text


def test_only_the_page_s_own_files_are_served(run: Run) -> None:
    paths = ("/", "/app.js", "/style.css", "/icon.svg")
    kinds = ("text/html", "text/javascript", "text/css", "image/svg+xml")
    for answer, kind in zip(ask(run, *paths), kinds, strict=True):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(kind)
    for answer in ask(
        run, "/../server.py", "/%2e%2e/server.py", "/static/app.js", "/docs", "/openapi.json", "/a/"
    ):
        assert answer.status_code == 404
    page = ask(run, "/")[0].text
    assert "http://" not in page
    assert "https://" not in page
    assert "<style" not in page
    assert " style=" not in page
