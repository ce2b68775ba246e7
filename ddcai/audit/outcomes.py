"""What became of a contributor's update in a round, in one word."""

from __future__ import annotations

from ddcai.chain.records import RoundState


def outcome(state: RoundState, listed: bool, judged: bool) -> str:
    """One of submitted, committed, sealed, agreed, assessed, forfeited, returned.

    Args:
        state: the round's.
        listed: whether the update is on the sealed list.
        judged: whether it is on the list that is judged, of a round that is.
    """
    if state is RoundState.CANCELLED:
        return "returned"
    if state is RoundState.FINALIZED:
        return "assessed" if judged else "agreed" if listed else "forfeited"
    return "sealed" if listed else "committed" if judged else "submitted"
