"""The claims about one round's sum and result, made without those of any other round.

So rounds can be checked in any order, in several processes: what a round starts from is the
model of the last finalised round before it, taken from the store, or recomputed from an earlier
one where its blob cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import Finalisation, History, RoundHistory, Sealing
from ddcai.audit.signatures import Signatures
from ddcai.audit.sums import Addition, Marks
from ddcai.configuration import FederationConfig
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.updates import any_set
from ddcai.errors import ConfigurationError, DdcaiError
from ddcai.models import state
from ddcai.models.state import State
from ddcai.models.trained import num_values
from ddcai.rounds.result import next_model, result_of
from ddcai.store import Store


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A sealed round's claims.

    Attributes:
        updates: about its updates.
        total: that its sum is theirs, as far as the round alone shows it: a copy of an update of
            another round is found by `marks`.
        result: about the sum's blob, and about the result where there is one.
        marks: of each update, in their order.
    """

    updates: tuple[Claim, ...]
    total: Claim
    result: tuple[Claim, ...]
    marks: Marks


class RoundChecks:
    """Checks rounds of one history; remembers the newest model that it came across.

    Args:
        config: None where it cannot be used.
    """

    def __init__(self, history: History, store: Store, config: FederationConfig | None) -> None:
        self._history, self._blobs, self._config = history, Blobs(store), config
        self._signatures = Signatures(history)
        self._newest: tuple[bytes, State] | None = None
        # A place, and that of the last finalised round before it.
        self._looked = 0, -1

    def check(self, position: int) -> Checked:
        """The claims about the sealed round at a place in the history; an update at a time."""
        round_ = self._history.rounds[position]
        assert round_.sealing is not None
        before, base = self._model_before(position)
        if round_.base_model_digest != before:
            base = None  # the claim about the chain of rounds says so
        addition = self._addition(round_, base)
        updates = tuple(self._updates(round_, addition))
        total = addition.check(self._history, round_, round_.sealing)
        sum_digest = partial(digests.sum_digest, self._history.context(round_.number))
        blob, _ = self._blobs.check(
            claims.SUM_BLOB, round_.sealing.sum_digest, sum_digest, bytes, round_=round_.number
        )
        result = [blob]
        if round_.finalisation is not None:
            result += self._result(round_, round_.sealing, round_.finalisation, base)
        return Checked(
            updates=updates,
            total=total,
            result=tuple(result),
            marks=addition.marks,
        )

    def check_current_head(self) -> Claim:
        """That the head on chain is the last layer of the current model."""
        digest, model = self._model_before(len(self._history.rounds))
        current = self._history.model_digest
        found = digests.head_digest(self._history.head_words)
        return self._head(current, model if digest == current else None, found, None)

    # Models.

    def _model_before(self, position: int) -> tuple[bytes, State | None]:
        """The model of the last finalised round before a place, or the first: digest, and state
        unless it can neither be read nor recomputed."""
        place = self._finalised_before(position)
        wanted, model = self._digest_after(place), self._stored(place)
        trail: list[int] = []
        while model is None and place >= 0:
            trail.append(place)
            place = self._finalised_before(place)
            model = self._stored(place)
        for later in reversed(trail):
            if model is not None:
                model = self._recomputed(later, self._digest_after(place), model)
                place = later
        self._newest = None if model is None else (wanted, model)
        return wanted, model

    def _finalised_before(self, position: int) -> int:
        """Its place; -1 where there is none. Looks at no place twice while positions ascend."""
        rounds, (looked, last) = self._history.rounds, self._looked
        if looked > position:
            looked, last = 0, -1
        places = range(position - 1, looked - 1, -1)
        last = next((one for one in places if rounds[one].finalisation is not None), last)
        if position >= self._looked[0]:
            self._looked = position, last
        return last

    def _digest_after(self, place: int) -> bytes:
        if place < 0:
            return self._history.initial_model_digest
        final = self._history.rounds[place].finalisation
        assert final is not None
        return final.model_digest

    def _stored(self, place: int) -> State | None:
        digest = self._digest_after(place)
        if self._newest is not None and self._newest[0] == digest:
            return self._newest[1]
        return self._blobs.check(
            claims.MODEL_BLOB, digest, digests.model_digest, state.from_canonical
        )[1]

    def _recomputed(self, place: int, base_digest: bytes, base: State) -> State | None:
        round_ = self._history.rounds[place]
        final = round_.finalisation
        assert final is not None
        if round_.base_model_digest != base_digest:
            return None
        return self._follows(round_, final, base, self._opened(round_, final)[1])[1]

    # A sum.

    def _updates(self, round_: RoundHistory, addition: Addition) -> Iterator[Claim]:
        number, context = round_.number, self._history.context(round_.number)
        for one in round_.sealed:
            claim, blob = self._blobs.check(
                claims.UPDATES,
                one.digest,
                partial(digests.update_digest, context, one.address),
                bytes,
                round_=number,
                subject=one.address,
            )
            addition.add(f"{one.address} in round {number}", blob)
            yield claim

    def _addition(self, round_: RoundHistory, base: State | None) -> Addition:
        """Takes what the configuration and the base model ask for, as far as they are known."""
        if self._config is None:
            return Addition(None, None)
        try:
            values = None if base is None else num_values(self._config, base, round_.number)
        except ConfigurationError:  # a model without a head: the claim about the head says so
            values = None
        try:
            chosen = any_set(self._config.encryption.parameter_set)
        except ConfigurationError:  # the claim about the key says so
            return Addition(None, values)
        return Addition(chosen, values)

    # A result.

    def _result(
        self, round_: RoundHistory, sealing: Sealing, final: Finalisation, base: State | None
    ) -> Iterator[Claim]:
        number = round_.number
        claim, opened = self._opened(round_, final)
        yield claim
        yield self._signatures.check_opening(round_, sealing, final)
        follows, model = self._follows(round_, final, base, opened)
        yield follows
        claim, stored = self._blobs.check(
            claims.MODEL_BLOB,
            final.model_digest,
            digests.model_digest,
            state.from_canonical,
            round_=number,
        )
        yield claim
        yield self._signatures.check_quorum(round_, sealing, final)
        model = stored if model is None else model
        self._newest = None if model is None else (final.model_digest, model)
        yield self._head(final.model_digest, model, final.head_digest, number)

    def _opened(
        self, round_: RoundHistory, final: Finalisation
    ) -> tuple[Claim, NDArray[np.int64] | None]:
        number = round_.number
        opened_digest = partial(digests.opened_digest, self._history.context(number))
        return self._blobs.check(
            claims.OPENED, final.opened_digest, opened_digest, opened_from_blob, round_=number
        )

    def _follows(
        self,
        round_: RoundHistory,
        final: Finalisation,
        base: State | None,
        opened: NDArray[np.int64] | None,
    ) -> tuple[Claim, State | None]:
        """The claim, and the model with the committed digest if it was found."""
        expected = _hex(final.model_digest)
        lacking = {"configuration": self._config, "base model": base, "opened sum": opened}
        absent = [name for name, value in lacking.items() if value is None]
        if self._config is None or base is None or opened is None:
            why = f"the {' and the '.join(absent)} cannot be used"
            return skipped(claims.MODEL, expected, why, round_=round_.number), None
        judge = partial(judged, claims.MODEL, round_=round_.number)
        try:
            values = num_values(self._config, base, round_.number)
            if opened.size != values:
                return judge(False, f"{values} opened values", str(opened.size)), None
            result = next_model(self._config, base, opened, len(round_.sealed), round_.number)
        except DdcaiError as error:
            return judge(False, expected, str(error)), None
        holds = result.model_digest == final.model_digest
        claim = judge(holds, expected, _hex(result.model_digest))
        return claim, result.model if holds else None

    def _head(
        self, model_digest: bytes, model: State | None, found: bytes, round_: int | None
    ) -> Claim:
        """That a head's digest is that of the last layer of a model."""
        if self._config is None or model is None:
            lacking = "configuration" if self._config is None else "model"
            expected = f"the head of model {_hex(model_digest)}"
            return skipped(claims.HEAD, expected, f"the {lacking} cannot be used", round_=round_)
        try:
            expected = _hex(result_of(self._config, model).head_digest)
        except DdcaiError as error:
            return judged(claims.HEAD, False, str(error), _hex(found), round_=round_)
        return compare(claims.HEAD, expected, _hex(found), round_=round_)


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
