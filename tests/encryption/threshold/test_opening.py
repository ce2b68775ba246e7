from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ddcai import digests
from ddcai.digests import RoundContext
from ddcai.encryption import summation, wire
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.sealed import Allowance, SealedRound, SealedSums
from ddcai.encryption.threshold.opening import HeldKey, ThresholdSums
from ddcai.encryption.threshold.shares import ShareExchange
from ddcai.encryption.words import pack_words, unpack_words
from ddcai.errors import (
    AlreadyOpened,
    DuplicateUpdate,
    ForgedUpdate,
    KeyExhausted,
    MalformedError,
    SumMismatch,
    TooFewContributors,
)

from .rings import SET, plan_of, public_key, rings_of

P = PARAMETER_SETS[SET]
PLAN = plan_of(3, 2)
PUBLIC = public_key(PLAN)
RINGS = rings_of(PLAN)
LIMIT = 100
CONTEXT = RoundContext(chain_id=31337, contract="0x" + "Ab" * 20, round=1)


def address(index: int) -> str:
    return f"0x{index + 1:040x}"


class World:
    """Blobs, and three holders with a journal each."""

    def __init__(self, folder: Path) -> None:
        self.blobs: dict[bytes, bytes] = {}
        self.folders = [folder / str(index) for index in range(3)]
        self.holders = [self.holder(index) for index in range(3)]

    def holder(self, index: int, allowance: Allowance | None = None) -> ThresholdSums:
        key = HeldKey(RINGS[index], 10)
        allowance = allowance or key.allowance(self.folders[index])
        sums = SealedSums(
            P, PUBLIC.digest(), self.folders[index], self.blobs.__getitem__, allowance
        )
        return ThresholdSums(key, sums, value_limit=LIMIT)

    def seal(self, blobs: Sequence[bytes], context: RoundContext = CONTEXT) -> SealedRound:
        updates = []
        for index, blob in enumerate(blobs):
            digest = digests.update_digest(context, address(index), blob)
            self.blobs[digest] = blob
            updates.append((address(index), digest))
        return SealedRound(
            context=context,
            min_contributors=3,
            sum_digest=digests.sum_digest(context, summation.add(blobs)),
            updates=tuple(updates),
            encryption_key_digest=PUBLIC.digest(),
        )

    def open(self, sealed: SealedRound, responders: tuple[int, ...] = (0, 1, 2)) -> list[object]:
        """What each responder opens."""
        partials = {one: self.holders[one].partial(sealed) for one in responders}
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


def update(value: int, size: int = 30_000) -> bytes:
    return PUBLIC.encrypt(np.full(size, value))


def test_any_quorum_opens_the_sum_and_every_responder_the_same(world: World) -> None:
    sealed = world.seal([update(value) for value in (1, -2, 40)])
    for quorum in (*combinations(range(3), 2), (0, 1, 2)):
        assert world.open(sealed, quorum) == [[39] * 30_000] * len(quorum)


def test_a_retry_gives_the_same_partial_openings_and_another_round_others(world: World) -> None:
    """Noise that is drawn anew for one c1 would average out; the same for two tells c1's key."""
    blobs = [update(1, 10) for _ in range(3)]
    first = world.holders[0].partial(world.seal(blobs))
    again = world.holder(0).partial(world.seal(blobs))
    assert first.own == again.own
    later = dataclasses.replace(CONTEXT, round=2)
    other = world.holders[0].partial(world.seal([update(1, 10) for _ in range(3)], later))
    assert not set(first.own.values()) & set(other.own.values())


def test_a_second_list_of_one_round_is_refused_by_every_holder(world: World) -> None:
    """The attack: two lists whose difference is one update."""
    blobs = [update(value, 10) for value in (1, 2, 3, 4)]
    world.open(world.seal(blobs))
    for holder in world.holders:
        with pytest.raises(AlreadyOpened, match="subtracted"):
            holder.partial(world.seal(blobs[:3]))


def test_a_replayed_ciphertext_is_refused(world: World) -> None:
    """The attack: last round's update of a victim, among others that the attacker knows."""
    victim = update(7, 10)
    world.open(world.seal([victim, update(1, 10), update(2, 10)]))
    later = dataclasses.replace(CONTEXT, round=2)
    sealed = world.seal([update(0, 10), victim, update(0, 10)], later)
    for holder in world.holders:
        with pytest.raises(DuplicateUpdate):
            holder.partial(sealed)


def test_copies_of_one_ciphertext_are_refused(world: World) -> None:
    """The attack: K copies of a victim's update, of which the sum is K times it."""
    victim = update(7, 10)
    with pytest.raises(DuplicateUpdate):
        world.holders[0].partial(world.seal([victim] * 3))


def test_what_is_no_sum_of_the_list_is_refused(world: World) -> None:
    sealed = world.seal([update(value, 10) for value in (1, 2, 3)])
    single = digests.sum_digest(CONTEXT, world.blobs[sealed.updates[0][1]])
    with pytest.raises(SumMismatch):
        world.holders[1].partial(dataclasses.replace(sealed, sum_digest=single))
    with pytest.raises(TooFewContributors):
        world.holders[1].partial(dataclasses.replace(sealed, updates=sealed.updates[:2]))


def test_a_forged_encryption_of_the_key_is_not_given_out(world: World) -> None:
    """The attack: (0, q/t) opens to the key; one contributor adds it to an honest update."""
    words = np.stack(list(wire.open_blob(update(0, 10), P).blocks()))
    step = math.prod(P.data_primes) // P.plain_modulus
    for row, prime in enumerate(P.data_primes):
        words[0, 1, row, 0] = (int(words[0, 1, row, 0]) + step) % prime
    forged = wire.to_blob(words, 10, P)
    with pytest.raises(ForgedUpdate):
        world.open(world.seal([forged, update(1, 10), update(2, 10)]))


def test_a_value_beyond_the_range_is_not_given_out(world: World) -> None:
    with pytest.raises(ForgedUpdate):
        world.open(world.seal([update(3 * LIMIT + 1, 10), update(0, 10), update(0, 10)]))


def test_a_key_opens_no_more_than_its_noise_hides(world: World) -> None:
    folder = world.folders[0]
    few = Allowance(ciphertexts=3, journals=(folder,), scalars=lambda *_: 0.0)
    holder = world.holder(0, few)
    sealed = world.seal([update(value, 30_000) for value in (1, 2, 3)])  # two ciphertexts
    holder.partial(sealed)
    holder.partial(sealed)  # a retry is none more
    later = dataclasses.replace(CONTEXT, round=2)
    second = world.seal([update(value, 30_000) for value in (1, 2, 3)], later)
    for _ in range(2):
        with pytest.raises(KeyExhausted, match="this key opened 2, and its noise hides 3"):
            holder.partial(second)
    last = dataclasses.replace(CONTEXT, round=3)
    holder.partial(world.seal([update(value, 10) for value in (1, 2, 3)], last))


def test_partial_openings_that_are_none_open_nothing(world: World) -> None:
    partial = world.holders[0].partial(world.seal([update(value, 10) for value in (1, 2, 3)]))
    pieces = {piece: next(iter(partial.own.values())) for piece in PLAN.sharing.pieces}
    with pytest.raises(MalformedError):
        partial.finish({piece: packed[:-1] for piece, packed in pieces.items()})
    size = len(P.data_primes) * P.poly_modulus_degree
    beyond = np.full(size, (1 << P.word_bits) - 1, np.uint64)
    with pytest.raises(MalformedError, match="not below its prime"):
        partial.finish(pieces | {PLAN.sharing.pieces[0]: pack_words(beyond, P.word_bits)})


def test_a_shift_that_nobody_can_compare_is_seen_where_it_leaves_the_range(world: World) -> None:
    """With exactly the threshold of responders, one of them alone has a piece: why all are asked.

    Here it shifts one coefficient by q/t, which spreads over all slots, and is not given out.
    Whoever knows the batching can shift a single slot; against that stands comparison alone.
    """
    sealed = world.seal([update(value, 10) for value in (1, 2, 3)])
    mine, other = (world.holders[one].partial(sealed) for one in (0, 1))
    (alone,) = set(other.own) - set(mine.own)
    shape = (len(P.data_primes), P.poly_modulus_degree)
    rows = unpack_words(other.own[alone], shape[0] * shape[1], P.word_bits).reshape(shape)
    step = math.prod(P.data_primes) // P.plain_modulus
    for row, prime in zip(rows, P.data_primes, strict=True):
        row[0] = (int(row[0]) + step) % prime
    shifted = {**mine.own, alone: pack_words(rows.reshape(-1), P.word_bits)}
    with pytest.raises(ForgedUpdate):
        mine.finish(shifted)
    honest = {**mine.own, alone: other.own[alone]}
    assert (mine.finish(honest).values == 6).all()


def test_holders_show_nothing_of_their_pieces() -> None:
    shown = repr(HeldKey(RINGS[0], 10))
    assert not any(seed.hex() in shown for seed in RINGS[0].seeds.values())
