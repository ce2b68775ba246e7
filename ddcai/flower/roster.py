"""Who is connected: accounts and roles by node, asked once of every node."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from flwr.app import Message
from flwr.serverapp import Grid

from ddcai.digests import RoundContext
from ddcai.errors import MalformedError, RoundError
from ddcai.flower import messages
from ddcai.rounds.party import Party

log = logging.getLogger("ddcai.coordinator")

_POLL_S = 1.0
_ANSWER_S = 120.0


@dataclass
class Roster:
    """Nodes by what they said of themselves; what they are, the chain says.

    Attributes:
        contributors: node id by account, active members only.
        key_holder: the key holder's node id.
        seen: nodes that were asked.
    """

    contributors: dict[str, int] = field(default_factory=dict)
    key_holder: int | None = None
    seen: set[int] = field(default_factory=set)


def gather(
    grid: Grid, roster: Roster, context: RoundContext, party: Party, timeout_s: float
) -> None:
    """Waits until every active member and the key holder are there.

    After ``timeout_s`` it goes on with those present, if they are enough.

    Raises:
        RoundError: too few contributors, or no key holder, came within the time.
    """
    rules = party.federation.rules()
    members = {item.address for item in party.federation.members() if item.active}
    deadline = time.monotonic() + timeout_s
    while True:
        _ask(grid, roster, context, members, rules.key_holder)
        if roster.key_holder is not None and len(roster.contributors) == len(members) > 0:
            return
        if time.monotonic() >= deadline:
            break
        missing = members - set(roster.contributors)
        log.info(
            "waiting for %s%s",
            ", ".join(sorted(missing)) or "nobody",
            "" if roster.key_holder is not None else " and the key holder",
        )
        time.sleep(_POLL_S)
    if roster.key_holder is None:
        raise RoundError(
            f"the key holder {rules.key_holder} did not connect within {timeout_s:.0f} s: "
            "start it with `ddcai client --role keyholder`"
        )
    if len(roster.contributors) < rules.min_contributors:
        raise RoundError(
            f"{len(roster.contributors)} contributors connected within {timeout_s:.0f} s, but "
            f"{rules.min_contributors} are needed: start more with `ddcai client`"
        )


def _ask(
    grid: Grid, roster: Roster, context: RoundContext, members: set[str], key_holder: str
) -> None:
    present = set(grid.get_node_ids())
    roster.contributors = {a: n for a, n in roster.contributors.items() if n in present}
    if roster.key_holder not in present:
        roster.key_holder = None
    new = sorted(present - roster.seen)
    content = messages.instruction(context)
    kind = f"query.{messages.IDENTIFY}"
    asked = [Message(content, node, kind) for node in new]
    for reply in grid.send_and_receive(asked, timeout=_ANSWER_S) if asked else ():
        node = reply.metadata.src_node_id
        why = messages.refused(reply)
        if why is not None:
            log.warning("node %d is of no use: %s", node, why)
            roster.seen.add(node)
            continue
        try:
            fields = messages.read_reply(reply.content, ("address", "role"))
            address, role = fields["address"].decode("ascii"), fields["role"].decode("ascii")
        except (MalformedError, UnicodeDecodeError) as error:
            log.warning("node %d is of no use: %s", node, error)
            continue
        roster.seen.add(node)
        if role == "keyholder" and address == key_holder:
            roster.key_holder = node
        elif address in roster.contributors:
            log.warning(
                "nodes %d and %d both use the account %s: the second is left out",
                roster.contributors[address],
                node,
                address,
            )
        elif address in members:
            roster.contributors[address] = node
        else:
            log.warning("%s is no member of this federation: left out", address)
