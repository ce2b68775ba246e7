"""Judged rounds and a window of the compact scheme, through Flower: 2 of 3 holders open scalars."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ddcai.audit.verify import verify
from ddcai.chain.assessment import WindowState
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundState
from ddcai.configuration import Encryption
from ddcai.encryption.compact import wire
from ddcai.models.anchor import root_set_to_blob
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.judging import Judge
from ddcai.rounds.verdicts import WindowJudge
from tests.audit.node_reading import read_history
from tests.federation import make_federation
from tests.rounds.judged import ROOT_X, ROOT_Y

from .support import Nodes
from .test_judged import BRIEF, WINDOWS, sites

# Windows of a single round, which the next one's movement judges: every party trains on the root
# set at every step, so that rounds are dear here.
CONFIG = dataclasses.replace(
    BRIEF,
    encryption=Encryption(parameter_set="compact-128-3x36", max_contributors=8),
    assessment=dataclasses.replace(BRIEF.assessment, window=1),
)
FLIPPER = 3


def test_a_flipper_is_left_out_and_all_of_it_audits_clean(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path,
        4,
        url=chain_url,
        config=CONFIG,
        windows=dataclasses.replace(WINDOWS, window_rounds=1),
        holders=(2, 3),
    ) as made:
        nodes = Nodes(made, sites(made, (FLIPPER,)))
        coordinator = Coordinator(made.coordinator.party, root_set_to_blob(ROOT_X, ROOT_Y))
        strategy = type(nodes.strategy())(coordinator, join_timeout_s=2.0)
        strategy.start(nodes.grid(), num_rounds=2)

        judge = Judge(made.contributors[0].party)
        honest = set(made.addresses) - {made.addresses[FLIPPER]}
        for number in (1, 2):
            record = made.contract.round(number)
            assert record.state is RoundState.FINALIZED
            assert record.commitment is not None
            assert len(record.commitment.committed) == 4
            assert {item.address for item in record.sealed} == honest
            # Of everybody something was opened: the flipper is judged, not left out as malformed.
            assert all(judge.check(record).scalars.by_contributor.values())
            blobs = [made.store.get(item.digest) for item in record.sealed]
            assert {wire.parse(blob, wire.UPDATE).shape.id for blob in blobs} == {
                "compact-128-3x36"
            }
        window = made.contract.assessment().window(1)
        assert window.state is WindowState.JUDGED
        verdicts = WindowJudge(made.contributors[0].party).check(window, window.scores_digest)
        assert verdicts.agreed == (0, 1, 2)

        history = read_history(connect(made.url), made.deployment.federation)
        claims = list(verify(history, made.store))
        assert any(claim.name == "scores follow from opened scalars" for claim in claims)
        assert [claim for claim in claims if not claim.passed] == []
