"""A coordinator in a process of its own, which dies where a fault has it die.

Its chain, store, keystore and ciphertexts are the real ones; its messages go through a pipe to
the nodes, which live on in the test's process.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from flwr.app import Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from ddcai.flower import EncryptedFedAvg, InProcessGrid
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party, Settings
from tests.crashing import ended, start


class PipeGrid(Grid):
    """A grid at the other end of a pipe; `serve` is this end's counterpart."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._run = Run.create_empty(run_id=1)
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return list(self._ask("nodes", None))

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return list(self._ask("push", [to_bytes(one) for one in messages]))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [from_bytes(one) for one in self._ask("pull", list(message_ids))]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        missing, replies = set(self.push_messages(messages)), list[Message]()
        deadline = time.monotonic() + (timeout or 60)
        while missing and time.monotonic() < deadline:
            for reply in self.pull_messages(missing):
                missing.remove(reply.metadata.reply_to_message_id)
                replies.append(reply)
            time.sleep(0.02)
        return replies

    def _ask(self, what: str, about: Any) -> Any:
        self._pipe.send((what, about))
        return self._pipe.recv()


def serve(pipe: Connection, grid: InProcessGrid) -> None:
    """Answers a `PipeGrid` until its process is gone."""
    while True:
        try:
            what, about = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        answer: Any
        if what == "nodes":
            answer = list(grid.get_node_ids())
        elif what == "push":
            answer = list(grid.push_messages([from_bytes(one) for one in about]))
        else:
            answer = [to_bytes(one) for one in grid.pull_messages(about)]
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


def run_coordinator(settings: Settings, grid: InProcessGrid, rounds: int, fault: str = "") -> int:
    """Runs rounds as `ddcai coordinator`'s app does, in another process.

    Args:
        rounds: number of the last one.
        fault: where it dies, as `ddcai.faults` reads it.

    Returns:
        The process's exit code: 0, 1 for an error, -9 where the fault killed it.
    """
    here, there = Pipe()
    process = start(coordinate, fault, settings, there, rounds)
    there.close()
    serve(here, grid)
    return ended(process)


def coordinate(settings: Settings, pipe: Connection, rounds: int) -> None:
    coordinator = Coordinator(Party.connect(settings))
    EncryptedFedAvg(coordinator, join_timeout_s=10).start(PipeGrid(pipe), num_rounds=rounds)


def to_bytes(message: Message) -> bytes:
    return bytes(message_to_proto(message).SerializeToString())


def from_bytes(raw: bytes) -> Message:
    return message_from_proto(ProtoMessage.FromString(raw))
