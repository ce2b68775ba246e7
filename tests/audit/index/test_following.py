"""A sync that goes on: over an endpoint that goes away, or that gives few blocks at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ddcai.audit.index import schema
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.connection import connect
from ddcai.errors import ChainError
from tests.chain.support import CONTRIBUTORS, faulty, refusal, stage
from tests.federation import SmallFederation

MOST_BLOCKS = 3


def rows(index: Index) -> list[object]:
    tables = (schema.events, schema.transactions, schema.rounds, schema.submissions, schema.members)
    with index.reading() as connection:
        return [connection.execute(select(table)).all() for table in tables]


def test_follow_says_that_the_endpoint_is_gone_and_goes_on(tmp_path: Path, chain_url: str) -> None:
    scene = stage(connect(chain_url))
    gone: list[bool] = []

    def hang_up(asked: dict[str, Any], go_on: Callable[[], Any]) -> Any:
        return None if gone else go_on()

    with (
        faulty(chain_url, hang_up) as w3,
        Index(tmp_path / "index.sqlite", writable=True) as index,
    ):
        looks = Sync(index, w3, scene.deployment.federation).follow(poll_s=0.01)
        first = next(looks)
        assert (first.done, first.trouble) == (True, None)
        scene.submit(scene.open(), *CONTRIBUTORS[:2])
        gone.append(True)
        for _ in range(2):
            away = next(looks)
            assert away.trouble is not None
            assert "no JSON-RPC answer" in away.trouble
            assert (away.new_events, away.synced_block) == (0, first.synced_block)
        gone.clear()
        back = next(looks)
        assert (back.trouble, back.new_events, back.done) == (None, 3, True)
        assert next(looks).new_events == 0
        with Index(tmp_path / "fresh.sqlite", writable=True) as fresh:
            Sync(fresh, scene.w3, scene.deployment.federation).run()
            assert rows(index) == rows(fresh)


def too_wide(asked: dict[str, Any]) -> Any:
    return refusal(asked, f"ranges over {MOST_BLOCKS} blocks are not served", -32005)


def no_json_rpc(asked: dict[str, Any]) -> Any:
    return {"message": "Bad Request"}


@pytest.mark.parametrize("refused", [too_wide, no_json_rpc])
def test_an_endpoint_that_refuses_wide_ranges(
    tmp_path: Path, audited: SmallFederation, index: Index, refused: Callable[[Any], Any]
) -> None:
    widths: list[int] = []

    def narrow(asked: dict[str, Any], go_on: Callable[[], Any]) -> Any:
        if asked["method"] != "eth_getLogs":
            return go_on()
        [given] = asked["params"]
        widths.append(int(given["toBlock"], 16) - int(given["fromBlock"], 16) + 1)
        return go_on() if widths[-1] <= MOST_BLOCKS else refused(asked)

    with (
        faulty(audited.url, narrow) as w3,
        Index(tmp_path / "index.sqlite", writable=True) as mine,
    ):
        synced = Sync(mine, w3, audited.deployment.federation).run()
        assert synced.done
        assert rows(mine) == rows(index)
    # It learns: one refusal from eight blocks to four, one to two, and few later.
    assert max(widths) > MOST_BLOCKS
    assert sum(width > MOST_BLOCKS for width in widths) <= 2 + len(widths) // 32


def test_an_endpoint_that_refuses_single_blocks_is_told_of(
    tmp_path: Path, audited: SmallFederation
) -> None:
    def never(asked: dict[str, Any], go_on: Callable[[], Any]) -> Any:
        return too_wide(asked) if asked["method"] == "eth_getLogs" else go_on()

    with (
        faulty(audited.url, never) as w3,
        Index(tmp_path / "index.sqlite", writable=True) as index,
    ):
        job = Sync(index, w3, audited.deployment.federation)
        with pytest.raises(ChainError, match="are not served"):
            job.run()
        told = next(job.follow(poll_s=0.01))
        assert told.trouble is not None
        assert "are not served" in told.trouble
