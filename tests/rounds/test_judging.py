"""Judged rounds, with real ciphertexts, contracts and keys: each party computes them for itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcai import digests
from ddcai.chain.records import RoundState, UpdateState
from ddcai.configuration import Encryption
from ddcai.encryption import summation
from ddcai.errors import (
    AlreadyOpened,
    AttestationRefused,
    ConfigurationError,
    NotDrawn,
    VerificationError,
)
from ddcai.models import state
from ddcai.rounds.judging import Judge
from ddcai.rounds.scalars import OpenedScalars
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG, commit_round, draw_round, finish


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    with make_federation(tmp_path_factory.mktemp("judged"), 5, config=CONFIG) as federation:
        yield federation


def test_a_flipper_is_refused_by_the_gate_and_all_others_sign(made: SmallFederation) -> None:
    record = commit_round(made, flippers=(4,))
    assert record.state is RoundState.COMMITTED
    with pytest.raises(NotDrawn):
        made.opener.open_scalars(record.number, None)
    record = draw_round(made, record)
    anchor = made.coordinator.publish_anchor(record)
    scalars = made.opener.open_scalars(record.number, anchor)
    assert made.opener.open_scalars(record.number, anchor) == scalars
    # What was opened is what the updates are: by the plain twin.
    view = Judge(made.coordinator.party).view(
        record, Judge(made.coordinator.party).published_anchor(record, anchor)
    )
    secret = made.opener._scalars._secret  # the test alone decrypts single updates
    assert record.commitment is not None
    for item in record.commitment.committed:
        values = secret.decrypt(made.store.get(item.digest))
        expected = view.frame.vectors.astype(np.int64) @ values[view.positions]
        assert scalars.by_contributor[item.address] == tuple(expected.tolist())

    sealed = made.coordinator.seal_judged(record, anchor, scalars)
    assert [item.index for item in sealed.sealed] == [0, 1, 2, 3]
    judged = Judge(made.contributors[0].party).check(sealed)
    assert judged.accepted == tuple(sorted(made.addresses[:4]))
    assert judged.scores[made.addresses[4]].anchor < 0 < judged.scores[made.addresses[0]].anchor
    before = made.contract.balance()
    finish(made, sealed)
    assert made.contract.round(record.number).state is RoundState.FINALIZED
    assert made.contract.update_state(record.number, 4) is UpdateState.ASSESSED
    deposit = made.contract.rules().deposit_wei
    assert before - made.contract.balance() == 5 * deposit
    assert made.contract.balance(made.contract.rules().assessment) >= 5 * deposit

    # The next round goes on from this one's standings.
    record = draw_round(made, commit_round(made, flippers=(4,)))
    anchor = made.coordinator.publish_anchor(record)
    again = made.coordinator.seal_judged(
        record, anchor, made.opener.open_scalars(record.number, anchor)
    )
    second = Judge(made.contributors[1].party).check(again)
    assert second.previous == sealed.commitment.scores_digest if sealed.commitment else False
    assert second.state.standings[made.addresses[4]] < judged.state.standings[made.addresses[4]]
    finish(made, again)


def test_nobody_signs_what_the_scalars_do_not_lead_to(made: SmallFederation) -> None:
    """A coordinator that seals whom the gate refused, or leaves out whom it passed."""
    record = draw_round(made, commit_round(made, flippers=(4,)))
    anchor = made.coordinator.publish_anchor(record)
    scalars = made.opener.open_scalars(record.number, anchor)
    judge = Judge(made.coordinator.party)
    view = judge.view(record, judge.published_anchor(record, anchor))
    honest = judge.judge(record, view, anchor, scalars)
    assert made.addresses[4] not in honest.accepted
    assert record.commitment is not None
    listed = [one for one in record.commitment.committed if one.index != 0]  # 4 for 0
    blob = summation.add([made.store.get(one.digest) for one in listed])
    context = made.coordinator.party.context(record.number)
    made.store.put(digests.sum_digest(context, blob), blob)
    document = honest.to_blob()
    made.store.put(digests.scores_digest(context, document), document)
    made.coordinator.party.federation.seal_assessed_round(
        record.number,
        digests.sum_digest(context, blob),
        [one.index for one in listed],
        digests.scores_digest(context, document),
    )
    opening = made.opener.open(record.number)
    with pytest.raises(AttestationRefused, match="passed the gate, not both"):
        made.contributors[1].attest(record.number, opening.blob, opening.signature)
    made.coordinator.cancel(made.contract.round(record.number))


def test_forged_scalars_documents_and_anchors_are_refused(made: SmallFederation) -> None:
    record = draw_round(made, commit_round(made))
    anchor = made.coordinator.publish_anchor(record)
    assert anchor is not None
    scalars = made.opener.open_scalars(record.number, anchor)
    judge = Judge(made.contributors[0].party)
    view = judge.view(record, judge.published_anchor(record, anchor))

    # Another number, under the key holder's signature for the true one; a number left out.
    name = made.addresses[0]
    better = {**scalars.by_contributor, name: (10**6, *scalars.by_contributor[name][1:])}
    fewer = {key: one for key, one in scalars.by_contributor.items() if key != name}
    for forged in (better, fewer):
        with pytest.raises(VerificationError, match=r"signed by|were opened"):
            made.coordinator.seal_judged(
                record, anchor, OpenedScalars(by_contributor=forged, signature=scalars.signature)
            )
    with pytest.raises(VerificationError, match="4 bytes"):
        made.coordinator.seal_judged(
            record, anchor, dataclasses.replace(scalars, signature=b"none")
        )

    # An anchor that the root set does not make; and a second one for the same round.
    own = judge.anchor(record)
    assert own is not None
    turned = {key: -one for key, one in own.items()}
    made.store.put(state.digest(turned), state.to_canonical(turned))
    with pytest.raises(VerificationError, match="cosine of -1"):
        made.opener.open_scalars(record.number, state.digest(turned))
    with pytest.raises(VerificationError, match="an anchor where none belongs"):
        made.opener.open_scalars(record.number, None)
    near = {key: one * np.float32(1.5) + np.float32(1e-7) for key, one in own.items()}
    made.store.put(state.digest(near), state.to_canonical(near))
    changed = judge.view(record, judge.published_anchor(record, state.digest(near)))
    if (changed.frame.vectors != view.frame.vectors).any():
        with pytest.raises(AlreadyOpened):
            made.opener.open_scalars(record.number, state.digest(near))

    # A document that says something else than its scalars lead to.
    honest = judge.judge(record, view, anchor, scalars)
    content = json.loads(honest.to_blob())
    content["standings"][name] = 0.5
    document = digests.canonical_json(content)
    context = made.coordinator.party.context(record.number)
    scores = digests.scores_digest(context, document)
    made.store.put(scores, document)
    assert record.commitment is not None
    planted = dataclasses.replace(
        record,
        sealed=record.commitment.committed,
        commitment=dataclasses.replace(record.commitment, scores_digest=scores),
    )
    with pytest.raises(VerificationError, match="do not lead to the scores"):
        judge.check(planted)
    made.coordinator.cancel(record)


@pytest.mark.parametrize(
    ("parameter_set", "rules"),
    [("bfv-4096-3x19", {}), ("compact-64-3x18", {"holders": (2, 3)})],
)
def test_what_cannot_be_judged_is_not_founded(
    tmp_path: Path, parameter_set: str, rules: dict[str, Any]
) -> None:
    packed = dataclasses.replace(
        CONFIG, encryption=Encryption(parameter_set=parameter_set, max_contributors=8)
    )
    with (
        pytest.raises(ConfigurationError, match="takes bfv-8192-2x30 or compact-128-3x36"),
        make_federation(tmp_path / "packed", 3, config=packed, **rules),
    ):
        pass


def test_a_federation_without_an_assessment_has_no_judge(
    tmp_path: Path,
) -> None:
    with (
        make_federation(tmp_path / "plain") as plain,
        pytest.raises(ConfigurationError, match="no assessment"),
    ):
        Judge(plain.coordinator.party)
