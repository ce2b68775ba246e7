"""Whether judged rounds are what their draws and opened scalars make of them.

Computed anew, from the key holder's signed scalars on. What those are worth is the key holder's
word, like an opened sum: nobody else can open a ciphertext.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from ddcai import digests
from ddcai.assessment.root_set import check_balanced
from ddcai.audit import claims
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, missing, skipped
from ddcai.audit.history import History, Judging, RoundHistory
from ddcai.audit.recorded import RecordedFederation, round_record
from ddcai.audit.stored import Kept
from ddcai.chain.records import RoundRecord
from ddcai.configuration import FederationConfig
from ddcai.errors import BlobMissing, DdcaiError
from ddcai.rounds.judging import Judge, Judged
from ddcai.rounds.party import Party


class RememberingJudge(Judge):
    """A judge that computes each round once: its window asks for it again, after all rounds."""

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._remembered = Kept[Judged]()

    def remake(self, record: RoundRecord, document: bytes) -> Judged:
        """As `Judge.remake`; a round has one document."""
        found = self._remembered.get(record.number)
        if found is None:
            found = super().remake(record, document)
            self._remembered.put(record.number, found)
        return found


class JudgedRounds:
    """The claims about a federation's judged rounds.

    Args:
        config: None where it cannot be used.

    Attributes:
        judge: None where nothing can be computed.
        failed: rounds of which a claim did not pass, and the windows of which cannot be judged.
    """

    def __init__(self, history: History, blobs: Blobs, config: FederationConfig | None) -> None:
        self._history, self._blobs = history, blobs
        self.failed: set[int] = set()
        self._failed_blobs: set[bytes] = set()
        self.judge: RememberingJudge | None = None
        self.lacking = "the configuration cannot be used"
        if config is not None and config.assessment is None:
            self.lacking = "the configuration has no assessment"
        elif config is not None:
            self.judge = RememberingJudge(Party(RecordedFederation(history), config, blobs.store))

    def check_root_set(self) -> Iterator[Claim]:
        """That the root set which was shown is the one that was committed to.

        Nothing before the first round is sealed: it is shown after the draw.
        """
        shown = any(one.judging and one.judging.scores_digest for one in self._history.rounds)
        judge = self.judge
        if judge is None or not shown or judge.config.anchor != "root_set":
            return
        committed = bytes.fromhex(judge.config.root_set)
        found = _hex(committed)
        try:
            _, labels = judge.root_set
            check_balanced(labels, len(judge.party.config.task.classes), judge.config)
        except BlobMissing:
            found = claims.ABSENT
        except DdcaiError as error:
            found = f"unusable: {error}"
        if found != _hex(committed):
            self._failed_blobs = {committed, digests.root_set_blob_digest(committed)}
        if found == claims.ABSENT:
            yield missing(claims.ROOT_SET, _hex(committed))
        else:
            yield compare(claims.ROOT_SET, _hex(committed), found)

    def has_claim(self, digest: bytes) -> bool:
        """Whether there is a claim about the blob of a digest."""
        return digest in self._failed_blobs or self._history.commits_to(digest)

    def check_list(self, round_: RoundHistory, judging: Judging) -> Iterator[Claim]:
        """Which updates are judged, and what was drawn to judge them by."""
        number = round_.number
        listed = [(one.index, one.digest) for one in round_.judged]
        found = _hex(digests.list_digest(listed))
        if len(listed) != len(judging.indices):
            found = f"{len(judging.indices)} members, of whom {len(listed)} committed an update"
        yield compare(claims.COMMITTED, _hex(judging.list_digest), found, round_=number)
        if judging.randomness is None:
            return
        if judging.prev_randao is None:
            expected = f"drawn from block {judging.draw_block}"
            why = f"the node has no block {judging.draw_block} any more"
            yield skipped(claims.DRAW, expected, why, round_=number)
            return
        context = self._history.context(number)
        drawn = digests.drawn_randomness(context, judging.list_digest, judging.prev_randao)
        yield compare(claims.DRAW, _hex(drawn), _hex(judging.randomness), round_=number)

    def check_scores(self, round_: RoundHistory, judging: Judging) -> Iterator[Claim]:
        """A sealed round's document, and its list."""
        for claim in self._scores(round_, judging):
            if not claim.passed:
                self.failed.add(round_.number)
            yield claim

    def _scores(self, round_: RoundHistory, judging: Judging) -> Iterator[Claim]:
        number, digest = round_.number, judging.scores_digest or bytes(32)
        digest_of = partial(digests.scores_digest, self._history.context(number))
        claim, document = self._blobs.check(
            claims.SCORES_BLOB, digest, digest_of, bytes, round_=number
        )
        yield claim
        skip = partial(skipped, expected=_hex(digest), round_=number)
        if document is None or self.judge is None:
            why = "the document cannot be used" if document is None else self.lacking
            yield from (skip(name, why=why) for name in (claims.SCORES, claims.ACCEPTED))
            return
        try:
            again = self.judge.remake(round_record(round_), document)
        except (DdcaiError, ArithmeticError) as error:  # numbers of any size are in a document
            yield self._blobs.failed(
                claims.SCORES, digest, error, has_claim=self.has_claim, round_=number
            )
            yield skip(claims.ACCEPTED, why="the scores do not follow")
            return
        yield from self._compare(number, document, again.to_blob())
        yield from self._accepted(round_, again)

    def _compare(self, number: int, document: bytes, again: bytes) -> Iterator[Claim]:
        """One claim; or one for each contributor of whom the document says something else."""
        context = self._history.context(number)
        expected, found = (_hex(digests.scores_digest(context, one)) for one in (again, document))
        members = differing(document, again) if document != again else []
        for member in members or [""]:
            yield compare(claims.SCORES, expected, found, round_=number, subject=member)

    def _accepted(self, round_: RoundHistory, again: Judged) -> Iterator[Claim]:
        """One claim; or one for each contributor that is on the list, or passed, not both."""
        judge = partial(judged, claims.ACCEPTED, round_=round_.number)
        listed = {one.address for one in round_.sealed}
        odd = sorted(listed ^ set(again.accepted))
        for address in odd:
            reason = refusal(again, address)
            expected = f"refused ({reason})" if reason else "accepted"
            yield judge(False, expected, "sealed" if reason else "left out", subject=address)
        if not odd:
            yield judge(True, f"{len(again.accepted)} accepted", f"{len(listed)} sealed")


def refusal(outcome: Judged, address: str) -> str:
    """Why the gate refused a committed update (`reason`); empty for one that it accepted."""
    scores = outcome.scores.get(address)
    length = None if scores is None else scores.length
    return reason(address in outcome.accepted, outcome.sizes.get(address), length)


def reason(accepted: bool, size: float | None, length: float | None) -> str:
    """Why an update was refused; empty for an accepted one.

    ``range``: values that no honest update has, of which nothing is opened (None); ``size``: too
    long; ``zero``: nothing in it; ``standing``: too little agreement with the anchor, by the
    decaying mean.
    """
    if accepted:
        return ""
    if size is None or length is None:
        return "range"
    if size > 1:
        return "size"
    return "standing" if length > 0 else "zero"


def differing(one: bytes, two: bytes) -> list[str]:
    """Contributors of whom two documents say different things, sorted.

    Both have the same form: objects by field, of which some are by contributor.
    """
    first, second = json.loads(one), json.loads(two)
    odd: set[str] = set()
    for name in first.keys() | second.keys():
        left, right = first.get(name), second.get(name)
        if isinstance(left, list) and isinstance(right, list):
            left, right = dict.fromkeys(map(str, left)), dict.fromkeys(map(str, right))
        if isinstance(left, dict) and isinstance(right, dict):
            odd |= {
                key for key in left.keys() | right.keys() if left.get(key, 0) != right.get(key, 0)
            }
    return sorted(key for key in odd if key.startswith("0x"))


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
