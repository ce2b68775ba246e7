from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ddcai.encryption import summation, wire
from ddcai.encryption.bfv import pack_key, unpack_key
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold import trial_opening
from ddcai.encryption.threshold.ceremony import (
    PARTICIPANT_SECRET_BYTES,
    PHASES,
    Participant,
    new_secret,
)
from ddcai.encryption.threshold.combine import open_sum
from ddcai.encryption.threshold.pieces import KeyPiece
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import CeremonyFailed, MalformedError

from .rings import SET, plan_of, secret

Bodies = list[dict[str, Any]]
PLAN = plan_of(3, 2)
Tamper = Callable[[str, Bodies], Bodies]


def participants(plan: KeyPlan) -> list[Participant]:
    size = PARTICIPANT_SECRET_BYTES // 32
    return [
        Participant(plan, i, b"".join(secret(plan.label, i, part) for part in range(size)))
        for i in range(len(plan.holders))
    ]


def held(plan: KeyPlan, tamper: Tamper = lambda _, bodies: bodies) -> list[Participant]:
    """A whole ceremony; ``tamper`` changes what the others than holder 0 say."""
    everybody = participants(plan)
    for phase in PHASES:
        bodies = tamper(phase, [one.body() for one in everybody])
        for one in everybody:
            one.take(copy.deepcopy(bodies))
    return everybody


@pytest.mark.parametrize(
    ("holders", "threshold", "parameters"),
    [
        (3, 2, SET),
        (4, 3, SET),
        (3, 2, "bfv-8192-2x30"),
    ],
)
def test_all_holders_have_one_key_and_together_open_what_it_encrypts(
    holders: int, threshold: int, parameters: str
) -> None:
    plan = plan_of(holders, threshold, parameters)
    everybody = held(plan)
    public = everybody[0].public_key
    rings = [one.ring(secret("record")) for one in everybody]
    assert {ring.public_key_digest for ring in rings} == {public.digest()}
    assert len({ring.group for ring in rings}) == 1
    assert len({ring.box for ring in rings}) == holders
    seeds = {piece: seed for ring in rings for piece, seed in ring.seeds.items()}
    assert all(ring.seeds[piece] == seeds[piece] for ring in rings for piece in ring.seeds)
    assert len({*seeds.values(), rings[0].group}) == len(plan.sharing.pieces) + 1

    p = PARAMETER_SETS[parameters]
    values = np.arange(-300, 300)
    total = wire.open_blob(summation.add([public.encrypt(values) for _ in range(3)]), p)
    words = np.stack(list(total.blocks()))
    partials = [KeyPiece(seed, p).partial(words, b"test", 60) for seed in seeds.values()]
    assert (open_sum(words, partials, len(values), p, 900) == 3 * values).all()


def test_what_is_said_follows_from_the_secret_but_for_the_boxes() -> None:
    first, second = held(PLAN), held(PLAN)
    assert first[0].ring(secret("r")) == second[0].ring(secret("r"))
    other = plan_of(3, 2, label="another")
    assert held(other)[0].public_key != first[0].public_key
    assert first[0].phase is None
    assert new_secret() != new_secret()


def change(phase: str, holder: int, field: str, alter: Callable[[Any], Any]) -> Tamper:
    def tamper(now: str, bodies: Bodies) -> Bodies:
        if now == phase:
            bodies[holder] = {**bodies[holder], field: alter(bodies[holder][field])}
        return bodies

    return tamper


def flipped(value: str) -> str:
    return ("0" if value[0] != "0" else "1") + value[1:]


def first_flipped(values: list[str]) -> list[str]:
    return [flipped(values[0]), *values[1:]]


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (change("commit", 1, "commitments", first_flipped), "committed to"),
        (change("commit", 1, "commitments", lambda values: values[1:]), "no list of 3"),
        (change("commit", 1, "public", flipped), "committed to"),
        (change("commit", 1, "box_key", lambda value: value[2:]), "1215 bytes"),
        (change("commit", 1, "box_key", lambda value: "ff" * 1216), "public box key"),
        (change("reveal", 1, "public", flipped), "committed to"),
        (change("reveal", 1, "boxes", lambda boxes: boxes[::-1]), "does not open"),
        (change("reveal", 1, "boxes", first_flipped), "does not open"),
        (change("reveal", 1, "boxes", lambda boxes: "none"), "no list"),
        (
            change("digests", 1, "digests", first_flipped),
            "common piece is another|not say the same",
        ),
        (change("shares", 1, "shares", first_flipped), "named before"),
        (change("shares", 1, "shares", lambda values: []), "no list of 1"),
        (change("test", 1, "digests", first_flipped), "common piece is another|not say the same"),
        (change("test", 1, "partials", first_flipped), "not of its hash"),
        (change("accept", 1, "public_key", flipped), "collective key is"),
        (change("accept", 1, "public_key", str.upper), "hexadecimal"),
        (change("accept", 1, "public_key", lambda value: None), "hexadecimal"),
    ],
)
def test_a_false_message_is_found_and_its_holder_named(tamper: Tamper, message: str) -> None:
    with pytest.raises(CeremonyFailed, match=message) as failed:
        held(PLAN, tamper)
    assert PLAN.holders[1] in str(failed.value)


def test_a_rogue_share_made_after_the_others_is_refused() -> None:
    """The attack: b_A chosen so that the collective key is one that the attacker has.

    It needs the others' shares first; by then its own is named by a digest, and the other holder
    of the piece computed the true one before.
    """
    everybody = participants(PLAN)
    for _ in PHASES[:3]:
        bodies = [one.body() for one in everybody]
        for one in everybody:
            one.take(bodies)
    bodies = [one.body() for one in everybody]
    # Holder 1 has seen the shares of all pieces, and sends for its own what makes their sum the
    # share of a key that it knows.
    p = PARAMETER_SETS[SET]
    primes = np.array(p.primes, np.uint64)[:, None]
    others = [
        unpack_key(bytes.fromhex(packed), p, polynomials=1)[0] for packed in bodies[0]["shares"]
    ]
    known = KeyPiece(secret("the attacker's"), p).public_share(everybody[1]._polynomial)
    rogue = (known + sum(primes - share for share in others)) % primes
    assert (sum([rogue, *others]) % primes == known).all()
    bodies[1] = {"shares": [pack_key(rogue[None], p).hex()]}
    with pytest.raises(CeremonyFailed, match="named before") as failed:
        everybody[0].take(bodies)
    assert PLAN.holders[1] in str(failed.value)


def test_two_holders_that_agree_on_a_false_digest_of_their_piece_do_not_fool_the_third() -> None:
    """A piece of 2 of 3 has two holders: if both lie, the test does not open."""
    everybody = participants(PLAN)
    lacking = (0,)  # the piece that holders 1 and 2 have, and 0 has not
    for phase in PHASES:
        if phase == "test":
            p = PARAMETER_SETS[SET]
            pieces = {lacking: KeyPiece(secret("another seed"), p)}
            false = trial_opening.partials(everybody[0].public_key, pieces, PLAN)
            for one in everybody[1:]:
                one._partials = one._partials | false
        bodies = [one.body() for one in everybody]
        if phase == "test":
            with pytest.raises(CeremonyFailed, match="do not open it"):
                everybody[0].take(bodies)
            return
        for one in everybody:
            one.take(bodies)


def test_a_body_that_is_none_is_its_holders_fault() -> None:
    for body in (None, [], {}, {"box_key": ""}):
        one = participants(PLAN)[0]
        good = [other.body() for other in participants(PLAN)]
        with pytest.raises(CeremonyFailed, match=PLAN.holders[2]):
            one.take([good[0], good[1], body])


def test_a_participant_shows_no_secret() -> None:
    one = participants(PLAN)[0]
    assert secret(PLAN.label, 0, 0).hex() not in repr(one)
    with pytest.raises(TypeError):
        pickle.dumps(one)
    with pytest.raises(MalformedError):
        Participant(PLAN, 0, b"short")


def test_contributions_are_closed_to_whoever_reads_all_messages() -> None:
    """An outsider sees every message; none of the seeds' parts stands in one openly."""
    seen: list[str] = []

    def record(_: str, bodies: Bodies) -> Bodies:
        seen.append(repr(bodies))
        return bodies

    everybody = held(PLAN, record)
    ring = everybody[0].ring(secret("r"))
    for one in everybody:
        for piece in one._contributed(one.index):
            assert not any(one._contribution(piece).hex() in text for text in seen)
    for part in (*ring.seeds.values(), ring.group, ring.box):
        assert not any(part.hex() in text for text in seen)
