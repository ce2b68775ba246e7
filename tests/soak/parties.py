"""Nodes in processes of their own, which die and are started again, and the grid that reaches them.

What a node was asked when it died is lost, as with Flower; Flower says so after a minute, this grid
at once. A node that is started again is another node to the coordinator.
"""

from __future__ import annotations

import itertools
import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from flwr.app import Context, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from ddcai.rounds.party import Settings
from tests.crashing import start
from tests.flower.crashing import from_bytes, to_bytes
from tests.flower.support import Site

log = logging.getLogger("tests.soak")


def work(settings: Settings, pipe: Connection, node: int) -> None:
    """A node's process: answers what comes by the pipe, as Flower's would."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0
    app, context = Site().app(), Context(1, node, dict(settings.to_mapping()), RecordDict(), {})
    while True:
        try:
            message = from_bytes(pipe.recv_bytes())
        except EOFError:
            return
        pipe.send_bytes(to_bytes(app(message, context)))


class Node:
    """One party that answers messages.

    Args:
        name: of its role, for the report.
        settings: its own.
        fault: where the next process of it dies, as `ddcai.faults` reads it; asked at each start.
        died: told when one did, of its own fault or by `kill`.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        fault: Callable[[], str],
        died: Callable[[str], None],
        numbers: itertools.count[int],
        dice: random.Random,
    ) -> None:
        self.name, self._settings, self._fault, self._died = name, settings, fault, died
        self._numbers, self._dice = numbers, dice
        self.number: int | None = None
        self._process: ForkServerProcess | None = None
        self._asked: queue.Queue[tuple[str, Message]] = queue.Queue()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self, grid: Replies) -> None:
        self._replies = grid
        self._thread.start()

    def ask(self, identifier: str, message: Message) -> None:
        self._asked.put((identifier, message))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        self._stopped = True
        self.kill()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._stopped:
            fault = self._fault()
            pipe, there = Pipe()
            number = next(self._numbers)
            self._process = start(work, fault, self._settings, there, number)
            there.close()
            self.number = number
            self._serve(pipe, self._process)
            self.number = None
            self._process.join()
            if not self._stopped:
                self._died(fault)
                time.sleep(self._dice.uniform(0.1, 1.5))
            while not self._asked.empty():
                self._replies.lost(*self._asked.get())

    def _serve(self, pipe: Connection, process: ForkServerProcess) -> None:
        while process.is_alive():
            try:
                identifier, message = self._asked.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                pipe.send_bytes(to_bytes(message))
                self._replies.keep(identifier, from_bytes(pipe.recv_bytes()))
            except (EOFError, OSError):
                self._replies.lost(identifier, message)
                return


class Replies:
    """The grid's memory, of one run of the coordinator."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes, self._kept = nodes, dict[str, Message]()
        self._identifiers = itertools.count(1)

    def get_node_ids(self) -> list[int]:
        return [node.number for node in self._nodes if node.number is not None]

    def push_messages(self, messages: list[Message]) -> list[str]:
        identifiers = []
        for message in messages:
            identifier = str(next(self._identifiers))
            message.metadata.__dict__["_message_id"] = identifier
            there = [node for node in self._nodes if node.number == message.metadata.dst_node_id]
            if there:
                there[0].ask(identifier, message)
            else:
                self.lost(identifier, message)
            identifiers.append(identifier)
        return identifiers

    def pull_messages(self, identifiers: list[str]) -> list[Message]:
        return [self._kept.pop(one) for one in identifiers if one in self._kept]

    def keep(self, identifier: str, reply: Message) -> None:
        self._kept[identifier] = reply

    def lost(self, identifier: str, message: Message) -> None:
        gone = Error(ErrorCode.NODE_UNAVAILABLE, "it died")
        self.keep(identifier, Message(gone, reply_to=message))
