"""A key holder's refusals, each with its attack planted."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai import digests
from ddcai.digests import RoundContext
from ddcai.encryption import bfv, summation, wire
from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.opening import KeyHolder, opened_from_blob, opened_to_blob
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.sealed import SealedRound
from ddcai.errors import (
    AlreadyOpened,
    BlobMissing,
    DuplicateUpdate,
    ForgedUpdate,
    MalformedError,
    NotSealed,
    RoundError,
    SumMismatch,
    TooFewContributors,
    TooManyContributors,
    UpdateMismatch,
    UpdateMissing,
    WrongEncryptionKey,
)

from .conftest import key_pair

SET = PARAMETER_SETS["bfv-4096-3x19"]
LIMIT = SET.value_limit(SET.max_contributors)
CONTRACT = "0x" + "Ab" * 20
CONTEXT = RoundContext(chain_id=31337, contract=CONTRACT, round=1)


def address(index: int) -> str:
    return f"0x{index + 1:040x}"


class Decrypter:
    """The key, counting what it was applied to."""

    def __init__(self, secret: SecretKey, journal: Path) -> None:
        self.secret = secret
        self.journal = journal
        self.opened: list[bytes] = []
        self.parameters = secret.parameters
        self.public_key_digest = secret.public_key_digest

    def decrypt(self, blob: bytes) -> np.ndarray:
        assert list(self.journal.glob("31337-*.json")), "decrypted before it was remembered"
        self.opened.append(blob)
        return self.secret.decrypt(blob)


class World:
    """A chain's word, a blob store, and a key holder."""

    def __init__(self, folder: Path) -> None:
        self.secret, self.public = key_pair(SET.id)
        self.blobs: dict[bytes, bytes] = {}
        self.journal = folder / "journal"
        self.key = Decrypter(self.secret, self.journal)
        self.holder = self.restarted()

    def restarted(self) -> KeyHolder:
        return KeyHolder(self.key, self.journal, self.fetch, value_limit=LIMIT)

    def fetch(self, digest: bytes) -> bytes:
        try:
            return self.blobs[digest]
        except KeyError:
            raise BlobMissing(f"no {digest.hex()}") from None

    def put(self, who: str, blob: bytes, context: RoundContext = CONTEXT) -> tuple[str, bytes]:
        digest = digests.update_digest(context, who, blob)
        self.blobs[digest] = blob
        return who, digest

    def encrypt(self, index: int, size: int = 6) -> bytes:
        return self.public.encrypt(np.full(size, index + 1))

    def seal(
        self, updates: list[tuple[str, bytes]], context: RoundContext = CONTEXT, **changes: object
    ) -> SealedRound:
        total = summation.add([self.blobs[digest] for _, digest in updates])
        sealed = SealedRound(
            context=context,
            min_contributors=3,
            sum_digest=digests.sum_digest(context, total),
            updates=tuple(updates),
            encryption_key_digest=self.public.digest(),
        )
        return dataclasses.replace(sealed, **changes)

    def round(self, count: int = 3, context: RoundContext = CONTEXT) -> SealedRound:
        updates = [self.put(address(i), self.encrypt(i), context) for i in range(count)]
        return self.seal(updates, context)

    def refused(self, sealed: SealedRound, error: type[Exception], match: str) -> None:
        """Refused with this error, nothing decrypted, and nothing remembered."""
        before = sorted(self.journal.glob("*")) if self.journal.exists() else []
        opened = len(self.key.opened)
        with pytest.raises(error, match=match) as caught:
            self.holder.open(sealed)
        assert type(caught.value) is error
        assert len(self.key.opened) == opened
        assert (sorted(self.journal.glob("*")) if self.journal.exists() else []) == before


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_sealed_sum_is_opened(world: World):
    opened = world.holder.open(world.round())
    assert (opened.values == 1 + 2 + 3).all()
    assert (opened_from_blob(opened.blob) == opened.values).all()
    assert len(world.key.opened) == 1


def test_the_same_list_again_gives_the_same_bytes_after_a_restart(world: World):
    sealed = world.round()
    first = world.holder.open(sealed)
    lower = dataclasses.replace(
        sealed, context=dataclasses.replace(CONTEXT, contract=CONTRACT.lower())
    )
    assert world.holder.open(sealed).blob == first.blob
    assert world.restarted().open(sealed).blob == first.blob
    assert world.restarted().open(lower).blob == first.blob


@pytest.mark.parametrize("digest", [bytes(32), b"", b"\1" * 31])
def test_not_sealed_without_a_sum(world: World, digest: bytes):
    world.refused(dataclasses.replace(world.round(), sum_digest=digest), NotSealed, "no sealed sum")


def test_not_sealed_with_an_empty_list(world: World):
    world.refused(dataclasses.replace(world.round(), updates=()), NotSealed, "no sealed sum")


def test_too_few_contributors(world: World):
    world.refused(world.round(2), TooFewContributors, "at least 3")


def test_a_single_update_whatever_the_rules_say(world: World):
    sealed = dataclasses.replace(world.round(1), min_contributors=1)
    world.refused(sealed, TooFewContributors, "at least 2")


def test_too_many_contributors(world: World):
    blob = world.encrypt(0)
    updates = tuple(world.put(address(i), blob) for i in range(SET.max_contributors + 1))
    world.refused(
        dataclasses.replace(world.round(), updates=updates), TooManyContributors, "at most 64"
    )


def test_a_round_under_another_key(world: World):
    sealed = dataclasses.replace(world.round(), encryption_key_digest=bytes(31) + b"\1")
    world.refused(sealed, WrongEncryptionKey, "give the federation's key")


def test_a_key_serves_one_federation(world: World):
    """Else a false federation could have a true one's ciphertexts opened beside two zeros."""
    victim = world.round()
    world.holder.open(victim)
    elsewhere = dataclasses.replace(CONTEXT, contract="0x" + "cd" * 20)
    stolen = world.blobs[victim.updates[0][1]]
    updates = [world.put(address(0), stolen, elsewhere)]
    zeros = np.zeros(6, dtype=np.int64)
    updates += [world.put(address(i), world.public.encrypt(zeros), elsewhere) for i in (1, 2)]
    world.refused(world.seal(updates, elsewhere), WrongEncryptionKey, "serves the federation")


def test_opened_before_with_another_list(world: World):
    """The difference of two openings would be one update."""
    four = world.round(4)
    world.holder.open(four)
    three = world.seal(list(four.updates[:3]))
    world.refused(three, AlreadyOpened, "opened before")
    world.holder = world.restarted()
    world.refused(three, AlreadyOpened, "opened before")
    assert world.holder.open(four)


def test_opened_before_with_another_sum_or_order(world: World):
    sealed = world.round()
    world.holder.open(sealed)
    world.refused(dataclasses.replace(sealed, sum_digest=b"\7" * 32), AlreadyOpened, "before")
    turned = dataclasses.replace(sealed, updates=sealed.updates[::-1])
    world.refused(turned, AlreadyOpened, "before")


def test_a_damaged_journal_opens_nothing(world: World):
    sealed = world.round()
    world.holder.open(sealed)
    (entry,) = world.journal.glob("31337-*.json")
    for content in (b"", b"{", b"[]", b'{"format": "other"}', b"\xff\xfe"):
        entry.write_bytes(content)
        world.refused(sealed, AlreadyOpened, "restore it from a backup")


def test_a_refusal_does_not_use_up_the_round(world: World):
    sealed = world.round()
    world.refused(dataclasses.replace(sealed, sum_digest=b"\7" * 32), SumMismatch, "not opened")
    assert world.holder.open(sealed)


def test_a_missing_update(world: World):
    sealed = world.round()
    del world.blobs[sealed.updates[1][1]]
    world.refused(sealed, UpdateMissing, "cannot be had")


def test_a_swapped_update(world: World):
    sealed = world.round()
    world.blobs[sealed.updates[1][1]] = world.encrypt(7)
    world.refused(sealed, UpdateMismatch, "has digest")


def test_an_update_of_another_round(world: World):
    sealed = world.round()
    later = dataclasses.replace(CONTEXT, round=2)
    world.refused(dataclasses.replace(sealed, context=later), UpdateMismatch, "has digest")


def test_another_contributors_update(world: World):
    sealed = world.round()
    _, digest = sealed.updates[0]
    updates = ((address(9), digest), *sealed.updates[1:])
    world.refused(dataclasses.replace(sealed, updates=updates), UpdateMismatch, "has digest")


def _forged(blob: bytes, kind: str) -> bytes:
    words = wire.parse(blob)
    if kind == "transparent":
        words[0, 1] = 0
    elif kind == "coefficient":
        words[0, 0, 0, 0] = SET.data_primes[0]
    elif kind == "long":
        return blob + b"\0"
    elif kind == "short":
        return blob[:-1]
    return wire.to_blob(words, 6, SET)


@pytest.mark.parametrize("kind", ["transparent", "coefficient", "long", "short"])
def test_a_malformed_update(world: World, kind: str):
    sealed = world.round()
    bad = world.put(address(2), _forged(world.encrypt(2), kind))
    updates = (*sealed.updates[:2], bad)
    world.refused(dataclasses.replace(sealed, updates=updates), UpdateMismatch, "malformed")


def test_an_update_of_another_size(world: World):
    sealed = world.round()
    bad = world.put(address(2), world.encrypt(2, size=7))
    updates = (*sealed.updates[:2], bad)
    world.refused(dataclasses.replace(sealed, updates=updates), UpdateMismatch, "needs 6")


def test_an_update_that_cancels_the_others(world: World):
    first, second = world.encrypt(0), world.encrypt(1)
    primes = np.array(SET.data_primes, dtype=np.uint64)[:, None]
    both = wire.parse(summation.add([first, second]))
    third = wire.to_blob((primes - both) % primes, 6, SET)
    updates = tuple(world.put(address(i), blob) for i, blob in enumerate([first, second, third]))
    world.refused(dataclasses.replace(world.round(), updates=updates), UpdateMismatch, "readable")


def test_a_copied_ciphertext(world: World):
    blob = world.encrypt(0)
    updates = [world.put(address(0), blob), world.put(address(1), world.encrypt(1))]
    updates.append(world.put(address(2), blob))
    world.refused(world.seal(updates), DuplicateUpdate, "the same ciphertext")


def test_a_copied_ciphertext_with_its_message_changed(world: World):
    blob = world.encrypt(0)
    words = wire.parse(blob)
    words[0, 0, :, 0] ^= np.uint64(1)  # c0 carries the message, c1 stays
    updates = [world.put(address(0), blob), world.put(address(1), world.encrypt(1))]
    updates.append(world.put(address(2), wire.to_blob(words, 6, SET)))
    world.refused(world.seal(updates), DuplicateUpdate, "the same ciphertext")


def test_one_contributor_twice(world: World):
    sealed = world.round()
    twice = [world.put("0x" + spelt * 20, world.encrypt(5)) for spelt in ("ab", "AB")]
    world.refused(world.seal([*sealed.updates, *twice]), DuplicateUpdate, "contributor twice")


def test_a_ciphertext_of_an_earlier_round(world: World):
    """Else three conspirators could have one victim's old update opened beside two zeros."""
    first = world.round()
    world.holder.open(first)
    later = dataclasses.replace(CONTEXT, round=2)
    stolen = world.blobs[first.updates[0][1]]
    updates = [world.put(address(5), stolen, later)]
    updates += [world.put(address(i), world.encrypt(i), later) for i in (6, 7)]
    world.refused(world.seal(updates, later), DuplicateUpdate, "that round 1 had")
    assert world.holder.open(world.round(context=later))


def test_a_sum_that_is_a_single_update(world: World):
    sealed = world.round()
    single = world.blobs[sealed.updates[0][1]]
    forged = dataclasses.replace(sealed, sum_digest=digests.sum_digest(CONTEXT, single))
    world.refused(forged, SumMismatch, "not opened")


def test_a_sum_with_one_dropped_or_doubled(world: World):
    sealed = world.round()
    blobs = [world.blobs[digest] for _, digest in sealed.updates]
    for wrong in (blobs[:2], [*blobs, blobs[0]]):
        digest = digests.sum_digest(CONTEXT, summation.add(wrong))
        world.refused(dataclasses.replace(sealed, sum_digest=digest), SumMismatch, "not opened")


def _asks_for_the_key(size: int) -> bytes:
    """(0, q/t): decrypts to the secret key itself."""
    words = np.zeros((SET.ciphertexts(size), 2, 2, SET.poly_modulus_degree), dtype=np.uint64)
    delta = math.prod(SET.data_primes) // SET.plain_modulus
    words[:, 1, :, 0] = [delta % prime for prime in SET.data_primes]
    return wire.to_blob(words, size, SET)


@pytest.mark.parametrize("size", [6, SET.values_per_ciphertext])
def test_an_update_that_asks_for_the_key(world: World, size: int):
    """Caught by the unused lanes, or by the range where every lane is used."""
    updates = [world.put(address(i), world.encrypt(i, size)) for i in range(3)]
    updates.append(world.put(address(3), _asks_for_the_key(size)))
    sealed = world.seal(updates)
    for _ in range(2):
        with pytest.raises(ForgedUpdate, match="cancel the round") as caught:
            world.holder.open(sealed)
        assert not re.search(r"-?\d{5,}", str(caught.value))
    with pytest.raises(AlreadyOpened):
        world.holder.open(world.seal(updates[:3]))


def test_an_update_beyond_the_value_limit(world: World):
    holder = KeyHolder(world.key, world.journal, world.fetch, value_limit=10)
    within = [world.put(address(i), world.public.encrypt(np.full(6, 10))) for i in range(3)]
    assert (holder.open(world.seal(within)).values == 30).all()
    later = dataclasses.replace(CONTEXT, round=2)
    beyond = [
        world.put(address(i), world.public.encrypt(np.full(6, -10 - (i == 2))), later)
        for i in range(3)
    ]
    with pytest.raises(ForgedUpdate, match="more than 10 a contributor"):
        holder.open(world.seal(beyond, later))


def test_the_secret_stays_out_of_errors_and_repr(world: World):
    holder = KeyHolder(world.secret, world.journal, world.fetch, value_limit=LIMIT)
    assert "****" in repr(holder)


def _open_one(folder: Path, secret_path: Path, sealed: SealedRound, blobs, barrier, queue) -> None:
    holder = KeyHolder(
        SecretKey.load(secret_path, "p"), folder, blobs.__getitem__, value_limit=LIMIT
    )
    barrier.wait()
    try:
        queue.put(holder.open(sealed).blob)
    except AlreadyOpened:
        queue.put(None)


def test_of_two_processes_with_two_lists_one_opens(world: World, tmp_path: Path):
    four = world.round(4)
    lists = [four, world.seal(list(four.updates[:3]))]
    path = tmp_path / "secret.json"
    world.secret.save(path, "p", light=True)
    spawn = multiprocessing.get_context("spawn")
    barrier, queue = spawn.Barrier(2), spawn.Queue()
    processes = [
        spawn.Process(
            target=_open_one, args=(world.journal, path, each, world.blobs, barrier, queue)
        )
        for each in lists
    ]
    for process in processes:
        process.start()
    answers = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sum(answer is None for answer in answers) == 1


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=50))
def test_the_opened_form_round_trips(values):
    blob = opened_to_blob(np.array(values, dtype=np.int64))
    assert opened_from_blob(blob).tolist() == values
    assert len(blob) == 11 + 4 * len(values)


@given(st.data())
def test_damaged_opened_forms(data):
    blob = bytearray(opened_to_blob(np.arange(5)))
    how = data.draw(st.sampled_from(["header", "cut", "pad", "random"]))
    if how == "header":
        bit = data.draw(st.integers(0, 87))
        blob[bit // 8] ^= 1 << bit % 8
    elif how == "cut":
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    elif how == "pad":
        blob += data.draw(st.binary(min_size=1, max_size=9))
    else:
        blob = bytearray(data.draw(st.binary(max_size=40)))
    with pytest.raises(MalformedError):
        opened_from_blob(bytes(blob))


@pytest.mark.parametrize(
    "values", [np.array([2**31]), np.array([1.0]), np.array([], dtype=np.int64), np.array([[1]])]
)
def test_values_that_have_no_opened_form(values):
    with pytest.raises(RoundError):
        opened_to_blob(values)


def test_a_generated_key_opens_its_own_federation(tmp_path: Path):
    """Nothing here depends on the shared test key."""
    secret, public = bfv.generate(SET)
    blobs = {}
    updates = []
    for index in range(3):
        blob = public.encrypt(np.arange(20_000) % 100 - 50)
        digest = digests.update_digest(CONTEXT, address(index), blob)
        blobs[digest] = blob
        updates.append((address(index), digest))
    sealed = SealedRound(
        context=CONTEXT,
        min_contributors=3,
        sum_digest=digests.sum_digest(CONTEXT, summation.add(blobs.values())),
        updates=tuple(updates),
        encryption_key_digest=public.digest(),
    )
    opened = KeyHolder(secret, tmp_path / "j", blobs.__getitem__, value_limit=LIMIT).open(sealed)
    assert (opened.values == 3 * (np.arange(20_000) % 100 - 50)).all()
