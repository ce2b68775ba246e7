"""A federation on two machines, whose network is cut in the middle of a round.

Run by `test_network.py` in a network namespace of its own; the other machine is a second one, at
the other end of a pair of devices. Here are the chain, the SuperLink, the coordinator, the key
holder and half of the contributors; there is the other half. Flower's own Fleet API, its state,
its grid and its nodes' connection carry the messages, by TCP between processes; what is left out
is the processes that Flower starts for each message, which take seconds each.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import NOOP_FLWR_AID
from flwr.serverapp import Grid
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    pull_and_inflate_object_from_tree,
    push_objects,
)
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.superlink.main import create_app
from flwr.supernode.fleet_http_connection import http_request_response

from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.cli.processes import answers
from ddcai.flower import EncryptedFedAvg
from ddcai.flower.report import RoundReport
from ddcai.flower.superlink import FleetOnly
from ddcai.models.state import State
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import PATIENCE_S, Party, Settings
from tests.audit.node_reading import read_history
from tests.federation import make_federation
from tests.flower.support import Site, shifted

HERE, THERE = "10.9.0.1", "10.9.0.2"
PORT = 9191
MEMBERS, SUBMIT_PERIOD_S = 4, 10
# The first is cut; those that were away are back in the second, on a slow machine in the third.
ROUNDS = 3
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def fork(work: Callable[[], Any]) -> int:
    """A process that does this and ends; its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def other_machine() -> int:
    """A process in another network namespace, connected to this one; its id."""
    reading, writing = os.pipe()

    def wait() -> None:
        _checked(_libc.unshare(_NEW_NETWORK))
        os.write(writing, b"1")
        signal.pause()

    machine = fork(wait)
    os.read(reading, 1)
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(machine))
    _ip("addr", "add", f"{HERE}/24", "dev", "near")
    _ip("link", "set", "near", "up")

    def configure() -> None:
        enter(machine)
        for words in (f"addr add {THERE}/24 dev far", "link set far up", "link set lo up"):
            _ip(*words.split())

    os.waitpid(fork(configure), 0)
    return machine


def enter(machine: int) -> None:
    """Moves this process into another's network namespace."""
    with Path(f"/proc/{machine}/ns/net").open() as network:
        _checked(_libc.setns(network.fileno(), _NEW_NETWORK))


def node(app: ClientApp, settings: Settings) -> None:
    """What a SuperNode does, until it is killed; the app runs in this process."""
    while not answers(HERE, PORT):
        time.sleep(0.1)
    with http_request_response(f"{HERE}:{PORT}", insecure=True) as connection:
        own, receive, send, _, _, pull_object, push_object, confirm = connection
        context = Context(1, own, dict(settings.to_mapping()), RecordDict(), {})
        while True:
            received = receive()
            if received is None:
                time.sleep(0.5)
                continue
            head, tree = received
            run = head.metadata.run_id
            TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = run, own, 0
            message = pull_and_inflate_object_from_tree(
                tree, partial(pull_object, run), partial(confirm, run), return_type=Message
            )
            message.metadata.__dict__["_message_id"] = tree.object_id
            reply = app(message, context)
            reply.metadata.__dict__["_message_id"] = reply.object_id
            with no_object_id_recompute():
                wanted, session = send(reply, get_object_tree(reply), 0.0)
                push_objects(
                    get_all_nested_objects(reply),
                    partial(push_object, run, session),
                    object_ids_to_push=wanted,
                )


@contextmanager
def superlink() -> Iterator[Grid]:
    """Flower's SuperLink in a thread, and the grid of a run on it."""
    app = create_app()
    server = uvicorn.Server(
        uvicorn.Config(FleetOnly(app), "0.0.0.0", PORT, log_level="warning", proxy_headers=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    state = app.state.linkstate_factory.state()
    number = state.create_run(
        "ddcai/ddcai", "1", None, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP
    )
    (run,) = state.get_run_info(run_ids=[number])
    token = state.claim_task(run.primary_task_id)
    assert state.activate_task(run.primary_task_id)
    TaskIdentity.run_id, TaskIdentity.node_id = number, 1
    TaskIdentity.task_id = run.primary_task_id
    grid = Cut(f"127.0.0.1:{PORT}", insecure=True, token=token)
    grid.set_run(run)
    yield grid
    grid.close()
    server.should_exit = True
    thread.join(timeout=20)


class Cut(HttpGrid):
    """Cuts the network when all on the other machine are training."""

    waits_for: tuple[Path, ...] = ()

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        if self.waits_for and all(path.exists() for path in self.waits_for):
            _ip("link", "set", "near", "down")
            for path in self.waits_for:
                path.unlink()
            self.waits_for = ()
        return super().pull_messages(message_ids)


def trained_while_cut(path: Path, model: State, site: int) -> State:
    """The first training lasts until the network is cut."""
    if not path.with_suffix(".done").exists():
        path.touch()
        while path.exists():
            time.sleep(0.1)
        path.with_suffix(".done").touch()
    return shifted(model, site)


def main(folder: Path) -> None:
    """Runs the rounds; prints, as JSON, who was in the first and the last, and what came of it."""
    logging.basicConfig(format="%(asctime)s %(process)d %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("ddcai").setLevel(logging.INFO)
    logging.getLogger("flwr").setLevel(logging.WARNING)
    machine = other_machine()
    nodes = []
    chain = EmbeddedChain(HERE) if find_anvil() is None else ManagedAnvil(HERE)
    with (
        chain,
        make_federation(
            folder,
            MEMBERS,
            url=chain.url,
            min_contributors=2,
            submit_period_s=SUBMIT_PERIOD_S,
        ) as made,
    ):
        far = range(MEMBERS // 2, MEMBERS)
        marks = {index: folder / f"training-{index}" for index in far}
        for index, settings in enumerate(made.trial.contributors.values()):
            site = Site()
            if index in far:
                site.train = partial(trained_while_cut, marks[index])

            def work(site: Site = site, settings: Settings = settings, index: int = index) -> None:
                if index in far:
                    enter(machine)
                node(site.app(), settings)

            nodes.append(fork(work))
        nodes.append(fork(lambda: node(Site().app(), made.trial.key_holder)))

        def mend(report: RoundReport) -> None:
            if report.round == 1:
                _ip("link", "set", "near", "up")

        with superlink() as grid:
            assert isinstance(grid, Cut)
            grid.waits_for = tuple(marks.values())
            coordinator = Coordinator(Party.connect(made.trial.coordinator, patience_s=PATIENCE_S))
            strategy = EncryptedFedAvg(coordinator, join_timeout_s=30, report=mend)
            for number in range(2, ROUNDS + 1):
                strategy.start(grid, num_rounds=number)
                if len(made.contract.round(number).sealed) == MEMBERS:
                    break
            for process in nodes:
                os.kill(process, signal.SIGKILL)
        rounds = [made.contract.round(1), made.contract.round(made.contract.last_round())]
        claims = verify(read_history(connect(made.url), made.deployment.federation), made.store)
        told = {
            "submitted": [[one.address for one in record.submissions] for record in rounds],
            "sealed": [[one.address for one in record.sealed] for record in rounds],
            "members": list(made.addresses),
            "failed": [str(claim) for claim in claims if not claim.passed],
            "balance_wei": made.contract.balance(),
        }
    os.kill(machine, signal.SIGKILL)  # and its network is gone, with this end of it
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
