"""The coordinator's side of a round: open, add what it cannot read, seal, finalise.

Holds its account's key and no other. Everything it needs to go on after a crash is on the
chain and in the store: a coordinator on another machine can take over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from ddcai import digests
from ddcai.assessment.root_set import commitment as root_commitment
from ddcai.chain.assessment import WindowRecord
from ddcai.chain.records import RoundRecord, RoundState, Submission
from ddcai.chain.transactions import Receipt
from ddcai.encryption import updates
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.updates import any_set
from ddcai.errors import (
    BlobMissing,
    ConfigurationError,
    ContractReverted,
    MalformedError,
    Reorganised,
    RoundError,
    TooFewAccepted,
)
from ddcai.models import state
from ddcai.models.anchor import root_set_from_blob
from ddcai.models.state import State
from ddcai.models.trained import num_values
from ddcai.rounds.collection import Collection
from ddcai.rounds.judging import Judge
from ddcai.rounds.key_use import KeyMeter, KeyUse, wears_out
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.party import Party
from ddcai.rounds.privacy import require_budget
from ddcai.rounds.result import Result, next_model
from ddcai.rounds.scalars import OpenedScalars
from ddcai.rounds.settling import settle_windows
from ddcai.rounds.verdicts import Movement, WindowJudge, WindowVerdicts

log = logging.getLogger("ddcai.coordinator")

# How long an endpoint may take to show what was mined.
SHOWN_S, _SHOWN_POLL_S = 5.0, 0.25
# What a round comes to, one after the other; those in which it ends follow.
_STEPS = (RoundState.NONE, RoundState.OPEN, RoundState.COMMITTED, RoundState.SEALED)

# A block tells the time within a few of Ethereum's blocks' seconds.
_BLOCKS_S = 60.0


class Coordinator:
    """Orders the rounds of one federation.

    Args:
        party: its chain, account and store.
        root_set: the root set that the configuration commits to, as
            `ddcai.models.anchor.root_set_to_blob` has it; it is shown once updates are committed.
            Not needed any more where the store has it.
    """

    def __init__(self, party: Party, root_set: bytes | None = None) -> None:
        expected = party.federation.rules().coordinator
        if party.address != expected:
            raise ConfigurationError(
                f"the account {party.address} is not this federation's coordinator {expected}: "
                "give the coordinator's keystore"
            )
        self.party = party
        self._root_set = root_set
        self._spent: dict[int, frozenset[bytes]] = {}
        self._meter: KeyMeter | None = None
        self._ahead_s = 0.0

    def now(self) -> int:
        """The chain's time in unix seconds: its last block's, or the clock's if that is later.

        A block's time stands still while nobody sends anything; a trial chain's may be ahead. By
        how much the clock is ahead shows when a transaction of this coordinator is mined.
        """
        return max(int(time.time() - self._ahead_s), self.party.federation.block_time())

    def _compare_clocks(self) -> None:
        """To be called when a transaction was mined just now: its block has the chain's time."""
        ahead_s = time.time() - self.party.federation.block_time()
        self._ahead_s = ahead_s if ahead_s > _BLOCKS_S else 0.0
        if self._ahead_s:
            log.warning(
                "this machine's clock is %.0f s ahead of the chain's: set it right. The chain's "
                "time counts",
                ahead_s,
            )

    def current_model(self) -> State:
        """The model of the last finalised round, or the first one."""
        return self.party.model(self.party.federation.model_digest())

    def open_round(self) -> RoundRecord:
        """Opens the next round, or returns the one that is under way.

        Raises:
            PrivacyBudgetSpent: it would bring epsilon above the budget.
            RoundError: the holders' key has too few openings left for it.
        """
        federation = self.party.federation
        last = federation.last_round()
        if last:
            record = federation.round(last)
            if record.state in (RoundState.OPEN, RoundState.COMMITTED, RoundState.SEALED):
                return record
        require_budget(self.party, last + 1)
        use = self.key_use()
        if use is not None:
            use.require(last + 1)
        federation.open_round(last + 1, federation.model_digest())
        self._compare_clocks()
        return self._shown(last + 1, RoundState.OPEN)

    def _shown(self, number: int, state: RoundState) -> RoundRecord:
        """A round, after a transaction that brought it to a state was mined.

        Raises:
            Reorganised: the chain does not show that within seconds: it took the block back, or
                the endpoint is behind.
        """
        deadline = time.monotonic() + SHOWN_S
        while True:
            record = self.party.federation.round(number)
            if not _behind(record.state, state):
                return record
            if time.monotonic() > deadline:
                raise Reorganised(
                    f"round {number} was brought to {state.name}, and is {record.state.name} on "
                    "chain: a reorganisation took that back, or the endpoint is behind. It goes on "
                    "from there"
                )
            time.sleep(_SHOWN_POLL_S)

    def _indices(self, record: RoundRecord, accepted: set[str]) -> list[int]:
        """Which submissions make a round's list: those of the updates in the sum.

        Raises:
            Reorganised: the chain has one of them no more, or the endpoint is behind: without it
                the list would not be of this sum.
        """
        submissions = self.party.federation.round(record.number).submissions
        gone = accepted - {item.address for item in submissions}
        if gone:
            raise Reorganised(
                f"round {record.number}: the updates of {', '.join(sorted(gone))} are not on chain "
                "any more, or the endpoint is behind. It goes on with what is there"
            )
        return [item.index for item in submissions if item.address in accepted]

    def key_use(self) -> KeyUse | None:
        """What the holders' current key opened, and may open; None where one account has it,
        or nothing of it wears out."""
        holders = self.party.federation.key_holders()
        if holders is None or not wears_out(self.party.config):
            return None
        if self._meter is None:
            self._meter = KeyMeter(self.party.config, self.current_model())
        return self._meter.of_federation(self.party.federation, holders.current())

    def collect(self, record: RoundRecord, base: State) -> Collection:
        """An empty sum for an open round."""
        spent = [self._spent_in(number) for number in range(1, record.number)]
        values = num_values(self.party.config, base, record.number)
        return Collection(self.party, record, values, frozenset[bytes]().union(*spent))

    def _spent_in(self, number: int) -> frozenset[bytes]:
        """Marks of the ciphertexts that a round had: read once, the beginnings alone."""
        if number not in self._spent:
            parameters = any_set(self.party.config.encryption.parameter_set)
            marks = set()
            for item in self.party.federation.round(number).sealed:
                try:
                    start = self.party.store.get(item.digest, updates.mark_bytes(parameters))
                    marks.add(updates.first_mark(start, parameters))
                except (BlobMissing, MalformedError):
                    continue  # a store may forget; then the key holder alone can tell
            self._spent[number] = frozenset(marks)
        return self._spent[number]

    def seal(self, record: RoundRecord, collection: Collection) -> RoundRecord:
        """Stores the sum and fixes the list on chain.

        Raises:
            RoundError: fewer updates than the federation's minimum.
            Reorganised: the chain does not have these updates, or not this list, any more.
        """
        accepted = set(collection.accepted)
        self._require_enough(record, len(accepted))
        blob = collection.sum_blob()
        digest = digests.sum_digest(self.party.context(record.number), blob)
        self.party.store.put(digest, blob)
        indices = self._indices(record, accepted)
        self.party.federation.seal_round(record.number, digest, indices)
        self._compare_clocks()
        self._spent[record.number] = collection.marks
        return self._shown(record.number, RoundState.SEALED)

    def commit(self, record: RoundRecord, collection: Collection) -> RoundRecord:
        """Fixes the list of delivered updates on chain, in an assessed federation.

        Raises:
            RoundError: fewer updates than the federation's minimum.
            Reorganised: the chain does not have these updates, or not this list, any more.
        """
        accepted = set(collection.accepted)
        self._require_enough(record, len(accepted))
        self.party.federation.commit_round(record.number, self._indices(record, accepted))
        self._compare_clocks()
        self._spent[record.number] = collection.marks
        return self._shown(record.number, RoundState.COMMITTED)

    def require_root_set(self) -> None:
        """Checks, before a round is opened, that its updates can be judged.

        Raises:
            ConfigurationError: the configuration names a root set; this is another, or there
                is none. Or it names none, and there is one.
        """
        rule = self.party.config.assessment
        if rule is None or rule.anchor != "root_set":
            if self._root_set is not None:
                raise ConfigurationError(
                    "a root set is given, but this federation judges by none: leave root-set out"
                )
            return
        committed = bytes.fromhex(rule.root_set)
        if self._root_set is None:
            if self.party.store.has(digests.root_set_blob_digest(committed)):
                return
            raise ConfigurationError(
                f"root-set is not set: give the file of the root set {rule.root_set}, by which "
                "updates are judged"
            )
        found = root_commitment(*root_set_from_blob(self._root_set)).hex()
        if found != rule.root_set:
            raise ConfigurationError(
                f"the root set given is {found}, but the federation's is {rule.root_set}: give "
                "the file that it was founded with"
            )

    def draw(self, record: RoundRecord) -> RoundRecord:
        """Draws a committed round's randomness, once the draw's block is mined."""
        if record.commitment is None or not record.commitment.drawn:
            self.party.federation.draw_round(record.number)
        return self.party.federation.round(record.number)

    def publish_anchor(self, record: RoundRecord) -> bytes | None:
        """Shows the root set, makes its update and puts it into the store; None with another
        anchor. Not before the draw: who knows the root set can shape an update by it."""
        rule = self.party.config.assessment
        if self._root_set is not None and rule is not None and rule.root_set:
            committed = bytes.fromhex(rule.root_set)
            self.party.store.put(digests.root_set_blob_digest(committed), self._root_set)
        anchor = Judge(self.party).anchor(record)
        if anchor is None:
            return None
        digest = state.digest(anchor)
        self.party.store.put(digest, state.to_canonical(anchor))
        return digest

    def seal_judged(
        self, record: RoundRecord, anchor: bytes | None, scalars: OpenedScalars
    ) -> RoundRecord:
        """Passes the committed updates through the gate, and seals the sum of the accepted ones.

        Raises:
            VerificationError: the key holder did not sign these scalars, or they are of others.
            TooFewAccepted: fewer than the federation's minimum.
        """
        judge = Judge(self.party)
        view = judge.view(record, judge.published_anchor(record, anchor))
        judged = judge.judge(record, view, anchor, scalars)
        self._require_enough(record, len(judged.accepted), TooFewAccepted)
        assert record.commitment is not None
        listed = [one for one in record.commitment.committed if one.address in judged.accepted]
        base = self.current_model()
        parameters = any_set(self.party.config.encryption.parameter_set)
        values = num_values(self.party.config, base, record.number)
        total = updates.accumulator(parameters, values)
        for item in listed:
            total.add(self.party.store.get(item.digest))
        blob, document = total.to_blob(), judged.to_blob()
        context = self.party.context(record.number)
        digest, scores = digests.sum_digest(context, blob), digests.scores_digest(context, document)
        self.party.store.put(digest, blob)
        self.party.store.put(scores, document)
        self.party.federation.seal_assessed_round(
            record.number, digest, [item.index for item in listed], scores
        )
        return self._shown(record.number, RoundState.SEALED)

    def judge_window(self, window: WindowRecord, until: int, movement: Movement) -> WindowVerdicts:
        """Computes a window's verdicts, and puts their document into the store."""
        verdicts = WindowJudge(self.party).verdicts(window, until, movement)
        self.party.store.put(verdicts.digest, verdicts.blob)
        return verdicts

    def check_verdict_signature(
        self, verdicts: WindowVerdicts, signer: Submission, signature: bytes
    ) -> None:
        """Raises VerificationError or MalformedError unless the signer attested these verdicts."""
        key = self.party.federation.pubkey(signer.index)
        self.party.scheme.verify_one(key, verdicts.message(self.party, 0), signature)

    def post_verdict(self, verdicts: WindowVerdicts, signatures: Mapping[int, bytes]) -> Receipt:
        """Posts a window's verdicts, with the bond.

        Args:
            signatures: checked ones by member index; a quorum of the sealed contributors of the
                window's last round.
        """
        return self.party.federation.assessment().post_verdict(
            verdicts.window,
            verdicts.agreed,
            verdicts.points,
            verdicts.digest,
            sorted(signatures),
            self.party.scheme.combine(signatures),
        )

    def settle_bonds(self) -> list[Receipt]:
        """Takes back the bonds of this account's verdicts that stand."""
        federation = self.party.federation
        if not federation.rules().assessed:
            return []
        return settle_windows(federation.assessment(), self.party.address)

    def _require_enough(
        self, record: RoundRecord, count: int, error: type[RoundError] = RoundError
    ) -> None:
        minimum = self.party.federation.rules().min_contributors
        if count < minimum:
            raise error(
                f"round {record.number} has {count} updates, but needs {minimum}: it cannot be "
                "sealed; cancel it, and every deposit goes back"
            )

    def everybody_delivered(self, record: RoundRecord, collection: Collection) -> bool:
        """Whether all that committed an update are in the sum, so that it can be sealed now."""
        committed = {
            item.address for item in self.party.federation.round(record.number).submissions
        }
        return committed == set(collection.accepted)

    def result(self, record: RoundRecord, opening: Opening) -> Result:
        """Computes the round's result and stores opened sum and model.

        Raises:
            VerificationError: the opened sum is not signed by the key holder.
            MalformedError, RoundError, ConfigurationError: there is no model in it.
        """
        digest = digests.opened_digest(self.party.context(record.number), opening.blob)
        self.party.check_opening(record, digest, opening.signature)
        base = self.party.model(record.base_model_digest)
        total = opened_from_blob(opening.blob)
        result = next_model(self.party.config, base, total, len(record.sealed), record.number)
        self.party.store.put(digest, opening.blob)
        self.party.store.put(result.model_digest, state.to_canonical(result.model))
        return result

    def check_signature(
        self,
        record: RoundRecord,
        opening: Opening,
        result: Result,
        signer: Submission,
        signature: bytes,
    ) -> None:
        """Raises VerificationError or MalformedError unless the signer attested this result."""
        message = result.message(
            self.party.context(record.number), record.sum_digest, opening.digest
        )
        key = self.party.federation.pubkey(signer.index)
        self.party.scheme.verify_one(key, message, signature)

    def signatures_needed(self, record: RoundRecord) -> int:
        """How many of the sealed contributors must sign."""
        return self.party.federation.rules().signatures_needed(len(record.sealed))

    def finalize(
        self,
        record: RoundRecord,
        opening: Opening,
        result: Result,
        signatures: Mapping[int, bytes],
    ) -> Receipt:
        """Submits the quorum's signature; the model and head become the current ones.

        Args:
            record: the sealed round.
            opening: the opened sum.
            result: what `result` computed from it.
            signatures: checked ones by member index, as contributors sign.

        Raises:
            RoundError: they are fewer than the quorum.
        """
        needed = self.signatures_needed(record)
        if len(signatures) < needed:
            raise RoundError(
                f"{len(signatures)} of {len(record.sealed)} contributors attested round "
                f"{record.number}, but {needed} are needed: ask the others again before "
                f"the deadline, or cancel the round"
            )
        return self.party.federation.finalize_round(
            record.number,
            opened_digest=opening.digest,
            model_digest=result.model_digest,
            opening_signature=opening.signature,
            head_words=result.head_words,
            signer_indices=sorted(signatures),
            signature=self.party.scheme.combine(signatures),
        )

    def require_there(self, record: RoundRecord) -> None:
        """Checks that the chain still has what a round came to.

        Raises:
            Reorganised: it took that back: the round goes on from what it has now.
        """
        now = self.party.federation.round(record.number)
        if _behind(now.state, record.state) or (
            now.state is RoundState.SEALED and now.sum_digest != record.sum_digest
        ):
            raise Reorganised(
                f"round {record.number} was {record.state.name}, and is {now.state.name} on chain: "
                "a reorganisation took it back. It goes on from there"
            )

    def cancel(self, record: RoundRecord) -> Receipt | None:
        """Ends a round without a result: every deposit can be withdrawn.

        Returns None where it has ended already.
        """
        federation = self.party.federation
        try:
            return federation.cancel_round(record.number)
        except ContractReverted:
            if federation.round(record.number).settled:  # somebody else was first
                return None
            raise


def _behind(state: RoundState, reached: RoundState) -> bool:
    """Whether a round in a state has still to come to one of `_STEPS`."""
    return state in _STEPS and _STEPS.index(state) < _STEPS.index(reached)
