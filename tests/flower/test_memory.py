"""Whoever adds updates holds a few of them at once, however many contributors there are."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from ddcai import digests
from ddcai.audit.blobs import Blobs
from ddcai.audit.sums import Addition
from ddcai.digests import RoundContext
from ddcai.encryption import wire
from ddcai.encryption.compact import wire as compact_wire
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.encryption.updates import AnySet, any_set
from ddcai.flower import InProcessGrid, messages
from ddcai.flower.messages import UpdateReply
from ddcai.flower.roster import Roster
from ddcai.flower.training import UpdatesAsked
from ddcai.flower.waiting import Waiting
from ddcai.rounds.collection import Collection

FEW, MANY = 4, 16
CONTEXT = RoundContext(chain_id=1, contract="0x" + "11" * 20, round=1)
# Of 5 MB an update.
SETS = {"bfv-8192-3x20": 400_000, "compact-64-3x17": 1_800_000}


def address(index: int) -> str:
    return "0x" + f"{index + 1:040d}"


def update(index: int, values: int, parameters: AnySet) -> bytes:
    """Random words: an update as whoever has no key sees it. Made anew at every call."""
    rng = np.random.default_rng(index)
    if isinstance(parameters, CompactShape):
        sharing = Sharing(3, 2)
        size = compact_wire.update_bytes(values, parameters, sharing)
        head = compact_wire.header(compact_wire.UPDATE, parameters, sharing, values, 1)
    else:
        size = parameters.ciphertexts(values) * parameters.bytes_per_ciphertext + wire.HEADER_BYTES
        head = wire.header(wire.CIPHERTEXTS, parameters.number, values)
    return head + rng.bytes(size - len(head))


class Contributors(InProcessGrid):
    """Each answers with its update, which is made when it is pulled."""

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__({})
        self._make, self._asked = make, dict[str, Message]()
        self._numbers = itertools.count()

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        numbers = []
        for message in messages:
            numbers.append(str(next(self._numbers)))
            message.metadata.__dict__["_message_id"] = numbers[-1]
            self._asked[numbers[-1]] = message
        return numbers

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._answer(self._asked.pop(one)) for one in message_ids if one in self._asked]

    def _answer(self, message: Message) -> Message:
        index = message.metadata.dst_node_id
        reply = UpdateReply(contributor=address(index), ciphertext=self._make(index), metrics={})
        return Message(reply.to_content(), reply_to=message)


class MadeStore:
    """Holds no byte: makes an update when it is asked for, and forgets what it is given."""

    def __init__(self, made: dict[bytes, int], make: Callable[[int], bytes]) -> None:
        self._made, self._make = made, make

    def get(self, digest: bytes) -> bytes:
        return self._make(self._made[digest])

    def has(self, digest: bytes) -> bool:
        return digest in self._made

    def put(self, digest: bytes, blob: bytes) -> None:
        pass


def peak_mb(work: Callable[[int], Any], count: int) -> float:
    tracemalloc.start()
    try:
        work(count)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", SETS)
def test_memory_does_not_grow_with_contributors(name: str) -> None:
    values, parameters = SETS[name], any_set(name)
    committed = {
        digests.update_digest(CONTEXT, address(one), update(one, values, parameters)): one
        for one in range(MANY)
    }
    by_address = {address(one): digest for digest, one in committed.items()}
    store = MadeStore(committed, lambda one: update(one, values, parameters))
    federation = SimpleNamespace(update_digest=lambda _, who: by_address[who])
    party: Any = SimpleNamespace(
        store=store,
        federation=federation,
        context=lambda _: CONTEXT,
        config=SimpleNamespace(encryption=SimpleNamespace(parameter_set=name, max_updates=MANY)),
    )
    record: Any = SimpleNamespace(number=1)
    sums: dict[str, bytes] = {}

    def coordinate(count: int) -> None:
        """Messages arrive, are added and stored, and the sum is sealed."""
        collection = Collection(party, record, values)
        asked = UpdatesAsked(
            Contributors(lambda one: update(one, values, parameters)),
            Roster(contributors={address(one): one for one in range(count)}),
            lambda: None,
            lambda node: Message(RecordDict(), node, messages.TRAIN),
            lambda: (),
            count,
            count,
            collection.update_bytes,
        )
        for reply in asked.replies(60, Waiting("an update", 0.0)):
            assert messages.refused(reply) is None
            got = UpdateReply.from_content(reply.content)
            collection.add(got.contributor, got.ciphertext)
        assert len(collection.accepted) == count
        sums["sealed"] = collection.sum_blob()

    def audit(count: int) -> None:
        """The sum is made anew from the store."""
        blobs, addition = Blobs(store), Addition(parameters, values)  # type: ignore[arg-type]
        for digest, one in list(committed.items())[:count]:
            claim, blob = blobs.check(
                "updates",
                digest,
                lambda blob, one=one: digests.update_digest(CONTEXT, address(one), blob),
                bytes,
            )
            assert claim.passed
            addition.add(address(one), blob)
        assert len(addition.marks) == count

    for work in (coordinate, audit):
        few, many = (peak_mb(work, count) for count in (FEW, MANY))
        assert few > 5
        assert many < 1.05 * few, (work.__name__, few, many)
    assert len(sums["sealed"]) > 4_000_000
