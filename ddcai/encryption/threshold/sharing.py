"""Who holds which piece of a key: replicated (CNF) secret sharing, T of N.

Ito, Saito and Nishizeki, "Secret sharing scheme realizing general access structure" (GLOBECOM
1987). There is a piece for every T - 1 holders, held by everyone else: T - 1 holders together lack
exactly the piece that is named after them, and any T holders have all of them between them. The
secret is the sum of the pieces, so that no coefficient multiplies them, and whoever holds a piece
can recompute what another one makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from ddcai.errors import ConfigurationError, RoundError

# Every piece widens the key and takes its part of the room for smudging.
MOST_PIECES = 130

Piece = tuple[int, ...]
"""The holders that lack the piece, ascending."""


@dataclass(frozen=True)
class Sharing:
    """T of N holders, numbered from 0.

    Attributes:
        holders: N, 2 to 64.
        threshold: T: so many can open, one fewer learn nothing. More than half of the holders:
            else two quorums without a common holder could open two lists of one round.

    Raises:
        ConfigurationError: for other numbers, or more than `MOST_PIECES` pieces.
    """

    holders: int
    threshold: int

    def __post_init__(self) -> None:
        n, t = self.holders, self.threshold
        if not 2 <= n <= 64:
            raise ConfigurationError(f"{n} key holders: from 2 to 64 are possible")
        if not 2 <= t <= n:
            raise ConfigurationError(
                f"a threshold of {t} of {n} key holders: give 2 to {n}; with 1, each of them "
                "could read every update alone"
            )
        if 2 * t <= n:
            raise ConfigurationError(
                f"a threshold of {t} of {n} key holders: two quorums could have no holder in "
                f"common; give at least {n // 2 + 1}"
            )
        if math.comb(n, t - 1) > MOST_PIECES:
            raise ConfigurationError(
                f"{t} of {n} key holders share {math.comb(n, t - 1)} pieces, at most "
                f"{MOST_PIECES} are possible: choose fewer holders, such as 4 of 7 or 5 of 9"
            )

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, C(N, T - 1) of them, in lexicographic order."""
        return tuple(combinations(range(self.holders), self.threshold - 1))

    def held_by(self, holder: int) -> tuple[Piece, ...]:
        """The pieces of one holder, in order."""
        return tuple(piece for piece in self.pieces if holder not in piece)

    def holders_of(self, piece: Piece) -> tuple[int, ...]:
        """Who holds a piece, ascending: N - T + 1 holders."""
        return tuple(holder for holder in range(self.holders) if holder not in piece)

    def assign(self, responders: Iterable[int]) -> dict[Piece, int]:
        """Which of the responders delivers which piece, all of them about as many.

        Follows from the set of responders alone, so that all of them reckon alike.

        Raises:
            RoundError: fewer than the threshold: a piece would be missing.
        """
        present = sorted(set(responders))
        if present and not 0 <= present[0] <= present[-1] < self.holders:
            raise RoundError(f"key holders {present}: they are numbered 0 to {self.holders - 1}")
        if len(present) < self.threshold:
            raise RoundError(
                f"{len(present)} of {self.holders} key holders are there, {self.threshold} are "
                "needed to open: start more of them"
            )
        load = dict.fromkeys(present, 0)
        assigned: dict[Piece, int] = {}
        for piece in self.pieces:
            able = [holder for holder in present if holder not in piece]
            chosen = min(able, key=lambda holder: (load[holder], holder))
            load[chosen] += 1
            assigned[piece] = chosen
        return assigned
