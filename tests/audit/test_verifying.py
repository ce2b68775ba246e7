"""One round, several processes, and a journal: what an audit finds does not depend on how."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History
from ddcai.audit.journal import Journal
from ddcai.audit.stored import Stored
from ddcai.audit.verify import Work, verify
from ddcai.audit.workers import bases
from ddcai.errors import ConfigurationError, MalformedError
from ddcai.store import Store
from tests.audit.tampering import (
    EAST,
    Scene,
    double_update,
    false_opened_sum,
    flip_update,
    own_update_again,
    remove_update,
)
from tests.audit.test_verify import digest_of, flip, flipped, of, rounds_with
from tests.federation import SmallFederation


@pytest.fixture
def scene(history: History, audited: SmallFederation, tmp_path: Path) -> Scene:
    """To be manipulated."""
    folder = Path(shutil.copytree(audited.store.url, tmp_path / "blobs"))
    return Scene(history, folder, audited)


def found(scene: Scene, journal: Path | None = None, **work: int) -> list[Claim]:
    store = Store(str(scene.folder))
    return list(verify(scene.history, store, Work(journal=journal, **work)))


def test_several_processes_find_the_same_in_the_same_order(scene: Scene, tmp_path: Path) -> None:
    """A forged result, an update that is missing, and a copy of one of an earlier round.

    The processes read the rounds from a file; what they are compared with has them in memory.
    """
    false_opened_sum(signed=True)(scene)
    own_update_again(scene)
    (scene.folder / scene.update(2, EAST).hex()).unlink()
    (scene.folder / digest_of(scene.history, "model", 2).hex()).unlink()
    alone = found(scene)
    assert {claim.status for claim in alone} == set(Status)
    written = Stored.write(tmp_path / "facts", scene.history.rounds)
    scene.history = dataclasses.replace(scene.history, rounds=written)
    assert found(scene, workers=2) == alone


def test_a_model_that_is_missing_is_recomputed_from_any_round_on(scene: Scene) -> None:
    for number in (1, 2):
        (scene.folder / digest_of(scene.history, "model", number).hex()).unlink()
    odd = [claim for claim in found(scene) if not claim.passed]
    assert [(c.name, c.round, c.status) for c in odd] == [
        (claims.MODEL_BLOB, 1, Status.MISSING),
        (claims.MODEL_BLOB, 2, Status.MISSING),
    ]


def test_one_round_has_the_claims_that_it_has_among_all(scene: Scene) -> None:
    whole = found(scene)
    flip_update(scene)
    store = Store(str(scene.folder))
    for number in (1, 2, 3):
        about = [claim for claim in whole if claim.round == number]
        config, *own = verify(scene.history, store, round_=number)
        assert (config.name, config.passed) == (claims.CONFIG, True)
        assert own == about
    odd = [claim for claim in verify(scene.history, store, round_=4) if not claim.passed]
    assert [claim.name for claim in odd] == [claims.UPDATES, claims.SUM]
    with pytest.raises(ConfigurationError, match="no round 9: the last one is 4"):
        list(verify(scene.history, store, round_=9))


def test_a_round_alone_finds_copies_of_the_rounds_in_its_journal(
    scene: Scene, tmp_path: Path
) -> None:
    own_update_again(scene)
    store, journal = Store(str(scene.folder)), tmp_path / "journal"

    def total(work: Work) -> Status:
        alone = verify(scene.history, store, work, round_=4)
        return next(claim.status for claim in alone if claim.name == claims.SUM)

    assert total(Work()) is Status.PASS
    list(verify(scene.history, store, Work(journal=journal), round_=1))
    assert total(Work(journal=journal)) is Status.FAIL


def test_rounds_that_passed_are_not_read_again(scene: Scene, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    remove_update(scene)
    first = found(scene, journal)
    assert {claim.status for claim in first} == {Status.PASS, Status.MISSING, Status.SKIPPED}
    # Rounds 1 and 2 passed; round 4 did not, and is looked at again.
    for number in (1, 2):
        flip(scene.folder, digest_of(scene.history, "sum", number), 0.5)
    flip(scene.folder, scene.update(4, EAST), 0.5)
    odd = [(c.name, c.round, c.status) for c in found(scene, journal) if not c.passed]
    assert odd == [
        (claims.UPDATES, 4, Status.MISSING),
        (claims.UPDATES, 4, Status.FAIL),
        (claims.SUM, 4, Status.SKIPPED),
    ]


def test_an_audit_that_was_cut_off_goes_on(scene: Scene, tmp_path: Path) -> None:
    journal, store = tmp_path / "journal", Store(str(scene.folder))
    whole = found(scene)
    cut = verify(scene.history, store, Work(journal=journal))
    for claim in cut:
        if claim.round == 2:
            break
    cut.close()  # type: ignore[attr-defined]
    (scene.folder / digest_of(scene.history, "sum", 1).hex()).unlink()  # of a round that is done
    assert found(scene, journal) == whole


def test_what_the_chain_says_otherwise_is_verified_again(scene: Scene, tmp_path: Path) -> None:
    journal, honest = tmp_path / "journal", scene.history
    found(scene, journal)
    final = of(honest, 1).finalisation
    assert final is not None
    scene.change_final(1, signature=flipped(final.signature, 100))
    odd = [(c.name, c.round) for c in found(scene, journal) if not c.passed]
    assert odd == [(claims.QUORUM, 1)]
    # What another chain said leaves no accusation behind.
    scene.history = honest
    double_update(scene)
    assert any(c.status is Status.FAIL for c in found(scene, journal))
    scene.history = honest
    assert claims.all_hold(found(scene, journal))


def test_payments_do_not_make_a_round_new(history: History) -> None:
    paid = rounds_with(history, 1, refunds=())
    assert list(bases(paid, None)) == list(bases(history, None))
    other = rounds_with(history, 2, base_model_digest=bytes(32))
    assert [a == b for a, b in zip(bases(other, None), bases(history, None), strict=True)] == [
        True,
        False,
        False,
        False,
    ]


def test_the_journal_of_another_federation_is_refused(history: History, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, history.chain_id, history.contract).__exit__(None, None, None)
    for changes in ({"chain_id": 1}, {"contract": "0x000000000000000000000000000000000000dEaD"}):
        other = dataclasses.replace(history, **changes)
        with pytest.raises(ConfigurationError, match="give another --journal"):
            Journal(path, other.chain_id, other.contract)


def test_a_damaged_journal_is_refused(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    found(scene, path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE rounds SET claims = replace(claims, 'PASS', 'FAIL') WHERE place = 0")
    with pytest.raises(MalformedError, match="not as it was written"):
        found(scene, path)
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(MalformedError, match="remove it"):
        found(scene, path)


def test_no_workers_check_nothing(scene: Scene) -> None:
    with pytest.raises(ConfigurationError, match="0 workers"):
        found(scene, workers=0)
