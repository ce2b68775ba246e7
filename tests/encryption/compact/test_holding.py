from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ddcai import digests
from ddcai.digests import RoundContext
from ddcai.encryption.compact import summation, wire
from ddcai.encryption.compact.holding import CompactSums
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.shapes import COMPACT_SHAPES
from ddcai.encryption.sealed import SealedRound, SealedSums
from ddcai.encryption.threshold.boxes import BoxKey
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.threshold.shares import ShareExchange
from ddcai.errors import (
    AlreadyOpened,
    DuplicateUpdate,
    ForgedUpdate,
    SumMismatch,
    UpdateMismatch,
)
from tests.encryption.threshold.rings import accounts, secret

SHAPE = COMPACT_SHAPES["compact-64-3x18"]
CONTEXT = RoundContext(chain_id=31337, contract="0x" + "ab" * 20, round=7)
PLAN = KeyPlan(label="test", parameters=SHAPE.id, threshold=2, holders=tuple(accounts(3)))
BOX_SECRETS = [(secret("box", i) * 3)[:96] for i in range(3)]


KEYS = HolderKeys(SHAPE, PLAN.sharing, tuple(BoxKey(one).public_bytes() for one in BOX_SECRETS))
RINGS = [
    KeyRing(
        plan=PLAN,
        holder=holder,
        public_key_digest=KEYS.digest(),
        ceremony_digest=secret("ceremony"),
        seeds={},
        group=secret("group"),
        box=BOX_SECRETS[index],
    )
    for index, holder in enumerate(PLAN.holders)
]
LIMIT = 100


def address(index: int) -> str:
    return f"0x{index + 1:040x}"


class World:
    """Blobs, and three holders with a journal each."""

    def __init__(self, folder: Path) -> None:
        self.blobs: dict[bytes, bytes] = {}
        self.folders = [folder / str(index) for index in range(3)]

    def holder(self, index: int) -> CompactSums:
        sums = SealedSums(SHAPE, KEYS.digest(), self.folders[index], self.blobs.__getitem__)
        return CompactSums(RINGS[index], sums, value_limit=LIMIT)

    def encrypt(self, index: int, value: int, size: int = 9_000) -> bytes:
        return KEYS.encrypt(np.full(size, value), CONTEXT, address(index))

    def seal(self, blobs: Sequence[bytes], **changes: object) -> SealedRound:
        updates = []
        for index, blob in enumerate(blobs):
            digest = digests.update_digest(CONTEXT, address(index), blob)
            self.blobs[digest] = blob
            updates.append((address(index), digest))
        sealed = SealedRound(
            context=CONTEXT,
            min_contributors=3,
            sum_digest=digests.sum_digest(CONTEXT, summation.add(blobs)),
            updates=tuple(updates),
            encryption_key_digest=KEYS.digest(),
        )
        return dataclasses.replace(sealed, **changes)

    def open(self, sealed: SealedRound, responders: tuple[int, ...] = (0, 1, 2)) -> list[object]:
        partials = {one: self.holder(one).partial(sealed) for one in responders}
        exchanges = {
            one: ShareExchange(RINGS[one], partial.about, responders)
            for one, partial in partials.items()
        }
        shares = {one: exchanges[one].share(partials[one].own) for one in responders}
        found = []
        for one, partial in partials.items():
            gathered = exchanges[one].gather(partial.own, shares)
            assert gathered.partials is not None
            found.append(partial.finish(gathered.partials).values.tolist())
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_any_quorum_opens_the_sum_and_every_responder_the_same(world: World) -> None:
    sealed = world.seal([world.encrypt(i, value) for i, value in enumerate((1, -2, 40))])
    for quorum in (*combinations(range(3), 2), (0, 1, 2)):
        assert world.open(sealed, quorum) == [[39] * 9_000] * len(quorum)


def test_a_second_list_of_one_round_is_refused_by_every_holder(world: World) -> None:
    """The attack: two lists whose difference is one update."""
    blobs = [world.encrypt(i, 1) for i in range(4)]
    world.open(world.seal(blobs))
    for index in range(3):
        with pytest.raises(AlreadyOpened, match="subtracted"):
            world.holder(index).partial(world.seal(blobs[:3]))


def test_another_s_update_is_of_no_use(world: World) -> None:
    """The attack: contributor 1 submits what contributor 0 sent, as it is."""
    victim = world.encrypt(0, 7)
    with pytest.raises(DuplicateUpdate):
        world.holder(0).partial(world.seal([victim, victim, world.encrypt(2, 1)]))
    copies = world.seal([world.encrypt(0, 1), victim, world.encrypt(2, 1)])
    for index in range(3):
        with pytest.raises(ForgedUpdate, match="sent key holder"):
            world.holder(index).partial(copies)


def test_another_s_words_under_ones_own_secret_open_nothing(world: World) -> None:
    """The attack: the victim's words, and pieces of a secret of one's own."""
    victim = wire.parse(world.encrypt(0, 7), wire.UPDATE)
    own = bytearray(world.encrypt(1, 0))
    words = np.ascontiguousarray(victim.words, "<u8").tobytes()
    own[-len(words) :] = words
    sealed = world.seal([world.encrypt(0, 1), bytes(own), world.encrypt(2, 1)])
    with pytest.raises(ForgedUpdate):
        world.open(sealed)


@pytest.mark.parametrize("part", ["commitment", "box", "masked"])
def test_pieces_that_do_not_fit_the_update_are_refused(world: World, part: str) -> None:
    blob = bytearray(world.encrypt(1, 3))
    boxes = wire.HEADER_BYTES + 32 * len(PLAN.sharing.pieces)
    at = {
        "commitment": wire.HEADER_BYTES,
        "box": boxes + 5,  # holder 0's
        "masked": boxes + 3 * wire.box_bytes(PLAN.sharing) + 3,
    }[part]
    blob[at] ^= 0x80
    sealed = world.seal([world.encrypt(0, 1), bytes(blob), world.encrypt(2, 1)])
    with pytest.raises(ForgedUpdate):
        world.open(sealed)


def test_what_is_no_sum_of_the_list_is_refused(world: World) -> None:
    blobs = [world.encrypt(i, 1) for i in range(3)]
    sealed = world.seal(blobs)
    other = digests.sum_digest(CONTEXT, summation.add(blobs[:2]))
    with pytest.raises(SumMismatch):
        world.holder(0).partial(dataclasses.replace(sealed, sum_digest=other))
    world.blobs[sealed.updates[1][1]] = world.encrypt(1, 2)
    with pytest.raises(UpdateMismatch):
        world.holder(2).partial(sealed)


def test_values_beyond_the_range_are_not_given_out(world: World) -> None:
    blobs = [world.encrypt(0, 3 * LIMIT + 1), world.encrypt(1, 0), world.encrypt(2, 0)]
    with pytest.raises(ForgedUpdate, match="values"):
        world.open(world.seal(blobs))


# A holder that is killed before or after each step of an opening's journal.

STEPS = ("before the entry", "after the entry")


def _die_at(step: str) -> None:
    link: Callable[..., None] = os.link

    def killed(*paths: object) -> None:
        entry = str(paths[1]).endswith(f"-{CONTEXT.round}.json")
        if entry and step == STEPS[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        link(*paths)
        if entry:
            os.kill(os.getpid(), signal.SIGKILL)

    os.link = killed


@pytest.mark.parametrize("step", STEPS)
def test_a_holder_that_is_killed_opens_no_second_list(world: World, step: str) -> None:
    blobs = [world.encrypt(i, 1) for i in range(4)]
    full, fewer = world.seal(blobs), world.seal(blobs[:3])
    child = os.fork()
    if child == 0:  # dies at the step, by a signal that it cannot catch
        try:
            _die_at(step)
            world.holder(0).partial(full)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    holder = world.holder(0)
    if step == STEPS[0]:  # nothing was said: either list may still be opened, one of them
        holder.partial(fewer)
        with pytest.raises(AlreadyOpened):
            holder.partial(full)
    else:
        with pytest.raises(AlreadyOpened):
            holder.partial(fewer)
        holder.partial(full)


def test_a_holder_shows_no_secret() -> None:
    shown = repr(World(Path("none")).holder(0))
    assert BOX_SECRETS[0].hex() not in shown
