"""Noise and its budget through Flower: too many rounds are not begun, by whomever."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcai.errors import PrivacyBudgetSpent
from ddcai.flower import messages
from tests.federation import make_federation
from tests.flower.support import Nodes
from tests.rounds.test_privacy import CONFIG


def test_a_run_of_more_rounds_than_the_budget_has_is_not_begun(
    tmp_path: Path, chain_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with make_federation(tmp_path, url=chain_url, config=CONFIG, quorum_scheme="ecdsa") as made:
        nodes, federation = Nodes(made), made.coordinator.party.federation
        with pytest.raises(PrivacyBudgetSpent, match=r"sum number 3 .*enough for 2"):
            nodes.strategy().start(nodes.grid(), num_rounds=3)
        assert federation.last_round() == 0
        nodes.strategy().start(nodes.grid(), num_rounds=1)
        made.coordinator.open_round()
        update = messages.UpdateReply.from_content(nodes.ask(1, "train").content)
        assert update.metrics == {}
        with pytest.raises(PrivacyBudgetSpent, match=r"sum number 3 .*enough for 2"):
            nodes.strategy().start(nodes.grid(), num_rounds=3)
        nodes.strategy().start(nodes.grid(), num_rounds=2)
        assert federation.round(2).settled

        federation.open_round(3, federation.model_digest())  # a coordinator that keeps no budget
        called = list(nodes.sites[0].called)
        reply = nodes.ask(1, "train")
        assert "enough for 2" in caplog.text
        assert nodes.sites[0].called == called
        assert not reply.content.array_records
