from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from ddcai.encryption.threshold.keyring import KeyRing, holds_pieces
from ddcai.errors import ConfigurationError, KeyfileError, WrongPassword

from .rings import plan_of, rings_of, secret

RING = rings_of(plan_of(3, 2), secret("key"))[1]


def test_a_ring_comes_back_from_its_file_alone_with_the_password(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    RING.save(path, "p", light=True)
    assert KeyRing.load(path, "p") == RING
    assert holds_pieces(path)
    assert not holds_pieces(tmp_path / "none.json")
    with pytest.raises(WrongPassword):
        KeyRing.load(path, "q")
    with pytest.raises(KeyfileError, match="already"):
        RING.save(path, "p", light=True)


@pytest.mark.parametrize("name", ["plan", "holder", "public_key_digest", "ceremony_digest"])
def test_a_label_of_another_ring_is_refused(tmp_path: Path, name: str) -> None:
    path, other = tmp_path / "ring.json", tmp_path / "other.json"
    RING.save(path, "p", light=True)
    another = rings_of(plan_of(3, 2, label="other"), secret("other"))[0]
    another.save(other, "p", light=True)
    import json

    document, taken = json.loads(path.read_text()), json.loads(other.read_text())
    document["public"][name] = taken["public"][name]
    path.write_text(json.dumps(document))
    with pytest.raises(WrongPassword):
        KeyRing.load(path, "p")


def test_a_ring_shows_none_of_its_secrets() -> None:
    shown = repr(RING)
    for part in (*RING.seeds.values(), RING.group, RING.box):
        assert part.hex() not in shown
        assert repr(part) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(RING)


def test_holders_of_one_key_derive_the_same() -> None:
    one, other = rings_of(plan_of(3, 2), secret("key"))[:2]
    assert one.derive(b"m") == other.derive(b"m")
    assert one.derive(b"m") != one.derive(b"n")
    assert one.derive(b"m") != dataclasses.replace(one, group=secret("g")).derive(b"m")


def test_pieces_of_another_holder_are_no_ring() -> None:
    other = rings_of(plan_of(3, 2), secret("key"))[2]
    with pytest.raises(ConfigurationError, match="not the pieces"):
        dataclasses.replace(RING, seeds=other.seeds)
    with pytest.raises(ConfigurationError, match="not the pieces"):
        dataclasses.replace(RING, group=b"short")
    with pytest.raises(ConfigurationError, match="none of the plan's"):
        dataclasses.replace(RING, holder="0x" + "00" * 20)
