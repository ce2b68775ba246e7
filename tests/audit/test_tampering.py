"""Named manipulations of blobs and of what the chain says: each is caught by the right claim.

All are planted in one real federation (`tests/audit/conftest.py`): in a copy of its store, in its
history as a lying node would tell it, or in both, as parties that collude would have committed
it (`tests/audit/tampering.py`). The table says of each which claims do not pass; every other
claim must.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Status
from ddcai.audit.history import History
from ddcai.audit.verify import verify
from ddcai.store import Store
from tests.audit.tampering import (
    EAST,
    NORTH,
    OTHER_CHAIN,
    OTHER_CONTRACT,
    SOUTH,
    Plant,
    Scene,
    added_twice,
    bit_flip,
    committed,
    double_update,
    empty_in_store,
    false_head,
    false_head_digest,
    false_model,
    false_opened_sum,
    flip_update,
    flipped_opening_signature,
    flipped_quorum_signature,
    garbage,
    larger_refund,
    left_out_of_the_sum,
    older_base_model,
    older_head,
    opening_signature_elsewhere,
    opening_signature_of_another_round,
    other_configuration,
    other_current_model,
    other_update_digest,
    own_update_again,
    pad_in_store,
    proof_of_another_member,
    quorum_signature_elsewhere,
    quorum_signature_of_another_round,
    refund_left_out,
    refund_to_another,
    refund_twice,
    removal,
    remove_and_flip,
    remove_update,
    replayed_update,
    round_left_out,
    rounds_in_another_order,
    sealed_below_the_minimum,
    sealed_without_an_update,
    signer_of_another_round,
    signers,
    smaller_deposit,
    sum_of_an_earlier_round,
    swap_contributors,
    swap_models,
    swap_opened_sums,
    swap_sums,
    swap_updates_of_rounds,
    truncate_in_store,
    update_of_an_earlier_round,
    withdrawn_wei,
)
from tests.audit.test_verify import Failure, having, one
from tests.federation import SmallFederation

Lost = tuple[str, int | None, int | None]


def of(name: str, number: int | None = None, member: int | None = None) -> Lost:
    """A claim by name, round and the member that it is about."""
    return name, number, member


# Name, what is planted, claims of status FAIL, of status MISSING, of status SKIPPED.
TABLE: list[tuple[str, Plant, set[Lost], set[Lost], set[Lost]]] = [
    (
        "bit of the configuration",
        bit_flip("config", 0),
        {of(claims.CONFIG)},
        set(),
        {of(claims.MODEL, 1), of(claims.MODEL, 2)}
        | {of(claims.HEAD, number) for number in (1, 2, None)},
    ),
    (
        "another configuration",
        other_configuration,
        {of(claims.CONFIG)},
        set(),
        {of(claims.MODEL, 1), of(claims.MODEL, 2)}
        | {of(claims.HEAD, number) for number in (1, 2, None)},
    ),
    ("bit of the key", bit_flip("key", 0), {of(claims.ENCRYPTION_KEY)}, set(), set()),
    (
        "bit of the first model",
        bit_flip("initial model", 0),
        {of(claims.INITIAL_MODEL)},
        set(),
        {of(claims.MODEL, 1)},
    ),
    (
        "bit of an update",
        flip_update,
        {of(claims.UPDATES, 4, SOUTH)},
        set(),
        {of(claims.SUM, 4)},
    ),
    ("bit of a sum", bit_flip("sum", 2), {of(claims.SUM_BLOB, 2)}, set(), set()),
    (
        "bit of an opened sum",
        bit_flip("opened", 2),
        {of(claims.OPENED, 2)},
        set(),
        {of(claims.MODEL, 2)},
    ),
    ("bit of a model", bit_flip("model", 1), {of(claims.MODEL_BLOB, 1)}, set(), set()),
    ("key missing", removal("key", 0), set(), {of(claims.ENCRYPTION_KEY)}, set()),
    (
        "update missing",
        remove_update,
        set(),
        {of(claims.UPDATES, 4, SOUTH)},
        {of(claims.SUM, 4)},
    ),
    (
        "opened sum missing",
        removal("opened", 1),
        set(),
        {of(claims.OPENED, 1)},
        {of(claims.MODEL, 1)},
    ),
    ("sum missing", removal("sum", 1), set(), {of(claims.SUM_BLOB, 1)}, set()),
    ("model missing", removal("model", 2), set(), {of(claims.MODEL_BLOB, 2)}, set()),
    (
        "one update missing, another damaged",
        remove_and_flip,
        {of(claims.UPDATES, 4, EAST)},
        {of(claims.UPDATES, 4, SOUTH)},
        {of(claims.SUM, 4)},
    ),
    *(
        (name, plant, {of(claims.UPDATES, 4, SOUTH)}, set(), {of(claims.SUM, 4)})
        for name, plant in (
            ("update truncated in the store", truncate_in_store),
            ("update padded in the store", pad_in_store),
            ("update emptied in the store", empty_in_store),
            ("update replayed from another chain", replayed_update(chain_id=OTHER_CHAIN)),
            ("update replayed from another contract", replayed_update(contract=OTHER_CONTRACT)),
            ("update replayed from another round", replayed_update(round=1)),
        )
    ),
    (
        "updates swapped between contributors",
        swap_contributors,
        {of(claims.UPDATES, 4, NORTH), of(claims.UPDATES, 4, SOUTH)},
        set(),
        {of(claims.SUM, 4)},
    ),
    (
        "updates swapped between rounds",
        swap_updates_of_rounds,
        {of(claims.UPDATES, 1, NORTH), of(claims.UPDATES, 4, NORTH)},
        set(),
        {of(claims.SUM, 1), of(claims.SUM, 4)},
    ),
    (
        "models swapped between rounds",
        swap_models,
        {of(claims.MODEL_BLOB, 1), of(claims.MODEL_BLOB, 2)},
        set(),
        set(),
    ),
    (
        "opened sums swapped between rounds",
        swap_opened_sums,
        {of(claims.OPENED, 1), of(claims.OPENED, 2)},
        set(),
        {of(claims.MODEL, 1), of(claims.MODEL, 2)},
    ),
    (
        "sums swapped between rounds",
        swap_sums,
        {of(claims.SUM_BLOB, 1), of(claims.SUM_BLOB, 2)},
        set(),
        set(),
    ),
    *(
        (name, plant, {of(claims.SUM, 4)}, set(), set())
        for name, plant in (
            ("truncated ciphertext committed", committed(lambda blob: blob[:-1])),
            ("padded ciphertext committed", committed(lambda blob: blob + b"\0")),
            ("half a ciphertext committed", committed(lambda blob: blob[: len(blob) // 2])),
            ("garbage committed", committed(garbage)),
            ("another ciphertext committed", committed(lambda b: b[:-9] + bytes(8) + b[-1:])),
            ("update doubled", double_update),
            ("update of another doubled in a later round", update_of_an_earlier_round),
            ("own update doubled in a later round", own_update_again),
            ("update left out of the sum", left_out_of_the_sum),
            ("update added twice", added_twice),
            ("sum of an earlier round", sum_of_an_earlier_round),
            ("sealed list below the minimum", sealed_below_the_minimum),
            ("sealed member without an update", sealed_without_an_update),
        )
    ),
    (
        "update digest changed",
        other_update_digest,
        set(),
        {of(claims.UPDATES, 4, SOUTH)},
        {of(claims.SUM, 4)},
    ),
    (
        "false opened sum, not signed",
        false_opened_sum(signed=False),
        {of(claims.OPENING, 1), of(claims.MODEL, 1), of(claims.QUORUM, 1)},
        set(),
        set(),
    ),
    (
        "false opened sum, signed by the key holder",
        false_opened_sum(signed=True),
        {of(claims.MODEL, 1), of(claims.QUORUM, 1)},
        set(),
        set(),
    ),
    (
        "false model",
        false_model,
        {of(claims.MODEL, 2), of(claims.QUORUM, 2), of(claims.HEAD)},
        set(),
        set(),
    ),
    ("false head", false_head, {of(claims.HEAD)}, set(), set()),
    ("false head of a round", false_head_digest, {of(claims.HEAD, 1)}, set(), set()),
    (
        "head of an earlier round",
        older_head,
        {of(claims.HEAD, 2), of(claims.QUORUM, 2)},
        set(),
        set(),
    ),
    *(
        (name, plant, {of(claims.QUORUM, number)}, set(), set())
        for name, number, plant in (
            ("signer added to the bitmap", 1, signers(NORTH, SOUTH, EAST)),
            ("signer removed from the bitmap", 1, signers(NORTH)),
            ("signers exchanged in the bitmap", 1, signers(NORTH, EAST)),
            ("signer that was not sealed", 2, signer_of_another_round),
            ("bit of the quorum's signature", 1, flipped_quorum_signature),
            ("quorum's signature of another round", 1, quorum_signature_of_another_round),
            (
                "quorum's signature from another chain",
                1,
                quorum_signature_elsewhere(chain_id=OTHER_CHAIN),
            ),
            (
                "quorum's signature from another contract",
                1,
                quorum_signature_elsewhere(contract=OTHER_CONTRACT),
            ),
        )
    ),
    *(
        (name, plant, {of(claims.OPENING, 1)}, set(), set())
        for name, plant in (
            ("bit of the key holder's signature", flipped_opening_signature),
            ("key holder's signature of another round", opening_signature_of_another_round),
            (
                "key holder's signature from another chain",
                opening_signature_elsewhere(chain_id=OTHER_CHAIN),
            ),
            (
                "key holder's signature from another contract",
                opening_signature_elsewhere(contract=OTHER_CONTRACT),
            ),
        )
    ),
    (
        "proof of possession of another member",
        proof_of_another_member,
        {of(claims.POSSESSION, None, NORTH)},
        set(),
        set(),
    ),
    (
        "base model of an earlier round",
        older_base_model,
        {of(claims.ROUND_CHAIN)},
        set(),
        {of(claims.MODEL, 2)},
    ),
    (
        "another current model",
        other_current_model,
        {of(claims.ROUND_CHAIN)},
        set(),
        {of(claims.HEAD)},
    ),
    (
        "rounds in another order",
        rounds_in_another_order,
        {of(claims.ROUND_CHAIN)},
        set(),
        {of(claims.MODEL, 1), of(claims.MODEL, 2), of(claims.HEAD)},
    ),
    (
        "round left out",
        round_left_out,
        {of(claims.ROUND_CHAIN), of(claims.MONEY)},
        set(),
        set(),
    ),
    *(
        (name, plant, {of(claims.MONEY)}, set(), set())
        for name, plant in (
            ("larger refund", larger_refund),
            ("refund to another", refund_to_another),
            ("refund paid twice", refund_twice),
            ("smaller deposit", smaller_deposit),
        )
    ),
    (
        "refund left out",
        refund_left_out,
        {of(claims.MONEY), of(claims.SOLVENT)},
        set(),
        set(),
    ),
    ("a wei withdrawn", withdrawn_wei, {of(claims.SOLVENT)}, set(), set()),
]


@pytest.mark.parametrize(
    ("plant", "failed", "missing", "skipped"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_the_right_claim_fails_and_no_other(
    history: History,
    audited: SmallFederation,
    tmp_path: Path,
    plant: Plant,
    failed: set[Lost],
    missing: set[Lost],
    skipped: set[Lost],
) -> None:
    folder = Path(shutil.copytree(audited.store.url, tmp_path / "blobs"))
    scene = Scene(history, folder, audited)
    plant(scene)

    def named(lost: set[Lost]) -> set[Failure]:
        return {
            one(name, number, "" if member is None else audited.addresses[member])
            for name, number, member in lost
        }

    found = list(verify(scene.history, Store(str(folder))))
    by_status = {status: having(found, status) for status in Status if status is not Status.PASS}
    assert by_status == {
        Status.FAIL: named(failed),
        Status.MISSING: named(missing),
        Status.SKIPPED: named(skipped),
    }
    assert claims.verdict(c.status for c in found) is (Status.FAIL if failed else Status.MISSING)


def test_there_are_enough_and_no_two_alike() -> None:
    names = [row[0] for row in TABLE]
    assert len(set(names)) == len(names) >= 25
