from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.shares import Gathered, ShareExchange
from ddcai.encryption.threshold.sharing import Piece
from ddcai.errors import RoundError

from .rings import plan_of, rings_of, secret

ABOUT = b"what is opened"
PLAN = plan_of(5, 3)
RINGS = rings_of(PLAN, secret("key"))
SIZE = 100


def partial(piece: Piece) -> bytes:
    return (secret("partial", piece) * 4)[:SIZE]


def own(ring: KeyRing) -> dict[Piece, bytes]:
    return {piece: partial(piece) for piece in ring.seeds}


def exchange(holder: int, responders: tuple[int, ...]) -> ShareExchange:
    return ShareExchange(RINGS[holder], ABOUT, responders)


def shares_of(responders: tuple[int, ...]) -> dict[int, bytes]:
    return {one: exchange(one, responders).share(own(RINGS[one])) for one in responders}


def gathered(holder: int, shares: dict[int, bytes]) -> Gathered:
    return exchange(holder, tuple(shares)).gather(own(RINGS[holder]), shares)


@settings(max_examples=20)
@given(st.sets(st.integers(0, 4), min_size=3))
def test_every_responder_has_every_piece_in_the_end(responders: set[int]) -> None:
    shares = shares_of(tuple(responders))
    for holder in responders:
        found = gathered(holder, shares)
        assert found.accused == ()
        assert found.partials == {piece: partial(piece) for piece in PLAN.sharing.pieces}
        assert list(found.partials) == list(PLAN.sharing.pieces)


def test_a_share_is_another_each_time_and_shows_no_partial_opening() -> None:
    first, second = (exchange(0, (0, 1, 2)).share(own(RINGS[0])) for _ in range(2))
    assert first != second
    for piece in RINGS[0].seeds:
        assert partial(piece)[:16] not in first


@pytest.mark.parametrize("cheater", range(5))
def test_a_false_partial_is_found_by_every_other_holder_of_the_piece(cheater: int) -> None:
    """The attack: a holder shifts what is opened, and names the digest of what it sends."""
    everybody = (0, 1, 2, 3, 4)
    for piece in RINGS[cheater].seeds:
        shares = shares_of(everybody)
        shifted = own(RINGS[cheater]) | {piece: bytes([partial(piece)[0] ^ 1]) + partial(piece)[1:]}
        shares[cheater] = exchange(cheater, everybody).share(shifted)
        for holder in set(everybody) - {cheater}:
            found = gathered(holder, shares)
            assert found.partials is None
            assert found.accused == ((cheater,) if holder not in piece else ())


def test_words_that_are_not_those_named_are_found_by_all() -> None:
    everybody = (0, 1, 2, 3, 4)
    cheater = exchange(1, everybody)
    honest = cheater.share(own(RINGS[1]))

    class Lying(dict[Piece, bytes]):
        """Gives other words the second time it is asked for a piece."""

        def __getitem__(self, piece: Piece) -> bytes:
            asked.append(piece)
            return partial(piece) if asked.count(piece) == 1 else bytes(SIZE)

    asked: list[Piece] = []
    shares = shares_of(everybody) | {1: cheater.share(Lying(own(RINGS[1])))}
    assert len(shares[1]) == len(honest)
    for holder in (0, 2, 3, 4):
        assert gathered(holder, shares) == Gathered(partials=None, accused=(1,))


@settings(max_examples=30)
@given(st.data())
def test_a_share_that_is_altered_cut_or_anothers_is_none(data: st.DataObject) -> None:
    everybody = (0, 1, 2, 3, 4)
    shares = shares_of(everybody)
    good = shares[2]
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = bytearray(good)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    bad = data.draw(
        st.sampled_from(
            [
                b"",
                bytes(flipped),
                good[:-1],
                good + b"\0",
                shares[3],
                exchange(2, (0, 2, 3)).share(own(RINGS[2])),
                ShareExchange(RINGS[2], ABOUT + b"!", everybody).share(own(RINGS[2])),
            ]
        )
    )
    assert gathered(0, shares | {2: bad}) == Gathered(partials=None, accused=(2,))


def test_a_missing_share_is_its_holders_fault() -> None:
    shares = shares_of((0, 1, 2, 3))
    del shares[3]
    found = exchange(0, (0, 1, 2, 3)).gather(own(RINGS[0]), shares)
    assert found == Gathered(partials=None, accused=(3,))


def test_fewer_than_the_threshold_do_not_begin() -> None:
    for few in combinations(range(5), 2):
        with pytest.raises(RoundError, match="3 are needed"):
            exchange(few[0], few)
    with pytest.raises(RoundError, match="none of them"):
        exchange(4, (0, 1, 2))
