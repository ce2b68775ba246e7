"""Which contracts' events belong to a federation, and how each kind's are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from eth_utils.address import to_checksum_address

from ddcai.chain import artifact
from ddcai.chain.federation import Federation
from ddcai.chain.head import teaching
from ddcai.chain.log_decoder import LogDecoder
from ddcai.chain.node.connection import Connection
from ddcai.chain.node_registry import NodeRegistry
from ddcai.chain.records import NOBODY
from ddcai.chain.trainer import Trainer
from ddcai.chain.update_batches import UpdateBatches
from ddcai.errors import NotATrainer

FEDERATION, QUORUM, HEAD = "federation", "quorum", "head"
KEY_HOLDERS, ASSESSMENT = "key_holders", "assessment"
NODE_REGISTRY, UPDATE_BATCHES = "node_registry", "update_batches"
TRAINER, INCENTIVE, BOUNTY = "trainer", "incentive", "bounty"

# The artifacts of each kind: any of several variants.
ARTIFACTS = {
    FEDERATION: ("Federation",),
    QUORUM: ("BlsQuorum", "EcdsaQuorum"),
    HEAD: ("TeachableHead", "PerceptronHead"),
    KEY_HOLDERS: ("KeyHolders",),
    ASSESSMENT: ("WindowAssessment",),
    NODE_REGISTRY: ("NodeRegistry",),
    UPDATE_BATCHES: ("UpdateBatches",),
    TRAINER: ("CollaborativeTrainer",),
    INCENTIVE: ("SelfAssessment", "PredictionMarket", "Points"),
    BOUNTY: ("Bounty",),
}


@dataclass(frozen=True)
class Watched:
    """One contract, and its kind (of `ARTIFACTS`)."""

    address: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Contracts that belong to a federation and that no contract of it names: its deployment does.

    Attributes:
        trainers: that teach its head, or did, beside the one that the head names.
        node_registry: where accounts bind their nodes' keys.
        update_batches: where groups post their lists; federations share one.
    """

    trainers: tuple[str, ...] = ()
    node_registry: str | None = None
    update_batches: str | None = None


NOTHING = Beside()


@cache
def decoder(kind: str) -> LogDecoder:
    """What reads the events and calls of a kind."""
    return LogDecoder(map(artifact.load, ARTIFACTS[kind]))


def of_federation(
    w3: Connection, federation: Federation, beside: Beside = NOTHING
) -> tuple[Watched, ...]:
    """The contracts that a federation has now.

    Raises:
        NotATrainer: one of `Beside.trainers` is none.
        ConfigurationError: another contract of `Beside` is none of this federation.
        ChainError: an address that does not answer as the federation says.
    """
    found = [
        Watched(federation.address, FEDERATION),
        Watched(federation.quorum_address(), QUORUM),
        Watched(federation.head_address(), HEAD),
    ]
    holders, rules = federation.key_holders(), federation.rules()
    if holders is not None:
        found.append(Watched(holders.address, KEY_HOLDERS))
    if rules.assessed:
        found.append(Watched(to_checksum_address(rules.assessment), ASSESSMENT))
    if beside.node_registry is not None:
        registry = NodeRegistry(w3, beside.node_registry)
        registry.require_federation(federation.address)
        found.append(Watched(registry.address, NODE_REGISTRY))
    if beside.update_batches is not None:
        batches = UpdateBatches(w3, beside.update_batches)
        batches.require_there()
        found.append(Watched(batches.address, UPDATE_BATCHES))
    for address in beside.trainers:
        found += _trainer(w3, address)
    taught = teaching(w3, federation.head_address())
    if taught is not None and taught.teacher is not None:
        found += _teacher(w3, taught.teacher)
    return joined((), found)


def joined(known: Iterable[Watched], more: Iterable[Watched]) -> tuple[Watched, ...]:
    """All of them, each address once, with the kind that it was first known by.

    What others chose, a teacher or its incentive, may name any address as its own: if that changed
    a contract's kind, it would hide that contract's events.
    """
    found: dict[str, Watched] = {}
    for one in (*known, *more):
        found.setdefault(one.address, one)
    return tuple(found.values())


def concerns(kind: str, args: Mapping[str, Any], federation: str) -> bool:
    """Whether an event is about a federation: `UPDATE_BATCHES` are of any."""
    return kind != UPDATE_BATCHES or args["federation"] == federation


def named_by(w3: Connection, kind: str, name: str, args: Mapping[str, Any]) -> tuple[Watched, ...]:
    """The contracts that an event tells of: a head's new teacher, an incentive's bounty."""
    if (kind, name) == (HEAD, "TeacherSet") and args["teacher"] != NOBODY:
        return _teacher(w3, args["teacher"])
    if (kind, name) == (INCENTIVE, "BountyAttached") and args["bounty"] != NOBODY:
        return (Watched(args["bounty"], BOUNTY),)
    return ()


def _teacher(w3: Connection, address: str) -> tuple[Watched, ...]:
    try:
        return _trainer(w3, address)
    except NotATrainer:  # an account may teach, too; it has no events
        return ()


def _trainer(w3: Connection, address: str) -> tuple[Watched, ...]:
    trainer = Trainer.connect(w3, address)
    return Watched(trainer.address, TRAINER), Watched(trainer.incentive.address, INCENTIVE)


def to_json(watched: Iterable[Watched]) -> list[dict[str, str]]:
    """As the table has them."""
    return [asdict(one) for one in watched]


def from_json(stored: Iterable[Mapping[str, str]]) -> tuple[Watched, ...]:
    """The inverse."""
    return tuple(Watched(one["address"], one["kind"]) for one in stored)
