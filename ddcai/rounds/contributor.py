"""A contributor's side of a round: check, protect, submit, attest, settle.

Holds its account's key and its attestation key; never a decryption key. What leaves it:
a ciphertext, digests, a signature, its deposit, and a few metrics about the work itself.
Everything is written to disk before it is sent, so that a repeated request is answered with
the same bytes: two different updates for one round are never encrypted.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ddcai import digests
from ddcai.chain.assessment import WindowState
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.chain.transactions import Receipt
from ddcai.encryption.opening import opened_from_blob
from ddcai.errors import (
    AttestationRefused,
    MalformedError,
    NotOpen,
    NotSealed,
    PolicyError,
    StoreError,
    VerificationError,
)
from ddcai.event_log import about
from ddcai.models import state
from ddcai.models.state import State
from ddcai.quorum import AttestationKey
from ddcai.rounds.judging import Judge
from ddcai.rounds.party import Party
from ddcai.rounds.privacy import require_budget
from ddcai.rounds.result import next_model
from ddcai.rounds.settling import settle_windows
from ddcai.rounds.update import Update, UpdateMaker, write_or_read
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts

log = logging.getLogger("ddcai.node")

# What submitting costs at most, beside the deposit: measured 60k to 110k gas.
SUBMIT_GAS = 150_000


class Contributor(UpdateMaker):
    """One contributor of one federation.

    Args:
        party: its chain, account and store.
        key: its attestation key.
        folder: where it remembers its updates and signatures; private to this federation.
    """

    def __init__(self, party: Party, key: AttestationKey, folder: Path) -> None:
        super().__init__(party, folder)
        self._key = key

    def check_round(self, round_: int, base: State) -> RoundRecord:
        """Refuses to train unless the chain says what the coordinator says.

        Raises:
            NotOpen: the round is not open, or the chain does not say so yet.
            PolicyError: it takes no more updates, has another base model, this account is no
                active member, or its attestation key is not the registered one.
            PolicyLimit: the node's policy does not allow the round.
            PrivacyBudgetSpent: the round would bring epsilon above the budget, or the node's.
            InsufficientBalance: the account cannot pay deposit and gas.
        """
        federation, address = self.party.federation, self.party.address
        record = federation.round(round_)
        if record.state is not RoundState.OPEN:
            raise NotOpen(
                f"round {round_} is {record.state.name} on chain, not open: nothing to train for"
            )
        if self.party.guard is not None:
            self.party.guard.check_training(self.party, record)
        require_budget(self.party, round_, self._attested())
        if state.digest(base) != record.base_model_digest:
            raise PolicyError(
                f"the base model's digest is {state.digest(base).hex()}, but round {round_} "
                f"started from {record.base_model_digest.hex()}: the coordinator sent another"
            )
        member = federation.member(address)
        if member is None or not member.active:
            raise PolicyError(f"{address} is no member: run `ddcai federation join` first")
        registered = federation.pubkey(member.index)
        if registered != self._key.registered:
            raise PolicyError(
                f"{address} joined with another attestation key than {self._key.public}: "
                "give the key that it joined with"
            )
        if address not in {item.address for item in record.submissions}:
            self._check_room(record)
            assert federation.sender is not None
            federation.sender.require(federation.rules().deposit_wei, SUBMIT_GAS)
        return record

    def _check_room(self, record: RoundRecord) -> None:
        most = self.party.config.encryption.max_updates
        if len(record.submissions) >= most:
            raise PolicyError(
                f"round {record.number} has {len(record.submissions)} updates, and "
                f"encryption.max_contributors and group_size allow {most}: one more could not be "
                "added"
            )
        now = self.party.federation.block_time()
        if now > record.submit_deadline:
            raise PolicyError(
                f"round {record.number} took updates until {record.submit_deadline}, the chain's "
                f"time is {now}: wait for the next round"
            )

    def submit(self, record: RoundRecord, update: Update) -> Receipt | None:
        """Commits an update, then publishes it.

        In this order: who could read a ciphertext before its digest is on chain could commit
        a copy of it first.

        Returns None where the chain holds this digest already.

        Raises:
            PolicyError, TransactionPending: as `commit`.
        """
        receipt = self.commit(record, update)
        self.publish(record, update)
        return receipt

    def commit(self, record: RoundRecord, update: Update) -> Receipt | None:
        """Commits an update's digest with the deposit, once a round.

        Returns None where the chain holds this digest already.

        Raises:
            PolicyError: the chain holds another digest for this account: two clients use it.
            TransactionPending: what this account sent before is not mined.
        """
        federation, address = self.party.federation, self.party.address
        self.party.wait_for_pending()
        committed = federation.update_digest(record.number, address)
        if committed is not None and committed != update.digest:
            raise PolicyError(
                f"{address} has already submitted {committed.hex()} in round {record.number}: "
                "two clients must not share one account"
            )
        if committed is not None:
            return None
        return federation.submit_update(record.number, update.digest)

    def publish(self, record: RoundRecord, update: Update) -> None:
        """Puts a committed update into the store. Its refusal is no error here, since the
        coordinator gets the ciphertext, too, and stores it."""
        try:
            self.party.store.put(update.digest, update.blob)
        except StoreError as error:
            facts = about("store_failed", record.number, self.party.address)
            log.warning("the update goes by message only: %s", error, extra=facts)

    def attest(self, round_: int, opened: bytes, opening_signature: bytes) -> bytes:
        """Recomputes the round's result and signs it.

        Args:
            round_: the sealed round.
            opened: the opened sum's blob.
            opening_signature: the key holder's signature under it.

        Returns:
            A signature under the result's message: BLS 96 bytes, ECDSA 65.

        Raises:
            NotSealed: the chain does not say, or not yet, that the round is sealed.
            AttestationRefused: this contributor's update is not on the sealed list, the key
                holder did not sign the opened sum, or another result of this round was
                signed before.
            RoundError, MalformedError: the opened sum can be no sum of the listed updates.
        """
        record = self.party.federation.round(round_)
        if record.state is not RoundState.SEALED:
            raise NotSealed(f"round {round_} is {record.state.name}, not sealed: not signed")
        own = self.known_update(record)
        listed = {item.address: item.digest for item in record.sealed}
        if own is None or listed.get(self.party.address) != own.digest:
            raise AttestationRefused(
                f"round {round_} was sealed without this contributor's update: not signed"
            )
        if self.party.config.assessment is not None:
            try:
                Judge(self.party).check(record)
            except VerificationError as error:
                raise AttestationRefused(f"{error}: not signed") from error
        context = self.party.context(round_)
        opened_digest = digests.opened_digest(context, opened)
        try:
            self.party.check_opening(record, opened_digest, opening_signature)
        except VerificationError as error:
            raise AttestationRefused(f"{error}: not signed") from error
        base = self.party.model(record.base_model_digest)
        total = opened_from_blob(opened)
        result = next_model(self.party.config, base, total, len(record.sealed), round_)
        message = result.message(context, record.sum_digest, opened_digest)
        self._remember_message(record, message)
        return self._key.sign(message)

    def attest_verdict(self, window: int, digest: bytes) -> bytes:
        """Recomputes a window's verdicts from their document, and signs them.

        Args:
            window: its number.
            digest: of the document, in the store.

        Returns:
            A signature under the verdict's message: BLS 96 bytes, ECDSA 65.

        Raises:
            AttestationRefused: the window does not wait for a verdict; other rounds have been
                finalised since, which tell more; the verdicts do not follow.
            BlobMissing, StoreError: what they follow from cannot be had.
        """
        judge = WindowJudge(self.party)
        record = judge.assessment.window(window)
        if record.state not in (WindowState.FILLING, WindowState.FULL):
            raise AttestationRefused(
                f"window {window} is {record.state.name}, and waits for no verdict: not signed"
            )
        try:
            verdicts = judge.check(record, digest)
            judge.require_latest(record, verdicts)
        except (VerificationError, MalformedError) as error:
            raise AttestationRefused(f"{error}: not signed") from error
        return self._key.sign(verdicts.message(self.party, 0))

    def attest_resolution(self, window: int) -> tuple[WindowVerdicts, bytes]:
        """Recomputes a disputed window's verdicts, and signs what the scalars lead to.

        Returns:
            The verdicts and the signature, for `Assessment.resolve`.

        Raises:
            AttestationRefused: there is no dispute to settle.
            VerificationError, MalformedError, BlobMissing, StoreError: nothing can be computed
                from what was posted: the verdict falls, and the disputers' deposits come back.
        """
        judge = WindowJudge(self.party)
        record = judge.assessment.window(window)
        if record.state is not WindowState.DISPUTED:
            raise AttestationRefused(f"window {window} is {record.state.name}: not signed")
        verdicts = judge.remade(record)
        return verdicts, self._key.sign(verdicts.message(self.party, 1))

    def settle(self, rounds: range | None = None) -> list[Receipt]:
        """Takes back what is this contributor's: deposits, and shares of forfeited ones.

        Forgets the updates of rounds that have ended; nobody can ask for them again.

        Args:
            rounds: which rounds to look at; all by default.
        """
        federation, address = self.party.federation, self.party.address
        self.party.wait_for_pending()
        looked_at = range(1, federation.last_round() + 1) if rounds is None else rounds
        for number in looked_at:
            path = self.folder / f"round-{number}.update"
            if path.exists() and federation.round(number).settled:
                path.unlink(missing_ok=True)
        owed = {number: federation.claimable(number, address) for number in looked_at}
        receipts = []
        refunds = [number for number, (refund_wei, _) in owed.items() if refund_wei]
        if refunds:
            receipts.append(federation.refund(refunds))
        takes = [number for number, (_, take_wei) in owed.items() if take_wei]
        if takes:
            receipts.append(federation.take(takes))
        if federation.rules().assessed:
            receipts += settle_windows(federation.assessment(), address)
        return receipts

    def _remember_message(self, record: RoundRecord, message: bytes) -> None:
        if write_or_read(self.folder / f"round-{record.number}.attested", message) != message:
            raise AttestationRefused(
                f"another result of round {record.number} was signed before: not signed"
            )
