"""How many blocks to ask for at once: as many as a node gives, and as memory takes."""

from __future__ import annotations

# What a range should have, for speed and memory: half to twice of it is left as it is.
TARGET_EVENTS = 2000
FIRST_BLOCKS, MOST_BLOCKS = 8, 100_000
# A refusal may have been of many events, not of many blocks: so many ranges later it is forgotten.
FORGET_AFTER = 32


class Ranges:
    """The size of the next range: halved when a node refuses, or when there are many events."""

    def __init__(self, first: int = FIRST_BLOCKS) -> None:
        self.size = first
        self._limit = MOST_BLOCKS
        self._since = 0

    def refused(self, blocks: int) -> bool:
        """A node refused so many blocks; False if there are no fewer to ask for."""
        if blocks <= 1:
            return False
        self._limit = self.size = blocks // 2
        self._since = 0
        return True

    def took(self, blocks: int, events: int) -> None:
        """A node gave so many blocks, with so many events in them."""
        self._since += 1
        if self._since >= FORGET_AFTER:
            self._limit, self._since = MOST_BLOCKS, 0
        if events > 2 * TARGET_EVENTS:
            self.size = max(1, blocks // 2)
        elif events < TARGET_EVENTS // 2 and blocks >= self.size:
            self.size = min(self._limit, self.size * 2)
