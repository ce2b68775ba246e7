"""A contributor's side of a round: check, protect, submit, attest, settle.

Holds its account's key and its attestation key; never a decryption key. What leaves it:
a ciphertext, digests, a signature, its deposit, and a few metrics about the work itself.
Everything is written to disk before it is sent, so that a repeated request is answered with
the same bytes: two different updates for one round are never encrypted.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ddcai import digests
from ddcai.chain.assessment import WindowState
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.chain.transactions import Receipt
from ddcai.encryption.opening import opened_from_blob
from ddcai.errors import (
    AttestationRefused,
    DataError,
    MalformedError,
    NotSealed,
    PolicyError,
    StoreError,
    VerificationError,
)
from ddcai.keyfile import write_atomically
from ddcai.models import state
from ddcai.models.state import State
from ddcai.models.trained import require_rest_unchanged, trained_part
from ddcai.quorum import AttestationKey
from ddcai.rounds.judging import Judge
from ddcai.rounds.party import Party
from ddcai.rounds.privacy import require_budget, with_noise
from ddcai.rounds.result import next_model, quantiser
from ddcai.rounds.settling import settle_windows
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts

log = logging.getLogger("ddcai.node")

# What submitting costs at most, beside the deposit: measured 60k to 110k gas.
SUBMIT_GAS = 150_000


@dataclass(frozen=True, kw_only=True)
class Update:
    """An encrypted update, ready to be sent, and facts about it that reveal no data.

    Attributes:
        blob: the ciphertexts in wire form.
        digest: `ddcai.digests.update_digest` of them.
        metrics: ``clamped_share``, the share of coordinates that met the range's end, 0 to 1, and
            ``encrypt_s``, the seconds that clipping, quantising and encryption took. Empty where
            updates get noise: both follow from the data, and get none.
    """

    blob: bytes
    digest: bytes
    metrics: Mapping[str, float] = field(default_factory=dict)


class Contributor:
    """One contributor of one federation.

    Args:
        party: its chain, account and store.
        key: its attestation key.
        folder: where it remembers its updates and signatures; private to this federation.
    """

    def __init__(self, party: Party, key: AttestationKey, folder: Path) -> None:
        self.party, self.folder = party, folder
        self._key = key

    def check_round(self, round_: int, base: State) -> RoundRecord:
        """Refuses to train unless the chain says what the coordinator says.

        Raises:
            PolicyError: the round is not open, takes no more updates, has another base model,
                this account is no active member, or its attestation key is not the
                registered one.
            PrivacyBudgetSpent: the round would bring epsilon above the budget.
            InsufficientBalance: the account cannot pay deposit and gas.
        """
        federation, address = self.party.federation, self.party.address
        record = federation.round(round_)
        if record.state is not RoundState.OPEN:
            raise PolicyError(
                f"round {round_} is {record.state.name} on chain, not open: nothing to train for"
            )
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
        most = self.party.config.encryption.max_contributors
        if len(record.submissions) >= most:
            raise PolicyError(
                f"round {record.number} has {len(record.submissions)} updates, and "
                f"encryption.max_contributors is {most}: one more could not be added"
            )
        now = self.party.federation.block_time()
        if now > record.submit_deadline:
            raise PolicyError(
                f"round {record.number} took updates until {record.submit_deadline}, the chain's "
                f"time is {now}: wait for the next round"
            )

    def known_update(self, record: RoundRecord) -> Update | None:
        """The update already made for a round, if there is one: never make a second."""
        path = self._update_path(record)
        if not path.exists():
            return None
        blob = path.read_bytes()
        return Update(blob=blob, digest=self._digest(record, blob))

    def protect(
        self, record: RoundRecord, base: State, trained: State, num_examples: int
    ) -> Update:
        """Clips, quantises and encrypts ``trained - base``, and remembers the result; where the
        federation has privacy, it is bounded as integers and gets its noise before encryption.

        Args:
            record: the open round.
            base: the model that the round started from.
            trained: the model after local training; same names, shapes, float32.
            num_examples: how many examples it was trained on; travels encrypted.

        Raises:
            DataError: for other names or shapes, NaN or infinite weights, no examples; in a
                round that trains the head alone, for a change of anything else.
            RoundError: too large a share of coordinates is out of range.
            PrivacyBudgetSpent: the round would bring epsilon above the budget.
        """
        known = self.known_update(record)
        if known is not None:
            return known
        require_budget(self.party, record.number, self._attested())
        started = time.perf_counter()
        _check_like(trained, base)
        config, number = self.party.config, record.number
        require_rest_unchanged(config, base, trained, number)
        local, start = (
            state.flatten(trained_part(config, model, number)) for model in (trained, base)
        )
        delta = local.astype(np.float64) - start
        encoded = quantiser(config).encode(delta, num_examples)
        blob = self.party.public_key.encrypt(with_noise(config, encoded.values))
        kept = _write_once(self._update_path(record), blob)
        if kept != blob:  # another process of this node was first: one update a round
            return Update(blob=kept, digest=self._digest(record, kept))
        metrics = {
            "clamped_share": encoded.clamped_share,
            "encrypt_s": time.perf_counter() - started,
        }
        return Update(
            blob=blob,
            digest=self._digest(record, blob),
            metrics=metrics if config.privacy is None else {},
        )

    def submit(self, record: RoundRecord, update: Update) -> Receipt | None:
        """Commits the digest with the deposit, once a round, then publishes the ciphertext.

        In this order: who could read a ciphertext before its digest is on chain could commit
        a copy of it first. The store's refusal is no error here, since the coordinator gets
        the ciphertext too and stores it.

        Returns None where the chain holds this digest already.

        Raises:
            PolicyError: the chain holds another digest for this account: two clients use it.
        """
        federation, address = self.party.federation, self.party.address
        committed = federation.update_digest(record.number, address)
        if committed is not None and committed != update.digest:
            raise PolicyError(
                f"{address} has already submitted {committed.hex()} in round {record.number}: "
                "two clients must not share one account"
            )
        receipt = None
        if committed is None:
            receipt = federation.submit_update(record.number, update.digest)
        try:
            self.party.store.put(update.digest, update.blob)
        except StoreError as error:
            log.warning("round %d: the update goes by message only: %s", record.number, error)
        return receipt

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

    def _digest(self, record: RoundRecord, blob: bytes) -> bytes:
        return digests.update_digest(self.party.context(record.number), self.party.address, blob)

    def _update_path(self, record: RoundRecord) -> Path:
        return self.folder / f"round-{record.number}.update"

    def _attested(self) -> frozenset[int]:
        """Rounds whose opened sum this contributor saw, whatever the chain shows."""
        paths = self.folder.glob("round-*.attested")
        return frozenset(int(path.stem.removeprefix("round-")) for path in paths)

    def _remember_message(self, record: RoundRecord, message: bytes) -> None:
        if _write_once(self.folder / f"round-{record.number}.attested", message) != message:
            raise AttestationRefused(
                f"another result of round {record.number} was signed before: not signed"
            )


def _write_once(path: Path, data: bytes) -> bytes:
    """What the file holds: ``data``, on disk on return, or what another process wrote first."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_atomically(written, data)
        try:
            os.link(written, path)
        except FileExistsError:
            return path.read_bytes()
    finally:
        written.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return data


def _check_like(trained: State, base: State) -> None:
    given = [(name, array.shape, str(array.dtype)) for name, array in trained.items()]
    expected = [(name, array.shape, "float32") for name, array in base.items()]
    if given != expected:
        raise DataError(
            f"training returned {given[:3]}..., but the federation's model is {expected[:3]}...: "
            "return the same names, shapes and float32 values in the same order"
        )
    for name, array in trained.items():
        if not np.isfinite(array).all():
            raise DataError(
                f"training left NaN or infinite weights in {name!r}: nothing was sent. Look at "
                "the data and lower training.learning_rate"
            )
