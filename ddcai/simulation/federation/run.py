"""One simulated federation: a rule, an attack, a seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.derivation import noise_deviation
from ddcai.configuration import Aggregation
from ddcai.errors import ConfigurationError
from ddcai.quantise import COUNT_DIGITS, Quantiser, apply
from ddcai.simulation.federation.attackers import Attacker, View
from ddcai.simulation.federation.comparators import COMPARATORS
from ddcai.simulation.federation.custody import (
    VALUE_LIMIT,
    Custody,
    Integers,
    Noisy,
    Twin,
)
from ddcai.simulation.federation.data import Data, deal
from ddcai.simulation.federation.network import Floats, Recipe, Shape, train
from ddcai.simulation.federation.referee import DEPOSIT_WEI, Referee, Settled

ASSESSMENT = "assessment"
RULES = (ASSESSMENT, *COMPARATORS)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What stays the same from seed to seed.

    Attributes:
        clients, rounds: how many.
        alpha: of the Dirichlet partition; natural sites ignore it.
        fraction: share of clients that attack, 0 to below 1, rounded to whole clients.
        participation: chance that a client takes part in a round, above 0.
        root_set: public samples; 0 with the rule's anchor "movement".
        recipe: local training.
        rule: the assessment's settings.
        bounty: paid in for each contributor and window, as a share of a window's deposit.
        value_limit: largest integer of an update.
        aggregation: how updates become integers; always weighted uniformly, since an encrypted
            count is one more thing to lie about.
    """

    clients: int = 20
    rounds: int = 40
    alpha: float = 0.3
    fraction: float = 0.2
    participation: float = 1.0
    root_set: int = 200
    recipe: Recipe = field(default_factory=Recipe)
    rule: Assessment = field(default_factory=Assessment)
    bounty: float = 0.05
    value_limit: int = VALUE_LIMIT
    aggregation: Aggregation = field(
        default_factory=lambda: Aggregation(weighting="uniform", clamped_share_limit=1.0)
    )

    def __post_init__(self) -> None:
        for name, good, remedy in (
            ("clients", self.clients >= 2, "give at least 2"),
            ("rounds", self.rounds >= 1, "give at least 1"),
            ("fraction", 0 <= self.fraction < 1, "give 0 to below 1"),
            ("participation", 0 < self.participation <= 1, "give above 0, at most 1"),
            ("bounty", 0 <= self.bounty < 1e6, "give 0 or more"),
        ):
            if not good:
                raise ConfigurationError(f"{name} is {getattr(self, name)}: {remedy}")
        if (self.root_set == 0) != (self.rule.anchor == "movement"):
            raise ConfigurationError(
                f"a root set of {self.root_set} samples and anchor {self.rule.anchor!r}: without "
                "a root set the anchor is the movement"
            )

    @property
    def attackers(self) -> int:
        """How many attack."""
        return round(self.fraction * self.clients)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What became of one federation.

    Attributes:
        rule: of `RULES`.
        seed: of everything.
        names: contributors.
        attackers: those of them that attacked.
        accuracy: on the test set, of the first model and after every round.
        success: the attack's own, after the last round; NaN where it has no aim.
        accepted: for each round, who was on its sealed list.
        sizes: for each round, each estimated length over its bound; empty but with the assessment.
        settled: the windows that were judged.
    """

    rule: str
    seed: int
    names: tuple[str, ...]
    attackers: frozenset[str]
    accuracy: tuple[float, ...]
    success: float
    accepted: tuple[tuple[str, ...], ...]
    sizes: tuple[dict[str, float], ...]
    settled: tuple[Settled, ...]


def simulate(
    data: Data,
    setting: Setting,
    attacker: Attacker,
    *,
    seed: int,
    rule: str = ASSESSMENT,
    custody: Custody | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> Outcome:
    """Runs one federation.

    With the assessment it runs `movement_lag` rounds more than asked, so that the last window
    can be judged; accuracy and success are of the rounds that were asked for. With
    `custody.Encrypted` it gives the same outcome from ciphertexts; the default is their twin.

    Raises:
        ConfigurationError: for a rule that there is none of, or data that cannot be dealt out.
    """
    if rule not in RULES:
        raise ConfigurationError(f"rule is {rule!r}: give one of {', '.join(RULES)}")
    split = deal(
        data,
        clients=setting.clients,
        alpha=setting.alpha,
        root_set=setting.root_set,
        seed=seed,
    )
    shape = Shape((data.x.shape[1], *data.hidden, data.classes))
    width = len(str(setting.clients - 1))
    names = tuple(f"client-{place:0{width}}" for place in range(setting.clients))
    draw = np.random.default_rng([seed, 31])
    bad = sorted(draw.choice(setting.clients, setting.attackers, replace=False).tolist())
    poisoned = []
    for x, y in (split.clients[place] for place in bad):
        poisoned.append(attacker.data(x, y, data.classes, draw))
    encoder = _Encoder(setting)
    custody = _custody(setting, shape.size, custody or Twin(), seed)
    referee = _referee(setting, shape, data, split.root[1].size, custody)
    states = [shape.first(seed)]
    accuracy = [_accuracy(shape, states[0], split.test)]
    accepted: list[tuple[str, ...]] = []
    sizes: list[dict[str, float]] = []
    success = math.nan
    judged = rule == ASSESSMENT
    total = setting.rounds + (setting.rule.movement_lag if judged else 0)
    for round_ in range(1, total + 1):
        if round_ == setting.rounds + 1:
            success = attacker.success(_predictor(shape, states[-1]), split.test, data.classes)
        present = _present(setting, names, seed, round_)
        sent, root = _updates(
            setting, shape, split.clients, split.root, poisoned, bad, attacker, states, seed, round_
        )
        there = np.flatnonzero(present)
        here = tuple(names[place] for place in there)
        values = encoder.encode(sent[there], [place in bad for place in there], seed, round_)
        if judged:
            handle = custody.commit(round_, values)
            gate = referee.gate(round_, _seed(seed, round_), states, here, handle, root)
            list_ = gate.accepted
            sizes.append(dict(gate.sizes))
            rows = np.array([name in list_ for name in here])
            if list_:
                states.append(encoder.apply(states[-1], custody.total(handle, rows), len(list_)))
            else:
                states.append(states[-1])
            referee.moved(states)
        else:
            list_ = here
            cheats = sum(place in bad for place in there)
            mean = COMPARATORS[rule](encoder.floats(values), cheats, root)
            states.append(apply(states[-1], mean))
        accepted.append(list_)
        accuracy.append(_accuracy(shape, states[-1], split.test))
        advance(round_ / total)
    if total == setting.rounds:
        success = attacker.success(_predictor(shape, states[-1]), split.test, data.classes)
    return Outcome(
        rule=rule,
        seed=seed,
        names=names,
        attackers=frozenset(names[place] for place in bad),
        accuracy=tuple(accuracy[: setting.rounds + 1]),
        success=success,
        accepted=tuple(accepted[: setting.rounds]),
        sizes=tuple(sizes[: setting.rounds]),
        settled=tuple(referee.settled),
    )


class _Encoder:
    """Updates as the integers that are encrypted, and their sum as a model."""

    def __init__(self, setting: Setting) -> None:
        self._quantiser = Quantiser(setting.aggregation, setting.value_limit)
        self._limit = setting.value_limit
        self.steps = setting.value_limit / setting.aggregation.value_range

    def encode(self, updates: Floats, bad: list[bool], seed: int, round_: int) -> Integers:
        """int64[n, D]. The honest clip and round as they must; an attacker is bound by the lane."""
        rng = np.random.default_rng([seed, 41, round_])
        values = np.empty(updates.shape, np.int64)
        for place, update in enumerate(updates):
            if bad[place]:
                rounded = np.rint(update.astype(np.float64) * self.steps)
                values[place] = np.clip(rounded, -self._limit, self._limit)
            else:
                values[place] = self._quantiser.encode(update, 1, rng).values[COUNT_DIGITS:]
        return values

    def apply(self, base: Floats, summed: Integers, contributors: int) -> Floats:
        """The model after a round whose sealed updates add up to int64[D]."""
        count = np.zeros(COUNT_DIGITS, np.int64)
        count[0] = contributors
        total = np.concatenate([count, summed])
        return apply(base, self._quantiser.decode(total, contributors))

    def floats(self, values: Integers) -> Floats:
        """What a server that sees every update works with."""
        return (values / self.steps).astype(np.float32)


def _updates(
    setting: Setting,
    shape: Shape,
    clients: list[tuple[Floats, np.ndarray]],
    root: tuple[Floats, np.ndarray],
    poisoned: list[tuple[Floats, np.ndarray]],
    bad: list[int],
    attacker: Attacker,
    states: list[Floats],
    seed: int,
    round_: int,
) -> tuple[Floats, Floats]:
    """What everybody sends, float32[clients, D], and the root set's update."""
    extra = poisoned if attacker.poisons else []
    jobs = [*clients, root, *extra]
    rngs = [np.random.default_rng([seed, 51, round_, place]) for place in range(len(jobs))]
    made = train(shape, states[-1], jobs, setting.recipe, rngs)
    sent, anchor, twisted = made[: len(clients)], made[len(clients)], made[len(clients) + 1 :]
    if bad:
        view = View(
            round=round_,
            states=states,
            honest=sent[bad],
            poisoned=twisted if attacker.poisons else sent[bad],
            rule=setting.rule,
            rng=np.random.default_rng([seed, 61, round_]),
        )
        sent[bad] = attacker.send(view)
    return sent, anchor


def _clip(setting: Setting) -> float:
    """The longest honest update, in integer steps."""
    return setting.aggregation.clip_norm * setting.value_limit / setting.aggregation.value_range


def _referee(
    setting: Setting, shape: Shape, data: Data, root_set: int, custody: Custody
) -> Referee:
    return Referee(
        setting.rule,
        dimension=shape.size,
        clip=_clip(setting),
        anchor_judges=setting.rule.anchor_judges(root_set, data.classes),
        custody=custody,
        bounty_wei=round(setting.bounty * DEPOSIT_WEI),
    )


def _custody(setting: Setting, dimension: int, inner: Custody, seed: int) -> Custody:
    noise = setting.rule.opening_noise
    if not noise:
        return inner
    block = min(setting.rule.block, dimension)
    deviation = noise_deviation(noise, _clip(setting), block, dimension)
    return Noisy(inner, deviation, np.random.default_rng([seed, 81]))


def _seed(seed: int, round_: int) -> bytes:
    """Stands for what the chain gives after the commitments."""
    return hashlib.sha256(f"ddcai simulate federation {seed} {round_}".encode()).digest()


def _present(setting: Setting, names: tuple[str, ...], seed: int, round_: int) -> np.ndarray:
    if setting.participation == 1:
        return np.ones(len(names), bool)
    present = np.random.default_rng([seed, 71, round_]).random(len(names)) < setting.participation
    return present if present.sum() >= 2 else np.ones(len(names), bool)


def _predictor(shape: Shape, state: Floats) -> Callable[[Floats], np.ndarray]:
    return lambda x: shape.predict(state, x)


def _accuracy(shape: Shape, state: Floats, test: tuple[Floats, np.ndarray]) -> float:
    return float((shape.predict(state, test[0]) == test[1]).mean())


__all__ = ["ASSESSMENT", "Outcome", "RULES", "Setting", "simulate"]
