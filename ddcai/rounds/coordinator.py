"""The coordinator's side of a round: open, add what it cannot read, seal, finalise.

Holds its account's key and no other. Everything it needs to go on after a crash is on the
chain and in the store: a coordinator on another machine can take over.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_utils.crypto import keccak

from ddcai import attestation, digests
from ddcai.chain.records import RoundRecord, RoundState, Submission
from ddcai.chain.transactions import Receipt
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.summation import SumAccumulator
from ddcai.errors import (
    BlobMissing,
    ConfigurationError,
    MalformedError,
    RoundError,
    UpdateMismatch,
)
from ddcai.models import state
from ddcai.models.state import State
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.party import Party
from ddcai.rounds.result import Result, next_model


class Collection:
    """The updates of one open round, added as they come: memory for one sum, not for all.

    Args:
        party: chain and store.
        record: the open round.
        num_parameters: how many coordinates every update must have.
    """

    def __init__(self, party: Party, record: RoundRecord, num_parameters: int) -> None:
        self._party, self._record = party, record
        parameters = PARAMETER_SETS[party.config.encryption.parameter_set]
        self._sum = SumAccumulator(parameters, num_parameters + COUNT_DIGITS)
        self._accepted: dict[str, bytes] = {}
        self._contents: set[bytes] = set()

    @property
    def accepted(self) -> tuple[str, ...]:
        """Addresses whose updates are in the sum."""
        return tuple(self._accepted)

    def add(self, address: str, blob: bytes) -> None:
        """Takes one update into the sum, or says why not.

        Raises:
            UpdateMismatch: it is not the update that this account committed on chain, or a
                copy of another contributor's.
            MalformedError: it is no ciphertext of this federation's parameter set and size.
        """
        if address in self._accepted:
            return
        committed = self._party.federation.update_digest(self._record.number, address)
        digest = digests.update_digest(self._party.context(self._record.number), address, blob)
        if committed != digest:
            held = committed.hex() if committed else "nothing"
            raise UpdateMismatch(
                f"{address} delivered an update of digest {digest.hex()}, "
                f"but committed {held} in round {self._record.number}"
            )
        content = keccak(blob)
        if content in self._contents:
            raise UpdateMismatch(f"{address} delivered a copy of another contributor's update")
        self._sum.add(blob)
        self._accepted[address] = digest
        self._contents.add(content)

    def add_from_store(self) -> None:
        """Takes in what was committed and stored but not delivered by message."""
        for item in self._party.federation.round(self._record.number).submissions:
            if item.address not in self._accepted and self._party.store.has(item.digest):
                try:
                    self.add(item.address, self._party.store.get(item.digest))
                except (UpdateMismatch, MalformedError, BlobMissing):
                    continue  # left off the list: its deposit is forfeited

    def sum_blob(self) -> bytes:
        """The encrypted sum in wire form."""
        return self._sum.to_blob()


class Coordinator:
    """Orders the rounds of one federation."""

    def __init__(self, party: Party) -> None:
        expected = party.federation.rules().coordinator
        if party.address != expected:
            raise ConfigurationError(
                f"the account {party.address} is not this federation's coordinator {expected}: "
                "give the coordinator's keystore"
            )
        self.party = party

    def current_model(self) -> State:
        """The model of the last finalised round, or the first one."""
        return self.party.model(self.party.federation.model_digest())

    def open_round(self) -> RoundRecord:
        """Opens the next round, or returns the one that is under way."""
        federation = self.party.federation
        last = federation.last_round()
        if last:
            record = federation.round(last)
            if record.state in (RoundState.OPEN, RoundState.SEALED):
                return record
        federation.open_round(last + 1, federation.model_digest())
        return federation.round(last + 1)

    def collect(self, record: RoundRecord, base: State) -> Collection:
        """An empty sum for an open round."""
        return Collection(self.party, record, state.flatten(base).size)

    def seal(self, record: RoundRecord, collection: Collection) -> RoundRecord:
        """Stores the sum and fixes the list on chain.

        Raises:
            RoundError: fewer updates than the federation's minimum.
        """
        minimum = self.party.federation.rules().min_contributors
        accepted = set(collection.accepted)
        if len(accepted) < minimum:
            raise RoundError(
                f"round {record.number} has {len(accepted)} updates, but needs {minimum}: "
                "it cannot be sealed; cancel it, and every deposit goes back"
            )
        blob = collection.sum_blob()
        digest = digests.sum_digest(self.party.context(record.number), blob)
        self.party.store.put(digest, blob)
        submissions = self.party.federation.round(record.number).submissions
        indices = [item.index for item in submissions if item.address in accepted]
        self.party.federation.seal_round(record.number, digest, indices)
        return self.party.federation.round(record.number)

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
        """
        digest = digests.opened_digest(self.party.context(record.number), opening.blob)
        self.party.check_opening(record, digest, opening.signature)
        base = self.party.model(record.base_model_digest)
        total = opened_from_blob(opening.blob)
        result = next_model(self.party.config, base, total, len(record.sealed))
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
        """Raises VerificationError unless the signer attested this result."""
        message = result.message(
            self.party.context(record.number), record.sum_digest, opening.digest
        )
        pubkey = attestation.pubkey_from_eip2537(self.party.federation.pubkey(signer.index))
        attestation.verify(pubkey, message, signature)

    def finalize(
        self,
        record: RoundRecord,
        opening: Opening,
        result: Result,
        signatures: Mapping[int, bytes],
    ) -> Receipt:
        """Submits the quorum's aggregate signature; the model and head become the current ones.

        Args:
            record: the sealed round.
            opening: the opened sum.
            result: what `result` computed from it.
            signatures: checked BLS signatures (96 bytes) by member index.
        """
        rules = self.party.federation.rules()
        needed = -(-len(record.sealed) * rules.quorum_numerator // rules.quorum_denominator)
        if len(signatures) < needed:
            raise RoundError(
                f"{len(signatures)} of {len(record.sealed)} contributors attested round "
                f"{record.number}, but {needed} are needed: ask the others again before "
                f"the deadline, or cancel the round"
            )
        total = attestation.aggregate(list(signatures.values()))
        return self.party.federation.finalize_round(
            record.number,
            opened_digest=opening.digest,
            model_digest=result.model_digest,
            opening_signature=opening.signature,
            head_words=result.head_words,
            signer_indices=sorted(signatures),
            signature=attestation.signature_to_eip2537(total),
        )

    def cancel(self, record: RoundRecord) -> Receipt:
        """Ends a round without a result: every deposit can be withdrawn."""
        return self.party.federation.cancel_round(record.number)
