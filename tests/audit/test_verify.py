"""Bits are flipped in each artefact in turn: exactly the right claim fails."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History, RoundHistory
from ddcai.audit.verify import verify, verify_at
from ddcai.errors import NotAFederation
from ddcai.store import Store
from tests.federation import SmallFederation

Failure = tuple[str, int | None, str]


def having(found: Iterable[Claim], status: Status) -> set[Failure]:
    """Name, round and subject of the claims of one status."""
    return {(one.name, one.round, one.subject) for one in found if one.status is status}


def outcome(history: History, store: Store) -> tuple[set[Failure], set[Failure]]:
    """Which claims failed, and which were skipped."""
    found = list(verify(history, store))
    return having(found, Status.FAIL), having(found, Status.SKIPPED)


@pytest.fixture
def copy(audited: SmallFederation, tmp_path: Path) -> Path:
    """A copy of the blobs, to be damaged."""
    return Path(shutil.copytree(audited.store.url, tmp_path / "blobs"))


def flip(folder: Path, digest: bytes, place: float) -> None:
    """Flips one bit of a stored blob; `place` from 0 (first byte) to 1 (last)."""
    path = folder / digest.hex()
    blob = bytearray(path.read_bytes())
    blob[int(place * (len(blob) - 1))] ^= 0x10
    path.write_bytes(blob)


def rounds_with(history: History, number: int, **changes: Any) -> History:
    """The history with one round changed."""
    rounds = tuple(
        dataclasses.replace(one, **changes) if one.number == number else one
        for one in history.rounds
    )
    return dataclasses.replace(history, rounds=rounds)


def final_with(history: History, number: int, **changes: Any) -> History:
    """The history with one round's result changed."""
    final = of(history, number).finalisation
    assert final is not None
    return rounds_with(history, number, finalisation=dataclasses.replace(final, **changes))


def of(history: History, number: int) -> RoundHistory:
    """One round."""
    found = history.round(number)
    assert found is not None
    return found


def digest_of(history: History, artefact: str, number: int) -> bytes:
    """The digest under which the store has an artefact."""
    if artefact == "config":
        return history.rules.config_digest
    if artefact == "key":
        return history.rules.encryption_key_digest
    if artefact == "initial model":
        return history.initial_model_digest
    round_ = of(history, number)
    if artefact == "sum":
        assert round_.sealing is not None
        return round_.sealing.sum_digest
    assert round_.finalisation is not None
    return {"opened": round_.finalisation.opened_digest, "model": round_.finalisation.model_digest}[
        artefact
    ]


def one(name: str, round_: int | None = None, subject: str = "") -> Failure:
    return name, round_, subject


# Artefact, round, the one claim that fails, and what cannot be evaluated without it.
ARTEFACTS = [
    (
        "config",
        0,
        one(claims.CONFIG),
        {one(claims.MODEL, 1), one(claims.MODEL, 2)}
        | {one(claims.HEAD, number) for number in (1, 2, None)},
    ),
    ("key", 0, one(claims.ENCRYPTION_KEY), set()),
    ("initial model", 0, one(claims.INITIAL_MODEL), {one(claims.MODEL, 1)}),
    ("sum", 1, one(claims.SUM_BLOB, 1), set()),
    ("sum", 2, one(claims.SUM_BLOB, 2), set()),
    ("sum", 4, one(claims.SUM_BLOB, 4), set()),
    ("opened", 1, one(claims.OPENED, 1), {one(claims.MODEL, 1)}),
    ("opened", 2, one(claims.OPENED, 2), {one(claims.MODEL, 2)}),
    # The model was recomputed, so nothing else needs its blob.
    ("model", 1, one(claims.MODEL_BLOB, 1), set()),
    ("model", 2, one(claims.MODEL_BLOB, 2), set()),
]


def test_an_honest_federation_passes_every_claim(
    history: History, audited: SmallFederation
) -> None:
    found = list(verify(history, audited.store))
    assert having(found, Status.PASS) == {(c.name, c.round, c.subject) for c in found}
    # Its head is one that rounds alone write.
    assert {claim.name for claim in found} == set(claims.NAMES) - {claims.RELEASES}
    assert claims.all_hold(found)


def test_each_sealed_update_has_a_claim_of_its_own(
    history: History, audited: SmallFederation
) -> None:
    found = verify(history, audited.store)
    checked = [(c.round, c.subject) for c in found if c.name == claims.UPDATES]
    north, south, east = audited.addresses
    everybody = (north, south, east)
    expected = [(1, a) for a in everybody] + [(2, north), (2, east)] + [(4, a) for a in everybody]
    assert checked == expected


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0], ids=["first byte", "middle", "last byte"])
@pytest.mark.parametrize(
    ("artefact", "number", "failed", "skipped"),
    ARTEFACTS,
    ids=[f"{name} {number}" for name, number, _, _ in ARTEFACTS],
)
def test_a_flipped_bit_fails_one_claim(
    history: History,
    copy: Path,
    artefact: str,
    number: int,
    failed: Failure,
    skipped: set[Failure],
    place: float,
) -> None:
    flip(copy, digest_of(history, artefact, number), place)
    assert outcome(history, Store(str(copy))) == ({failed}, skipped)


@pytest.mark.parametrize(
    ("artefact", "number", "failed", "skipped"),
    ARTEFACTS,
    ids=[f"{name} {number}" for name, number, _, _ in ARTEFACTS],
)
def test_a_missing_blob_is_said_to_be_missing(
    history: History,
    copy: Path,
    artefact: str,
    number: int,
    failed: Failure,
    skipped: set[Failure],
) -> None:
    (copy / digest_of(history, artefact, number).hex()).unlink()
    found = list(verify(history, Store(str(copy))))
    assert having(found, Status.FAIL) == set()
    assert (having(found, Status.MISSING), having(found, Status.SKIPPED)) == ({failed}, skipped)
    assert claims.verdict(claim.status for claim in found) is Status.MISSING


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_flipped_bit_in_each_update_fails_that_update_alone(
    history: History, copy: Path, number: int
) -> None:
    for update in of(history, number).sealed:
        flip(copy, update.digest, 0.7)
        failed, skipped = outcome(history, Store(str(copy)))
        assert failed == {one(claims.UPDATES, number, update.address)}
        assert skipped == {one(claims.SUM, number)}
        flip(copy, update.digest, 0.7)


def test_an_update_that_is_not_sealed_is_not_needed(history: History, copy: Path) -> None:
    (cancelled,) = of(history, 3).commitments
    flip(copy, cancelled.digest, 0.5)
    assert outcome(history, Store(str(copy))) == (set(), set())


def test_two_damaged_artefacts_fail_two_claims(history: History, copy: Path) -> None:
    flip(copy, digest_of(history, "opened", 1), 0.9)
    flip(copy, digest_of(history, "model", 1), 0.9)
    failed, skipped = outcome(history, Store(str(copy)))
    assert failed == {one(claims.OPENED, 1), one(claims.MODEL_BLOB, 1)}
    # Round 1's model cannot be had in any way, so neither its head nor the next model can.
    assert skipped == {one(claims.MODEL, 1), one(claims.HEAD, 1), one(claims.MODEL, 2)}


def test_a_swapped_pair_of_updates_fails_both(history: History, copy: Path) -> None:
    first, second, _ = of(history, 1).sealed
    left, right = copy / first.digest.hex(), copy / second.digest.hex()
    left_blob, right_blob = left.read_bytes(), right.read_bytes()
    left.write_bytes(right_blob)
    right.write_bytes(left_blob)
    failed, _ = outcome(history, Store(str(copy)))
    assert failed == {
        one(claims.UPDATES, 1, first.address),
        one(claims.UPDATES, 1, second.address),
    }


def test_of_an_empty_store_everything_is_missing_and_nothing_fails(
    history: History, tmp_path: Path
) -> None:
    found = list(verify(history, Store(str(tmp_path / "empty"))))
    assert having(found, Status.FAIL) == set()
    assert {c.found for c in found if c.status is Status.MISSING} == {claims.ABSENT}
    assert {claim.name for claim in found if claim.passed} == {
        claims.POSSESSION,
        claims.ROUND_CHAIN,
        claims.OPENING,
        claims.QUORUM,
        claims.MONEY,
        claims.SOLVENT,
    }


# What the chain says, changed on its way to the auditor.


def test_a_false_head_on_chain(history: History, audited: SmallFederation) -> None:
    words = (history.head_words[0] ^ 1, *history.head_words[1:])
    changed = dataclasses.replace(history, head_words=words)
    assert outcome(changed, audited.store) == ({one(claims.HEAD)}, set())


def test_a_false_head_digest_in_a_round(history: History, audited: SmallFederation) -> None:
    final = of(history, 1).finalisation
    assert final is not None
    changed = final_with(history, 1, head_digest=flipped(final.head_digest))
    # It is part of what the contributors signed.
    assert outcome(changed, audited.store) == (
        {one(claims.HEAD, 1), one(claims.QUORUM, 1)},
        set(),
    )


@pytest.mark.parametrize("byte", [20, 100, 255])
def test_a_forged_quorum_signature(history: History, audited: SmallFederation, byte: int) -> None:
    final = of(history, 1).finalisation
    assert final is not None
    changed = final_with(history, 1, signature=flipped(final.signature, byte))
    assert outcome(changed, audited.store) == ({one(claims.QUORUM, 1)}, set())


def test_the_signature_of_another_round(history: History, audited: SmallFederation) -> None:
    other = of(history, 2).finalisation
    assert other is not None
    changed = final_with(history, 1, signature=other.signature)
    assert outcome(changed, audited.store) == ({one(claims.QUORUM, 1)}, set())


def test_too_few_signers(history: History, audited: SmallFederation) -> None:
    changed = final_with(history, 1, signers=(0,))
    assert outcome(changed, audited.store) == ({one(claims.QUORUM, 1)}, set())


def test_a_signer_that_did_not_sign(history: History, audited: SmallFederation) -> None:
    changed = final_with(history, 1, signers=(0, 1, 2))
    assert outcome(changed, audited.store) == ({one(claims.QUORUM, 1)}, set())


def test_a_signer_that_was_not_sealed(history: History, audited: SmallFederation) -> None:
    changed = final_with(history, 2, signers=(0, 1, 2))
    assert outcome(changed, audited.store) == ({one(claims.QUORUM, 2)}, set())


@pytest.mark.parametrize("byte", [0, 40, 64])
def test_a_forged_opening_signature(history: History, audited: SmallFederation, byte: int) -> None:
    final = of(history, 2).finalisation
    assert final is not None
    changed = final_with(history, 2, opening_signature=flipped(final.opening_signature, byte))
    assert outcome(changed, audited.store) == ({one(claims.OPENING, 2)}, set())


def test_a_contract_as_key_holder_judges_its_own_signature(
    history: History, audited: SmallFederation
) -> None:
    changed = final_with(history, 2, opening_signature=b"for ERC-1271")
    changed = dataclasses.replace(changed, key_holder_is_contract=True)
    assert outcome(changed, audited.store) == (set(), {one(claims.OPENING, 2)})


def test_another_current_model(history: History, audited: SmallFederation) -> None:
    changed = dataclasses.replace(history, model_digest=flipped(history.model_digest))
    failed, skipped = outcome(changed, audited.store)
    assert failed == {one(claims.ROUND_CHAIN)}
    assert skipped == {one(claims.HEAD)}


def test_a_round_that_starts_from_an_older_model(
    history: History, audited: SmallFederation
) -> None:
    changed = rounds_with(history, 2, base_model_digest=history.initial_model_digest)
    failed, skipped = outcome(changed, audited.store)
    assert failed == {one(claims.ROUND_CHAIN)}
    assert skipped == {one(claims.MODEL, 2)}


def test_a_round_that_is_left_out(history: History, audited: SmallFederation) -> None:
    kept = tuple(one for one in history.rounds if one.number != 3)
    changed = dataclasses.replace(history, rounds=kept)
    failed, _ = outcome(changed, audited.store)
    # Its deposit is left out too, but the contract says that it still owes it.
    assert failed == {one(claims.ROUND_CHAIN), one(claims.MONEY)}


def test_a_sealed_list_below_the_minimum(history: History, audited: SmallFederation) -> None:
    sealing = of(history, 4).sealing
    assert sealing is not None
    changed = rounds_with(history, 4, sealing=dataclasses.replace(sealing, indices=(1,)))
    assert outcome(changed, audited.store) == ({one(claims.SUM, 4)}, set())


def test_a_sealed_list_without_one_of_the_sum(history: History, audited: SmallFederation) -> None:
    sealing = of(history, 4).sealing
    assert sealing is not None
    changed = rounds_with(history, 4, sealing=dataclasses.replace(sealing, indices=(0, 2)))
    assert outcome(changed, audited.store) == ({one(claims.SUM, 4)}, set())


def test_a_sealed_member_without_an_update(history: History, audited: SmallFederation) -> None:
    sealing = of(history, 4).sealing
    assert sealing is not None
    changed = rounds_with(history, 4, sealing=dataclasses.replace(sealing, indices=(0, 1, 2, 7)))
    assert outcome(changed, audited.store) == ({one(claims.SUM, 4)}, set())


def test_a_forged_proof_of_possession(history: History, audited: SmallFederation) -> None:
    first, second, third = history.members
    changed = dataclasses.replace(
        history, members=(dataclasses.replace(first, proof=second.proof), second, third)
    )
    assert outcome(changed, audited.store) == ({one(claims.POSSESSION, None, first.address)}, set())


def test_a_proof_that_cannot_be_had_is_no_failure(
    history: History, audited: SmallFederation
) -> None:
    first, second, third = history.members
    changed = dataclasses.replace(
        history, members=(first, second, dataclasses.replace(third, proof=None))
    )
    assert outcome(changed, audited.store) == (set(), {one(claims.POSSESSION, None, third.address)})


def test_another_key_under_a_members_name(history: History, audited: SmallFederation) -> None:
    first, second, third = history.members
    changed = dataclasses.replace(
        history, members=(dataclasses.replace(first, key=third.key), second, third)
    )
    failed, _ = outcome(changed, audited.store)
    assert failed == {
        one(claims.POSSESSION, None, first.address),
        one(claims.QUORUM, 1),
        one(claims.QUORUM, 2),
    }


# From the endpoint.


def test_endpoint_address_and_store_are_enough(audited: SmallFederation, history: History) -> None:
    found = list(verify_at(audited.url, audited.deployment.federation, audited.store))
    assert found == list(verify(history, audited.store))


def test_an_address_without_a_federation(audited: SmallFederation) -> None:
    with pytest.raises(NotAFederation):
        list(verify_at(audited.url, audited.addresses[0], audited.store))


def flipped(value: bytes, byte: int = 5) -> bytes:
    """The value with its lowest bit of one byte changed."""
    return value[:byte] + bytes([value[byte] ^ 1]) + value[byte + 1 :]
