"""How much of a shared key's openings is spent, as far as the chain shows.

The noise on partial openings hides the key over so many ciphertexts
(`ddcai.encryption.threshold.smudging`). Each holder counts what it opened, and refuses more
(`KeyExhausted`); by then the contributors' deposits are locked. So the same is reckoned from the
chain before a round is opened: every sealed list counts, whatever became of it, and every
committed list as if all scalars of it were opened, those of its window as well. That is no less
than what any holder counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ddcai import digests, strict_json
from ddcai.chain.federation import Federation
from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.configuration import FederationConfig
from ddcai.encryption.parameters import ParameterSet, parameter_set
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.encryption.updates import any_set
from ddcai.errors import ConfigurationError, MalformedError, RoundError, StoreError
from ddcai.models import state
from ddcai.models.trained import num_values
from ddcai.store import Store


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """What a key opened and may open; all counts are of ciphertexts of sums, or as such.

    Attributes:
        epoch: the key's.
        most: how many it may open; 0 where its noise hides not even one.
        spent: how many it opened, at most.
        next_round: how many the next round takes, with all members.
        rounds: how many rounds those are in all, from the next one on.
        rounds_left: how many of them are left.
    """

    epoch: int
    most: int
    spent: int
    next_round: int
    rounds: int
    rounds_left: int

    @property
    def scarce(self) -> bool:
        """Whether fewer than a tenth of its rounds are left."""
        return 10 * self.rounds_left < max(self.rounds, 1)

    def require(self, number: int) -> None:
        """Raises RoundError if the key cannot open a round of this number, the next one."""
        if not self.rounds_left:
            raise RoundError(
                f"round {number} takes the opening of {self.next_round} ciphertexts; the key of "
                f"epoch {self.epoch} has opened up to {self.spent}, and its noise hides "
                f"{self.most}: the round is not opened. Its holders make another key with `ddcai "
                "keys ceremony`, and register it with `ddcai federation rekey`; then start again"
            )


def wears_out(config: FederationConfig) -> bool:
    """Whether a federation's key may open only so much: not in the compact scheme, where none
    lasts longer than a round."""
    return isinstance(any_set(config.encryption.parameter_set), ParameterSet)


class KeyMeter:
    """Reckons what a federation's keys opened.

    Args:
        config: the federation's, of a key that wears out.
        model: any of its models: all have the same shapes.

    Raises:
        ConfigurationError: nothing of it wears out.
    """

    def __init__(
        self, config: FederationConfig, model: Mapping[str, npt.NDArray[np.float32]]
    ) -> None:
        self._config = config
        if not wears_out(config):
            raise ConfigurationError(
                f"{config.encryption.parameter_set} has no key that lasts: there is no end to it"
            )
        self._parameters = parameter_set(config.encryption.parameter_set)
        self._most_contributors = config.encryption.max_contributors
        # Which part of the model a round trains repeats with this period.
        self._period = config.training.encoder_every or 1
        ciphertexts = self._parameters.ciphertexts
        self._head, self._encoder = (
            ciphertexts(num_values(config, model, number))
            for number in (self._period + 1, self._period)
        )

    @classmethod
    def from_store(cls, store: Store, config_digest: bytes, model_digest: bytes) -> Self:
        """One by what the store has of a federation.

        Args:
            config_digest, model_digest: as the contract holds them.

        Raises:
            BlobMissing, StoreError: the store has not these, or others.
            MalformedError, ConfigurationError: they cannot be read.
        """
        try:
            config = FederationConfig.from_json(strict_json.loads(store.get(config_digest)))
        except ValueError as error:
            raise MalformedError(f"the configuration is not JSON: {error}") from error
        blob = store.get(model_digest)
        found = (config.digest(), digests.model_digest(blob))
        if found != (config_digest, model_digest):
            raise StoreError(f"the store {store.url} has another configuration or model")
        return cls(config, state.from_canonical(blob))

    def use(
        self, epoch: KeyEpoch, rounds: Iterable[RoundRecord], number: int, members: int
    ) -> KeyUse:
        """What a key opened.

        Args:
            epoch: the key's.
            rounds: those that were opened under it; one that is under way counts as a whole.
            number: of the next round.
            members: how many take part in a round, unless the chain says so.
        """
        try:
            pieces = len(Sharing(len(epoch.holders), epoch.threshold).pieces)
            most = smudging.most_openings(self._parameters, pieces, self._most_contributors)
        except ConfigurationError:  # too many holders
            least = self._ciphertexts(number)
            return KeyUse(
                epoch=epoch.number, most=0, spent=0, next_round=least, rounds=0, rounds_left=0
            )
        members = min(members, self._most_contributors)
        spent = sum(self._spent(one, pieces, members) for one in rounds)

        def cost(at: int) -> int:
            return self._ciphertexts(at) + self._scalars(at, pieces, members)

        costs = cost(self._period + 1), cost(self._period)
        return KeyUse(
            epoch=epoch.number,
            most=most,
            spent=spent,
            next_round=cost(number),
            rounds=self._rounds(most, number, *costs),
            rounds_left=self._rounds(most - spent, number, *costs),
        )

    def of_federation(self, federation: Federation, epoch: KeyEpoch) -> KeyUse:
        """What a federation's current key opened, as its contract has it now."""
        rounds, last = [], federation.last_round()
        for number in range(last, 0, -1):
            if federation.opened_block(number) < epoch.registered_block:
                break
            rounds.append(federation.round(number))
        members = sum(one.active for one in federation.members())
        return self.use(epoch, rounds, last + 1, members)

    def _rounds(self, openings: int, number: int, head: int, encoder: int) -> int:
        """How many rounds from a number on so many openings are."""
        period = (self._period - 1) * head + encoder
        count, left = divmod(max(openings, 0), period)
        count *= self._period
        while left >= (one := encoder if (number + count) % self._period == 0 else head):
            left -= one
            count += 1
        return count

    def _spent(self, record: RoundRecord, pieces: int, members: int) -> int:
        under_way = record.state in (RoundState.OPEN, RoundState.COMMITTED)
        spent = self._ciphertexts(record.number) if record.sealed or under_way else 0
        if record.commitment is not None:
            members = len(record.commitment.committed)
        elif not under_way:
            return spent
        return spent + self._scalars(record.number, pieces, members)

    def _ciphertexts(self, number: int) -> int:
        return self._encoder if number % self._period == 0 else self._head

    def _scalars(self, number: int, pieces: int, updates: int) -> int:
        """As how many ciphertexts the scalars of so many updates count; 0 without an assessment."""
        rule = self._config.assessment
        if rule is None:
            return 0
        gate = rule.projections + 1 + rule.replay_deltas
        ones = (
            smudging.scalars_as_openings(
                self._parameters,
                pieces,
                self._most_contributors,
                ciphertexts=self._ciphertexts(number),
                vectors=vectors,
            )
            for vectors in (gate, 1)
        )
        return sum(math.ceil(updates * one) for one in ones)
