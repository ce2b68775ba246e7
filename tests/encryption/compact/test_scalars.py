from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddcai import digests
from ddcai.encryption.compact import wire
from ddcai.encryption.compact.dots import FixedVectors
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.limbs import IntArray
from ddcai.encryption.compact.sampling import PublicPolynomials, secret_polynomial
from ddcai.encryption.compact.scalars import (
    CompactScalars,
    open_products,
    transposed,
    words_of_vectors,
)
from ddcai.encryption.compact.shapes import COMPACT_SHAPES
from ddcai.encryption.compact.shares import words_of
from ddcai.encryption.compact.update import RoundSecret
from ddcai.encryption.scalars import Committed, ScalarRules, Vectors
from ddcai.encryption.threshold.boxes import BoxKey
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.opening import Partial
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.threshold.shares import ShareExchange
from ddcai.encryption.updates import lane_values
from ddcai.errors import (
    AlreadyOpened,
    DuplicateUpdate,
    ForgedUpdate,
    MalformedError,
    RoundError,
    ScalarBudget,
    UpdateMismatch,
)
from tests.encryption.compact.making import CONTEXT, make, words_at
from tests.encryption.compact.oracle import integers, product
from tests.encryption.threshold.rings import accounts, secret

SHAPE = COMPACT_SHAPES["compact-128-3x36"]
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
LIMIT = SHAPE.value_limit(10)
SIZE = 500
Opened = Mapping[str, tuple[int, ...]]


def address(index: int) -> str:
    return f"0x{index + 1:040x}"


def vectors_of(rows: Sequence[Sequence[int]] | NDArray[np.int8], lane: int = 1) -> Vectors:
    """Vectors over the first positions of a lane."""
    small = np.array(rows, dtype=np.int8)
    positions = lane_values(lane, 3 * small.shape[1], SHAPE)
    return Vectors(lane=lane, positions=positions, rows=small)


SMALL = vectors_of([[1, -1, 1, 1], [127, 0, -128, 5], [0, 0, 0, 0]])


class World:
    """Blobs, and three holders with a journal each."""

    def __init__(self, folder: Path) -> None:
        self.blobs: dict[bytes, bytes] = {}
        self.folders = [folder / str(index) for index in range(3)]

    def holder(self, index: int, budget: int = 100) -> CompactScalars:
        rules = ScalarRules(
            SHAPE,
            KEYS.digest(),
            self.folders[index],
            self.blobs.__getitem__,
            budget=budget,
        )
        return CompactScalars(RINGS[index], rules, value_limit=LIMIT)

    def encrypt(self, index: int, values: IntArray) -> bytes:
        return KEYS.encrypt(values, CONTEXT, address(index))

    def commit(self, blobs: Sequence[bytes], values: int = SIZE) -> Committed:
        updates = []
        for index, blob in enumerate(blobs):
            digest = digests.update_digest(CONTEXT, address(index), blob)
            self.blobs[digest] = blob
            updates.append((address(index), digest))
        return Committed(
            context=CONTEXT,
            updates=tuple(updates),
            values=values,
            encryption_key_digest=KEYS.digest(),
        )

    def partials(
        self, committed: Committed, vectors: Vectors = SMALL, deviation: float = 0.0
    ) -> list[Partial[Opened]]:
        return [self.holder(i).partial(committed, vectors, deviation) for i in range(3)]

    def open(
        self, committed: Committed, vectors: Vectors = SMALL, deviation: float = 0.0
    ) -> Opened:
        """What any two holders, and all three, open: each the same."""
        partials = self.partials(committed, vectors, deviation)
        found = []
        for responders in (*combinations(range(3), 2), (0, 1, 2)):
            exchanges = {
                one: ShareExchange(RINGS[one], partials[one].about, responders)
                for one in responders
            }
            shares = {one: exchanges[one].share(partials[one].own) for one in responders}
            for one in responders:
                gathered = exchanges[one].gather(partials[one].own, shares)
                assert gathered.partials is not None
                found.append(partials[one].finish(gathered.partials))
        assert all(one == found[0] for one in found)
        return found[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def expected(values: IntArray, vectors: Vectors) -> tuple[int, ...]:
    return tuple((vectors.rows.astype(np.int64) @ values[vectors.positions]).tolist())


def random_values(seed: int, size: int = SIZE) -> IntArray:
    return np.random.default_rng(seed).integers(-LIMIT, LIMIT + 1, size)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3 * SHAPE.n), st.integers(0, 2))
def test_what_is_computed_of_the_public_polynomials_is_their_transpose(
    seed: int, size: int, lane: int
) -> None:
    rng, modulus = np.random.default_rng(seed), 2**128
    in_lane = lane_values(lane, 2 * size + 2, SHAPE)
    positions = np.sort(rng.choice(in_lane, min(50, in_lane.size), replace=False))
    rows = rng.integers(-128, 128, (2, positions.size)).astype(np.int8)
    vectors = Vectors(lane=lane, positions=positions, rows=rows)
    words = words_of_vectors(vectors, 2 * size + 2, SHAPE)
    small = secret_polynomial(rng.bytes(32), SHAPE)
    found = FixedVectors(transposed(CONTEXT, words, rows, SHAPE)).dot(words_of(small, SHAPE))
    public = PublicPolynomials(CONTEXT, SHAPE).take(2)
    both = [w for b in (0, 1) for w in product(integers(public[:, b]), small.tolist(), modulus)]
    assert found == [
        sum(int(v) * both[word] for v, word in zip(row, words, strict=True)) % modulus
        for row in rows
    ]


def test_the_words_are_what_the_definition_says() -> None:
    """All of it in python's integers: b, the secret, the errors and three lanes."""
    values, rows, drawn = random_values(1, 12), SMALL.rows.tolist(), RoundSecret(SHAPE)
    made = make(SHAPE, values, drawn)
    update = wire.parse(made.blob, wire.UPDATE)
    public = integers(PublicPolynomials(CONTEXT, SHAPE).take(1)[:, 0])
    hidden = product(public, made.secret.tolist(), 2**128)
    messages = [
        sum(int(values[3 * word + lane]) << (20 + 36 * lane) for lane in range(3))
        for word in range(4)
    ]
    rest = [
        (b - hidden[i] - messages[i] + 2**127) % 2**128 - 2**127
        for i, b in enumerate(integers(update.words))
    ]
    assert max(map(abs, rest)) <= 84
    products = [
        sum(v * (e + m) for v, e, m in zip(row, rest, messages, strict=True)) % 2**128
        for row in rows
    ]
    opened = open_products(products, SMALL, SHAPE, LIMIT)
    assert tuple(opened.tolist()) == expected(values, SMALL)


def test_any_quorum_opens_plain_inner_products(world: World) -> None:
    values = [random_values(seed) for seed in range(3)]
    committed = world.commit([world.encrypt(i, one) for i, one in enumerate(values)])
    opened = world.open(committed)
    assert opened == {address(i): expected(one, SMALL) for i, one in enumerate(values)}
    assert all(type(one) is int for found in opened.values() for one in found)


@pytest.mark.parametrize("lane", [0, 2])
def test_exact_where_values_and_weights_are_the_largest(world: World, lane: int) -> None:
    weight = SHAPE.block_weight
    ones = np.ones(weight, np.int8)
    heavy = np.zeros(weight, np.int8)
    heavy[: weight // 128] = -128
    signs = np.where(np.arange(weight) % 2, 1, -1).astype(np.int8)
    vectors = vectors_of(np.stack([ones, -ones, signs, heavy, heavy[::-1]]), lane)
    size = 3 * weight
    aligned = np.full(size, -LIMIT)
    aligned[vectors.positions] *= signs
    values = [np.full(size, LIMIT), np.full(size, -LIMIT), aligned]
    assert LIMIT * weight > SHAPE.lane_max - weight  # there is no room for one more
    committed = world.commit([world.encrypt(i, one) for i, one in enumerate(values)], size)
    opened = world.open(committed, vectors)
    assert opened == {address(i): expected(one, vectors) for i, one in enumerate(values)}
    assert opened[address(2)][2] == -LIMIT * weight


def _added(blob: bytes, word: int, amount: int) -> bytes:
    """A blob with an amount added to one of its words: what a forger can do to its own."""
    words = wire.parse(blob, wire.UPDATE).words
    value = integers(words[:, word : word + 1])[0] + amount
    out = bytearray(blob)
    for limb in range(2):
        at = words_at(SHAPE, PLAN.sharing) + 8 * (limb * words.shape[1] + word)
        out[at : at + 8] = (value >> 64 * limb & (2**64 - 1)).to_bytes(8, "little")
    return bytes(out)


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        (0, True),
        (20, True),  # an error that honest ones may add up to
        (2 * 84 * 4 + 1, False),
        (-(2**19), False),
        ((LIMIT + 1) << 20, False),  # another lane than the one that is told
        ((LIMIT + 1) << 56, False),
        (-(LIMIT + 1) << 92, False),
        (1 << 127, False),
    ],
)
def test_of_forged_words_nothing_is_told(world: World, amount: int, told: bool) -> None:
    values = np.zeros(SIZE, np.int64)
    for_word = np.full(SIZE, int(math.copysign(LIMIT, amount)))
    forged = _added(world.encrypt(1, for_word), 0, amount)
    vectors = vectors_of([[1, 1, 1, 1]])
    committed = world.commit([world.encrypt(0, values), forged, world.encrypt(2, values)])
    opened = world.open(committed, vectors)
    assert opened[address(1)] == ((4 * int(for_word[0]),) if told else ())
    assert opened[address(0)] == opened[address(2)] == (0,)


@pytest.mark.parametrize("lane", range(3))
def test_of_a_value_beyond_the_limit_in_any_lane_nothing_is_told(world: World, lane: int) -> None:
    values = np.zeros(SIZE, np.int64)
    values[lane] = 4 * LIMIT + 1
    blobs = [world.encrypt(0, values), world.encrypt(1, np.ones(SIZE, np.int64))]
    opened = world.open(world.commit(blobs), vectors_of([[1, 1, 1, 1]]))
    assert opened == {address(0): (), address(1): (4,)}


def test_a_secret_other_than_the_one_masked_tells_nothing(world: World) -> None:
    """The attack: the victim's words, under pieces of a secret of one's own."""
    victim = wire.parse(world.encrypt(0, random_values(5)), wire.UPDATE)
    own = bytearray(world.encrypt(1, np.zeros(SIZE, np.int64)))
    words = np.ascontiguousarray(victim.words, "<u8").tobytes()
    own[-len(words) :] = words
    committed = world.commit([world.encrypt(0, random_values(6)), bytes(own)])
    opened = world.open(committed)
    assert opened[address(1)] == ()
    assert opened[address(0)] != ()


def test_another_s_update_is_of_no_use(world: World) -> None:
    """The attack: contributor 1 commits what contributor 0 sent, as it is."""
    victim = world.encrypt(0, random_values(7))
    with pytest.raises(DuplicateUpdate):
        world.holder(0).partial(world.commit([victim, victim]), SMALL)
    other = world.encrypt(0, random_values(8))
    with pytest.raises(ForgedUpdate, match="sent key holder 2"):
        world.holder(2).partial(world.commit([other, victim]), SMALL)


def test_a_holder_alone_lacks_a_mask_and_has_noise(world: World) -> None:
    """The attack: T - 1 holders put together what they have, for a word that they know."""
    values = np.zeros(SIZE, np.int64)
    committed = world.commit([world.encrypt(i, values) for i in range(5)])
    vectors = vectors_of([[1, 0, 0, 0]])
    partial = world.holder(0).partial(committed, vectors)
    missing = set(PLAN.sharing.pieces) - set(partial.own)
    assert len(missing) == 1
    size = len(next(iter(partial.own.values())))
    guess = {**partial.own, missing.pop(): bytes(size)}
    assert set(partial.finish(guess).values()) == {()}
    with pytest.raises(RoundError):
        ShareExchange(RINGS[0], partial.about, (0,))
    assert set(world.open(committed, vectors).values()) == {(0,)}


def test_a_piece_that_one_holder_shifts_is_found(world: World) -> None:
    """The attack: a holder adds one in the lane that is told, for one contributor."""
    committed = world.commit([world.encrypt(i, random_values(i)) for i in range(3)])
    partials = world.partials(committed)
    honest = partials[1]
    shift = 1 << SHAPE.lane_shift(SMALL.lane)
    shifted = {
        piece: ((int.from_bytes(packed[:16], "little") + shift) % 2**128).to_bytes(16, "little")
        + packed[16:]
        for piece, packed in honest.own.items()
    }
    partials[1] = dataclasses.replace(honest, own=shifted)
    responders = (0, 1, 2)
    exchanges = [ShareExchange(RINGS[i], one.about, responders) for i, one in enumerate(partials)]
    shares = {i: exchanges[i].share(one.own) for i, one in enumerate(partials)}
    for index in (0, 2):
        gathered = exchanges[index].gather(partials[index].own, shares)
        assert gathered.partials is None
        assert gathered.accused == (1,)
    # Nothing else would see it: the value told is within what honest updates have.
    both = {**partials[1].own, **partials[0].own}
    (alone,) = set(honest.own) - set(partials[0].own)
    assert both[alone] == shifted[alone]
    true, false = (partials[0].finish(x) for x in ({**both, alone: honest.own[alone]}, both))
    assert false[address(0)][0] == true[address(0)][0] + 1


def test_partial_products_of_another_length_open_nothing(world: World) -> None:
    partial, other = world.partials(world.commit([world.encrypt(0, random_values(1))]))[:2]
    pieces = {**partial.own, **other.own}
    piece = next(iter(pieces))
    for wrong in (pieces[piece][:-1], pieces[piece] + b"\0", b""):
        with pytest.raises(MalformedError, match="take 16 each"):
            partial.finish({**pieces, piece: wrong})


def test_noise_is_the_same_for_all_and_follows_from_their_common_key(world: World) -> None:
    committed = world.commit([world.encrypt(i, random_values(i)) for i in range(2)])
    plain = world.open(committed)
    blurred = world.open(committed, deviation=50.0)
    differences = [
        one - other for name in plain for one, other in zip(blurred[name], plain[name], strict=True)
    ]
    assert sum(map(bool, differences)) == 4  # not of the vector of length 0
    assert differences[:3] != differences[3:]


def test_one_list_and_set_of_vectors_a_round_within_the_budget(world: World) -> None:
    blobs = [world.encrypt(i, random_values(i)) for i in range(3)]
    committed = world.commit(blobs)
    with pytest.raises(ScalarBudget):
        world.holder(0, budget=2).partial(committed, SMALL)
    first = world.holder(0).partial(committed, SMALL)
    assert world.holder(0).partial(committed, SMALL).own == first.own
    for list_, vectors in (
        (world.commit(blobs[:2]), SMALL),
        (committed, vectors_of([[1, 1, 1, 1]] * 3)),
    ):
        with pytest.raises(AlreadyOpened):
            world.holder(0).partial(list_, vectors)


def test_an_update_that_is_none_is_refused(world: World) -> None:
    good = world.encrypt(0, random_values(1))
    for wrong in (good[:-1], world.encrypt(1, random_values(1, SIZE + 3)), b""):
        with pytest.raises(UpdateMismatch):
            world.holder(0).partial(world.commit([good, wrong]), SMALL)


@pytest.mark.parametrize(
    "change",
    [
        {"lane": 0},
        {"lane": 3},
        {"lane": -1},
        {"positions": np.array([1, 4, 7, 7])},
        {"positions": np.array([4, 1, 7, 10])},
        {"positions": np.array([1, 4, 7, SIZE + 1])},
        {"positions": np.array([-2, 4, 7, 10])},
        {"rows": np.ones((1, 3), np.int8)},
    ],
    ids=str,
)
def test_vectors_of_other_values_are_refused_before_anything_is_remembered(
    world: World, change: dict[str, object]
) -> None:
    committed = world.commit([world.encrypt(0, random_values(1))])
    with pytest.raises(RoundError, match="lane"):
        world.holder(0).partial(committed, dataclasses.replace(SMALL, **change))
    world.holder(0).partial(committed, SMALL)


def test_a_vector_that_is_too_heavy_is_refused() -> None:
    rows = np.ones((1, SHAPE.block_weight + 1), np.int8)
    heavy = vectors_of(rows)
    with pytest.raises(RoundError, match="weighs 61441"):
        words_of_vectors(heavy, 3 * rows.size, SHAPE)
    with pytest.raises(RoundError, match="opens no such product"):
        words_of_vectors(SMALL, SIZE, COMPACT_SHAPES["compact-64-3x18"])


def test_a_holder_shows_no_secret() -> None:
    shown = repr(World(Path("none")).holder(0))
    assert BOX_SECRETS[0].hex() not in shown
    assert secret("group").hex() not in shown
