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
from ddcai.encryption.opening import KeyHolder
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.scalars import Committed, ScalarOpener, Vectors
from ddcai.encryption.sealed import SealedRound
from ddcai.errors import (
    AlreadyOpened,
    BlobMissing,
    DuplicateUpdate,
    ForgedUpdate,
    MalformedError,
    NotSealed,
    RoundError,
    ScalarBudget,
    UpdateMismatch,
    UpdateMissing,
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


def test_noise_is_asked_away_by_nobody(world: World):
    wanted, updates = vectors(count=60), list(KINDS.values())
    committed = world.committed(updates)
    opened = world.opener().open(committed, wanted, 3.0)
    assert world.opener().open(committed, wanted, 3.0) == opened
    lengths = np.sqrt((wanted.rows.astype(np.float64) ** 2).sum(axis=1))
    noise = {}
    for index, values in enumerate(updates):
        exact = wanted.rows.astype(np.int64) @ values[wanted.positions]
        noise[index] = (np.array(opened[address(index)]) - exact) / lengths
    everything = np.concatenate(list(noise.values()))
    assert 2.5 < everything.std() < 3.5  # 420 draws: six deviations to either side
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.8
    later = dataclasses.replace(CONTEXT, round=CONTEXT.round + 1)
    other = world.opener().open(world.committed(updates, later), wanted, 3.0)
    assert other[address(0)] != opened[address(0)]


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
        ({"updates": ((one, first), gone)}, UpdateMissing),
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


def _of_the_key(world: World, times: int, offset: float = 0.0) -> bytes:
    """An update whose first ciphertext encrypts the key, `times` over: (offset, times q/t).

    The last ciphertext is honest: its unused rest would tell.
    """
    q, t = math.prod(SET.data_primes), SET.plain_modulus
    words = wire.parse(world.public.encrypt(KINDS["zero"])).copy()
    words[0] = 0
    words[0, 1, :, 0] = [times * (q // t) % prime for prime in SET.data_primes]
    if offset:
        beside = int(offset * q / t)
        places = slice(SET.reserved, None)
        words[0, 0, :, places] = np.array([[beside % p] for p in SET.data_primes], np.uint64)
        # A small multiple of the key decides which way each coefficient is rounded.
        small = q // t // 4
        words[0, 1, :, 0] = [small % prime for prime in SET.data_primes]
    return wire.to_blob(words, VALUES, SET)


@pytest.mark.parametrize(("times", "offset"), [(1, 0.0), (2 * LIMIT, 0.0), (0, 0.5), (0, 0.4)])
def test_a_forger_gets_no_scalar_and_no_sum_of_the_key(
    world: World, times: int, offset: float
) -> None:
    """The key's coefficients are small, so that their range does not tell them from an update's."""
    committed = world.committed([KINDS["honest"]] * 2)
    forged = world.put(address(2), _of_the_key(world, times, offset))
    attack = dataclasses.replace(committed, updates=(*committed.updates, forged))
    opened = world.opener().open(attack, vectors(count=3))
    assert opened[address(2)] == ()
    assert len(opened[address(0)]) == len(opened[address(1)]) == 3
    total = summation.add([world.blobs[digest] for _, digest in attack.updates])
    sealed = SealedRound(
        context=CONTEXT,
        min_contributors=3,
        sum_digest=digests.sum_digest(CONTEXT, total),
        updates=attack.updates,
        encryption_key_digest=world.public.digest(),
    )
    holder = KeyHolder(world.secret, world.folder / "sums", world.fetch, value_limit=LIMIT)
    with pytest.raises(ForgedUpdate, match="no honest encryption"):
        holder.open(sealed)


def test_each_check_sees_what_the_other_does_not(world: World) -> None:
    """Without reserved zeros the key would be opened, without the noise its signs."""
    free = dataclasses.replace(SET, reserved=0)
    secret, primes = world.secret._words, np.array(SET.data_primes, dtype=object)
    of_the_key = wire.parse(_of_the_key(world, 1))[0]
    key = _ring.decrypt_coefficients(of_the_key, secret, free)
    assert set(key.tolist()) == {-1, 0, 1}
    beside = wire.parse(_of_the_key(world, 0, 0.4))[0]
    rows = _ring.noisy_message(beside, secret, SET)
    q, t = math.prod(SET.data_primes), SET.plain_modulus
    total = sum(
        row.astype(object) * (pow(q // int(p), -1, int(p)) * (q // int(p)) % q)
        for row, p in zip(rows, primes, strict=True)
    )
    rounded = (2 * t * (total % q) + q) // (2 * q) % t
    assert not rounded[: SET.reserved].any()  # the zeros alone would not tell
    assert np.array_equal(rounded[SET.reserved :] == 1, key[SET.reserved :] == 1)
    with pytest.raises(ForgedUpdate):
        _ring.checked_message(rows, SET)


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
