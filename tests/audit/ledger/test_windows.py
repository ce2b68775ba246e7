"""Windows as rows of the index, at every stage of a federation whose updates are judged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ddcai.audit.ledger.rows import plain
from ddcai.errors import ConfigurationError
from tests.audit.walking import BOUNTY_WEI, DEPOSIT_WEI, WINDOWS, Walk


def test_a_window_s_row_follows_its_deposits_and_times(walk: Walk) -> None:
    """States, pots and points are compared with the contract's at every stage, in `Walk.see`."""
    [filling] = walk.answers["filling"].windows()
    assert (filling.judged, filling.stands, filling.forfeited_wei) == (None, None, None)
    assert filling.until == filling.last_round + timedelta(seconds=WINDOWS.verdict_period_s)
    assert (filling.verdict_digest, filling.claimable_wei) == (None, 0)
    [judged] = walk.answers["judged"].windows()
    assert judged.judged is not None
    assert judged.until == judged.judged + timedelta(seconds=WINDOWS.dispute_period_s)
    assert judged.stands == judged.until + timedelta(seconds=1)
    assert judged.verdict_digest == "0x" + "11" * 32
    assert judged.poster == walk.made.coordinator.party.address
    pot = DEPOSIT_WEI + 2 * BOUNTY_WEI
    shares = pot * 3 // 7 + pot * 4 // 7
    [standing] = walk.answers["standing"].windows()
    assert (standing.until, standing.stands) == (None, judged.stands)
    assert (standing.deposits_wei, standing.forfeited_wei) == (3 * DEPOSIT_WEI, DEPOSIT_WEI)
    assert (standing.returned_wei, standing.claimable_wei) == (0, 2 * DEPOSIT_WEI + shares)
    [claimed] = walk.answers["claimed"].windows()
    assert (claimed.returned_wei, claimed.taken_wei) == (DEPOSIT_WEI, pot * 3 // 7)
    assert claimed.claimable_wei == DEPOSIT_WEI + pot * 4 // 7
    [swept] = walk.answers["swept"].windows()
    assert (swept.taken_wei, swept.claimable_wei) == (pot, DEPOSIT_WEI)
    disputed = walk.answers["disputed"].windows()[1]
    assert (disputed.state, disputed.disputes, disputed.stands) == ("judged", 3, None)
    resolved = walk.answers["resolved"].windows()[1]
    assert resolved.settled is not None
    assert resolved.stands == resolved.settled
    assert resolved.forfeited_wei == 0
    lapsed = walk.answers["lapsed"].windows()[4]
    assert (lapsed.state, lapsed.judged, lapsed.until) == ("lapsed", None, None)
    assert lapsed.returned_wei + lapsed.claimable_wei == lapsed.deposits_wei


def test_a_window_s_contributors_add_up_to_it(walk: Walk) -> None:
    one, two, three, _ = walk.made.addresses
    for stage, answers in walk.answers.items():
        for row in answers.windows():
            members = answers.window(row.number)
            assert len(members) == row.contributors
            for name in ("updates", "points", "deposits_wei", "returned_wei", "claimable_wei"):
                total = sum(getattr(member, name) for member in members)
                assert total == getattr(row, name), (stage, row.number, name)
    members = {row.account: row for row in walk.answers["fallen"].window(3)}
    assert [(who, row.agreed, row.disputed) for who, row in members.items()] == [
        (one, True, True),
        (two, True, False),
        (three, False, True),
    ]
    assert members[three].forfeited_wei == DEPOSIT_WEI
    # The dispute was closed, and with it the forfeit.
    assert walk.answers["closed"].window(3)[2].forfeited_wei == 0
    with pytest.raises(ConfigurationError, match="windows 1 to 5"):
        walk.answers["reclaimed"].window(6)
    with pytest.raises(ConfigurationError, match="no window yet"):
        walk.answers["committed"].window(1)


def test_all_contributors_have_the_points_and_money_of_windows(walk: Walk) -> None:
    for stage in ("committed", "judged", "claimed", "resolved", "reclaimed"):
        answers = walk.answers[stage]
        for row in answers.contributors():
            report = plain(answers.contributor(row.address))
            assert plain(row) == {name: report[name] for name in plain(row)} | {
                "rounds": len(report["rounds"])
            }
    one, _, three, _ = walk.answers["claimed"].contributors()
    share = (DEPOSIT_WEI + 2 * BOUNTY_WEI) * 3 // 7
    assert (one.points, one.windows_wei, one.net_wei) == (3, DEPOSIT_WEI + share, share)
    # The third forfeits one, and has not taken back that of the cancelled round.
    assert (three.points, three.windows_wei, three.net_wei) == (0, 0, -2 * DEPOSIT_WEI)
    assert (three.held_wei, three.assessed_wei) == (DEPOSIT_WEI, DEPOSIT_WEI)
    assert [row.points for row in walk.answers["reclaimed"].contributors()] == [10, 14, 1, 0]


def test_a_window_is_found_by_its_number_and_its_verdict(walk: Walk) -> None:
    last = walk.answers["reclaimed"]
    assert [(row.kind, row.round, row.window) for row in last.search("5")] == [
        ("round", 5, None),
        ("window", None, 5),
    ]
    found = {row.window for row in last.search("1111111111") if row.where == "VerdictPosted"}
    assert found == {1, 2, 3, 4}
