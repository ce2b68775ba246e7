from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai import digests
from ddcai.encryption import bfv
from ddcai.encryption.compact import wire
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.shapes import COMPACT_SHAPES
from ddcai.encryption.compact.shares import read_package
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.public import key_from_blob, load_key
from ddcai.encryption.threshold.boxes import PUBLIC_BYTES, SECRET_BYTES, BoxKey
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import ConfigurationError, KeyfileError, MalformedError, RoundError
from tests.encryption.compact.making import CONTEXT, WHO

SHAPE, SHARING = COMPACT_SHAPES["compact-64-3x18"], Sharing(3, 2)
BOXES = [BoxKey(bytes([i]) * SECRET_BYTES) for i in range(3)]
KEYS = HolderKeys(SHAPE, SHARING, tuple(box.public_bytes() for box in BOXES))


def test_each_holder_opens_its_own_box_and_finds_what_the_update_commits_to() -> None:
    update = wire.parse(KEYS.encrypt(np.arange(9), CONTEXT, WHO), wire.UPDATE, SHAPE, 9, SHARING)
    seen: dict[object, bytes] = {}
    for holder, box in enumerate(BOXES):
        about = digests.share_package(CONTEXT, WHO, holder)
        package = box.open(update.boxes[holder], about)
        seeds = read_package(package, holder, SHARING, CONTEXT, WHO, update.commitments)
        assert all(seen.setdefault(piece, seed) == seed for piece, seed in seeds.items())
        for other in set(range(3)) - {holder}:
            with pytest.raises(MalformedError):
                BOXES[other].open(update.boxes[holder], about)
    assert set(seen) == set(SHARING.pieces)


def test_two_updates_have_nothing_in_common() -> None:
    first, second = (
        wire.parse(KEYS.encrypt(np.arange(9), CONTEXT, WHO), wire.UPDATE) for _ in range(2)
    )
    assert not {*first.commitments, *first.boxes} & {*second.commitments, *second.boxes}
    assert (first.words != second.words).all()


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RoundError, match="a lane"):
        KEYS.encrypt(np.array([2**40]), CONTEXT, WHO)


def test_keys_come_back_from_blob_and_file(tmp_path: Path) -> None:
    assert HolderKeys.from_blob(KEYS.to_blob()) == KEYS
    assert key_from_blob(KEYS.to_blob()) == KEYS
    assert KEYS.digest() == digests.public_key_digest(KEYS.to_blob())
    path = tmp_path / "public.json"
    KEYS.save(path)
    assert HolderKeys.load(path) == load_key(path) == KEYS
    with pytest.raises(KeyfileError, match="not 'bfv-public-key'"):
        bfv.PublicKey.load(path)
    _, public = bfv.generate(PARAMETER_SETS["bfv-4096-3x19"])
    other = tmp_path / "bfv.json"
    public.save(other)
    assert load_key(other) == key_from_blob(public.to_blob()) == public
    with pytest.raises(KeyfileError, match="holds 'bfv-public-key'"):
        HolderKeys.load(other)


@given(st.integers(0, 15), st.integers(1, 255), st.integers(-40, 40))
def test_a_blob_that_is_none_is_refused(position: int, change: int, longer: int) -> None:
    blob = bytearray(KEYS.to_blob())
    blob[position] ^= change
    try:
        found = HolderKeys.from_blob(bytes(blob))
    except MalformedError:
        pass
    else:  # keys of another shape, or for another threshold: keys, but of another digest
        assert position in (2, 4)
        assert found.to_blob() == bytes(blob)
        assert found.digest() != KEYS.digest()
    if longer:
        wrong = KEYS.to_blob()[:longer] if longer < 0 else KEYS.to_blob() + bytes(longer)
        for read in (HolderKeys.from_blob, key_from_blob):
            with pytest.raises(MalformedError):
                read(wrong)


def test_not_one_key_for_each_holder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 keys for 3"):
        HolderKeys(SHAPE, SHARING, (bytes(PUBLIC_BYTES),) * 2)
    with pytest.raises(ConfigurationError):
        HolderKeys(SHAPE, SHARING, (bytes(5),) * 3)
    nonsense = HolderKeys(SHAPE, SHARING, (b"\xff" * PUBLIC_BYTES,) * 3)
    with pytest.raises(MalformedError, match="public box key"):
        nonsense.encrypt(np.arange(3), CONTEXT, WHO)
