"""`ddcai window`: a dispute against a colluding quorum, won without the coordinator; and claims."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai.chain.assessment import WindowState
from ddcai.chain.records import WindowRules
from ddcai.rounds.verdicts import WindowJudge
from tests.cli.conftest import Answer, Ddcai, as_options, assert_refused
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG, judged_round, post_against, verdicts_of

RULE = CONFIG.assessment
NOISE = 0.00002
assert RULE is not None
BRIEF = dataclasses.replace(
    CONFIG,
    # Updates so large that neither noise nor a draw makes an honest one look bad.
    training=dataclasses.replace(CONFIG.training, learning_rate=0.1),
    assessment=dataclasses.replace(RULE, window=2, movement_lag=1, opening_noise=NOISE),
)
WINDOWS = WindowRules(window_rounds=2, dispute_period_s=600, resolve_period_s=600, bond_wei=10**15)
VICTIM = 0
_SENDS = ("deployment", "rpc-url", "keystore", "password-file")
_COMPUTES = (*_SENDS, "store")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """A quorum has taken an honest contributor's deposits in window 1; window 2 is as it should."""
    folder = tmp_path_factory.mktemp("judged")
    with make_federation(folder, 3, url=chain_url, config=BRIEF, windows=WINDOWS) as made:
        for _ in range(5):
            judged_round(made)
        post_against(made, 1, VICTIM)
        verdicts = verdicts_of(made, 2)
        made.coordinator.post_verdict(
            verdicts,
            {i: one.attest_verdict(2, verdicts.digest) for i, one in enumerate(made.contributors)},
        )
        yield made


def run(ddcai: Ddcai, made: SmallFederation, who: int, name: str, *more: object) -> Answer:
    """A window command of one of the contributors."""
    settings = made.trial.contributors[made.names[who]]
    takes = _COMPUTES if name in ("dispute", "sign", "resolve") else _SENDS
    takes = (*takes, "bls-key") if name == "sign" else takes
    return ddcai("window", name, *more, *as_options(settings, *takes), "--format", "json")


def test_a_dispute_is_won_by_those_who_compute(
    ddcai: Ddcai, judged: SmallFederation, tmp_path: Path
) -> None:
    where = ("--deployment", judged.deployment_path, "--rpc-url", judged.url, "--format", "json")
    first, second, third = ddcai("window", "list", *where).json
    assert (first["state"], first["rounds"], first["updates"]) == ("judged", "1 to 2", 6)
    assert second["points"] > 0
    assert (third["state"], third["rounds"], third["verdict"]) == ("filling", "5 to 5", None)
    out = tmp_path / "early.json"
    assert_refused(run(ddcai, judged, 1, "sign", 1, "--out", out), "JUDGED")
    assert not out.exists()

    answer = run(ddcai, judged, VICTIM, "dispute", 1)
    assert answer.code == 0, answer.stderr
    said = (
        f"window 1: deposits and points are the verdict's of {judged.addresses[VICTIM]}: expected"
    )
    assert said in answer.stderr
    assert "found forfeits" in answer.stderr
    judged.pass_time(WINDOWS.dispute_period_s + 1)
    files = [tmp_path / f"{who}.json" for who in range(3)]
    for who, file in enumerate(files):
        signed = run(ddcai, judged, who, "sign", 1, "--out", file)
        assert signed.code == 0, signed.stderr
        [own] = [row for row in signed.json if row["contributor"] == judged.addresses[VICTIM]]
        assert own["agreed"] is True
    again = run(ddcai, judged, 0, "sign", 1, "--out", files[0])
    assert_refused(again, str(files[0]), "another --out")

    assert_refused(run(ddcai, judged, VICTIM, "resolve", 1, *files[:1]), "1 of 3", "2 are needed")
    altered = tmp_path / "altered.json"
    altered.write_text(files[1].read_text().replace('"member":1', '"member":2'))
    refused = run(ddcai, judged, VICTIM, "resolve", 1, files[0], altered)
    assert_refused(refused, "signature")
    other = json.loads(files[1].read_text()) | {"digest": "00" * 32}
    altered.write_text(json.dumps(other, separators=(",", ":"), sort_keys=True))
    refused = run(ddcai, judged, VICTIM, "resolve", 1, files[0], altered)
    assert_refused(refused, "member 1 signed the verdict 0000", "sign again")
    altered.write_text("[]")
    assert_refused(run(ddcai, judged, VICTIM, "resolve", 1, altered), str(altered), "window sign")

    resolved = run(ddcai, judged, VICTIM, "resolve", 1, *files)
    assert resolved.code == 0, resolved.stderr
    assessment = judged.contract.assessment()
    assert assessment.window(1).state is WindowState.STANDING
    before = judged.contract.balance(judged.addresses[VICTIM])
    assert len(run(ddcai, judged, VICTIM, "claim").json) == 2  # deposits and share; two bonds
    gained = judged.contract.balance(judged.addresses[VICTIM]) - before
    deposit = judged.contract.rules().deposit_wei
    assert 4 * deposit < gained <= 4 * deposit + 2 * WINDOWS.bond_wei  # both windows stand
    assert run(ddcai, judged, VICTIM, "claim").json == []
    assert_refused(run(ddcai, judged, VICTIM, "resolve", 1, *files), "STANDING", "nothing to")


def test_the_audit_s_rows_tell_of_rounds_windows_and_money(
    ddcai: Ddcai, judged: SmallFederation
) -> None:
    where = ("--contract", judged.deployment.federation, "--rpc-url", judged.url)
    blobs = ("--store", judged.trial.coordinator.store)
    listed = ddcai("audit", "windows", *where, "--format", "json").json
    assert [row["number"] for row in listed] == [1, 2, 3]
    assert [row["rounds"] for row in listed] == [[1, 2], [3, 4], [5]]
    members = ddcai("audit", "window", 2, *where, "--format", "json").json
    assert [row["account"] for row in members] == list(judged.addresses)
    assert sum(row["points"] for row in members) == listed[1]["points"] > 0
    rows = ddcai("audit", "scores", *where, *blobs, "--format", "json").json
    assert [row["round"] for row in rows] == [n for n in range(1, 6) for _ in judged.addresses]
    assert {row["reason"] for row in rows} <= {None, "size", "standing"}
    assert len(ddcai("audit", "scores", "--round", 2, *where, *blobs, "--format", "json").json) == 3
    verdicts = ddcai("audit", "verdicts", "--window", 2, *where, *blobs, "--format", "json").json
    assert [row["account"] for row in verdicts] == list(judged.addresses)
    assert all(row["agreed"] and row["dispute_until"].endswith("Z") for row in verdicts)
    *each, everybody = ddcai("audit", "payouts", *where, "--format", "json").json
    assert everybody["account"] == "all"
    assert everybody["deposited_wei"] == sum(row["deposited_wei"] for row in each)
    assert everybody["deposited_wei"] == 5 * 3 * judged.contract.rules().deposit_wei
    for name, words in (("scores", "standing"), ("verdicts", "dispute until"), ("payouts", "ETH")):
        assert words in ddcai("audit", name, *where, *(blobs if name != "payouts" else ())).stdout
    assert_refused(ddcai("audit", "scores", "--round", 9, *where, *blobs), "no round 9")


def test_verdicts_are_of_the_noisy_scalars(judged: SmallFederation) -> None:
    """What was opened is near the updates' own products, and not the same."""
    record = judged.contract.round(1)
    direction = WindowJudge(judged.coordinator.party).direction(record)
    opened = judged.opener.open_movement(1).by_contributor
    assert record.commitment is not None
    apart = []
    for item in record.commitment.committed:
        values = judged.opener._scalars._secret.decrypt(judged.store.get(item.digest))
        exact = int(direction.signs.astype(np.int64) @ values[direction.positions])
        clip = judged.config.aggregation.clip_norm / judged.config.aggregation.value_range
        length = np.linalg.norm(direction.signs.astype(float))
        deviation = NOISE * clip * 2**15 * length  # an update's integers are below 2**15
        apart.append(abs(opened[item.address][0] - exact))
        assert apart[-1] < 8 * deviation
    assert any(apart)


def test_what_would_only_cost_is_refused(ddcai: Ddcai, judged: SmallFederation) -> None:
    def refused(name: str, *more: object) -> str:
        answer = run(ddcai, judged, 1, name, *more)
        assert_refused(answer)
        return answer.stderr

    assert "is what the scalars lead to: a dispute would lose its bond" in refused("dispute", 2)
    assert "window 3 is FILLING: it has no verdict" in refused("dispute", 3)
    assert "window 9 is NONE" in refused("dispute", 9)
    assert "bounty-per-update-wei of this federation is 0" in refused("fund", "--amount-wei", 5)
    assert "ddcai window list" in refused("close", 3)
    assert "window 3 is FILLING" in refused("sweep", 3)
    assert "the sponsor alone" in refused("reclaim")


def test_a_federation_that_does_not_judge_has_no_windows(
    ddcai: Ddcai, federation: SmallFederation
) -> None:
    where = ("--deployment", federation.deployment_path, "--rpc-url", federation.url)
    assert_refused(ddcai("window", "list", *where), "judges no updates")
    assert_refused(run(ddcai, federation, 0, "claim"), "judges no updates")
    assert_refused(ddcai("audit", "payouts", *where), "are not judged")
