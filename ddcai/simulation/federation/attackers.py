"""Attackers as plug-ins: what they train on, and what they send.

One object stands for all attackers of a run, so that they can act together. They see what a
contributor sees: their own data, the public models, and in round r what honest training on their
data would give. The rule's settings are public; the block, the projections and what others send
are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ddcai.assessment.configuration import Assessment
from ddcai.errors import ConfigurationError
from ddcai.simulation.federation.network import Floats, Labels

Samples = tuple[Floats, Labels]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What attackers know when they send.

    Attributes:
        round: from 1.
        states: public models, float32[D], the first one first, this round's base last.
        honest: what training on their true data gives, float32[a, D].
        poisoned: what training on `Attacker.data` gives, float32[a, D].
        rule: the federation's settings.
        rng: theirs.
    """

    round: int
    states: Sequence[Floats]
    honest: Floats
    poisoned: Floats
    rule: Assessment
    rng: np.random.Generator


class Attacker:
    """Base: trains on poisoned data and sends what comes out.

    Attributes:
        poisons: whether `data` changes anything; if not, training is done once.
        gross: whether it is meant to break the model, and does not hide.
        strength: how many times as large; None where that means nothing.
    """

    poisons = True
    gross = False
    strength: float | None = None

    def data(self, x: Floats, y: Labels, classes: int, rng: np.random.Generator) -> Samples:
        """What an attacker with true samples x, y trains on."""
        return x, y

    def send(self, view: View) -> Floats:
        """Updates of all attackers, float32[a, D]."""
        return view.poisoned

    def success(self, predict: Callable[[Floats], Labels], test: Samples, classes: int) -> float:
        """Share of what it aimed at that it reached on the test set; NaN where it has no aim."""
        return math.nan


class LabelFlip(Attacker):
    """Every label c becomes classes - 1 - c (one of two classes: the other)."""

    gross = True

    def data(self, x: Floats, y: Labels, classes: int, rng: np.random.Generator) -> Samples:
        return x, classes - 1 - y


class MildTargetedFlip(Attacker):
    """Class 1 becomes the last class but two (of digits, ones are to be read as sevens).

    Who has no samples of class 1 does no harm. Even plain averaging hardly notices it.
    """

    def data(self, x: Floats, y: Labels, classes: int, rng: np.random.Generator) -> Samples:
        return x, np.where(y == 1, self._target(classes), y)

    def success(self, predict: Callable[[Floats], Labels], test: Samples, classes: int) -> float:
        aimed = test[0][test[1] == 1]
        return float((predict(aimed) == self._target(classes)).mean())

    @staticmethod
    def _target(classes: int) -> int:
        return max(classes - 3, 0)


class TargetedFlip(MildTargetedFlip):
    """The same, with what the flip changes in the update three, or `strength`, times as large."""

    strength = 3.0

    def send(self, view: View) -> Floats:
        return view.honest + np.float32(self.strength) * (view.poisoned - view.honest)


class SignFlip(Attacker):
    """The opposite of an honest update."""

    poisons = False
    gross = True

    def send(self, view: View) -> Floats:
        return -view.honest


class Noise(Attacker):
    """Gaussian noise of an honest update's length."""

    poisons = False
    gross = True

    def send(self, view: View) -> Floats:
        return scaled(view.rng.normal(size=view.honest.shape), lengths(view.honest))


class BoostedFlip(LabelFlip):
    """Flipped labels, ten times as long, or `strength` times."""

    strength = 10.0

    def send(self, view: View) -> Floats:
        return np.float32(self.strength) * view.poisoned


class Zero(Attacker):
    """Nothing at all: a free rider."""

    poisons = False
    gross = True

    def send(self, view: View) -> Floats:
        return np.zeros_like(view.honest)


class StaleReplay(Attacker):
    """The last movement of the public model, at an honest update's length."""

    poisons = False

    def send(self, view: View) -> Floats:
        if len(view.states) < 2:
            return view.honest
        past = np.repeat(movement(view.states)[None], len(view.honest), axis=0)
        return scaled(past, lengths(view.honest))


class BlendedReplay(StaleReplay):
    """A replay with noise of the same length, so that half of its energy is new."""

    def send(self, view: View) -> Floats:
        replay = super().send(view)
        noise = scaled(view.rng.normal(size=replay.shape), lengths(replay))
        return scaled(replay + noise, lengths(view.honest))


class Backdoor(Attacker):
    """Half of the samples carry a trigger (the first three inputs at their maximum) and class 0."""

    def data(self, x: Floats, y: Labels, classes: int, rng: np.random.Generator) -> Samples:
        marked = rng.random(len(y)) < 0.5
        return np.where(marked[:, None], self._trigger(x), x), np.where(marked, 0, y)

    def success(self, predict: Callable[[Floats], Labels], test: Samples, classes: int) -> float:
        return float((predict(self._trigger(test[0][test[1] != 0])) == 0).mean())

    @staticmethod
    def _trigger(x: Floats) -> Floats:
        marked = x.copy()
        marked[:, :3] = 1
        return marked


class Colluding(LabelFlip):
    """All send one malicious direction: the mean of what their flipped labels give."""

    def send(self, view: View) -> Floats:
        mean = np.repeat(view.poisoned.mean(axis=0)[None], len(view.poisoned), axis=0)
        return scaled(mean, lengths(view.honest))


class Adaptive(LabelFlip):
    """Knows the rule: as much of flipped labels as passes, by its own estimate.

    It takes its own honest update for the root set's, and mixes in poison until the agreement
    with its signs is `share` of what its honest update has: above the gate, and above the
    window's bound of a quarter of the median.
    """

    gross = False
    share = 0.35

    def send(self, view: View) -> Floats:
        direction = np.sign(view.honest.mean(axis=0))
        poison = scaled(view.poisoned, lengths(view.honest))
        sent = []
        for honest, bad in zip(view.honest, poison, strict=True):
            wanted = self.share * cosine(honest, direction)
            low, high = 0.0, 1.0  # of poison; more of it agrees less
            for _ in range(20):
                middle = (low + high) / 2
                agreed = cosine((1 - middle) * honest + middle * bad, direction)
                low, high = (middle, high) if agreed >= wanted else (low, middle)
            sent.append((1 - low) * honest + low * bad)
        mixed = np.array(sent, np.float32).reshape(view.honest.shape)
        # Up to the bound on size, with room for the estimate.
        return scaled(mixed, 0.7 * view.rule.size_factor * lengths(view.honest))


class Sleeper(LabelFlip):
    """Knows the rule: honest until its standing is high, then flips, at the bound on size.

    It keeps its own book of the standing that the gate gives it, from its honest update in place
    of the root set's, and strikes whenever the standing would bear it.
    """

    gross = False

    def __init__(self) -> None:
        self._standings: list[float] = []

    def send(self, view: View) -> Floats:
        if view.round == 1 or not self._standings:
            self._standings = [0.0] * len(view.honest)
        direction = np.sign(view.honest.mean(axis=0))
        strikes = scaled(view.poisoned, 0.7 * view.rule.size_factor * lengths(view.honest))
        decay, sent = view.rule.decay, []
        for place, (honest, strike) in enumerate(zip(view.honest, strikes, strict=True)):
            stands = decay * self._standings[place]
            struck = stands + (1 - decay) * cosine(strike, direction)
            if struck > 0.02:
                self._standings[place] = struck
                sent.append(strike)
            else:
                self._standings[place] = stands + (1 - decay) * cosine(honest, direction)
                sent.append(honest)
        return np.array(sent, np.float32).reshape(view.honest.shape)


class Padded(LabelFlip):
    """Flipped labels hidden behind the model's past movement, of twice their length."""

    gross = False

    def send(self, view: View) -> Floats:
        if len(view.states) < 2:
            return view.honest
        past = movement(view.states, 5)
        pad = scaled(np.repeat(past[None], len(view.honest), axis=0), 2 * lengths(view.honest))
        return pad + scaled(view.poisoned, lengths(view.honest))


ATTACKERS: dict[str, type[Attacker]] = {
    "label-flip": LabelFlip,
    "targeted-flip": TargetedFlip,
    "mild-targeted-flip": MildTargetedFlip,
    "sign-flip": SignFlip,
    "noise": Noise,
    "boosted-flip": BoostedFlip,
    "zero": Zero,
    "stale-replay": StaleReplay,
    "blended-replay": BlendedReplay,
    "backdoor": Backdoor,
    "colluding": Colluding,
    "adaptive": Adaptive,
    "sleeper": Sleeper,
    "padded": Padded,
}


def make_attacker(name: str, resolve: Callable[[str], Callable[..., Attacker]]) -> Attacker:
    """One of `ATTACKERS`, with ``:number`` for its strength, or ``module:class`` of a user's own.

    Args:
        name: which.
        resolve: imports ``module:name`` (`ddcai.models.entry_points.resolve`).

    Raises:
        ConfigurationError: there is no such attacker.
    """
    known, _, number = name.partition(":")
    if known in ATTACKERS:
        attacker = ATTACKERS[known]()
        if number:
            if attacker.strength is None or not re.fullmatch(r"\d+(\.\d+)?", number):
                strong = [one for one, kind in ATTACKERS.items() if kind.strength is not None]
                raise ConfigurationError(
                    f"attack is {name!r}: a number goes with {' and '.join(strong)}"
                )
            attacker.strength = float(number)
        return attacker
    if ":" not in name:
        raise ConfigurationError(
            f"attack is {name!r}: give module:class, or one of {', '.join(ATTACKERS)}"
        )
    made = resolve(name)()
    if not isinstance(made, Attacker):
        raise ConfigurationError(f"{name} made a {type(made).__name__}: derive it from Attacker")
    return made


def lengths(updates: Floats) -> Floats:
    """L2 norms, float32[a]."""
    norms: Floats = np.linalg.norm(updates, axis=1).astype(np.float32)
    return norms


def scaled(updates: np.ndarray, wanted: Floats) -> Floats:
    """Each row at its wanted length; rows of zeros stay."""
    norms = np.linalg.norm(updates, axis=1)
    factors = np.divide(wanted, norms, out=np.zeros(len(norms)), where=norms > 0)
    made: Floats = (updates * factors[:, None]).astype(np.float32)
    return made


def movement(states: Sequence[Floats], rounds: int = 1) -> Floats:
    """What the public model moved in its last rounds."""
    moved: Floats = states[-1] - states[max(0, len(states) - 1 - rounds)]
    return moved


def cosine(one: Floats, other: Floats) -> float:
    """0 where either is zero."""
    norms = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0


__all__ = [
    "ATTACKERS",
    "Attacker",
    "View",
    "cosine",
    "lengths",
    "make_attacker",
    "movement",
    "scaled",
]
