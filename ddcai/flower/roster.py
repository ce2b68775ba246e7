"""Who is connected: accounts and roles by node, each shown by a signature."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass, field

from eth_utils.address import is_checksum_address
from flwr.app import Message
from flwr.serverapp import Grid

from ddcai.digests import RoundContext
from ddcai.errors import MalformedError, RoundError, VerificationError
from ddcai.flower import messages
from ddcai.rounds.identity import CHALLENGE_BYTES, verify_identity
from ddcai.rounds.party import ROLES, Party

log = logging.getLogger("ddcai.coordinator")

_POLL_S = 1.0
# A node that does not answer must not hold up the others for long; it is asked again.
_ANSWER_S = 30.0
_ASK_AGAIN_S = 10.0


@dataclass
class Roster:
    """Nodes by the accounts that they proved to have; what those are, the chain says.

    Attributes:
        contributors: node id by account, active members only.
        key_holder: the key holder's node id.
        settled: nodes of which it is known who they are.
        asked: when the others were asked last (monotonic seconds).
        challenge: what nodes sign.
    """

    contributors: dict[str, int] = field(default_factory=dict)
    key_holder: int | None = None
    settled: set[int] = field(default_factory=set)
    asked: dict[int, float] = field(default_factory=dict)
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(CHALLENGE_BYTES))


def gather(
    grid: Grid,
    roster: Roster,
    context: RoundContext,
    party: Party,
    timeout_s: float,
    patience_s: float | None = None,
) -> None:
    """Waits until every active member and the key holder are there.

    After ``patience_s`` (by default ``timeout_s``) it goes on with those present, if they are
    enough; after ``timeout_s`` it gives up.

    Raises:
        RoundError: too few contributors, or no key holder, came within the time.
    """
    rules = party.federation.rules()
    started, last_said = time.monotonic(), ""
    patience_s = timeout_s if patience_s is None else patience_s
    while True:
        members = {item.address for item in party.federation.members() if item.active}
        look(grid, roster, context, members, rules.key_holder)
        waited_s = time.monotonic() - started
        if roster.key_holder is not None:
            if len(roster.contributors) == len(members) > 0:
                return
            if waited_s >= patience_s and len(roster.contributors) >= rules.min_contributors:
                return
        if waited_s >= timeout_s:
            break
        awaited = sorted(members - set(roster.contributors))
        if roster.key_holder is None:
            awaited.append(f"the key holder {rules.key_holder}")
        if (said := ", ".join(awaited)) != last_said:  # a line a change, not a line a second
            log.info("waiting for %s, at most %.0f s", said, timeout_s - waited_s)
            last_said = said
        time.sleep(_POLL_S)
    if roster.key_holder is None:
        raise RoundError(
            f"the key holder {rules.key_holder} did not connect within {timeout_s:.0f} s: "
            "start it with `ddcai client --role keyholder`"
        )
    raise RoundError(
        f"{len(roster.contributors)} contributors connected within {timeout_s:.0f} s, but "
        f"{rules.min_contributors} are needed: start more with `ddcai client`"
    )


def look(
    grid: Grid, roster: Roster, context: RoundContext, members: set[str], key_holder: str
) -> None:
    """Asks those who they are of whom it is not known; forgets those that are gone."""
    present, now = set(grid.get_node_ids()), time.monotonic()
    roster.contributors = {
        a: n for a, n in roster.contributors.items() if n in present and a in members
    }
    if roster.key_holder not in present:
        roster.key_holder = None
    roster.settled &= present
    roster.asked = {n: at for n, at in roster.asked.items() if n in present}
    new = sorted(
        node
        for node in present - roster.settled
        if now - roster.asked.get(node, float("-inf")) >= _ASK_AGAIN_S
    )
    if not new:
        return
    roster.asked |= dict.fromkeys(new, now)
    content = messages.instruction(context, reply={"challenge": roster.challenge})
    kind = f"query.{messages.IDENTIFY}"
    asked = [Message(content, node, kind) for node in new]
    for reply in grid.send_and_receive(asked, timeout=_ANSWER_S):
        node = reply.metadata.src_node_id
        why = messages.refused(reply)
        if why is not None:
            log.warning("node %d does not say who it is: %s", node, why)
            continue
        try:
            address, role = _identity(reply, node, context, roster.challenge)
        except (MalformedError, VerificationError) as error:
            log.warning("node %d is of no use: %s", node, error)
            continue
        if role == "keyholder" and address == key_holder:
            roster.key_holder = node
            roster.settled.add(node)
        elif address not in members:
            log.warning("%s is no member of this federation: left out", address)
        elif address in roster.contributors:
            # Asked again later: it may be the same client, back before its old node is gone.
            log.warning(
                "nodes %d and %d both use the account %s: the second is left out",
                roster.contributors[address],
                node,
                address,
            )
        elif role == "contributor":
            roster.contributors[address] = node
            roster.settled.add(node)


def _identity(
    reply: Message, node: int, context: RoundContext, challenge: bytes
) -> tuple[str, str]:
    fields = messages.read_reply(reply.content, ("address", "role", "signature"))
    try:
        address, role = fields["address"].decode("ascii"), fields["role"].decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("its account or role is no ASCII text") from error
    if not is_checksum_address(address):
        raise MalformedError("its account is no address")
    if role not in ROLES:
        raise MalformedError(f"its role is none of {', '.join(ROLES)}")
    verify_identity(address, fields["signature"], context, node, role, challenge)
    return address, role
