"""Windows of judged rounds, with real ciphertexts, contracts and keys: verdicts and their money."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ddcai import digests
from ddcai.chain.assessment import Assessment, WindowState
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundState, WindowRules, bitmap
from ddcai.errors import (
    AttestationRefused,
    ContractReverted,
    MalformedError,
    NotSealed,
    ScalarBudget,
    VerificationError,
)
from ddcai.rounds.keyholder import Opener
from ddcai.rounds.verdicts import WindowJudge
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG, judged_round, post_against, verdicts_of

RULE = CONFIG.assessment
assert RULE is not None
BRIEF = dataclasses.replace(
    CONFIG, assessment=dataclasses.replace(RULE, movement_lag=1, window=2, decay=0.0)
)
WINDOWS = WindowRules(window_rounds=2, dispute_period_s=600, resolve_period_s=600, bond_wei=10**15)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    """Five contributors, five rounds in windows of two; the last contributor flips labels."""
    folder = tmp_path_factory.mktemp("windows")
    with make_federation(folder, 5, config=BRIEF, windows=WINDOWS) as federation:
        for _ in range(5):
            judged_round(federation, flippers=(4,))
        yield federation


def _assessment(made: SmallFederation) -> Assessment:
    return made.contract.assessment()


def test_a_window_takes_the_flippers_deposits_and_gives_them_to_the_others(
    made: SmallFederation,
) -> None:
    judge = WindowJudge(made.coordinator.party)
    window = judge.assessment.window(1)
    assert (window.state, window.rounds) == (WindowState.FULL, (1, 2))
    assert judge.until(window) == (3, True)
    assert judge.judged_rounds(window, 3) == (1, 2)
    assert judge.judged_rounds(window, 2) == (1,)

    # What was opened is what the updates are: by the plain twin.
    scalars = made.opener.open_movement(2)
    assert made.opener.open_movement(2) == scalars
    record = made.contract.round(2)
    direction = judge.direction(record)
    secret = made.opener._scalars._secret  # the test alone decrypts single updates
    assert record.commitment is not None
    for item in record.commitment.committed:
        values = secret.decrypt(made.store.get(item.digest))
        expected = int(direction.signs.astype(np.int64) @ values[direction.positions])
        assert scalars.by_contributor[item.address] == (expected,)
    with pytest.raises(NotSealed, match="not there yet"):
        made.opener.open_movement(5)

    verdicts = verdicts_of(made, 1)
    bad = verdicts.by_contributor[made.addresses[4]]
    assert (bad.refund, bad.points, bad.judged, bad.updates) == (False, 0, 2, 2)
    assert verdicts.agreed == (0, 1, 2, 3)
    assert all(points > 0 for points in verdicts.points)
    # Everybody comes to the same bytes, and the contract to the same message.
    for one in made.contributors:
        again = WindowJudge(one.party).check(window, verdicts.digest)
        assert again == verdicts
    agreed = bitmap(verdicts.agreed)
    assert verdicts.message(made.coordinator.party, 0) == judge.assessment.verdict_message(
        1, 0, verdicts.digest, agreed, verdicts.points
    )

    signers = [item for item in record.sealed if item.index != 4]
    signatures = {
        item.index: made.contributors[item.index].attest_verdict(1, verdicts.digest)
        for item in signers
    }
    for item in signers:
        made.coordinator.check_verdict_signature(verdicts, item, signatures[item.index])
    made.coordinator.post_verdict(verdicts, signatures)
    assert judge.assessment.window(1).state is WindowState.JUDGED
    assert judge.assessment.window(1).scores_digest == verdicts.digest
    with pytest.raises(AttestationRefused, match="JUDGED"):
        made.contributors[0].attest_verdict(1, verdicts.digest)

    made.pass_time(WINDOWS.dispute_period_s + 1)
    deposit = made.contract.rules().deposit_wei
    points = sum(verdicts.points)
    for index, own in zip(verdicts.agreed, verdicts.points, strict=True):
        assert judge.assessment.claimable(1, made.addresses[index]) == (
            2 * deposit,
            2 * deposit * own // points,
        )
    assert judge.assessment.claimable(1, made.addresses[4]) == (0, 0)
    before = made.contract.balance(made.contract.rules().assessment)
    for index in verdicts.agreed:
        made.contributors[index].party.federation.assessment().claim([1])
    made.coordinator.settle_bonds()
    left = made.contract.balance(made.contract.rules().assessment)
    paid = 8 * deposit + sum(2 * deposit * own // points for own in verdicts.points)
    assert before - left == paid + WINDOWS.bond_wei


def test_what_is_not_so_is_not_signed_and_a_dispute_needs_no_coordinator(
    made: SmallFederation,
) -> None:
    _refuse_lies(made)
    _win_a_dispute(made)


def _refuse_lies(made: SmallFederation) -> None:
    """Verdicts that the scalars do not lead to, scalars that nobody opened, an early look."""
    judge = WindowJudge(made.coordinator.party)
    window = judge.assessment.window(2)
    assert window.rounds == (3, 4)
    honest = verdicts_of(made, 2)
    context = made.coordinator.party.context(4)

    def planted(document: object) -> bytes:
        blob = digests.canonical_json(document)
        digest = digests.window_digest(context, blob)
        made.store.put(digest, blob)
        return digest

    name, other = made.addresses[0], made.addresses[4]
    lies = []
    content = json.loads(honest.blob)
    content["verdicts"][other]["refund"] = True
    lies.append((content, "do not lead to the verdicts"))
    content = json.loads(honest.blob)
    content["movement"]["3"]["opened"][name][0] += 1
    lies.append((content, "signed by"))
    content = json.loads(honest.blob)
    del content["movement"]["3"]
    lies.append((content, "is judged by rounds"))
    content = json.loads(honest.blob)
    gate = judge._judge.check(made.contract.round(3)).scalars
    content["movement"]["3"] = gate.to_json()  # the key holder's, for another purpose
    lies.append((content, "signed by"))
    content = json.loads(honest.blob)
    content["window"] = 1
    lies.append((content, "none of window 2"))
    content = json.loads(honest.blob)
    content["movement"]["3"]["opened"][name][0] = 0.5
    lies.append((content, "no opened scalars"))
    for content, why in lies:
        with pytest.raises(AttestationRefused, match=why):
            made.contributors[1].attest_verdict(2, planted(content))

    early = made.coordinator.judge_window(window, 4, {3: made.opener.open_movement(3)})
    with pytest.raises(AttestationRefused, match="but round 5 is there"):
        made.contributors[1].attest_verdict(2, early.digest)
    with pytest.raises(MalformedError):
        judge.check(window, planted([]))


def _win_a_dispute(made: SmallFederation) -> None:
    """A quorum of four takes the deposits of an honest member; the fifth disputes, and wins."""
    judge = WindowJudge(made.coordinator.party)
    window = judge.assessment.window(2)
    honest = post_against(made, 2, 0)
    posted = judge.assessment.verdicts(2, [one.index for one in honest.by_contributor.values()])
    assert posted[0].agreed is False
    with pytest.raises(AttestationRefused, match="JUDGED"):
        made.contributors[1].attest_resolution(2)
    own = made.contributors[0].party.federation.assessment()
    own.dispute(2)
    made.pass_time(WINDOWS.dispute_period_s + 1)
    signatures = {}
    signers = [item.index for item in made.contract.round(window.rounds[-1]).sealed]
    for index in signers:
        verdicts, signatures[index] = made.contributors[index].attest_resolution(2)
        assert verdicts.agreed == honest.agreed
    false_agreed = verdicts.agreed[1:]
    with pytest.raises(ContractReverted, match="InvalidVerdictSignature"):
        own.resolve(
            2,
            false_agreed,
            verdicts.points[1:],
            verdicts.digest,
            sorted(signatures),
            made.contributors[0].party.scheme.combine(signatures),
        )
    own.resolve(
        2,
        verdicts.agreed,
        verdicts.points,
        verdicts.digest,
        sorted(signatures),
        made.contributors[0].party.scheme.combine(signatures),
    )
    assert judge.assessment.window(2).state is WindowState.STANDING
    assert own.owed_wei(made.addresses[0]) == 2 * WINDOWS.bond_wei
    assert judge.assessment.claimable(2, made.addresses[0])[0] == 2 * 10**16
    made.contributors[0].settle()
    assert own.owed_wei(made.addresses[0]) == 0


def test_movement_counts_against_the_same_budget(made: SmallFederation) -> None:
    folder = made.opener._movement._rules._journal.folder.parent
    spent = made.opener._scalars._rules._journal.scalars_in_all(made.coordinator.party.context(1))
    opener = Opener(made.opener.party, made.opener._scalars._secret, folder, scalar_budget=spent)
    with pytest.raises(ScalarBudget, match="were opened before"):
        opener.open_movement(4)


def test_a_chain_without_windows_has_none(made: SmallFederation) -> None:
    found = Assessment(connect(made.url), made.contract.rules().assessment)
    assert found.window(99).state is WindowState.NONE
    assert found.rules() == WINDOWS
    with pytest.raises(VerificationError, match="is judged by rounds"):
        WindowJudge(made.coordinator.party).verdicts(
            found.window(1), 3, {1: made.opener.open_movement(1)}
        )


class Rounds:
    """A federation of which some rounds are finalised, and the others are not.

    Attributes:
        read: how many rounds were asked for.
    """

    def __init__(self, finalised: Sequence[int], last: int) -> None:
        self._finalised, self._last, self.read = frozenset(finalised), last, 0

    def assessment(self) -> None:
        return None

    def last_round(self) -> int:
        return self._last

    def round(self, number: int) -> SimpleNamespace:
        self.read += 1
        finalised = number in self._finalised
        return SimpleNamespace(state=RoundState.FINALIZED if finalised else RoundState.CANCELLED)


@pytest.mark.parametrize("lag", [1, 2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_movement_is_looked_at_in_the_finalised_rounds_that_follow(lag: int, seed: int) -> None:
    """Against a list of all of them; and few rounds are read, of however many there are."""
    last = 200
    drawn = np.random.default_rng(seed).random(last) < 0.5
    finalised = [int(one) + 1 for one in np.flatnonzero(drawn)]
    rounds = Rounds(finalised, last)
    config = SimpleNamespace(movement_lag=lag)
    party, of_rounds = SimpleNamespace(federation=rounds), SimpleNamespace(config=config)
    judge = WindowJudge(cast(Any, party), cast(Any, of_rounds))
    for first in (0, 7, len(finalised) - 3, len(finalised) - 2):
        window = cast(Any, SimpleNamespace(rounds=tuple(finalised[first : first + 2])))
        wanted = finalised.index(window.rounds[-1]) + lag
        until = finalised[min(wanted, len(finalised) - 1)]
        rounds.read = 0
        assert judge.until(window) == (until, wanted < len(finalised))
        assert rounds.read < 40
        for seen in (one for one in finalised if one >= window.rounds[-1]):
            judged = [
                one for one in window.rounds if finalised.index(one) + lag <= finalised.index(seen)
            ]
            assert judge.judged_rounds(window, seen) == tuple(judged)
