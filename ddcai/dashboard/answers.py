"""The questions that the page asks: each is one of the ledger's, answered in its rows as JSON.

Amounts are decimal strings, since a browser's numbers have 53 bits and wei do not fit; digests 0x
and hex; times ISO 8601 in UTC.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse

from ddcai.audit import Ledger

_EXACT = 2**53
Question = Callable[[Ledger], object]
Account = Annotated[str, Path(pattern=r"^0x[0-9a-fA-F]{40}$")]
Digest = Annotated[str, Path(pattern=r"^0x[0-9a-fA-F]{64}$")]
Number = Annotated[int, Path(ge=1, lt=2**63)]
Text = Annotated[str, Query(min_length=1, max_length=200)]
READING = ["GET", "HEAD"]


def add_answers(app: FastAPI, open_ledger: Callable[[], Ledger]) -> None:
    """Adds ``/api/...``.

    Args:
        open_ledger: opens the index for reading, once a request: several threads answer.
    """

    def answer(question: Question) -> JSONResponse:
        with open_ledger() as ledger:
            return JSONResponse(json_value(question(ledger)))

    def ask(path: str, question: Question) -> None:
        def handler() -> JSONResponse:
            return answer(question)

        app.add_api_route(path, handler, methods=READING)

    ask("/api/rounds", lambda ledger: ledger.rounds())
    ask("/api/windows", lambda ledger: ledger.windows())
    ask("/api/contributors", lambda ledger: ledger.contributors())
    ask("/api/money", lambda ledger: ledger.money())
    ask("/api/claimable", lambda ledger: ledger.claimable())
    ask("/api/gas", lambda ledger: ledger.gas())
    ask("/api/anomalies", lambda ledger: ledger.anomalies())
    ask("/api/contributions", lambda ledger: ledger.contributions())

    @app.api_route("/api/rounds/{number}", methods=READING)
    def round_(number: Number) -> JSONResponse:
        return answer(lambda ledger: ledger.round(number))

    @app.api_route("/api/rounds/{number}/attestations", methods=READING)
    def attestations(number: Number) -> JSONResponse:
        return answer(lambda ledger: ledger.attestations(number))

    @app.api_route("/api/windows/{number}", methods=READING)
    def window(number: Number) -> JSONResponse:
        return answer(lambda ledger: ledger.window(number))

    @app.api_route("/api/contributors/{address}", methods=READING)
    def contributor(address: Account) -> JSONResponse:
        return answer(lambda ledger: ledger.contributor(address))

    @app.api_route("/api/contributors/{address}/flows", methods=READING)
    def flows(address: Account) -> JSONResponse:
        return answer(lambda ledger: ledger.flows(address))

    @app.api_route("/api/models/{digest}", methods=READING)
    def model(digest: Digest) -> JSONResponse:
        return answer(lambda ledger: ledger.model(digest))

    @app.api_route("/api/search", methods=READING)
    def search(text: Text) -> JSONResponse:
        return answer(lambda ledger: ledger.search(text))


def json_value(value: Any, name: str = "") -> Any:
    """A row, or rows, as JSON: ``name`` is the field's, by which amounts are known."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: json_value(getattr(value, field.name), field.name)
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): json_value(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item, name) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name.endswith("_wei") or abs(value) > _EXACT else value
    return value
