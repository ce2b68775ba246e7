"""A privacy budget does not begin again with the next key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ddcai.errors import PrivacyBudgetSpent
from ddcai.rounds.opener import opener_of
from ddcai.rounds.shared_opener import SUM, Asked, SharedOpener
from tests.epochs import rekey
from tests.federation import make_federation
from tests.flower.test_holders import CONFIG as HELD
from tests.rounds.test_privacy import CONFIG, sealed_round, without_budget

TOGETHER = dataclasses.replace(CONFIG, encryption=HELD.encryption)


def test_a_holder_counts_what_it_opened_under_keys_of_before(
    tmp_path: Path, chain_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sums are in the budget, and were opened under the first key. An endpoint that hides
    those rounds gains nothing; it would from a holder without memory."""
    with make_federation(
        tmp_path, url=chain_url, config=TOGETHER, holders=(2, 3), quorum_scheme="ecdsa"
    ) as made:
        for number in (1, 2):
            record = sealed_round(made)
            for one in made.openers:
                one.share(Asked(what=SUM, round=number, responders=(0, 1, 2)))
            made.coordinator.cancel(record)
        rekeyed = rekey(made)
        without_budget(rekeyed.made)
        third = sealed_round(rekeyed.made)
        name, *_ = rekeyed.made.trial.key_holders
        opener = rekeyed.made.openers[rekeyed.number(name)]
        federation, shown = opener.party.federation, opener.party.federation.round
        hidden = dataclasses.replace(shown(1), sealed=(), sum_digest=bytes(32))
        monkeypatch.setattr(federation, "round", lambda n: hidden if n < 3 else shown(n))
        asked = Asked(what=SUM, round=third.number, responders=(0, 1, 2))
        with pytest.raises(PrivacyBudgetSpent, match="opened sum number 3"):
            opener.share(asked)
        forgetful = opener_of(
            rekeyed.made.trial.key_holders[name], opener.party, tmp_path / "no memory"
        )
        assert isinstance(forgetful, SharedOpener)
        forgetful.share(asked)
