"""A federation as an audit's history has it, in the place of the contract itself.

What contributors compute from the contract (`ddcai.rounds.judging`, `ddcai.rounds.verdicts`) an
audit computes by the same code from its history: of one moment, and without asking again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ddcai.audit.history import Commitment, History, RoundHistory
from ddcai.audit.windows import AssessmentHistory
from ddcai.chain import records
from ddcai.chain.assessment import Assessment, WindowRecord
from ddcai.chain.federation import ZERO_DIGEST, Federation
from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.records import RoundRecord, RoundState, Rules, Submission
from ddcai.errors import ChainError, ConfigurationError

_NOTHING = RoundRecord(
    number=0,
    state=RoundState.NONE,
    base_model_digest=ZERO_DIGEST,
    sum_digest=ZERO_DIGEST,
    submit_deadline=0,
    finalize_deadline=0,
    submissions=(),
    sealed=(),
)


class RecordedFederation(Federation):
    """The reads that judging takes; there is no chain behind it for any other.

    Args:
        scores: by window, the digest of the document that its verdict followed from at the time
            that is looked at; by default the last one.
    """

    def __init__(
        self, history: History, scores: Mapping[int, bytes] = MappingProxyType({})
    ) -> None:
        self.address, self.sender, self.from_block = history.contract, None, 0
        self._history, self._scores = history, scores

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._history.chain_id

    def rules(self) -> Rules:
        """The federation's rules."""
        return self._history.rules

    def last_round(self) -> int:
        """The number of the last round opened."""
        return self._history.last_round

    def model_digest(self) -> bytes:
        """The current model's digest."""
        return self._history.model_digest

    def round(self, number: int) -> RoundRecord:
        """A round with its lists; one that no event tells of has state ``NONE``."""
        found = self._history.round(number)
        return _NOTHING if found is None else round_record(found)

    def key_holder_of(self, number: int) -> str | KeyEpoch:
        """Who signs what is opened of a round."""
        round_ = self._history.round(number)
        if round_ is None:
            raise ChainError(f"round {number} was never opened")
        return self._history.key_holder_of(round_)

    def assessment(self) -> Assessment:
        """The contract that judges, likewise."""
        if self._history.assessment is None:
            raise ConfigurationError(f"the updates of federation {self.address} are not judged")
        return _RecordedAssessment(self._history.assessment, self._scores)


class _RecordedAssessment(Assessment):
    def __init__(self, history: AssessmentHistory, scores: Mapping[int, bytes]) -> None:
        self.address, self.sender = history.address, None
        self._windows = history.windows
        self._scores = scores

    def window(self, number: int) -> WindowRecord:
        window = self._windows[number - 1]
        if number not in self._scores:
            return window
        return WindowRecord(**{**vars(window), "scores_digest": self._scores[number]})


def round_record(round_: RoundHistory) -> RoundRecord:
    """A round of a history as the contract has it."""
    judging = round_.judging
    return RoundRecord(
        number=round_.number,
        state=round_.state,
        base_model_digest=round_.base_model_digest,
        sum_digest=ZERO_DIGEST if round_.sealing is None else round_.sealing.sum_digest,
        submit_deadline=round_.submit_deadline,
        finalize_deadline=round_.finalize_deadline,
        submissions=tuple(map(_submission, round_.commitments)),
        sealed=tuple(map(_submission, round_.sealed)),
        commitment=None
        if judging is None
        else records.Commitment(
            draw_block=judging.draw_block,
            list_digest=judging.list_digest,
            randomness=judging.randomness or ZERO_DIGEST,
            scores_digest=judging.scores_digest or ZERO_DIGEST,
            committed=tuple(map(_submission, round_.judged)),
        ),
    )


def _submission(one: Commitment) -> Submission:
    return Submission(address=one.address, index=one.index, digest=one.digest)
