"""Whether windows' verdicts are what their opened scalars make of them, and a quorum signed them.

Of a window whose verdict was replaced after a dispute, what replaced it counts: nobody is paid by
the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from itertools import islice

from ddcai import digests, strict_json
from ddcai.audit import claims
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import History, Step
from ddcai.audit.judged import JudgedRounds, differing
from ddcai.audit.recorded import RecordedFederation
from ddcai.audit.signatures import Signatures
from ddcai.audit.windows import AssessmentHistory, PostedVerdict
from ddcai.chain.assessment import WindowRecord
from ddcai.chain.federation import ZERO_DIGEST
from ddcai.errors import DdcaiError
from ddcai.rounds.party import Party
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts


class JudgedWindows:
    """The claims about a federation's windows.

    Args:
        rounds: whose claims were made before.
    """

    def __init__(
        self,
        history: History,
        assessment: AssessmentHistory,
        blobs: Blobs,
        rounds: JudgedRounds,
    ) -> None:
        self._history, self._assessment = history, assessment
        self._blobs, self._rounds = blobs, rounds
        self._signatures = Signatures(history)

    def claims(self) -> Iterator[Claim]:
        """Every window that has a verdict, by number."""
        for window in self._assessment.windows:
            found = self._assessment.verdicts(window.number)
            if found:
                yield from self._check(window, *found[-1])

    def _check(self, window: WindowRecord, verdict: PostedVerdict, step: Step) -> Iterator[Claim]:
        number, digest = window.number, verdict.scores_digest
        last = self._history.round(window.rounds[-1])
        if last is not None and last.sealing is not None:
            address = self._assessment.address
            yield self._signatures.check_verdict(number, last.sealing, verdict, address)
        digest_of = partial(digests.window_digest, self._history.context(window.rounds[-1]))
        claim, document = self._blobs.check(
            claims.VERDICT_BLOB, digest, digest_of, bytes, window=number
        )
        yield claim
        skip = partial(skipped, expected=_hex(digest), window=number)
        bad = sorted(self._rounds.failed & set(window.rounds))
        if document is None or self._rounds.judge is None or bad:
            why = "the document cannot be used" if document is None else self._rounds.lacking
            if document is not None and bad:
                why = f"rounds {bad} failed claims of their own"
            yield from (skip(name, why=why) for name in (claims.VERDICT, claims.OUTCOME))
            return
        try:
            judge, until = self._judge(window, document, step)
            again = judge.remake(window, document)
        except (DdcaiError, ArithmeticError) as error:  # numbers of any size are in a document
            has_claim = self._rounds.has_claim
            yield self._blobs.failed(
                claims.VERDICT, digest, error, has_claim=has_claim, window=number
            )
            yield skip(claims.OUTCOME, why="the verdict does not follow")
            return
        yield from self._compare(document, again, verdict, until)
        yield from self._outcome(verdict, again)

    def _judge(self, window: WindowRecord, document: bytes, step: Step) -> tuple[WindowJudge, int]:
        """What judges a window as it was when a verdict came; and the round up to which the
        model's movement was there to be looked at.

        The verdict before is the one that the document names, if it was that window's by then;
        else the one that was: it may have been replaced since.
        """
        rounds = self._rounds.judge
        assert rounds is not None
        before = [
            earlier.scores_digest
            for earlier, at in self._assessment.verdicts(window.number - 1)
            if at.block_number <= step.block_number
        ]
        try:
            previous = strict_json.loads(document)["previous"]
        except (ValueError, KeyError, TypeError):
            previous = None  # no document: `remake` says so
        chosen = next((one for one in before if one.hex() == previous), None)
        if chosen is None:
            chosen = before[-1] if before else ZERO_DIGEST
        facade = RecordedFederation(self._history, {window.number - 1: chosen})
        judge = WindowJudge(Party(facade, rounds.party.config, self._blobs.store), rounds)
        later = islice(self._finalised_after(window.rounds[-1], step), judge.config.movement_lag)
        return judge, max(later, default=window.rounds[-1])

    def _finalised_after(self, number: int, step: Step) -> Iterator[int]:
        """Rounds after one that were finalised in a block before a step's."""
        rounds = self._history.rounds
        for place in range(bisect_right(rounds, number, key=lambda one: one.number), len(rounds)):
            round_ = rounds[place]
            if round_.opened.block_number >= step.block_number:
                return  # as are all after it
            final = round_.finalisation
            if final is not None and final.step.block_number < step.block_number:
                yield round_.number

    def _compare(
        self, document: bytes, again: WindowVerdicts, verdict: PostedVerdict, until: int
    ) -> Iterator[Claim]:
        """One claim; or one for each member of whom the document says something else."""
        number = again.window
        # Who settles a dispute takes the posted document's scalars, and looks no further.
        if verdict.attempt == 0 and again.until < until:
            expected, found = (f"movement up to round {one}" for one in (until, again.until))
            yield compare(claims.VERDICT, expected, found, window=number)
            return
        members = [] if document == again.blob else differing(document, again.blob)
        expected, found = _hex(again.digest), _hex(verdict.scores_digest)
        for member in members or [""]:
            yield compare(claims.VERDICT, expected, found, window=number, subject=member)

    def _outcome(self, verdict: PostedVerdict, again: WindowVerdicts) -> Iterator[Claim]:
        """One claim; or one for each member whose deposits or points are others on chain."""
        number = again.window
        posted = dict(zip(verdict.agreed, verdict.points, strict=True))
        odd = False
        for address, own in again.by_contributor.items():
            expected = _outcome(own.points if own.refund else None)
            found = _outcome(posted.pop(own.index, None))
            if expected != found:
                odd = True
                if own.failed:
                    expected = f"{expected} (failed {', '.join(own.failed)})"
                yield judged(claims.OUTCOME, False, expected, found, window=number, subject=address)
        if posted:
            odd = True
            yield judged(
                claims.OUTCOME, False, "members of the window", f"members {sorted(posted)}",
                window=number,
            )  # fmt: skip
        if not odd:
            text = f"{len(again.agreed)} agreed, {sum(again.points)} points"
            yield judged(claims.OUTCOME, True, text, text, window=number)


def _outcome(points: int | None) -> str:
    return "forfeits" if points is None else f"deposits back, {points} points"


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
