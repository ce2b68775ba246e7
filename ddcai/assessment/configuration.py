"""Every threshold of the rule, in one frozen document whose digest the federation holds."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Literal

from ddcai.digests import assessment_digest
from ddcai.errors import ConfigurationError

MAX_VECTORS = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise ConfigurationError(f"assessment.{name} is {value!r}: {remedy}")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What an update must be like, round by round and over a window.

    Attributes:
        anchor: what the gate compares with: ``root_set`` (an update made on a committed public
            data set) or ``movement`` (the decaying mean of the model's past movement). Without
            a root set the rule holds against a fifth of attackers where clients are alike, and
            fails where they are not.
        block: coordinates that are drawn in a round; all of them in a smaller model.
        projections: random +-1 vectors by which the size of an update is estimated.
        size_factor: an update longer than this many times the median length of the last
            round's accepted ones is left out.
        clip_factor: and one whose estimate exceeds the clip by this factor. The length is an
            estimate, so an honest update of exactly the clip's length must have room.
        decay: weight of the past in a contributor's standing; the new score has the rest.
        gate_share: with the anchor "movement" a standing must be more than this share of the
            round's median standing. Movement is what attackers steer too: held to zero alone, a
            fifth of colluding flippers keep the gate open for themselves.
        window: rounds over which a verdict is made, counting those the contributor was in.
        movement_lag: rounds after which an update is held against what the model did since.
        replay_deltas: past movements of the model that an update may not merely repeat.
        replay_limit: largest magnitude of their integer coordinates.
        replay_ceiling, replay_margin: an update's share of energy in their span may be as
            large as the ceiling, or as the cohort's median plus the margin.
        movement_share, movement_reliable, movement_floor, movement_spreads: with q the
            cohort's median agreement with later movement: at least movement_share * q where
            q >= movement_reliable; else at least min(movement_floor, q - movement_spreads *
            spread), for then the direction is noise.
        movement_acquits: who agrees with later movement to this share of a reliable q cannot be
            convicted by the anchor: a root set is few samples, movement is everybody's.
        anchor_share, anchor_reliable, anchor_floor, anchor_spreads: the same of the agreement
            with the root set's update, where it judges (`anchor_judges`).
        spread_floor: the least spread that is reckoned with.
        noisy_windows: after so many windows in a row with q below movement_reliable nothing is
            forfeited.
        opening_noise: standard deviation of Gaussian noise on every opened scalar, as a share of
            what an update of the clip's length, spread evenly, could reach at most
            (`ddcai.assessment.derivation.noise_deviation`); 0: none.
        root_set: 64 hex digits, the commitment to the root set (`root_set.commitment`); empty
            with the other anchor, and in simulations.
        root_set_least, root_set_ratio: samples of a root set, and how many times as many the
            commonest class may have as the rarest.
        root_set_large: samples from which on the root set's update judges in the window too.
    """

    anchor: Literal["root_set", "movement"] = "root_set"
    block: int = 4096
    projections: int = 4
    size_factor: float = 3.0
    clip_factor: float = 2.0
    decay: float = 0.6
    gate_share: float = 0.5
    window: int = 10
    movement_lag: int = 3
    replay_deltas: int = 3
    replay_limit: int = 15
    replay_ceiling: float = 0.85
    replay_margin: float = 0.2
    movement_share: float = 0.15
    movement_acquits: float = 0.5
    movement_reliable: float = 0.04
    movement_floor: float = -0.04
    movement_spreads: float = 3.0
    anchor_share: float = 0.25
    anchor_reliable: float = 0.10
    anchor_floor: float = -0.05
    anchor_spreads: float = 3.0
    spread_floor: float = 0.007
    noisy_windows: int = 2
    opening_noise: float = 0.0
    root_set: str = ""
    root_set_least: int = 50
    root_set_ratio: float = 1.5
    root_set_large: int = 200

    def __post_init__(self) -> None:
        good = self.anchor in ("root_set", "movement")
        _require(good, "anchor", self.anchor, "give root_set or movement")
        good = not self.root_set or (
            self.anchor == "root_set" and _DIGEST.fullmatch(self.root_set) is not None
        )
        _require(good, "root_set", self.root_set, "give 64 hex digits, with that anchor alone")
        for name, low, high in (
            ("block", 1, 2**20),
            ("projections", 2, MAX_VECTORS),
            ("window", 1, 1000),
            ("movement_lag", 1, 100),
            ("replay_deltas", 0, 16),
            ("replay_limit", 1, 127),
            ("noisy_windows", 1, 1000),
            ("root_set_least", 1, 2**32),
            ("root_set_large", 1, 2**32),
        ):
            value = getattr(self, name)
            good = type(value) is int and low <= value <= high
            _require(good, name, value, f"give a whole number from {low} to {high}")
        for name, least, most in (
            ("size_factor", 1.0, 1e6),
            ("clip_factor", 1.0, 1e6),
            ("decay", 0.0, 0.999),
            ("gate_share", 0.0, 0.999),
            ("replay_ceiling", 0.0, 2.0),
            ("replay_margin", 0.0, 2.0),
            ("movement_share", 0.0, 1.0),
            ("movement_acquits", 0.0, 1.0),
            ("movement_reliable", 0.0, 1.0),
            ("movement_floor", -1.0, 0.0),
            ("movement_spreads", 0.0, 100.0),
            ("anchor_share", 0.0, 1.0),
            ("anchor_reliable", 0.0, 1.0),
            ("anchor_floor", -1.0, 0.0),
            ("anchor_spreads", 0.0, 100.0),
            ("spread_floor", 0.0, 1.0),
            ("opening_noise", 0.0, 1e3),
            ("root_set_ratio", 1.0, 1e6),
        ):
            value = getattr(self, name)
            good = type(value) in (int, float) and math.isfinite(value) and least <= value <= most
            _require(good, name, value, f"give a number from {least:g} to {most:g}")
            object.__setattr__(self, name, float(value) + 0.0)  # 1 is 1.0, -0.0 is 0.0

    def digest(self) -> bytes:
        """32 bytes over the canonical JSON: equal for equal documents, however written."""
        settings = dataclasses.asdict(self)
        if not self.opening_noise:  # came later: what was measured without keeps its digest
            del settings["opening_noise"]
        return assessment_digest(settings)

    def anchor_judges(self, samples: int, classes: int) -> bool:
        """Whether a root set's update judges in the window, and not in the gate alone.

        A small one is too noisy, and one of two classes too one-sided, to take a deposit by.
        """
        return self.anchor == "root_set" and samples >= self.root_set_large and classes > 2


__all__ = ["Assessment"]
