"""Pieces of keys that are over are destroyed, and no others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import Web3

from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import connect
from ddcai.encryption.bfv import generate
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import ConfigurationError, KeyfileError
from ddcai.rounds import retiring
from ddcai.rounds.ceremony import PIECES_NAME
from ddcai.rounds.retiring import Retiring, Standing, retire
from tests.chain.holders import FIRST, GRACE_S, rekeyed, stage_holders
from tests.chain.support import COORDINATOR, Scene, advance, digest
from tests.encryption.threshold.rings import rings_of
from tests.federation import SmallFederation

PLAN = KeyPlan(
    label="epoch-1",
    parameters="bfv-8192-3x20",
    threshold=2,
    holders=tuple(one.address for one in FIRST),
)


@pytest.fixture
def w3(chain_url: str) -> Web3:
    return connect(chain_url)


@pytest.fixture
def scene(w3: Web3) -> Scene:
    """Key holders in their first epoch."""
    return stage_holders(w3)


def saved(folder: Path, key_digest: bytes) -> Path:
    """A holder's pieces of a key."""
    path = folder / PIECES_NAME
    rings_of(PLAN, key_digest)[0].save(path, "open sesame", light=True)
    return path


def first_key(scene: Scene) -> bytes:
    holders = scene.by(None).key_holders()
    assert holders is not None
    return holders.epochs()[0].key_digest


def look(scene: Scene, path: Path) -> Standing:
    (found,) = Retiring(scene.by(None)).look(path)
    return found


def test_the_current_key_is_kept_and_so_is_one_in_its_grace(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last second is set, since a chain's clock goes on while it is asked for."""
    path = saved(tmp_path, first_key(scene))
    found = look(scene, tmp_path)
    assert found == Standing(
        file=path, label="epoch-1", epoch=1, keep=True, why="it is the current key"
    )
    registered = rekeyed(scene).registered_at
    assert "may still sign, until" in look(scene, path).why
    monkeypatch.setattr(Federation, "block_time", lambda _: registered + GRACE_S)
    assert look(scene, path).keep
    retire([look(scene, path)])
    assert path.exists()
    monkeypatch.setattr(Federation, "block_time", lambda _: registered + GRACE_S + 1)
    found = look(scene, path)
    assert (found.keep, found.why) == (False, "epoch 1 is over, and no round needs it")


def test_a_round_that_is_not_settled_keeps_its_key(scene: Scene, w3: Web3, tmp_path: Path) -> None:
    path, number = saved(tmp_path, first_key(scene)), scene.open()
    rekeyed(scene)
    advance(w3, GRACE_S + 1)
    found = look(scene, path)
    assert found.keep
    assert (
        found.why == f"round {number} was opened under it and is not settled: finish or cancel it"
    )
    scene.by(COORDINATOR).cancel_round(number)
    assert not look(scene, path).keep
    scene.open()  # of the next key
    assert not look(scene, path).keep


def test_pieces_of_another_key_or_that_cannot_be_read_are_kept(
    scene: Scene, w3: Web3, tmp_path: Path
) -> None:
    rekeyed(scene)
    advance(w3, GRACE_S + 1)
    other, over, damaged, trial = (tmp_path / n for n in ("other", "over", "damaged", "trial"))
    saved(other, digest())
    gone = saved(over, first_key(scene))
    saved(damaged, first_key(scene)).write_bytes(b"{}")
    trial.mkdir()
    generate(parameter_set("bfv-4096-3x19"))[0].save(trial / PIECES_NAME, "open sesame", light=True)
    found = {one.file.parent: one for one in Retiring(scene.by(None)).look(tmp_path)}
    assert {one.parent for one in (gone,)} == {at for at, one in found.items() if not one.keep}
    assert "none of this federation's, or not registered yet" in found[other].why
    assert "no ddcai key file" in found[damaged].why
    assert "holds 'encryption-secret-key'" in found[trial].why or "not 'key-pieces'" in (
        found[trial].why
    )
    retire(found.values())
    assert not gone.exists()
    assert all((at / PIECES_NAME).exists() for at in (other, damaged, trial))


def test_what_is_destroyed_is_overwritten_in_its_place(
    scene: Scene, w3: Web3, tmp_path: Path
) -> None:
    """A second name of the same file shows what is left where the bytes were."""
    path, seen = saved(tmp_path, first_key(scene)), tmp_path / "seen"
    os.link(path, seen)
    before = seen.read_bytes()
    rekeyed(scene)
    advance(w3, GRACE_S + 1)
    retire([look(scene, path)])
    assert [one.name for one in tmp_path.iterdir()] == ["seen"]
    after = seen.read_bytes()
    assert len(after) == len(before)
    assert sum(a == b for a, b in zip(before, after, strict=True)) < len(before) / 20
    with pytest.raises(KeyfileError):
        KeyRing.load(seen, "open sesame")


def test_one_that_was_left_half_destroyed_is_destroyed_by_the_next_call(
    scene: Scene, w3: Web3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, first_key(scene))
    rekeyed(scene)
    advance(w3, GRACE_S + 1)

    def crash(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(retiring, "destroy", crash)
        with pytest.raises(KeyfileError, match="Permission denied"):
            retire([look(scene, path)])
    found = look(scene, tmp_path)
    assert (found.file.name, found.keep, found.why) == (
        "key-pieces.json.retired",
        False,
        "left half destroyed",
    )
    retire([found])
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_and_a_single_key_holder_are_refused(
    scene: Scene, federation: SmallFederation, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=f"no {PIECES_NAME} in"):
        Retiring(scene.by(None)).look(tmp_path)
    with pytest.raises(ConfigurationError, match="nothing of it can be retired"):
        Retiring(federation.contract)


def test_nothing_that_is_kept_is_touched(scene: Scene, tmp_path: Path) -> None:
    path = saved(tmp_path, first_key(scene))
    before, found = path.read_bytes(), look(scene, path)
    retire([found])
    assert path.read_bytes() == before
    retire([replace(found, keep=False)])
    assert not path.exists()
