"""A few rounds of the soak; `make soak` runs hundreds."""

from __future__ import annotations

import pytest

from tests.soak.run import soak


@pytest.mark.slow
def test_some_rounds_with_random_faults() -> None:
    """Whatever became of the rounds, the audit is clean and nobody's money is left behind."""
    report = soak(4, 15, 20261130, disks=False)
    assert report["unexpected"] == []
    assert report["failed_claims"] == []
    assert report["audit_exit_code"] == 0
    assert report["left_with_the_contract_wei"] == 0
    assert sum(report["faults"].values()) > 0
    assert report["rounds"].keys() <= {"finalized", "cancelled"}
