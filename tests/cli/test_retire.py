"""`ddcai keys retire`."""

from __future__ import annotations

from pathlib import Path

from ddcai.chain.node.connection import connect
from ddcai.rounds.ceremony import PIECES_NAME
from tests.chain.holders import GRACE_S, rekeyed, stage_holders
from tests.chain.support import advance
from tests.cli.conftest import Ddcai, assert_refused
from tests.rounds.test_retiring import first_key, saved

JSON = ("--format", "json")


def test_pieces_are_retired_when_their_epoch_is_over(
    ddcai: Ddcai, chain_url: str, tmp_path: Path
) -> None:
    scene = stage_holders(connect(chain_url))
    keys = tmp_path / "keys"
    old, new = keys / "old", keys / "new"
    first = saved(old, first_key(scene))
    where = ("--deployment", scene.deployment.save(tmp_path), "--rpc-url", chain_url)
    assert_refused(ddcai("keys", "retire", tmp_path / "none", *where), f"no {PIECES_NAME} in")
    second = saved(new, rekeyed(scene).key_digest)

    def outcomes(*options: str) -> dict[str, tuple[int, str]]:
        answer = ddcai("keys", "retire", keys, *where, *options, *JSON)
        assert answer.code == 0, answer.stderr
        assert ("dry run" in answer.stderr) == ("--dry-run" in options)
        rows = answer.json
        return {Path(row["file"]).parent.name: (row["epoch"], row["outcome"]) for row in rows}

    assert outcomes() == {"old": (1, "kept"), "new": (2, "kept")}
    advance(connect(chain_url), GRACE_S + 1)
    assert outcomes("--dry-run") == {"old": (1, "to be destroyed"), "new": (2, "kept")}
    assert first.exists()
    assert outcomes() == {"old": (1, "destroyed"), "new": (2, "kept")}
    assert not first.exists()
    assert second.exists()
    assert outcomes() == {"new": (2, "kept")}
    shown = ddcai("keys", "retire", second, *where)
    assert "it is the current key" in shown.stdout
