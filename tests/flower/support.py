"""A Flower app over a small federation, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from ddcai.flower import EncryptedFedAvg, InProcessGrid, SecureMod, messages
from ddcai.flower.messages import from_arrays, to_arrays
from ddcai.models.state import State
from tests.federation import SmallFederation

KEY_HOLDER_NODE = 99
SECRET = "patient 4711 has a rare disease"

Train = Callable[[State, int], State]
WritePolicy = Callable[[str], str]


def shifted(model: State, site: int) -> State:
    """A training without data: every site draws another way."""
    rng = np.random.default_rng(site)
    return {n: a + rng.normal(0, 0.02, a.shape).astype(np.float32) for n, a in model.items()}


@dataclass
class Site:
    """A contributor's app: what it was asked for, and what it returns."""

    train: Train = shifted
    metrics: dict[str, Any] = field(default_factory=lambda: {"num-examples": 20})
    called: list[str] = field(default_factory=list)

    def app(self) -> ClientApp:
        """The app, behind the mod."""
        secure = SecureMod()
        app = ClientApp(mods=[secure])
        secure.register(app)

        @app.train()
        def train(message: Message, context: Context) -> Message:
            self.called.append("train")
            model = from_arrays(message.content.array_records["arrays"])
            trained = self.train(model, int(context.node_id))
            records = {"arrays": to_arrays(trained), "metrics": MetricRecord(dict(self.metrics))}
            return Message(RecordDict(records), reply_to=message)

        @app.evaluate()
        def evaluate(message: Message, context: Context) -> Message:
            self.called.append("evaluate")
            metrics = MetricRecord(dict(self.metrics))
            return Message(RecordDict({"metrics": metrics}), reply_to=message)

        @app.query("weights")
        @app.train("other")
        @app.evaluate("other")
        def leak(message: Message, context: Context) -> Message:
            self.called.append("leak")
            array = np.arange(4, dtype=np.float32)
            return Message(RecordDict({"arrays": ArrayRecord([array])}), reply_to=message)

        return app


class Nodes:
    """The nodes of a federation: contributors 1.., and key holders 99...

    Args:
        sites: apps by contributor; an honest one for the rest.
        settings: node settings by contributor, beside its own.
    """

    def __init__(
        self,
        federation: SmallFederation,
        sites: dict[int, Site | ClientApp] | None = None,
        settings: dict[int, dict[str, Any]] | None = None,
    ) -> None:
        self.federation = federation
        self.sites = [Site() for _ in federation.names]
        self.members: dict[int, tuple[ClientApp, Context]] = {}
        for index, own in enumerate(federation.trial.contributors.values()):
            given = (sites or {}).get(index, self.sites[index])
            app = given.app() if isinstance(given, Site) else given
            if isinstance(given, Site):
                self.sites[index] = given
            config = dict(own.to_mapping()) | (settings or {}).get(index, {})
            self.members[index + 1] = (app, self._context(index + 1, config))
        for node, holder in enumerate(federation.trial.key_holders.values(), KEY_HOLDER_NODE):
            self.members[node] = (Site().app(), self._context(node, dict(holder.to_mapping())))

    @staticmethod
    def _context(node: int, config: dict[str, Any]) -> Context:
        return Context(1, node, config, RecordDict(), {})

    def grid(self) -> InProcessGrid:
        """A grid of these nodes."""
        return InProcessGrid(self.members)

    def ask(
        self,
        node: int,
        kind: str,
        content: RecordDict | None = None,
        *,
        round_: int | None = None,
    ) -> Message:
        """One message to one node."""
        number = self.federation.contract.last_round() if round_ is None else round_
        if content is None:
            model = self.federation.coordinator.current_model()
            content = messages.instruction(
                self.federation.coordinator.party.context(number),
                config=ConfigRecord({"server-round": number}),
                arrays=to_arrays(model),
            )
        (reply,) = self.grid().send_and_receive([Message(content, node, kind)])
        return reply

    def strategy(self, **options: Any) -> EncryptedFedAvg:
        """The coordinator's strategy, with little patience."""
        return EncryptedFedAvg(self.federation.coordinator, **({"join_timeout_s": 2.0} | options))


def wire_bytes(message: Message) -> bytes:
    """All that leaves a node in a message."""
    from flwr.common.serde import message_to_proto

    return message_to_proto(message).SerializeToString()  # type: ignore[no-any-return]


def refused(reply: Message) -> str:
    """The kind of a refusal; fails if the reply carries anything else."""
    if reply.has_error():
        return "flower"
    assert set(reply.content) == {"ddcai-refused"}, reply.content
    found = messages.refused(reply)
    assert found is not None
    assert SECRET.encode() not in wire_bytes(reply)
    assert b"NUMPY" not in wire_bytes(reply)
    return found.kind
