from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.scores import on_grid
from ddcai.assessment.window import RoundRecord, WindowScores, judge, level, shares_wei
from ddcai.errors import ConfigurationError

RULE = Assessment()
ETHER = 10**18
grid = st.integers(-65536, 65536).map(lambda value: value / 65536)


def scores(size=0.5, anchor=0.5, movement=0.4, replay=0.3):
    return WindowScores(
        size=on_grid(size),
        anchor=on_grid(anchor),
        movement=on_grid(movement),
        replay=on_grid(replay),
    )


def judged(odd, others=4, noisy_windows=0, anchor_judges=True, usual=None):
    cohort = {f"h{i}": usual or scores() for i in range(others)} | {"odd": odd}
    return judge(
        cohort,
        dict.fromkeys(cohort, ETHER),
        anchor_judges=anchor_judges,
        noisy_windows=noisy_windows,
        config=RULE,
    )


@pytest.mark.parametrize(
    ("odd", "failed"),
    [
        (scores(), ()),
        (scores(size=1), ()),
        (scores(size=1.001), ("size",)),
        (scores(replay=0.849), ()),
        (scores(replay=0.851), ("replay",)),
        (scores(movement=0.061), ()),
        (scores(movement=0.059), ("movement",)),
        (scores(movement=0.199, anchor=0.126), ()),
        (scores(movement=0.199, anchor=0.124), ("anchor",)),
        (scores(movement=0.201, anchor=0.001), ()),
        (
            scores(size=2, replay=2, movement=-1, anchor=-1),
            ("size", "replay", "movement", "anchor"),
        ),
    ],
)
def test_each_bound_is_where_the_rule_has_it(odd, failed):
    verdict = judged(odd).by_contributor["odd"]
    assert verdict.failed == failed
    assert verdict.refund is (not failed)
    assert (verdict.points_wei > 0) is (not failed)


def test_movement_acquits_of_the_anchor_only_where_it_is_reliable():
    odd = scores(movement=0.9, anchor=-0.5)
    assert judged(odd).by_contributor["odd"].refund
    noisy = judged(odd, usual=scores(movement=0.03)).by_contributor["odd"]
    assert noisy.failed == ("anchor",)


def test_a_small_root_set_judges_nobody_and_still_gives_points():
    verdicts = judged(scores(anchor=-0.5), anchor_judges=False)
    assert verdicts.anchor is None
    assert verdicts.by_contributor["odd"].refund
    assert verdicts.by_contributor["odd"].points_wei == 0
    assert verdicts.by_contributor["h0"].points_wei == ETHER // 2


def test_replay_that_all_do_is_no_replay():
    verdicts = judged(scores(replay=1.09), usual=scores(replay=0.9))
    assert verdicts.by_contributor["odd"].refund
    assert not judged(scores(replay=1.11), usual=scores(replay=0.9)).by_contributor["odd"].refund


@pytest.mark.parametrize(
    ("movement", "before", "noisy", "slashes"),
    [(0.041, 2, 0, True), (0.03, 0, 1, True), (0.03, 1, 2, True), (0.03, 2, 3, False)],
)
def test_after_two_noisy_windows_nothing_is_forfeited(movement, before, noisy, slashes):
    odd = scores(movement=-0.5)
    verdicts = judged(odd, noisy_windows=before, usual=scores(movement=movement))
    verdict = verdicts.by_contributor["odd"]
    assert (verdicts.noisy_windows, verdicts.slashes) == (noisy, slashes)
    assert verdict.failed == ("movement",)
    assert verdict.refund is (not slashes)
    assert verdict.points_wei == 0
    assert (verdicts.by_contributor["h0"].points_wei > 0) is (noisy == 0)


@pytest.mark.parametrize(
    ("values", "median", "spread", "least"),
    [
        ([0.4] * 5, 0.4, 0.007, 0.1),
        ([0.01] * 5, 0.01, 0.007, -0.04),
        ([-0.03] * 5, -0.03, 0.007, -0.051),
        ([-1, -1, 0.0, 0.02, 0.04], 0.0, 0.02 / 0.6745, -0.06 / 0.6745),
        ([0.03], 0.03, 0.007, -0.04),
        ([], 0.0, 0.007, -0.04),
    ],
)
def test_levels(values, median, spread, least):
    found = level(values, share=0.25, reliable=0.04, floor=-0.04, spreads=3, spread_floor=0.007)
    assert (found.median, found.spread) == (pytest.approx(median), pytest.approx(spread))
    assert found.least == pytest.approx(least)


def test_nobody_has_no_verdict_and_one_alone_passes():
    empty = judge({}, {}, anchor_judges=True, noisy_windows=0, config=RULE)
    assert empty.by_contributor == {}
    assert empty.to_bytes() == b"\x01"
    alone = judge(
        {"a": scores(movement=-0.9, anchor=-0.9)},
        {"a": 5},
        anchor_judges=True,
        noisy_windows=0,
        config=RULE,
    )
    assert alone.by_contributor["a"].refund
    assert alone.by_contributor["a"].points_wei == 0


def test_means_are_over_rounds():
    records = [RoundRecord(size=0.5, anchor=a / 4, movement=-a / 4, replay=0.25) for a in (1, 2, 3)]
    found = WindowScores.of(records)
    assert found == scores(size=0.5, anchor=0.5, movement=-0.5, replay=0.25)


records = st.lists(
    st.builds(RoundRecord, size=grid.map(abs), anchor=grid, movement=grid, replay=grid.map(abs)),
    min_size=1,
    max_size=6,
)


@given(st.lists(records, min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_no_order_changes_a_bit(windows, random):
    cohort = {f"0x{i:040x}": WindowScores.of(rounds) for i, rounds in enumerate(windows)}
    shuffled = {}
    for name in random.sample(sorted(cohort), len(cohort)):
        rounds = windows[int(name, 16)]
        shuffled[name] = WindowScores.of(random.sample(rounds, len(rounds)))
    results = [
        judge(
            one,
            dict.fromkeys(one, ETHER + 1),
            anchor_judges=True,
            noisy_windows=1,
            config=RULE,
        )
        for one in (cohort, shuffled)
    ]
    assert results[0].to_bytes() == results[1].to_bytes()
    assert results[0].digest() == results[1].digest()


# Computed with ddcai 0.1.0: what this program must print on any machine.
VERDICTS = "934f120d24ec9b5e430d4c5bd463f6675ccdd1b8e1fa805aa0f29da157586c0f"
PROGRAM = """
import numpy as np
from ddcai.assessment import derivation
from ddcai.assessment.configuration import Assessment
from ddcai.assessment.gate import GateState, pass_gate
from ddcai.assessment.scores import Frame, inner_products, movement_score
from ddcai.assessment.window import RoundRecord, WindowScores, judge

rule, state, records = Assessment(block=500), GateState(), {}
rng = np.random.Generator(np.random.PCG64(5))
models = [np.zeros(2000, np.float32)]
for _ in range(6):
    models.append((models[-1] + rng.integers(-99, 99, 2000) / 1000).astype(np.float32))
for number in range(4):
    seed = bytes([number]) * 32
    block = derivation.draw_block(seed, 2000, rule.block)
    frame = Frame(
        projections=derivation.draw_projections(seed, rule.projections, block.size),
        anchor=derivation.movement_signs(models[0], models[number + 1], block),
        replay=derivation.past_movements(models[: number + 1], block, count=3, limit=15),
        dimension=2000,
    )
    toward = np.sign(models[number + 2] - models[number]).astype(int)
    updates = rng.integers(-900, 900, (7, 2000)) + 300 * toward
    products = inner_products(frame.vectors, updates[:, block]).tolist()
    later = derivation.movement_signs(models[number], models[number + 2], block)
    moved = inner_products(later[None], updates[:, block])[:, 0].tolist()
    scores = {f"c{i}": frame.scores(frame.opened(row)) for i, row in enumerate(products)}
    gate = pass_gate(scores, state, clip=1e5, config=rule)
    state = gate.state
    for i, (name, one) in enumerate(scores.items()):
        found = movement_score(moved[i], one.squared_length, later)
        records.setdefault(name, []).append(
            RoundRecord(size=gate.sizes[name], anchor=one.anchor, movement=found, replay=one.replay)
        )
verdicts = judge(
    {name: WindowScores.of(rounds) for name, rounds in records.items()},
    dict.fromkeys(records, 10**18), anchor_judges=True, noisy_windows=0, config=rule,
)
print(verdicts.digest().hex())
"""


def test_another_process_reaches_the_same_verdicts():
    # The second with other vector units, and another order of sets.
    digests = set()
    for level_ in ("", "AVX2 FMA3 AVX512F AVX512_SKX"):
        environment = os.environ | {"PYTHONHASHSEED": str(len(level_))}
        if level_:
            environment["NPY_DISABLE_CPU_FEATURES"] = level_
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout.strip())
    assert digests == {VERDICTS}


def test_the_bytes_hold_every_field():
    base = judged(scores())
    seen = {base.to_bytes()}
    for name in ("size", "anchor", "movement", "replay"):
        changed = dataclasses.replace(scores(), **{name: getattr(scores(), name) + 1 / 65536})
        seen.add(judged(changed).to_bytes())
    seen.add(judged(scores(size=2)).to_bytes())
    seen.add(judged(scores(), others=5).to_bytes())
    assert len(seen) == 7
    assert len(hashlib.sha256(base.to_bytes()).digest()) == 32


@given(st.lists(st.integers(0, 65536), min_size=1, max_size=8), st.integers(0, 10**30))
def test_a_pool_is_shared_by_points_and_never_more_than_it_is(anchors, pool):
    cohort = {f"c{i}": scores(anchor=value / 65536) for i, value in enumerate(anchors)}
    verdicts = judge(
        cohort, dict.fromkeys(cohort, ETHER), anchor_judges=False, noisy_windows=0, config=RULE
    )
    shares = shares_wei(verdicts, pool)
    assert 0 <= sum(shares.values()) <= pool
    total = sum(one.points_wei for one in verdicts.by_contributor.values())
    if total:
        assert pool - sum(shares.values()) < len(cohort)
    for name, one in verdicts.by_contributor.items():
        assert one.points_wei == ETHER * anchors[int(name[1:])] // 65536


@given(st.integers(1, 65536), st.integers(1, 10**20), st.integers(1, 10**20))
def test_splitting_an_identity_gains_nothing(anchor, one, other):
    earned = {}
    for deposits in ({"a": one + other}, {"a": one, "b": other}):
        cohort = {name: scores(anchor=anchor / 65536) for name in deposits}
        verdicts = judge(cohort, deposits, anchor_judges=True, noisy_windows=0, config=RULE)
        earned[len(deposits)] = sum(v.points_wei for v in verdicts.by_contributor.values())
    assert earned[2] <= earned[1] <= earned[2] + 1


def test_bad_input_is_refused():
    with pytest.raises(ConfigurationError, match="a has scores or a deposit"):
        judge({"a": scores()}, {}, anchor_judges=True, noisy_windows=0, config=RULE)
    with pytest.raises(ConfigurationError, match="-1 wei"):
        judge({"a": scores()}, {"a": -1}, anchor_judges=True, noisy_windows=0, config=RULE)
    with pytest.raises(ConfigurationError, match="no rounds"):
        WindowScores.of([])
    with pytest.raises(ConfigurationError, match="multiples"):
        WindowScores.of([RoundRecord(size=0.1, anchor=0, movement=0, replay=0)])
    with pytest.raises(ConfigurationError, match="pool is -1"):
        shares_wei(judged(scores()), -1)
