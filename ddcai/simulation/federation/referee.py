"""The rule at work: everything that a federation opens, decides and pays, round by round.

It is given what a custody keeps (`ddcai.simulation.federation.custody`), integers or ciphertexts,
and learns inner products alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcai.assessment import derivation
from ddcai.assessment.configuration import Assessment
from ddcai.assessment.gate import Gate, GateState, pass_gate
from ddcai.assessment.scores import Frame, movement_score
from ddcai.assessment.window import RoundRecord, Verdicts, WindowScores, judge, shares_wei
from ddcai.simulation.federation.custody import LANES, Custody, lane_coordinates
from ddcai.simulation.federation.network import Floats

DEPOSIT_WEI = 10**18


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pending:
    """A round that waits for its movement."""

    round: int
    block: derivation.Block
    names: tuple[str, ...]
    handle: Any
    squares: tuple[Fraction, ...]
    anchors: tuple[float, ...]
    replays: tuple[float, ...]
    sizes: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """A window that was judged.

    Attributes:
        round: the last of its rounds.
        due: whose windows these are; the others of the cohort were only compared with.
        verdicts: of the whole cohort.
        paid_wei: what each of due has got back and earned, less its deposit: below 0 is a loss.
    """

    round: int
    due: tuple[str, ...]
    verdicts: Verdicts
    paid_wei: dict[str, int]


class Referee:
    """Judges a federation as it goes.

    Args:
        rule: its settings.
        dimension: D.
        clip: the longest honest update, in integer steps.
        anchor_judges: of the root set.
        bounty_wei: paid in for each contributor whose window is judged.
        custody: opens inner products of what it keeps.
    """

    def __init__(
        self,
        rule: Assessment,
        *,
        dimension: int,
        clip: float,
        anchor_judges: bool,
        custody: Custody,
        bounty_wei: int = 0,
    ) -> None:
        self.rule = rule
        self.settled: list[Settled] = []
        self.carried_wei = 0
        self._dimension = dimension
        self._clip = clip
        self._anchor_judges = anchor_judges
        self._bounty_wei = bounty_wei
        self._custody = custody
        self._gate = GateState()
        self._pending: list[_Pending] = []
        self._records: dict[str, list[RoundRecord]] = {}
        self._judged: dict[str, int] = {}
        self._noisy = (0, 0)  # windows in a row, and the round when the last was counted
        self._past: NDArray[np.float64] | None = None

    def gate(
        self,
        round_: int,
        seed: bytes,
        states: list[Floats],
        names: tuple[str, ...],
        handle: Any,
        root_update: Floats | None,
    ) -> Gate:
        """One round, from commitments to the sealed list.

        Args:
            round_: from 1.
            seed: 32 bytes drawn after the commitments.
            states: public models, this round's base last.
            names: contributors.
            handle: the custody's, of their updates in the same order.
            root_update: float32[D]; None without a root set.
        """
        rule = self.rule
        lane = lane_coordinates(derivation.draw_lane(seed, LANES), self._dimension)
        block = derivation.draw_block(seed, self._dimension, rule.block, lane)
        if rule.anchor == "movement":
            if len(states) > 1:
                self._past = derivation.blend_movement(
                    self._past, states[-2], states[-1], rule.decay
                )
            direction = self._past
        else:
            direction = None if root_update is None else root_update.astype(np.float64)
        anchor = (
            np.zeros(block.size, np.int8)
            if direction is None
            else derivation.signs(direction, block)
        )
        frame = Frame(
            projections=derivation.draw_projections(seed, rule.projections, block.size),
            anchor=anchor,
            replay=derivation.past_movements(
                states, block, count=rule.replay_deltas, limit=rule.replay_limit
            ),
            dimension=self._dimension,
        )
        products = self._custody.open(handle, "gate", block, frame.vectors).tolist()
        scores = {
            name: frame.scores(frame.opened(row)) for name, row in zip(names, products, strict=True)
        }
        gate = pass_gate(scores, self._gate, clip=self._clip, config=rule)
        self._gate = gate.state
        self._pending.append(
            _Pending(
                round=round_,
                block=block,
                names=names,
                handle=handle,
                squares=tuple(scores[name].squared_length for name in names),
                anchors=tuple(scores[name].anchor for name in names),
                replays=tuple(scores[name].replay for name in names),
                sizes=tuple(gate.sizes[name] for name in names),
            )
        )
        return gate

    def moved(self, states: list[Floats]) -> None:
        """After a round: opens the movement of the round that is `movement_lag` back, and judges
        whoever has a whole window.

        Args:
            states: public models, the newest last; states[r] is the model after round r.
        """
        lag = self.rule.movement_lag
        while self._pending and len(states) - 1 >= self._pending[0].round + lag:
            one = self._pending.pop(0)
            direction = derivation.movement_signs(
                states[one.round], states[one.round + lag], one.block
            )
            opened = self._custody.open(one.handle, "movement", one.block, direction[None])
            products = opened[:, 0].tolist()
            for place, name in enumerate(one.names):
                self._records.setdefault(name, []).append(
                    RoundRecord(
                        size=one.sizes[place],
                        anchor=one.anchors[place],
                        movement=movement_score(products[place], one.squares[place], direction),
                        replay=one.replays[place],
                    )
                )
            self._judge(one.round)

    def _judge(self, round_: int) -> None:
        window = self.rule.window
        due = tuple(
            sorted(
                name
                for name, records in self._records.items()
                if len(records) - self._judged.get(name, 0) >= window
            )
        )
        if not due:
            return
        # Who has half a window is compared with, too: medians of few say little.
        cohort = {
            name: WindowScores.of(records[-window:])
            for name, records in self._records.items()
            if name in due or 2 * len(records) >= window
        }
        count, counted = self._noisy
        stale = round_ - counted >= window
        verdicts = judge(
            cohort,
            {name: DEPOSIT_WEI if name in due else 0 for name in cohort},
            anchor_judges=self._anchor_judges,
            noisy_windows=count if stale else max(0, count - 1),
            config=self.rule,
        )
        if stale or not verdicts.noisy_windows:
            self._noisy = (verdicts.noisy_windows, round_)
        for name in due:
            self._judged[name] = len(self._records[name])
        self._pay(round_, due, verdicts)

    def _pay(self, round_: int, due: tuple[str, ...], verdicts: Verdicts) -> None:
        lost = sum(DEPOSIT_WEI for name in due if not verdicts.by_contributor[name].refund)
        pool = lost + self._bounty_wei * len(due) + self.carried_wei
        shares = shares_wei(verdicts, pool)
        self.carried_wei = pool - sum(shares.values())
        paid = {
            name: shares[name] - (0 if verdicts.by_contributor[name].refund else DEPOSIT_WEI)
            for name in due
        }
        self.settled.append(Settled(round=round_, due=due, verdicts=verdicts, paid_wei=paid))


__all__ = ["DEPOSIT_WEI", "Referee", "Settled"]
