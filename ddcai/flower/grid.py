"""A Grid that calls ClientApps in this process: rounds in milliseconds, no server.

For the demo and tests. Messages go through the same mods and functions as in a deployment;
what is left out is the transport.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

log = logging.getLogger("ddcai.grid")

_RUN_ID = 1


class InProcessGrid(Grid):
    """Nodes that are ClientApp objects here.

    Args:
        nodes: app and context by node id; a context's ``node_config`` is the node's own.
    """

    def __init__(self, nodes: Mapping[int, tuple[ClientApp, Context]]) -> None:
        self._nodes = dict(nodes)
        self._replies: dict[str, Message] = {}
        self._ids = itertools.count(1)
        self._run = Run.create_empty(run_id=_RUN_ID)
        # Flower stamps each new message with the task that this process runs.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN_ID, 0, 0

    def set_run(self, run: Run) -> None:
        """Sets the run, which is the same for all messages."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run's description."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A new message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All nodes."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Delivers each message and keeps the reply until it is pulled."""
        identifiers = []
        for message in messages:
            identifier = str(next(self._ids))
            message.metadata.__dict__["_message_id"] = identifier
            self._replies[identifier] = self._deliver(message)
            identifiers.append(identifier)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies to messages, each once."""
        return [self._replies.pop(item) for item in message_ids if item in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Delivers messages, one after the other, and returns the replies."""
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> Message:
        node = self._nodes.get(message.metadata.dst_node_id)
        if node is None:
            return Message(Error(ErrorCode.NODE_UNAVAILABLE, "no such node"), reply_to=message)
        app, context = node
        try:
            return app(message, context)
        except Exception as error:  # as a SuperNode does
            log.exception("the ClientApp of node %d failed", message.metadata.dst_node_id)
            reason = type(error).__name__
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
