"""Arguments come back from JSON as they were, of every event that can be in the index."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.index import contracts, encoding
from ddcai.audit.index.ranges import FORGET_AFTER, MOST_BLOCKS, TARGET_EVENTS, Ranges
from ddcai.chain import artifact

EVENTS = sorted(
    {
        (kind, entry["name"])
        for kind, names in contracts.ARTIFACTS.items()
        for name in names
        for entry in artifact.load(name).abi
        if entry["type"] == "event"
    }
)


def values(kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("[]"):
        return st.lists(values(kind[:-2]), max_size=3).map(tuple)
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(to_checksum_address)
    return {
        "int256": st.integers(-(2**255), 2**255 - 1),
        "bool": st.booleans(),
        "bytes32": st.binary(min_size=32, max_size=32),
        "bytes": st.binary(max_size=80),
    }[kind]


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    kind, name = data.draw(st.sampled_from(EVENTS))
    types = contracts.decoder(kind).types(name)
    args = {name: data.draw(values(of)) for name, of in types.items()}
    text = encoding.dumps(args)
    assert encoding.loads(text, types) == args


@pytest.mark.parametrize(
    ("value", "text"),
    [(2**53 - 1, "9007199254740991"), (2**53, '"9007199254740992"'), (-(2**53), None)],
)
def test_integers_that_doubles_cannot_hold_are_text(value: int, text: str | None) -> None:
    assert encoding.dumps({"x": value}) == f'{{"x":{text or chr(34) + str(value) + chr(34)}}}'


def test_ranges_grow_halve_and_forget() -> None:
    ranges = Ranges(8)
    for _ in range(4):
        ranges.took(ranges.size, 0)
    assert ranges.size == 128
    assert ranges.refused(128)
    ranges.took(64, 0)
    assert ranges.size == 64  # not beyond what was refused
    for _ in range(FORGET_AFTER):
        ranges.took(ranges.size, 0)
    assert ranges.size > 64
    for _ in range(40):
        ranges.took(ranges.size, 0)
    assert ranges.size == MOST_BLOCKS
    ranges.took(MOST_BLOCKS, 2 * TARGET_EVENTS + 1)
    assert ranges.size == MOST_BLOCKS // 2
    assert not ranges.refused(1)  # there is nothing less to ask for
