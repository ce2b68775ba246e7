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
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.waiting import Waiting, receive
from ddcai.rounds.identity import CHALLENGE_BYTES, verify_identity, verify_node_key
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
        key_holders: node ids of key holders by account.
        left_out: accounts of key holders that are not to be asked.
        settled: nodes of which it is known who they are.
        asked: when the others were asked last (monotonic seconds).
        challenge: what nodes sign.
        require_node_keys: leave out accounts that bound no node key on chain; one that did must
            show it in any case.
    """

    contributors: dict[str, int] = field(default_factory=dict)
    key_holders: dict[str, int] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    settled: set[int] = field(default_factory=set)
    asked: dict[int, float] = field(default_factory=dict)
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(CHALLENGE_BYTES))
    require_node_keys: bool = False

    def account_of(self, node: int) -> str | None:
        """The contributor that a node is; None for a node that is no contributor."""
        return next((one for one, its in self.contributors.items() if its == node), None)


def gather(
    grid: Grid,
    roster: Roster,
    context: RoundContext,
    party: Party,
    timeout_s: float,
    patience_s: float | None = None,
) -> None:
    """Waits until every active member and every key holder are there.

    After ``patience_s`` (by default ``timeout_s``) it goes on with those present, if they are
    enough; after ``timeout_s`` it gives up.

    Raises:
        RoundError: too few contributors, or key holders, came within the time.
    """
    rules = party.federation.rules()
    started = time.monotonic()
    patience_s = timeout_s if patience_s is None else patience_s
    waiting = Waiting("to connect", time.time() + timeout_s)
    while True:
        look(grid, roster, context, party)
        members = {item.address for item in party.federation.members() if item.active}
        holders, needed = key_holders_of(party)
        open_holders = set(holders) - roster.left_out
        waited_s = time.monotonic() - started
        all_holders = open_holders <= set(roster.key_holders)
        if all_holders and len(roster.contributors) == len(members) > 0:
            return
        enough_holders = len(open_holders & set(roster.key_holders)) >= needed
        enough = enough_holders and len(roster.contributors) >= rules.min_contributors
        if enough and waited_s >= patience_s:
            return
        if waited_s >= timeout_s:
            break
        awaited = [f"contributor {one}" for one in members - set(roster.contributors)]
        awaited += [f"key holder {one}" for one in open_holders - set(roster.key_holders)]
        waiting.tell(awaited)
        time.sleep(_POLL_S)
    if not enough_holders:
        missing = ", ".join(sorted(open_holders - set(roster.key_holders)))
        raise RoundError(
            f"the key holder {missing} did not connect within {timeout_s:.0f} s, and {needed} are "
            "needed: start it with `ddcai client --role keyholder`"
        )
    raise RoundError(
        f"{len(roster.contributors)} contributors connected within {timeout_s:.0f} s, but "
        f"{rules.min_contributors} are needed: start more with `ddcai client`"
    )


def key_holders_of(party: Party) -> tuple[tuple[str, ...], int]:
    """Accounts of those who open the round that is under way, or else one that is opened now;
    and how many of them it takes."""
    federation = party.federation
    found, last = federation.key_holders(), federation.last_round()
    if found is None:
        return (federation.rules().key_holder,), 1
    under_way = last > 0 and not federation.round(last).settled
    epoch = found.epoch_at(federation.opened_block(last)) if under_way else found.current()
    return epoch.holders, epoch.threshold


def look(grid: Grid, roster: Roster, context: RoundContext, party: Party) -> None:
    """Asks those who they are of whom it is not known; forgets those that are gone."""
    members = {item.address for item in party.federation.members() if item.active}
    present, now = set(grid.get_node_ids()), time.monotonic()
    roster.contributors = {
        a: n for a, n in roster.contributors.items() if n in present and a in members
    }
    roster.key_holders = {a: n for a, n in roster.key_holders.items() if n in present}
    roster.settled &= present
    roster.asked = {n: at for n, at in roster.asked.items() if n in present}
    new = sorted(
        node
        for node in present - roster.settled
        if now - roster.asked.get(node, float("-inf")) >= _ASK_AGAIN_S
    )
    if not new:
        return
    key_holders = all_key_holders(party) - roster.left_out
    roster.asked |= dict.fromkeys(new, now)
    content = messages.instruction(context, reply={"challenge": roster.challenge})
    kind = f"query.{messages.IDENTIFY}"
    asked = [Message(content, node, kind) for node in new]
    for reply in receive(grid, asked, _ANSWER_S):
        node = reply.metadata.src_node_id
        why = messages.refused(reply)
        if why is not None:
            log.warning("node %d does not say who it is: %s", node, why, extra=about("refused"))
            continue
        try:
            address, role, by_node = _identity(reply, node, context, roster.challenge)
            _check_node_key(party, roster, context, node, address, role, by_node)
        except (MalformedError, VerificationError) as error:
            log.warning("node %d is of no use: %s", node, error, extra=about("node_refused"))
            continue
        if role == "keyholder" and address in key_holders:
            _admit(roster.key_holders, address, node, roster)
        elif role == "keyholder" or address not in members:
            facts = about("node_refused", party=address)
            log.warning("%s is no %s of this federation: left out", address, role, extra=facts)
        else:
            _admit(roster.contributors, address, node, roster)


def _admit(nodes: dict[str, int], address: str, node: int, roster: Roster) -> None:
    if address in nodes:
        # Asked again later: it may be the same client, back before its old node is gone.
        log.warning(
            "nodes %d and %d both use the account %s: the second is left out",
            nodes[address],
            node,
            address,
            extra=about("node_refused", party=address),
        )
        return
    log.info("node %d is %s", node, address, extra=about("joined", party=address))
    nodes[address] = node
    roster.settled.add(node)


def all_key_holders(party: Party) -> set[str]:
    """Those of earlier keys as well: a round may be under way that was opened before."""
    found = party.federation.key_holders()
    if found is None:
        return {party.federation.rules().key_holder}
    return {holder for epoch in found.epochs() for holder in epoch.holders}


def _identity(
    reply: Message, node: int, context: RoundContext, challenge: bytes
) -> tuple[str, str, bytes]:
    names = ("address", "role", "signature", "node_signature")
    fields = messages.read_reply(reply.content, names)
    try:
        address, role = fields["address"].decode("ascii"), fields["role"].decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("its account or role is no ASCII text") from error
    if not is_checksum_address(address):
        raise MalformedError("its account is no address")
    if role not in ROLES:
        raise MalformedError(f"its role is none of {', '.join(ROLES)}")
    verify_identity(address, fields["signature"], context, node, role, challenge)
    return address, role, fields["node_signature"]


def _check_node_key(
    party: Party,
    roster: Roster,
    context: RoundContext,
    node: int,
    address: str,
    role: str,
    signature: bytes,
) -> None:
    """Whoever stole an account must bind another key, which all see on chain, to be let in."""
    registry = party.node_registry
    key = None if registry is None else registry.keys([address]).get(address)
    if key is not None:
        verify_node_key(key, signature, context, node, role, roster.challenge)
    elif roster.require_node_keys:
        raise VerificationError(f"{address} bound no node key on chain: `ddcai client` does")
