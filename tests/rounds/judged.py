"""A small federation whose updates are judged, and its rounds' steps, for the tests of rounds."""

from __future__ import annotations

import dataclasses

import numpy as np

from ddcai import digests
from ddcai.assessment.configuration import Assessment
from ddcai.assessment.root_set import commitment
from ddcai.chain.records import RoundRecord
from ddcai.configuration import Aggregation, Encryption, Training
from ddcai.models.anchor import root_set_to_blob
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts
from tests.federation import SmallFederation, small_config, small_data

ROOT_X, ROOT_Y = small_data(99, 120)
FEW = min(np.bincount(ROOT_Y))
KEPT = np.sort(np.concatenate([np.flatnonzero(c == ROOT_Y)[:FEW] for c in (0, 1)]))
ROOT_X, ROOT_Y = ROOT_X[KEPT], ROOT_Y[KEPT]
COMMITTED = commitment(ROOT_X, ROOT_Y)
CONFIG = small_config(
    training=Training(local_epochs=2, batch_size=16, learning_rate=0.05),
    aggregation=Aggregation(weighting="uniform"),
    encryption=Encryption(parameter_set="bfv-8192-2x30", max_contributors=8),
    # Of updates this small and this alike, few projections misjudge the length of all at once.
    assessment=Assessment(root_set=COMMITTED.hex(), window=2, projections=32),
)


def commit_round(made: SmallFederation, flippers: tuple[int, ...] = ()) -> RoundRecord:
    """Everybody trains, flippers on labels turned round; the list is committed."""
    record = made.coordinator.open_round()
    base = made.coordinator.party.model(record.base_model_digest)
    collection = made.coordinator.collect(record, base)
    for index, (x, y) in enumerate(made.data):
        taught = dataclasses.replace(
            made, data=tuple((x, 1 - y) if index in flippers else one for one in made.data)
        )
        update = taught.contribute(record, index)
        collection.add(made.addresses[index], update.blob)
    return made.coordinator.commit(record, collection)


def draw_round(made: SmallFederation, record: RoundRecord) -> RoundRecord:
    assert record.commitment is not None
    assert made.contract.draw_ready(record.number)
    made.store.put(digests.root_set_blob_digest(COMMITTED), root_set_to_blob(ROOT_X, ROOT_Y))
    return made.coordinator.draw(record)


def finish(made: SmallFederation, record: RoundRecord) -> None:
    opening = made.opener.open(record.number)
    made.finalize(record, opening, [item.index for item in record.sealed])


def judged_round(made: SmallFederation, flippers: tuple[int, ...] = ()) -> RoundRecord:
    """A whole round, finalised."""
    record = draw_round(made, commit_round(made, flippers))
    anchor = made.coordinator.publish_anchor(record)
    scalars = made.opener.open_scalars(record.number, anchor)
    sealed = made.coordinator.seal_judged(record, anchor, scalars)
    finish(made, sealed)
    return made.contract.round(record.number)


def verdicts_of(made: SmallFederation, number: int) -> WindowVerdicts:
    """A window's verdicts, by what the key holder opens for them; the store has them then."""
    judge = WindowJudge(made.coordinator.party)
    window = judge.assessment.window(number)
    until, _ = judge.until(window)
    movement = {
        round_: made.opener.open_movement(round_) for round_ in judge.judged_rounds(window, until)
    }
    return made.coordinator.judge_window(window, until, movement)


def post_against(made: SmallFederation, number: int, victim: int) -> WindowVerdicts:
    """A colluding quorum posts a verdict that takes an honest member's deposits.

    The document is right, so that any reader sees that the verdict is not; it is returned.
    """
    honest = verdicts_of(made, number)
    address = made.addresses[victim]
    taken = dataclasses.replace(honest.by_contributor[address], refund=False, points=0)
    false = dataclasses.replace(honest, by_contributor={**honest.by_contributor, address: taken})
    message = false.message(made.coordinator.party, 0)
    last = made.contract.assessment().window(number).rounds[-1]
    signers = [item.index for item in made.contract.round(last).sealed]
    made.coordinator.post_verdict(
        false, {index: made.contributors[index]._key.sign(message) for index in signers}
    )
    return honest
