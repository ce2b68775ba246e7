"""What a coordinator, or a quorum, can make of judged rounds and windows: an audit names it.

| round | window | what happens |
|---|---|---|
| 1 | 1 | a quorum takes an honest member's deposit, by a changed document; then a dispute |
| 2 | 2 | judged honestly, from the verdict that was posted on window 1 |
| 3 | 3 | tells which way the model went |
| 4 | - | sealed with an update that the gate refused, in the place of one that it accepted |
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.assessment_queries import AssessmentQueries
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History, RoundHistory
from ddcai.audit.judged import JudgedRounds
from ddcai.audit.verdicts import JudgedWindows
from ddcai.audit.verify import verify
from ddcai.audit.windows import PostedVerdict
from ddcai.chain.node.connection import connect
from ddcai.chain.records import WindowRules
from ddcai.encryption import summation
from ddcai.errors import ConfigurationError
from ddcai.models.anchor import root_set_to_blob
from ddcai.rounds.judging import Judge
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts
from ddcai.store import Store
from tests.audit.colluding import assessment_of, post, resolve
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import (
    COMMITTED,
    CONFIG,
    ROOT_X,
    ROOT_Y,
    commit_round,
    draw_round,
    judged_round,
    verdicts_of,
)

RULE = CONFIG.assessment
assert RULE is not None
BRIEF = dataclasses.replace(
    CONFIG, assessment=dataclasses.replace(RULE, movement_lag=1, window=1, decay=0.0)
)
WINDOWS = WindowRules(window_rounds=1, dispute_period_s=600, resolve_period_s=600, bond_wei=10**15)
VICTIM, FLIPPER = 0, 3
Failure = tuple[str, int | None, str]


@dataclasses.dataclass
class Audited:
    """The federation of the table, and what the chain said of it.

    Attributes:
        collusion: before anybody disputed.
        resolved: after the resolution.
        sealed: with the false round at the end.
        early: verdicts on window 2 by less movement than there was.
    """

    made: SmallFederation
    collusion: History
    resolved: History
    sealed: History
    early: WindowVerdicts

    def name(self, index: int) -> str:
        return self.made.addresses[index]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[Audited]:
    with make_federation(
        tmp_path_factory.mktemp("judged"),
        4,
        url=chain_url,
        config=BRIEF,
        windows=WINDOWS,
        submit_period_s=10**6,
    ) as made:
        for _ in range(3):
            judged_round(made, flippers=(FLIPPER,))
        honest = verdicts_of(made, 1)
        assert VICTIM in honest.agreed
        assert FLIPPER not in honest.agreed
        points = dict(zip(honest.agreed, honest.points, strict=True))
        false = json.loads(honest.blob)
        false["verdicts"][made.addresses[VICTIM]] |= {"refund": False, "points": 0}
        post(
            made,
            1,
            {index: one for index, one in points.items() if index != VICTIM},
            stored_window(made.store, made.coordinator.party.context(1), false),
        )
        second = verdicts_of(made, 2)
        post(made, 2, dict(zip(second.agreed, second.points, strict=True)), second.digest)
        judge = WindowJudge(made.coordinator.party)
        early = judge.verdicts(judge.assessment.window(2), 2, {})
        collusion = read(made)
        assessment_of(made, VICTIM).dispute(1)
        made.pass_time(WINDOWS.dispute_period_s + 1)
        resolve(made, 1, points, honest.digest)
        resolved = read(made)
        seal_refused(made)
        yield Audited(made, collusion, resolved, read(made), early)


def read(made: SmallFederation) -> History:
    return read_history(connect(made.url), made.deployment.federation)


def stored_window(store: Store, context: digests.RoundContext, document: object) -> bytes:
    blob = digests.canonical_json(document)
    digest = digests.window_digest(context, blob)
    store.put(digest, blob)
    return digest


def seal_refused(made: SmallFederation) -> None:
    """The coordinator seals the flipper's update for the victim's; the document is right."""
    record = draw_round(made, commit_round(made, flippers=(FLIPPER,)))
    anchor = made.coordinator.publish_anchor(record)
    judge = Judge(made.coordinator.party)
    view = judge.view(record, judge.published_anchor(record, anchor))
    honest = judge.judge(record, view, anchor, made.opener.open_scalars(record.number, anchor))
    assert record.commitment is not None
    assert honest.accepted == tuple(sorted(made.addresses[:FLIPPER]))
    listed = [one for one in record.commitment.committed if one.index != VICTIM]
    context, document = made.coordinator.party.context(record.number), honest.to_blob()
    total = summation.add([made.store.get(one.digest) for one in listed])
    made.store.put(digests.sum_digest(context, total), total)
    made.store.put(digests.scores_digest(context, document), document)
    made.coordinator.party.federation.seal_assessed_round(
        record.number,
        digests.sum_digest(context, total),
        [one.index for one in listed],
        digests.scores_digest(context, document),
    )


def check(history: History, store: Store) -> list[Claim]:
    """The claims about judging, without those about sums and models."""
    blobs = Blobs(store)
    rounds = JudgedRounds(history, blobs, BRIEF)
    found = list(rounds.check_root_set())
    for round_ in history.rounds:
        if round_.judging is not None:
            found += rounds.check_list(round_, round_.judging)
            if round_.sealing is not None:
                found += rounds.check_scores(round_, round_.judging)
    assert history.assessment is not None
    return [*found, *JudgedWindows(history, history.assessment, blobs, rounds).claims()]


def having(found: list[Claim], status: Status) -> set[Failure]:
    """Name, round or window, and subject."""
    return {(c.name, c.round or c.window, c.subject) for c in found if c.status is status}


def outcome(history: History, store: Store) -> tuple[set[Failure], set[Failure]]:
    found = check(history, store)
    return having(found, Status.FAIL), having(found, Status.SKIPPED)


def rests_on_scores(*rounds: int, windows: tuple[int, ...] = ()) -> set[Failure]:
    """What is skipped where the scores of these rounds cannot be had."""
    of_rounds = {(name, n, "") for n in rounds for name in (claims.SCORES, claims.ACCEPTED)}
    return of_rounds | {(name, n, "") for n in windows for name in (claims.VERDICT, claims.OUTCOME)}


def planted(history: History, number: int, **changes: Any) -> History:
    """The history with what one round was judged by changed."""

    def change(one: RoundHistory) -> RoundHistory:
        if one.number != number or one.judging is None:
            return one
        return dataclasses.replace(one, judging=dataclasses.replace(one.judging, **changes))

    return dataclasses.replace(history, rounds=tuple(map(change, history.rounds)))


def with_verdict(history: History, window: int, **changes: Any) -> History:
    """The history with the verdict posted on a window changed."""
    assert history.assessment is not None
    entries = tuple(
        dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, **changes))
        if (one.name, one.window) == ("VerdictPosted", window) and one.verdict is not None
        else one
        for one in history.assessment.entries
    )
    assessment = dataclasses.replace(history.assessment, entries=entries)
    return dataclasses.replace(history, assessment=assessment)


def posted(history: History, window: int) -> PostedVerdict:
    assert history.assessment is not None
    return history.assessment.verdicts(window)[0][0]


@pytest.fixture
def copy(audited: Audited, tmp_path: Path) -> Store:
    """A copy of the blobs, to be damaged."""
    return Store(str(shutil.copytree(audited.made.store.url, tmp_path / "blobs")))


def scores_of(history: History, number: int) -> bytes:
    round_ = history.round(number)
    assert round_ is not None
    assert round_.judging is not None
    assert round_.judging.scores_digest is not None
    return round_.judging.scores_digest


# On the chain.


def test_a_federation_that_settled_its_dispute_passes_every_claim(audited: Audited) -> None:
    """Window 2 was judged from a document that was replaced since."""
    assert posted(audited.resolved, 1).scores_digest != posted(audited.resolved, 2).scores_digest
    found = list(verify(audited.resolved, audited.made.store))
    assert having(found, Status.PASS) == {(c.name, c.round or c.window, c.subject) for c in found}
    assert {claim.name for claim in found} == {*claims.NAMES, *claims.ASSESSED} - {claims.RELEASES}


def test_a_quorum_that_takes_an_honest_members_deposits_is_named(audited: Audited) -> None:
    victim = audited.name(VICTIM)
    found = list(verify(audited.collusion, audited.made.store))
    assert not claims.all_hold(found)  # exit code 1
    failed, skipped = having(found, Status.FAIL), having(found, Status.SKIPPED)
    assert failed == {(claims.VERDICT, 1, victim), (claims.OUTCOME, 1, victim)}
    assert skipped == set()
    [told] = [one for one in found if one.name == claims.OUTCOME and one.subject]
    assert told.window == 1
    assert told.expected.startswith("deposits back, ")
    assert told.found == "forfeits"


def test_a_coordinator_that_seals_a_refused_update_is_found(audited: Audited) -> None:
    failed, skipped = outcome(audited.sealed, audited.made.store)
    victim, flipper = audited.name(VICTIM), audited.name(FLIPPER)
    assert failed == {(claims.ACCEPTED, 4, victim), (claims.ACCEPTED, 4, flipper)}
    assert skipped == set()
    told = {c.subject: (c.expected, c.found) for c in check(audited.sealed, audited.made.store)}
    assert told[victim] == ("accepted", "left out")
    assert told[flipper] == ("refused (standing)", "sealed")


# In what the chain says, or in the store.


def test_a_changed_document_of_scores(audited: Audited, copy: Store) -> None:
    """Sealed with it: the digest is on chain, and the flipper stands better than it does."""
    flipper = audited.name(FLIPPER)
    document = json.loads(copy.get(scores_of(audited.resolved, 3)))
    document["standings"][flipper] = 0.5
    blob = digests.canonical_json(document)
    digest = digests.scores_digest(audited.made.coordinator.party.context(3), blob)
    copy.put(digest, blob)
    failed, skipped = outcome(planted(audited.resolved, 3, scores_digest=digest), copy)
    assert failed == {(claims.SCORES, 3, flipper)}
    assert skipped == set()
    # And in the store alone.
    copy.put(scores_of(audited.resolved, 3), blob)
    failed, skipped = outcome(audited.resolved, copy)
    assert failed == {(claims.SCORES_BLOB, 3, "")}
    assert skipped == rests_on_scores(3)


def test_scalars_that_the_key_holder_did_not_sign(audited: Audited, copy: Store) -> None:
    document = json.loads(copy.get(scores_of(audited.resolved, 3)))
    document["scalars"]["opened"][audited.name(VICTIM)][0] = 10**4000  # too large for a float
    blob = digests.canonical_json(document)
    digest = digests.scores_digest(audited.made.coordinator.party.context(3), blob)
    copy.put(digest, blob)
    found = check(planted(audited.resolved, 3, scores_digest=digest), copy)
    assert having(found, Status.FAIL) == {(claims.SCORES, 3, "")}
    [told] = [one for one in found if one.status is Status.FAIL]
    assert "not by the key holder" in told.found


def test_another_root_set(audited: Audited, copy: Store) -> None:
    place = digests.root_set_blob_digest(COMMITTED)
    copy.put(place, root_set_to_blob(ROOT_X, 1 - ROOT_Y))
    failed, skipped = outcome(audited.resolved, copy)
    assert failed == {(claims.ROOT_SET, None, "")}
    assert skipped == rests_on_scores(1, 2, 3, windows=(1, 2))
    (Path(copy.url) / place.hex()).unlink()
    found = check(audited.resolved, copy)
    assert having(found, Status.MISSING) == {(claims.ROOT_SET, None, "")}
    assert having(found, Status.FAIL) == set()


def test_a_missing_anchor_is_said_to_be_missing(audited: Audited, copy: Store) -> None:
    document = json.loads(copy.get(scores_of(audited.resolved, 3)))
    (Path(copy.url) / document["anchor"]).unlink()
    found = check(audited.resolved, copy)
    [told] = [one for one in found if one.status is Status.MISSING]
    assert (told.name, told.round) == (claims.SCORES, 3)
    assert told.found.startswith("missing: ")


def test_another_list_and_another_draw(audited: Audited) -> None:
    store, history = audited.made.store, audited.resolved
    round_ = history.round(3)
    assert round_ is not None
    assert round_.judging is not None
    fewer = planted(history, 3, indices=round_.judging.indices[1:])
    assert (claims.COMMITTED, 3, "") in outcome(fewer, store)[0]
    assert round_.judging.prev_randao is not None
    flipped = bytes([round_.judging.prev_randao[0] ^ 1, *round_.judging.prev_randao[1:]])
    drawn = outcome(planted(history, 3, prev_randao=flipped), store)
    assert drawn == ({(claims.DRAW, 3, "")}, set())
    gone = check(planted(history, 3, prev_randao=None), store)
    assert having(gone, Status.FAIL) == set()
    [told] = [one for one in gone if one.status is Status.SKIPPED]
    assert told.name == claims.DRAW
    assert f"no block {round_.judging.draw_block} any more" in told.found


def test_an_outcome_that_is_not_the_documents(audited: Audited) -> None:
    """And the quorum did not sign it."""
    verdict = posted(audited.resolved, 2)
    words = (sum(1 << index for index in verdict.agreed[1:]),)
    changed = with_verdict(
        audited.resolved,
        2,
        agreed=verdict.agreed[1:],
        agreed_words=words,
        points=verdict.points[1:],
    )
    assert outcome(changed, audited.made.store)[0] == {
        (claims.OUTCOME, 2, audited.name(verdict.agreed[0])),
        (claims.VERDICT_QUORUM, 2, ""),
    }
    points = (verdict.points[0] + 1, *verdict.points[1:])
    assert outcome(with_verdict(audited.resolved, 2, points=points), audited.made.store)[0] == {
        (claims.OUTCOME, 2, audited.name(verdict.agreed[0])),
        (claims.VERDICT_QUORUM, 2, ""),
    }


def test_a_verdict_by_less_movement_than_there_was(audited: Audited, copy: Store) -> None:
    early = audited.early
    copy.put(early.digest, early.blob)
    changed = with_verdict(audited.resolved, 2, scores_digest=early.digest)
    found = check(changed, copy)
    [told] = [one for one in found if one.name == claims.VERDICT and not one.passed]
    assert (told.expected, told.found) == ("movement up to round 3", "movement up to round 2")


def test_who_signed_a_verdict(audited: Audited) -> None:
    store, verdict = audited.made.store, posted(audited.resolved, 2)
    assert verdict.signers is not None
    assert verdict.signature is not None
    for changes in (
        {"signers": verdict.signers[1:]},
        {"signers": verdict.signers[:1]},
        {"signers": (*verdict.signers, FLIPPER)},
        {"signature": bytes([*verdict.signature[:-1], verdict.signature[-1] ^ 1])},
        {"attempt": 1},
    ):
        failed, _ = outcome(with_verdict(audited.resolved, 2, **changes), store)
        assert failed == {(claims.VERDICT_QUORUM, 2, "")}, changes
    hidden = with_verdict(audited.resolved, 2, signers=None, signature=None)
    assert outcome(hidden, store) == (set(), {(claims.VERDICT_QUORUM, 2, "")})


def test_a_verdict_whose_document_is_none(audited: Audited, copy: Store) -> None:
    digest = posted(audited.resolved, 2).scores_digest
    (Path(copy.url) / digest.hex()).unlink()
    found = check(audited.resolved, copy)
    assert having(found, Status.FAIL) == set()
    assert having(found, Status.MISSING) == {(claims.VERDICT_BLOB, 2, "")}
    assert having(found, Status.SKIPPED) == rests_on_scores(windows=(2,))
    context = audited.made.coordinator.party.context(2)
    for document in ([], {"format": "ddcai-window-1"}, "none"):
        digest = stored_window(copy, context, document)
        failed, _ = outcome(with_verdict(audited.resolved, 2, scores_digest=digest), copy)
        assert (claims.VERDICT, 2, "") in failed, document


def test_a_configuration_that_cannot_be_used_skips_what_rests_on_it(audited: Audited) -> None:
    blobs = Blobs(audited.made.store)
    rounds = JudgedRounds(audited.resolved, blobs, None)
    assert list(rounds.check_root_set()) == []
    first = audited.resolved.rounds[0]
    assert first.judging is not None
    found = list(rounds.check_scores(first, first.judging))
    assert having(found, Status.FAIL) == set()
    assert having(found, Status.SKIPPED) == rests_on_scores(1)


# Rows.


def test_scores_say_who_was_refused_and_why(audited: Audited, copy: Store) -> None:
    queries = AssessmentQueries(audited.sealed)
    rows = queries.scores(copy)
    assert [(row.round, row.account) for row in rows] == [
        (number, audited.name(index)) for number in (1, 2, 3, 4) for index in range(4)
    ]
    for row in rows:
        flips = row.account == audited.name(FLIPPER)
        assert row.accepted is (not flips)
        assert row.reason == ("standing" if flips else None)
        assert row.size is not None
        assert row.standing is not None
        assert 0 < row.size < 1
        assert (row.standing < 0) is flips
        assert row.standing == row.anchor  # the past has no weight here
        # The chain has another list in round 4.
        assert row.sealed is ((not flips) if row.round < 4 else row.account != audited.name(VICTIM))
    assert queries.scores(copy, 2) == rows[4:8]
    with pytest.raises(ConfigurationError, match="no round 9"):
        queries.scores(copy, 9)
    (Path(copy.url) / scores_of(audited.sealed, 2).hex()).unlink()
    copy.put(scores_of(audited.sealed, 3), b"{}")
    again = queries.scores(copy)
    assert [row.reason for row in again[4:12]] == ["missing"] * 4 + ["unusable"] * 4
    assert {row.accepted for row in again[4:12]} == {None}
    assert again[:4] == rows[:4]


def test_a_document_of_another_form_is_unusable(audited: Audited, copy: Store) -> None:
    context = audited.made.coordinator.party.context(3)
    for document in ([], {}, {"accepted": [], "scores": [], "standings": {}}):
        blob = digests.canonical_json(document)
        digest = digests.scores_digest(context, blob)
        copy.put(digest, blob)
        changed = planted(audited.resolved, 3, scores_digest=digest)
        rows = AssessmentQueries(changed).scores(copy, 3)
        assert {row.reason for row in rows} == {"unusable"}
        digest = stored_window(copy, audited.made.coordinator.party.context(2), document)
        found = AssessmentQueries(with_verdict(audited.resolved, 2, scores_digest=digest))
        assert {row.judged for row in found.verdicts(copy, 2)} == {None}


def test_verdicts_say_whose_deposits_come_back_and_why(audited: Audited) -> None:
    store, victim, flipper = audited.made.store, audited.name(VICTIM), audited.name(FLIPPER)
    rows = AssessmentQueries(audited.resolved).verdicts(store)
    assert [(row.window, row.account) for row in rows] == [
        (number, address) for number in (1, 2, 3) for address in audited.made.addresses
    ]
    for row in rows[:8]:
        assert row.agreed is (row.account != flipper)
        assert (row.points > 0) is row.agreed
        assert ("movement" in row.failed) is (not row.agreed)
        assert row.movement is not None
        assert (row.updates, row.judged) == (1, 1)
        assert row.state == "standing"
        assert row.disputed is ((row.window, row.account) == (1, victim))
        assert row.dispute_until is not None
    assert {(row.state, row.agreed, row.dispute_until, row.judged) for row in rows[8:]} == {
        ("full", None, None, None)
    }
    [false] = [
        row
        for row in AssessmentQueries(audited.collusion).verdicts(store, 1)
        if row.account == victim
    ]
    assert (false.state, false.agreed, false.failed) == ("judged", False, ())
    with pytest.raises(ConfigurationError, match="no window 4"):
        AssessmentQueries(audited.resolved).verdicts(store, 4)


def test_a_federation_without_an_assessment_has_no_such_rows(audited: Audited) -> None:
    with pytest.raises(ConfigurationError, match="not judged"):
        AssessmentQueries(dataclasses.replace(audited.resolved, assessment=None))
