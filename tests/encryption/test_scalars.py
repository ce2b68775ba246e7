"""Scalars of single updates: what is opened is exact, and nothing else is opened."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai import digests
from ddcai.digests import RoundContext
from ddcai.encryption import _ring, summation, wire
from ddcai.encryption.lanes import lane_values
from ddcai.encryption.opening import KeyHolder, SealedRound
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.scalars import Committed, ScalarOpener, Vectors
from ddcai.errors import (
    AlreadyOpened,
    BlobMissing,
    DuplicateUpdate,
    MalformedError,
    NotSealed,
    RoundError,
    ScalarBudget,
    UpdateMismatch,
    WrongEncryptionKey,
)

from .conftest import key_pair

SET = PARAMETER_SETS["bfv-8192-2x30"]
LIMIT = SET.value_limit(64)
VALUES = 20_000  # two ciphertexts
CONTEXT = RoundContext(chain_id=31337, contract="0x" + "Ab" * 20, round=1)
RNG = np.random.default_rng(7)


def address(index: int) -> str:
    return f"0x{index + 1:040x}"


def vectors(lane: int = 0, size: int = 4096, count: int = 12, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    places = lane_values(lane, VALUES, SET)
    positions = np.sort(rng.choice(places, min(size, places.size), replace=False))
    rows = rng.integers(-15, 15, (count, positions.size), endpoint=True).astype(np.int8)
    rows[0] = np.where(rows[0] < 0, -1, 1)
    return Vectors(lane=lane, positions=positions, rows=rows)


# Updates of every kind that a study plants, at their largest.
KINDS = {
    "honest": np.clip(np.rint(RNG.normal(0, 900, VALUES)), -LIMIT, LIMIT),
    "zero": np.zeros(VALUES),
    "largest": np.full(VALUES, LIMIT),
    "smallest": np.full(VALUES, -LIMIT),
    "alternating": np.where(np.arange(VALUES) % 2, LIMIT, -LIMIT),
    "sparse": np.where(np.arange(VALUES) % 997 == 0, LIMIT, 0),
    "noise": RNG.integers(-LIMIT, LIMIT, VALUES, endpoint=True),
}
KINDS["sign flip"] = -KINDS["honest"]
KINDS = {name: values.astype(np.int64) for name, values in KINDS.items()}


class World:
    def __init__(self, folder: Path) -> None:
        self.secret, self.public = key_pair(SET.id)
        self.folder = folder
        self.blobs: dict[bytes, bytes] = {}

    def opener(self, budget: int = 1000) -> ScalarOpener:
        return ScalarOpener(
            self.secret, self.folder / "scalars", self.fetch, value_limit=LIMIT, budget=budget
        )

    def fetch(self, digest: bytes) -> bytes:
        try:
            return self.blobs[digest]
        except KeyError:
            raise BlobMissing(f"no {digest.hex()}") from None

    def put(self, who: str, blob: bytes, context: RoundContext = CONTEXT) -> tuple[str, bytes]:
        digest = digests.update_digest(context, who, blob)
        self.blobs[digest] = blob
        return who, digest

    def committed(
        self, updates: list[np.ndarray], context: RoundContext = CONTEXT, **changes: object
    ) -> Committed:
        listed = tuple(
            self.put(address(i), self.public.encrypt(values), context)
            for i, values in enumerate(updates)
        )
        made = Committed(
            context=context,
            updates=listed,
            values=len(updates[0]) if updates else 1,
            encryption_key_digest=self.public.digest(),
        )
        return dataclasses.replace(made, **changes)

    def entries(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "scalars").glob("*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("lane", [0, 1])
@pytest.mark.parametrize("size", [4096, 1024, 1])
def test_scalars_equal_the_integer_inner_products(world: World, lane: int, size: int):
    wanted = vectors(lane, size)
    opened = world.opener().open(world.committed(list(KINDS.values())), wanted)
    for index, values in enumerate(KINDS.values()):
        expected = wanted.rows.astype(np.int64) @ values[wanted.positions]
        assert opened[address(index)] == tuple(expected.tolist())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 1), st.integers(1, 4096), st.booleans())
def test_the_heaviest_products_are_exact(seed, lane, size, largest):
    secret, public = key_pair(SET.id)
    rng = np.random.default_rng(seed)
    values = rng.integers(-LIMIT, LIMIT, 16_384, endpoint=True)
    positions = np.sort(rng.choice(lane_values(lane, values.size, SET), size, replace=False))
    rows = rng.choice(np.array([-15, 15], np.int8), (3, size))
    if largest:
        values[:] = LIMIT
        values[positions] = LIMIT * np.sign(rows[0].astype(np.int64))
    found = secret.inner_products(public.encrypt(values), lane, positions, rows)
    assert found.tolist() == (rows.astype(np.int64) @ values[positions]).tolist()


def test_products_that_could_wrap_are_refused():
    secret, public = key_pair(SET.id)
    blob = public.encrypt(np.arange(10_000))
    positions = np.arange(0, 8192, 2)
    with pytest.raises(RoundError, match="weighs 65536"):
        secret.inner_products(blob, 0, positions, np.full((1, 4096), 16, np.int8))
    with pytest.raises(RoundError, match="one lane"):
        secret.inner_products(blob, 1, positions, np.ones((1, 4096), np.int8))
    with pytest.raises(RoundError, match="one lane"):
        secret.inner_products(blob, 0, positions, np.ones((1, 4095), np.int8))
    other, key = key_pair("bfv-4096-3x19")
    with pytest.raises(RoundError, match="opens no such product"):
        other.inner_products(key.encrypt(np.arange(9)), 0, np.arange(3), np.ones((1, 3), np.int8))
    with pytest.raises(MalformedError):
        secret.inner_products(blob[:-1], 0, positions, np.ones((1, 4096), np.int8))


def test_the_same_again_gives_the_same_after_a_restart(world: World):
    committed, wanted = world.committed([KINDS["honest"], KINDS["noise"]]), vectors()
    first = world.opener().open(committed, wanted)
    assert world.opener().open(committed, wanted) == first
    assert world.entries() == ["31337-0x" + "ab" * 20 + "-1.json", "federation.json"]


def test_a_second_look_at_a_round_is_refused(world: World):
    """Other vectors, another list, another update: each would open more of one update."""
    updates = [KINDS["honest"], KINDS["noise"], KINDS["sparse"]]
    committed, wanted = world.committed(updates), vectors()
    world.opener().open(committed, wanted)
    for other in (vectors(seed=1), vectors(lane=1), vectors(count=13)):
        with pytest.raises(AlreadyOpened):
            world.opener().open(committed, other)
    fewer = dataclasses.replace(committed, updates=committed.updates[:2])
    with pytest.raises(AlreadyOpened):
        world.opener().open(fewer, wanted)
    with pytest.raises(AlreadyOpened):
        world.opener().open(world.committed(updates), wanted)  # encrypted anew


def test_the_budget_ends_it(world: World):
    """12 scalars a round: with a budget of 30, the third round is refused, and can be repeated."""
    wanted = vectors()
    rounds = [dataclasses.replace(CONTEXT, round=number) for number in (1, 2, 3)]
    committed = [world.committed([KINDS["honest"]], context) for context in rounds]
    for one in committed[:2]:
        world.opener(30).open(one, wanted)
    before = world.entries()
    with pytest.raises(ScalarBudget, match=r"24 were opened.*budget is 30"):
        world.opener(30).open(committed[2], wanted)
    assert world.entries() == before
    world.opener(30).open(committed[1], wanted)  # opened before
    world.opener(36).open(committed[2], wanted)


def test_what_is_refused_leaves_no_entry(world: World):
    updates = [KINDS["honest"], KINDS["noise"]]
    good, wanted = world.committed(updates), vectors()
    (one, first), (two, second) = good.updates
    copy = world.put(two, world.blobs[first])
    short = world.put(two, world.public.encrypt(np.arange(5)))
    broken = world.put(two, world.blobs[second][:-1])
    gone = (two, bytes(31) + b"\1")
    swapped = (two, first)
    attacks = [
        ({"updates": ()}, NotSealed),
        ({"encryption_key_digest": bytes(32)}, WrongEncryptionKey),
        ({"updates": ((one, first), (one.upper().replace("0X", "0x"), second))}, DuplicateUpdate),
        ({"updates": ((one, first), copy)}, DuplicateUpdate),
        ({"updates": ((one, first), short)}, UpdateMismatch),
        ({"updates": ((one, first), broken)}, UpdateMismatch),
        ({"updates": ((one, first), gone)}, UpdateMismatch),
        ({"updates": ((one, first), swapped)}, UpdateMismatch),
    ]
    for changes, error in attacks:
        with pytest.raises(error) as caught:
            world.opener().open(dataclasses.replace(good, **changes), wanted)
        assert type(caught.value) is error
        assert world.entries() == []
    world.opener().open(good, wanted)


def test_an_update_out_of_range_is_not_given_out(world: World):
    """More than any honest update can have, on one coordinate in the block."""
    wanted = vectors(size=16, count=3)
    large = KINDS["zero"].copy()
    large[wanted.positions] = (LIMIT + 1) * np.sign(wanted.rows[0].astype(np.int64))
    opened = world.opener().open(world.committed([KINDS["honest"], large]), wanted)
    assert opened[address(1)] == ()
    assert len(opened[address(0)]) == 3


def test_a_forged_ciphertext_makes_scalars_of_the_key(world: World):
    """(0, q/t) is a valid encryption of the key itself, and its coefficients are in range.

    Nothing tells it from an update; so each scalar of a forger is a linear equation about the
    key, and the budget is what bounds them (docs/security.md). This test is here so that the
    documents stay true.
    """
    step = math.prod(SET.data_primes) // SET.plain_modulus
    primes = np.array(SET.data_primes, dtype=object)
    words = np.zeros((2, 2, len(SET.data_primes), SET.poly_modulus_degree), np.uint64)
    for block in range(2):
        words[block, 1, :, 0] = ((block + 1) * step % primes).astype(np.uint64)
    forged, wanted = wire.to_blob(words, VALUES, SET), vectors(size=4096, count=3)
    wanted = dataclasses.replace(wanted, rows=wanted.rows, positions=np.arange(0, 8192, 2))
    committed = world.committed([KINDS["honest"]])
    attack = dataclasses.replace(
        committed, updates=(*committed.updates, world.put(address(1), forged))
    )
    opened = world.opener().open(attack, wanted)
    key = _ring.decrypt_coefficients(words[0], world.secret._words, SET)
    assert set(key.tolist()) == {-1, 0, 1}
    expected = wanted.rows.astype(np.int64) @ key[:4096]
    assert opened[address(1)] == tuple(expected.tolist())


def test_a_forged_ciphertext_puts_the_whole_key_into_a_sum(world: World):
    """In range, so that the key holder opens it: 2 LIMIT times the key, and honest values below."""
    step = math.prod(SET.data_primes) // SET.plain_modulus
    words = wire.parse(world.public.encrypt(KINDS["zero"])).copy()
    # The last ciphertext stays: its unused rest would tell.
    words[0] = 0
    words[0, 1, :, 0] = [2 * LIMIT * step % prime for prime in SET.data_primes]
    committed = world.committed([KINDS["honest"]] * 2)
    updates = (*committed.updates, world.put(address(2), wire.to_blob(words, VALUES, SET)))
    total = summation.add([world.blobs[digest] for _, digest in updates])
    sealed = SealedRound(
        context=CONTEXT,
        min_contributors=3,
        sum_digest=digests.sum_digest(CONTEXT, total),
        updates=updates,
        encryption_key_digest=world.public.digest(),
    )
    holder = KeyHolder(world.secret, world.folder / "sums", world.fetch, value_limit=LIMIT)
    values = holder.open(sealed).values[: SET.values_per_ciphertext : SET.lanes]
    words[0, 1, :, 0] = [step % prime for prime in SET.data_primes]
    key = _ring.decrypt_coefficients(words[0], world.secret._words, SET)
    assert np.array_equal(np.rint(values / (2 * LIMIT)).astype(np.int64), key)


def test_vectors_have_a_digest_of_every_part():
    one = vectors()
    rows = one.rows.copy()
    rows[3, 5] += 1
    others = [
        dataclasses.replace(one, rows=rows),
        dataclasses.replace(one, rows=one.rows[:-1]),
        dataclasses.replace(one, positions=one.positions + 1),
        dataclasses.replace(one, lane=1),
    ]
    assert len({other.digest() for other in [one, *others]}) == 5
    assert vectors().digest() == one.digest()
