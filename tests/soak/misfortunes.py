"""What goes wrong, drawn by a seed: with chain, endpoint, store, disks and processes."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ddcai import faults
from ddcai.chain.node.connection import connect, request
from tests.endpoint import AWAY, BEHIND, ERRORS, SLOW, Endpoint
from tests.soak.parties import Node

DEEPEST = 5
# The next one comes after so long, on average.
EVERY_S = 1.5
ROOM = "4g"


class Disk:
    """A tmpfs that is full, or has room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("size=" + ROOM, "-t", "tmpfs", "none")

    def fill(self) -> None:
        # At least a page: of size 0 it would have no limit.
        used = max(4096, shutil.disk_usage(self._folder).used)
        self._mount(f"remount,size={used}")

    def make_room(self) -> None:
        self._mount("remount,size=" + ROOM)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def _mount(self, options: str, *more: str) -> None:
        for _ in range(50):
            command = ["mount", "-o", options, *more, str(self._folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(done.stderr)


class Blobs:
    """Files of a store, some of which are lost or corrupted for a while."""

    def __init__(self, folder: Path, copies: Path, dice: random.Random) -> None:
        self._folder, self._copies, self._dice = folder, copies, dice
        copies.mkdir()

    def harm(self, *, lose: bool) -> None:
        """One of the last ones."""
        last = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)[-10:]
        path = self._dice.choice([one for one in last if not one.name.startswith(".")])
        shutil.copyfile(path, self._copies / path.name)
        if lose:
            path.unlink()
            return
        content = bytearray(path.read_bytes())
        content[self._dice.randrange(len(content))] ^= 1 << self._dice.randrange(8)
        path.write_bytes(content)

    def restore(self) -> None:
        for copy in self._copies.iterdir():
            shutil.copyfile(copy, self._folder / copy.name)
            copy.unlink()


class Misfortunes:
    """Faults, one after the other, until told to stop; `done` counts them by name."""

    def __init__(
        self,
        seed: int,
        chain: str,
        endpoint: Endpoint,
        blobs: Blobs,
        disks: dict[str, Disk],
        nodes: list[Node],
        kill_coordinator: Callable[[], None],
        reorganises: bool,
    ) -> None:
        self._dice = random.Random(seed)
        self._chain, self._endpoint, self._blobs = connect(chain), endpoint, blobs
        self._first_block = self._block()
        self.done: Counter[str] = Counter()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._kinds: dict[str, Callable[[], None]] = {
            "coordinator killed": kill_coordinator,
            "contributor killed": lambda: self._kill("contributor", nodes),
            "key holder killed": lambda: self._kill("key holder", nodes),
            "blob lost": lambda: self._harm(lose=True),
            "blob corrupted": lambda: self._harm(lose=False),
        }
        for what in (AWAY, ERRORS, SLOW, BEHIND):
            self._kinds[f"endpoint: {what}"] = lambda what=what: self._trouble(what)
        for name, disk in disks.items():
            self._kinds[f"disk full: {name}"] = lambda disk=disk: self._fill(disk)
        if reorganises:
            self._kinds["reorganisation"] = self._reorganise

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends what lasts, and mends what is broken."""
        self._stopped.set()
        self._thread.join()
        self._blobs.restore()

    def point(self) -> str:
        """For a process that starts: a point at which it dies, or none."""
        if self._stopped.is_set() or self._dice.random() < 0.5:
            return ""
        return f"{self._dice.choice(faults.PLACES)}:{self._dice.randrange(1, 9)}"

    def died(self, name: str, fault: str, killed: bool) -> None:
        """Told of a process that is gone."""
        if not killed:
            self.done[f"{name} killed at {fault.partition(':')[0]}"] += 1

    def _run(self) -> None:
        while not self._stopped.wait(self._dice.expovariate(1 / EVERY_S)):
            name = self._dice.choice(sorted(self._kinds))
            self._kinds[name]()
            self.done[name] += 1

    def _lasts(self, least: float, most: float) -> None:
        self._stopped.wait(self._dice.uniform(least, most))

    def _kill(self, name: str, nodes: list[Node]) -> None:
        self._dice.choice([node for node in nodes if node.name == name]).kill()

    def _trouble(self, what: str) -> None:
        self._endpoint.trouble = what
        self._lasts(0.5, 6)
        self._endpoint.trouble = None

    def _fill(self, disk: Disk) -> None:
        disk.fill()
        self._lasts(0.5, 4)
        disk.make_room()

    def _harm(self, *, lose: bool) -> None:
        self._blobs.harm(lose=lose)
        self._lasts(0.5, 4)
        self._blobs.restore()

    def _reorganise(self) -> None:
        deepest = min(DEEPEST, self._block() - self._first_block)
        if deepest > 0:
            request(self._chain, "anvil_reorg", [self._dice.randint(1, deepest), []])
            # anvil's clock goes on from the last block that is left: minutes behind, in the end.
            last = request(self._chain, "eth_getBlockByNumber", ["latest", False])
            now = max(int(time.time()), int(last["timestamp"], 16) + 1)
            request(self._chain, "evm_setNextBlockTimestamp", [now])

    def _block(self) -> int:
        return int(request(self._chain, "eth_blockNumber", []), 16)
