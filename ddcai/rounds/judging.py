"""An assessed round, as every party computes it for itself: what to open, and what follows.

Public inputs alone: the chain's records, the models, the root set, and the scalars that the key
holder opened. Coordinator, key holder, contributors and auditors come to the same bytes, or one
of them is wrong.

A round's outcome is a document (`Judged.to_blob`) under a digest that the contract holds. It
carries the gate's memory, so that each is checked from the one before; `Judge.judge` makes it
anew from the scalars, and whoever compares takes nothing on trust but the document before,
which a quorum signed for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ddcai import digests, strict_json
from ddcai.assessment import derivation
from ddcai.assessment.configuration import Assessment
from ddcai.assessment.gate import Gate, GateState, pass_gate
from ddcai.assessment.root_set import commitment as root_commitment
from ddcai.assessment.scores import Frame, RoundScores
from ddcai.chain.records import Commitment, RoundRecord, RoundState
from ddcai.digests import DIGEST_BYTES
from ddcai.encryption.updates import any_set, lane_values
from ddcai.errors import (
    ConfigurationError,
    MalformedError,
    NotDrawn,
    StoreError,
    VerificationError,
)
from ddcai.models import state as states
from ddcai.models.anchor import anchor_update, check_anchor, root_set_from_blob
from ddcai.models.state import State
from ddcai.models.trained import trained_part
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.party import Party
from ddcai.rounds.result import quantiser
from ddcai.rounds.scalars import OpenedScalars

_FORMAT = "ddcai-scores-1"
Coordinates = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class View:
    """What is looked at in one round.

    Attributes:
        lane: of the updates; the block lies in it (`ddcai.encryption.updates.lane_values`).
        block: coordinates of the part of the model that the round trains, int64[m], ascending.
        frame: the vectors over the block.
    """

    lane: int
    block: Coordinates
    frame: Frame

    @property
    def positions(self) -> Coordinates:
        """The block among the encrypted values, which begin with the count's digits."""
        return self.block + COUNT_DIGITS


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The outcome of one round's gate.

    Attributes:
        previous: digest of the document of the last finalised round; None for the first.
        anchor: digest of the published anchor; None with the other kind of anchor.
        scalars: what was opened, of everybody that was committed.
        accepted: who is on the sealed list, sorted.
        sizes: by contributor.
        scores: by contributor.
        state: the gate's memory after the round.
    """

    previous: bytes | None
    anchor: bytes | None
    scalars: OpenedScalars
    accepted: tuple[str, ...]
    sizes: Mapping[str, float]
    scores: Mapping[str, RoundScores]
    state: GateState

    def to_blob(self) -> bytes:
        """Canonical JSON; floats are exact (multiples of 2**-17 at least)."""
        return digests.canonical_json(
            {
                "format": _FORMAT,
                "previous": _hex(self.previous),
                "anchor": _hex(self.anchor),
                "scalars": self.scalars.to_json(),
                "accepted": list(self.accepted),
                "scores": {
                    name: {
                        "size": self.sizes[name],
                        "length": one.length,
                        "anchor": one.anchor,
                        "replay": one.replay,
                    }
                    for name, one in self.scores.items()
                },
                "standings": dict(self.state.standings),
                "median_length": self.state.median_length,
            }
        )


@dataclass(frozen=True, kw_only=True)
class _Claims:
    """What a document says, of what cannot be computed: all else is compared."""

    previous: bytes | None
    anchor: bytes | None
    scalars: OpenedScalars
    state: GateState

    @classmethod
    def read(cls, blob: bytes) -> Self:
        """Raises MalformedError unless it has the form of a document."""
        try:
            value = strict_json.loads(blob)
            if value["format"] != _FORMAT:
                raise ValueError("format")
            standings = {str(name): float(one) for name, one in value["standings"].items()}
            median = value["median_length"]
            return cls(
                previous=_digest(value["previous"]),
                anchor=_digest(value["anchor"]),
                scalars=OpenedScalars.from_json(value["scalars"]),
                state=GateState(
                    standings=MappingProxyType(standings),
                    median_length=None if median is None else float(median),
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"no scores of a round: {error}") from error


class Judge:
    """Computes what a federation's rounds are judged by.

    Raises ConfigurationError for a federation without an assessment.
    """

    def __init__(self, party: Party) -> None:
        if party.config.assessment is None or not party.federation.rules().assessed:
            raise ConfigurationError(
                "this federation's updates are not judged: its configuration has no assessment"
            )
        self.party = party
        self.config: Assessment = party.config.assessment

    @cached_property
    def root_set(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The root set, once it is shown, checked against the configuration.

        Raises:
            BlobMissing: it is not shown yet.
            StoreError: the store has another one.
        """
        committed = bytes.fromhex(self.config.root_set)
        blob = self.party.store.get(digests.root_set_blob_digest(committed))
        x, y = root_set_from_blob(blob)
        if root_commitment(x, y) != committed:
            raise StoreError(
                f"the store's root set is not the one that the configuration names "
                f"({self.config.root_set}): fetch it from another copy"
            )
        return x, y

    def anchor(self, record: RoundRecord) -> State | None:
        """The update that the recipe makes on the root set; None with the other anchor."""
        if self.config.anchor != "root_set":
            return None
        x, y = self.root_set
        base = self.party.model(record.base_model_digest)
        return anchor_update(
            self.party.config, base, x, y, record.number, commitment_of(record).randomness
        )

    def published_anchor(self, record: RoundRecord, digest: bytes | None) -> State | None:
        """The anchor of a digest, from the store, compared with one's own.

        Raises:
            VerificationError: it is another one.
            BlobMissing, StoreError: it cannot be had.
        """
        own = self.anchor(record)
        if (own is None) != (digest is None):
            raise VerificationError(f"round {record.number} has an anchor where none belongs")
        if own is None or digest is None:
            return None
        published = self.party.model(digest)
        check_anchor(published, own)
        return published

    def view(self, record: RoundRecord, anchor: State | None) -> View:
        """What is looked at in a drawn round.

        Args:
            anchor: as published; None with the other kind.
        """
        seed = commitment_of(record).randomness
        mean: NDArray[np.float64] | None = None
        # Of all models that there ever were, only the latest are in memory.
        past: deque[NDArray[np.float32]] = deque(maxlen=self.config.replay_deltas + 1)
        for digest in self._models(record):
            model = self.trained(record, digest)
            if past and anchor is None:
                mean = derivation.blend_movement(mean, past[-1], model, self.config.decay)
            past.append(model)
        dimension = past[-1].size
        lane, block = self.block(record, dimension)
        direction = np.zeros(dimension) if mean is None else mean
        if anchor is not None:
            direction = states.flatten(anchor).astype(np.float64)
        return View(
            lane=lane,
            block=block,
            frame=Frame(
                projections=derivation.draw_projections(seed, self.config.projections, block.size),
                anchor=derivation.signs(direction, block),
                replay=derivation.past_movements(
                    list(past),
                    block,
                    count=self.config.replay_deltas,
                    limit=self.config.replay_limit,
                ),
                dimension=dimension,
            ),
        )

    def trained(self, record: RoundRecord, model: bytes) -> NDArray[np.float32]:
        """Of a public model, what a round trains: float32[D]."""
        part = trained_part(self.party.config, self.party.model(model), record.number)
        return states.flatten(part)

    def block(self, record: RoundRecord, dimension: int) -> tuple[int, Coordinates]:
        """A drawn round's lane, and the coordinates of D that are looked at (`View`)."""
        seed = commitment_of(record).randomness
        parameters = any_set(self.party.config.encryption.parameter_set)
        lane = derivation.draw_lane(seed, parameters.lanes)
        positions = lane_values(lane, dimension + COUNT_DIGITS, parameters)
        allowed = positions[positions >= COUNT_DIGITS] - COUNT_DIGITS
        return lane, derivation.draw_block(seed, dimension, self.config.block, allowed)

    @property
    def clip(self) -> float:
        """The longest honest update, in integer steps."""
        scale = quantiser(self.party.config)
        return scale.aggregation.clip_norm / scale.aggregation.value_range * scale.value_limit

    def noise(self, block: int, dimension: int) -> float:
        """What `ddcai.assessment.derivation.noise_deviation` comes to here."""
        return derivation.noise_deviation(self.config.opening_noise, self.clip, block, dimension)

    def judge(
        self,
        record: RoundRecord,
        view: View,
        anchor: bytes | None,
        scalars: OpenedScalars,
    ) -> Judged:
        """The gate of one round.

        Args:
            anchor: digest of the published anchor.
            scalars: of everybody that was committed.

        Raises:
            VerificationError: they are of others, or not signed by the key holder.
        """
        scalars.check(self.party, record)
        previous, before = self.before(record)
        # Of an update out of range nothing is opened: it is not accepted, and has no score.
        scores = {
            name: view.frame.scores(view.frame.opened(values))
            for name, values in scalars.by_contributor.items()
            if values
        }
        gate: Gate = pass_gate(scores, before, clip=self.clip, config=self.config)
        return Judged(
            previous=previous,
            anchor=anchor,
            scalars=scalars,
            accepted=gate.accepted,
            sizes=gate.sizes,
            scores=scores,
            state=gate.state,
        )

    def check(self, record: RoundRecord) -> Judged:
        """Fetches the document that a round was sealed with, and makes it anew.

        Raises:
            VerificationError: it says something else, or the sealed list is another one.
            MalformedError: it is no document.
            BlobMissing, StoreError: something that it rests on cannot be had.
        """
        blob = self.document(record)
        judged = self.remake(record, blob)
        if judged.to_blob() != blob:
            raise VerificationError(
                f"round {record.number}: the scalars do not lead to the scores of digest "
                f"{commitment_of(record).scores_digest.hex()}"
            )
        listed = {item.address for item in record.sealed}
        if listed != set(judged.accepted):
            odd = sorted(listed ^ set(judged.accepted))
            raise VerificationError(
                f"round {record.number}: {odd[0]} is on the sealed list, or passed the gate, not "
                "both"
            )
        return judged

    def remake(self, record: RoundRecord, document: bytes) -> Judged:
        """What the scalars in a document lead to, whatever it says itself.

        Raises as `check`, but compares nothing.
        """
        claims = _Claims.read(document)
        view = self.view(record, self.published_anchor(record, claims.anchor))
        return self.judge(record, view, claims.anchor, claims.scalars)

    def document(self, record: RoundRecord) -> bytes:
        """The bytes of a sealed round's document, of the digest that the chain has.

        Raises:
            BlobMissing, StoreError: they cannot be had, or are others.
        """
        digest = commitment_of(record).scores_digest
        blob = self.party.store.get(digest)
        if digests.scores_digest(self.party.context(record.number), blob) != digest:
            raise StoreError(
                f"the store's scores of round {record.number} are not those of digest "
                f"{digest.hex()}: fetch them from another copy"
            )
        return blob

    def before(self, record: RoundRecord) -> tuple[bytes | None, GateState]:
        """The document of the finalised round before, by digest, and the gate's memory in it.

        That round's contributors checked it when they signed its result.
        """
        for number in range(record.number - 1, 0, -1):
            earlier = self.party.federation.round(number)
            if earlier.state is RoundState.FINALIZED:
                claims = _Claims.read(self.document(earlier))
                return commitment_of(earlier).scores_digest, claims.state
        return None, GateState()

    def _models(self, record: RoundRecord) -> Iterator[bytes]:
        """Digests of the public models up to the round's base, oldest first: as many as the
        rule looks at."""
        if self.config.anchor == "root_set":
            earlier = range(record.number - 1, 0, -1)
            latest = list(islice(self._bases(earlier), self.config.replay_deltas))
            yield from reversed(latest)
        else:
            yield from self._bases(range(1, record.number))
        yield record.base_model_digest

    def _bases(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """Digests of the models that these rounds started from, of those that are finalised."""
        for number in numbers:
            earlier = self.party.federation.round(number)
            if earlier.state is RoundState.FINALIZED:
                yield earlier.base_model_digest


def commitment_of(record: RoundRecord) -> Commitment:
    """What a round was committed and drawn to.

    Raises:
        NotDrawn: it is not that far.
    """
    if record.commitment is None or not record.commitment.drawn:
        raise NotDrawn(f"round {record.number} has no randomness yet: draw it first")
    return record.commitment


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


def _digest(text: Any) -> bytes | None:
    if text is None:
        return None
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES or digest.hex() != text:
        raise ValueError("a digest has 64 hex digits")
    return digest
