"""A claim's name is part of the interface; its status says what was shown."""

from __future__ import annotations

from ddcai.audit import claims
from ddcai.audit.claims import Status, all_hold, compare, judged, missing, skipped, verdict


def test_names_are_stable() -> None:
    assert claims.NAMES == (
        "configuration matches its digest",
        "encryption key matches its digest",
        "initial model matches its digest",
        "registered keys prove possession",
        "rounds form one chain",
        "updates match their digests",
        "sum equals the sealed updates",
        "sum matches its digest",
        "opened sum matches its digest",
        "key holder signed the opened sum",
        "model follows from base and opened sum",
        "model blob matches its digest",
        "quorum signed the result",
        "head on chain equals the model's last layer",
        "head makes releases by the configuration",
        "money is conserved",
        "contract holds what it owes",
    )


def test_compare_passes_equal_values_only() -> None:
    good = compare(claims.SUM, "0x12", "0x12", round_=3)
    assert (good.status, good.passed, good.round) == (Status.PASS, True, 3)
    bad = compare(claims.SUM, "0x12", "0x13", subject="0x1")
    assert (bad.status, bad.passed, bad.subject) == (Status.FAIL, False, "0x1")


def test_a_skipped_claim_neither_passes_nor_fails() -> None:
    claim = skipped(claims.SUM, "0x12", "an update is missing")
    assert not claim.passed
    assert claim.found == "not checked: an update is missing"
    assert all_hold([claim, judged(claims.MONEY, True, "1", "1")])
    assert not all_hold([claim, judged(claims.MONEY, False, "1", "2")])


def test_a_missing_blob_is_neither_shown_nor_refuted() -> None:
    own = missing(claims.SUM_BLOB, "0x12", round_=2)
    assert (own.status, own.found, own.passed) == (Status.MISSING, "missing", False)
    assert missing(claims.SCORES, "0x12", what="the anchor").found == "missing: the anchor"
    assert not all_hold([own])


def test_an_audit_comes_to_the_worst_that_was_found() -> None:
    assert verdict([]) is Status.PASS
    assert verdict([Status.PASS, Status.SKIPPED]) is Status.PASS
    assert verdict([Status.MISSING, Status.PASS, Status.SKIPPED]) is Status.MISSING
    assert verdict([Status.MISSING, Status.FAIL, Status.PASS]) is Status.FAIL
