"""Parsing RLP from strangers: one form for each value, and no deeper than what is expected.

RLP is Ethereum's serialisation (Yellow Paper, appendix B): byte strings, and lists of them.
"""

from __future__ import annotations

from typing import TypeAlias

from ddcai.errors import MalformedError

Item: TypeAlias = "bytes | list[Item]"

_SHORT = 55  # bytes whose length fits the first byte


def decode(data: bytes, depth: int) -> Item:
    """The one item that the bytes are.

    Args:
        depth: of lists in lists, at most.

    Raises:
        MalformedError: bytes that no encoder writes, more of them than one item, or lists
            nested deeper.
    """
    item, end = _item(data, 0, len(data), depth)
    if end != len(data):
        raise MalformedError(f"{len(data) - end} bytes after the end of an RLP item")
    return item


def number(item: Item, name: str) -> int:
    """A whole number below 2^64, which has no leading zeros.

    Raises:
        MalformedError: something else.
    """
    if isinstance(item, list) or len(item) > 8 or item[:1] == b"\0":
        raise MalformedError(f"{name} is not a number in RLP's form")
    return int.from_bytes(item, "big")


def _item(data: bytes, start: int, end: int, depth: int) -> tuple[Item, int]:
    """The item that begins at `start`, and where it ends; at `end` at the latest."""
    if start >= end:
        raise MalformedError("RLP that ends too early")
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    is_list = first >= 0xC0
    length = first - (0xC0 if is_list else 0x80)
    begin = start + 1
    if length > _SHORT:
        bytes_of_length = length - _SHORT
        begin += bytes_of_length
        digits = data[start + 1 : min(begin, end)]
        length = int.from_bytes(digits, "big")
        if len(digits) < bytes_of_length or digits[0] == 0 or length <= _SHORT:
            raise MalformedError("RLP with a length that is not in its shortest form")
    stop = begin + length
    if stop > end:
        raise MalformedError("RLP that ends too early")
    if not is_list:
        if length == 1 and data[begin] < 0x80:
            raise MalformedError("RLP with a byte that is not in its shortest form")
        return data[begin:stop], stop
    if depth == 0:
        raise MalformedError("RLP with lists nested too deep")
    items: list[Item] = []
    place = begin
    while place < stop:
        item, place = _item(data, place, stop, depth - 1)
        items.append(item)
    return items, stop
