"""Every wei is found, and one that is not is named."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit import claims, money
from ddcai.audit.history import (
    Commitment,
    Finalisation,
    History,
    RoundHistory,
    Sealing,
    Step,
    dues,
    total,
)
from tests.audit.conftest import DEPOSIT_WEI, STAKE_WEI
from tests.audit.test_verify import of, rounds_with
from tests.federation import SmallFederation

STEP = Step(
    by="0x" + "11" * 20, time=datetime(2026, 1, 1, tzinfo=UTC), block_number=1, tx_hash="0x",
    gas_used=1,
)  # fmt: skip


def finished(deposit_wei: int, members: int, sealed: frozenset[int]) -> RoundHistory:
    """A finalised round with a deposit of each member."""
    final = Finalisation(
        model_digest=bytes(32),
        opened_digest=bytes(32),
        head_digest=bytes(32),
        signers=(),
        opening_signature=b"",
        signature=b"",
        step=STEP,
    )
    return RoundHistory(
        number=1,
        base_model_digest=bytes(32),
        submit_deadline=1,
        finalize_deadline=2,
        opened=STEP,
        commitments=tuple(
            Commitment(
                address=f"0x{index:040x}",
                index=index,
                digest=bytes(32),
                deposit_wei=deposit_wei,
                step=STEP,
            )
            for index in range(members)
        ),
        sealing=Sealing(sum_digest=bytes(32), indices=tuple(sorted(sealed)), step=STEP),
        finalisation=final,
    )


@given(st.data(), st.integers(1, 10**18), st.integers(1, 40))
def test_dues_of_a_finalised_round_are_its_deposits(
    data: st.DataObject, deposit_wei: int, members: int
) -> None:
    sealed = data.draw(st.frozensets(st.integers(0, members - 1), min_size=1))
    round_ = finished(deposit_wei, members, sealed)
    due = dues(round_)
    assert sum(own + share for own, share in due.values()) == total(round_.commitments)
    assert {int(address, 16) for address in due} == sealed
    shares = [due[one.address][1] for one in round_.sealed]
    assert shares == sorted(shares, reverse=True)
    assert max(shares) - min(shares) <= 1


def test_dues_of_a_cancelled_round_go_back() -> None:
    round_ = dataclasses.replace(finished(7, 3, frozenset({0})), finalisation=None, cancelled=STEP)
    assert set(dues(round_).values()) == {(7, 0)}
    assert len(dues(round_)) == 3


def test_dues_are_what_the_contract_pays(audited: SmallFederation, history: History) -> None:
    for round_ in history.rounds:
        due = dues(round_)
        for one in round_.commitments:
            own, share = audited.contract.claimable(round_.number, one.address)
            own += sum(p.amount_wei for p in round_.refunds if p.address == one.address)
            share += sum(p.amount_wei for p in round_.takes if p.address == one.address)
            assert (own, share) == due.get(one.address, (0, 0))


def test_the_remainder_of_a_share_goes_to_the_lowest_index(history: History) -> None:
    due = dues(of(history, 2))
    (_, north), (_, east) = due.values()
    assert (north, east) == (DEPOSIT_WEI // 2 + 1, DEPOSIT_WEI // 2)


def test_an_honest_federation_is_conserved_and_solvent(history: History) -> None:
    assert money.check_conserved(history).passed
    solvent = money.check_solvent(history)
    assert solvent.passed
    # Round 2: east's deposit and share; rounds 3 and 4: one and three deposits; three stakes.
    owed = DEPOSIT_WEI + DEPOSIT_WEI // 2 + 4 * DEPOSIT_WEI + 3 * STAKE_WEI
    assert solvent.expected == f"at least {owed} wei"
    assert solvent.found == f"{history.balance_wei} wei"
    assert history.balance_wei == owed


def failed(history: History) -> set[str]:
    found = (money.check_conserved(history), money.check_solvent(history))
    return {claim.name for claim in found if not claim.passed}


def test_a_wei_that_is_gone(history: History) -> None:
    changed = dataclasses.replace(history, balance_wei=history.balance_wei - 1)
    assert failed(changed) == {claims.SOLVENT}


def test_a_gift_of_a_wei_is_no_fault(history: History) -> None:
    assert failed(dataclasses.replace(history, balance_wei=history.balance_wei + 1)) == set()


def test_a_claim_that_the_contract_forgot(history: History) -> None:
    owed = history.claimable_wei - 1
    assert failed(dataclasses.replace(history, claimable_wei=owed)) == {claims.MONEY}


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_refund_of_another_amount(history: History, difference: int) -> None:
    first, *others = of(history, 1).refunds
    false = dataclasses.replace(first, amount_wei=first.amount_wei + difference)
    changed = rounds_with(history, 1, refunds=(false, *others))
    assert claims.MONEY in failed(changed)
    assert "refund" in money.check_conserved(changed).expected


def test_a_refund_paid_twice(history: History) -> None:
    refunds = of(history, 1).refunds
    assert claims.MONEY in failed(rounds_with(history, 1, refunds=(*refunds, refunds[0])))


def test_a_share_for_one_that_forfeited(history: History) -> None:
    round_ = of(history, 2)
    (take,) = round_.takes
    (south,) = [one for one in round_.commitments if one not in round_.sealed]
    false = dataclasses.replace(take, address=south.address)
    assert claims.MONEY in failed(rounds_with(history, 2, takes=(false,)))


def test_another_deposit_than_the_rules_ask(history: History) -> None:
    first, *others = of(history, 4).commitments
    false = dataclasses.replace(first, deposit_wei=first.deposit_wei - 1)
    changed = rounds_with(history, 4, commitments=(false, *others))
    assert claims.MONEY in failed(changed)
    assert first.address in money.check_conserved(changed).expected
