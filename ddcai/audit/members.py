"""Members, put together from the events of their joining and leaving."""

from __future__ import annotations

from collections.abc import Iterable

from ddcai.audit.history import Registration
from ddcai.audit.steps import Steps
from ddcai.chain.events import Event

_REGISTER = "register(bytes,bytes)"


def members_of(found: Iterable[Event], steps: Steps, contract: str) -> tuple[Registration, ...]:
    """The members, in the order in which they joined.

    Args:
        found: a federation's events, in their order; those about members count.
        steps: of these.
        contract: the federation's address.
    """
    named = [one for one in found if one.name in ("MemberRegistered", "MemberLeft")]
    joined = [one for one in named if one.name == "MemberRegistered"]
    left = {one.args["member"]: steps.of(one) for one in named if one.name == "MemberLeft"}
    given = steps.arguments(joined, contract, _REGISTER)

    def proof(event: Event) -> bytes | None:
        key, shown = given.get(event.tx_hash, (None, None))
        return shown if key == event.args["key"] else None

    return tuple(
        Registration(
            address=event.args["member"],
            index=event.args["index"],
            key=event.args["key"],
            proof=proof(event),
            step=steps.of(event),
            left=left.get(event.args["member"]),
        )
        for event in joined
    )
