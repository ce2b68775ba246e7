"""A report against its chain: whether its block is there, and whether its claims come out again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ddcai.audit.claims import Claim
from ddcai.audit.history import History
from ddcai.audit.report.signed import Block, Report
from ddcai.chain.assessment import CONTRACT
from ddcai.chain.events import events
from ddcai.chain.node.connection import Connection, request
from ddcai.errors import VerificationError, WrongChain


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A claim that came out otherwise; `reported` or `found` is empty where there is none."""

    name: str
    round: int | None
    window: int | None
    subject: str
    reported: str
    found: str


def had_events(w3: Connection, history: History, number: int) -> bool:
    """Whether a federation, or the contract that judges its updates, had an event after a block."""
    latest, rules = int(request(w3, "eth_blockNumber", []), 16), history.rules
    return bool(
        events(w3, history.contract, number + 1, latest)
        or (
            rules.assessed
            and events(w3, rules.assessment, number + 1, latest, contract_name=CONTRACT)
        )
    )


def check_block(w3: Connection, report: Report) -> None:
    """Whether a chain has the block that a report is of.

    Raises:
        WrongChain: the endpoint is of another chain.
        VerificationError: the chain has another block there, or none.
    """
    chain_id = int(request(w3, "eth_chainId", []), 16)
    if chain_id != report.chain_id:
        raise WrongChain(
            f"the report is of chain {report.chain_id}, the endpoint of {chain_id}: give one of "
            "that chain (--rpc-url)"
        )
    number = report.block.number
    found = request(w3, "eth_getBlockByNumber", [hex(number), False])
    if found is None or _block(found) != report.block:
        there = "no such block" if found is None else f"one with hash {found['hash']}"
        raise VerificationError(
            f"the report is of block {number} with hash 0x{report.block.hash.hex()} and time "
            f"{report.block.time}; the chain has {there}"
        )


def differences(
    reported: Iterable[Claim], again: Iterable[Claim], *, moved_on: bool
) -> list[Difference]:
    """The claims that came out otherwise when they were made again, in their order.

    Args:
        moved_on: the federation had events since: then new claims are no difference, nor are
            other values of a claim with the same status.
    """
    before, after = list(reported), list(again)
    new = Counter(_outcome(claim, moved_on) for claim in after)
    found = {_subject(claim): claim for claim in after}
    told = {_subject(claim) for claim in before}
    odd = []
    for claim in before:
        outcome = _outcome(claim, moved_on)
        if new[outcome]:
            new[outcome] -= 1
        else:
            odd.append(_difference(claim, found.get(_subject(claim))))
    if not moved_on:
        odd += [_difference(None, claim) for claim in after if _subject(claim) not in told]
    return odd


def _block(block: dict[str, str]) -> Block:
    return Block(
        number=int(block["number"], 16),
        hash=bytes.fromhex(block["hash"][2:]),
        time=int(block["timestamp"], 16),
    )


def _subject(claim: Claim) -> tuple[object, ...]:
    return claim.name, claim.round, claim.window, claim.subject


def _outcome(claim: Claim, moved_on: bool) -> tuple[object, ...]:
    compared = () if moved_on else (claim.expected, claim.found)
    return (*_subject(claim), claim.status, *compared)


def _difference(reported: Claim | None, found: Claim | None) -> Difference:
    one = reported or found
    assert one is not None
    return Difference(
        name=one.name,
        round=one.round,
        window=one.window,
        subject=one.subject,
        reported=_said(reported),
        found=_said(found),
    )


def _said(claim: Claim | None) -> str:
    if claim is None:
        return ""
    return f"{claim.status.value}: expected {claim.expected}, found {claim.found}"
