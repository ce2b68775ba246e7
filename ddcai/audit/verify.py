"""Verification by somebody who took no part: chain and blobs alone, no key, no deployment file.

Guarantees:
- one failed artefact fails the claim about that artefact and no other: a claim that needs it is
  SKIPPED and says so, and where the right value follows from others it is used instead (a
  model that was recomputed serves as the next round's base when its blob is damaged);
- a blob that the store does not hold is reported as ``missing``: no fraud, and no PASS;
- bytes from the store are parsed only after their digest was found on chain.

What it cannot show: that an opened sum is what the sealed sum decrypts to. Only who holds the
decryption key can; the key holder's signature says who is answerable. The same holds for the
scalars that single updates are judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ddcai import digests, strict_json
from ddcai.audit import claims, money
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import Finalisation, History, RoundHistory, Sealing
from ddcai.audit.judged import JudgedRounds
from ddcai.audit.reading import read_history
from ddcai.audit.signatures import Signatures
from ddcai.audit.sums import Addition
from ddcai.audit.verdicts import JudgedWindows
from ddcai.audit.window_money import check_windows
from ddcai.chain.node.connection import connect
from ddcai.configuration import FederationConfig
from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.summation import SumAccumulator
from ddcai.errors import ConfigurationError, DdcaiError, MalformedError
from ddcai.models import state
from ddcai.models.state import State
from ddcai.models.trained import num_values
from ddcai.rounds.result import next_model, result_of
from ddcai.store import Store


def verify_at(rpc_url: str, contract: str, store: Store, *, from_block: int = 0) -> Iterator[Claim]:
    """Verifies the federation at an address.

    Args:
        rpc_url: an endpoint that the auditor believes about the chain.
        contract: the federation's address.
        store: the blobs, trusted for nothing.
        from_block: a block at or before the deployment.

    Raises:
        ChainUnreachable, NotAFederation, ChainError: about the endpoint and the address.
    """
    yield from verify(read_history(connect(rpc_url), contract, from_block), store)


def verify(history: History, store: Store) -> Iterator[Claim]:
    """Verifies what a chain said of a federation against the blobs; a claim at a time."""
    yield from _Verifier(history, store).claims()


class _Verifier:
    def __init__(self, history: History, store: Store) -> None:
        self._history, self._blobs = history, Blobs(store)
        self._config: FederationConfig | None = None
        self._states: dict[bytes, State] = {}
        self._signatures = Signatures(history)
        # Where each ciphertext of each update was first seen, by its mark.
        self._seen: dict[bytes, str] = {}

    def claims(self) -> Iterator[Claim]:
        history = self._history
        yield self._check_config()
        yield self._check_encryption_key()
        yield self._check_model(claims.INITIAL_MODEL, history.initial_model_digest)
        for member in history.members:
            yield self._signatures.check_possession(member)
        yield _check_chain(history)
        judged_rounds = JudgedRounds(history, self._blobs, self._config)
        yield from judged_rounds.check_root_set()
        for round_ in history.rounds:
            if round_.cancelled is not None:
                continue
            if round_.judging is not None:
                yield from judged_rounds.check_list(round_, round_.judging)
            if round_.sealing is None:
                continue
            if round_.judging is not None:
                yield from judged_rounds.check_scores(round_, round_.judging)
            yield from self._check_sealed(round_, round_.sealing)
            if round_.finalisation is not None:
                yield from self._check_result(round_, round_.sealing, round_.finalisation)
        yield self._check_current_head()
        if history.encoder_every is not None:
            yield self._check_releases(history.encoder_every)
        yield money.check_conserved(history)
        yield money.check_solvent(history)
        if history.assessment is not None:
            yield from check_windows(history, history.assessment)
            yield from JudgedWindows(
                history, history.assessment, self._blobs, judged_rounds
            ).claims()

    # The federation.

    def _check_config(self) -> Claim:
        digest = self._history.rules.config_digest
        claim, self._config = self._blobs.check(
            claims.CONFIG, digest, digests.config_blob_digest, _parse_config
        )
        return claim

    def _check_encryption_key(self) -> Claim:
        digest = self._history.rules.encryption_key_digest
        claim, key = self._blobs.check(
            claims.ENCRYPTION_KEY, digest, digests.public_key_digest, PublicKey.from_blob
        )
        if key is not None and self._config is not None:
            chosen = self._config.encryption.parameter_set
            if key.parameters.id != chosen:
                return judged(claims.ENCRYPTION_KEY, False, f"a key of {chosen}", key.parameters.id)
        return claim

    def _check_model(self, name: str, digest: bytes, round_: int | None = None) -> Claim:
        claim, model = self._blobs.check(
            name, digest, digests.model_digest, state.from_canonical, round_=round_
        )
        if model is not None:
            self._states[digest] = model
        return claim

    # A sealed round.

    def _check_sealed(self, round_: RoundHistory, sealing: Sealing) -> Iterator[Claim]:
        """Every update on the list, then their sum; one update in memory at a time."""
        number, context = round_.number, self._history.context(round_.number)
        addition = Addition(self._accumulator(round_), self._seen)
        for one in round_.sealed:
            claim, blob = self._blobs.check(
                claims.UPDATES,
                one.digest,
                partial(digests.update_digest, context, one.address),
                bytes,
                round_=number,
                subject=one.address,
            )
            yield claim
            addition.add(f"{one.address} in round {number}", blob)
        yield addition.check(self._history, round_, sealing)
        sum_digest = partial(digests.sum_digest, context)
        yield self._blobs.check(
            claims.SUM_BLOB, sealing.sum_digest, sum_digest, bytes, round_=number
        )[0]

    def _accumulator(self, round_: RoundHistory) -> SumAccumulator:
        """Takes what the configuration and the base model ask for, as far as they are known."""
        base = self._states.get(round_.base_model_digest)
        if self._config is None:
            return SumAccumulator(None, None)
        try:
            values = None if base is None else num_values(self._config, base, round_.number)
        except ConfigurationError:  # a model without a head: the claim about the head says so
            values = None
        return SumAccumulator(PARAMETER_SETS.get(self._config.encryption.parameter_set), values)

    # A finalised round.

    def _check_result(
        self, round_: RoundHistory, sealing: Sealing, final: Finalisation
    ) -> Iterator[Claim]:
        number = round_.number
        opened_digest = partial(digests.opened_digest, self._history.context(number))
        claim, opened = self._blobs.check(
            claims.OPENED, final.opened_digest, opened_digest, opened_from_blob, round_=number
        )
        yield claim
        yield self._signatures.check_opening(round_, sealing, final)
        follows, computed = self._check_follows(round_, final, opened)
        yield follows
        # Only the newest model is needed from here on.
        self._states = {} if computed is None else {final.model_digest: computed}
        yield self._check_model(claims.MODEL_BLOB, final.model_digest, number)
        yield self._signatures.check_quorum(round_, sealing, final)
        yield self._check_head(final.model_digest, final.head_digest, number)

    def _check_follows(
        self, round_: RoundHistory, final: Finalisation, opened: NDArray[np.int64] | None
    ) -> tuple[Claim, State | None]:
        """The claim, and the model with the committed digest if it was found."""
        base, expected = self._states.get(round_.base_model_digest), _hex(final.model_digest)
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

    # The head.

    def _check_current_head(self) -> Claim:
        found = digests.head_digest(self._history.head_words)
        return self._check_head(self._history.model_digest, found, None)

    def _check_releases(self, every: int) -> Claim:
        """That a head which contributions teach is replaced by the rounds that change features."""
        if self._config is None:
            return skipped(claims.RELEASES, f"every {every}", "the configuration cannot be used")
        expected = f"every {self._config.training.encoder_every}"
        return compare(claims.RELEASES, expected, f"every {every}")

    def _check_head(self, model_digest: bytes, found: bytes, round_: int | None) -> Claim:
        """That a head's digest is that of the last layer of a model."""
        model = self._states.get(model_digest)
        if self._config is None or model is None:
            lacking = "configuration" if self._config is None else "model"
            expected = f"the head of model {_hex(model_digest)}"
            return skipped(claims.HEAD, expected, f"the {lacking} cannot be used", round_=round_)
        try:
            expected = _hex(result_of(self._config, model).head_digest)
        except DdcaiError as error:
            return judged(claims.HEAD, False, str(error), _hex(found), round_=round_)
        return compare(claims.HEAD, expected, _hex(found), round_=round_)


def _check_chain(history: History) -> Claim:
    """Numbers without a gap; each round starts from the last finalised model."""
    current = history.initial_model_digest
    for number, round_ in enumerate(history.rounds, start=1):
        if round_.number != number:
            return judged(claims.ROUND_CHAIN, False, f"round {number}", f"round {round_.number}")
        if round_.base_model_digest != current:
            return compare(
                claims.ROUND_CHAIN,
                f"round {number} starts from {_hex(current)}",
                f"round {number} starts from {_hex(round_.base_model_digest)}",
            )
        if round_.finalisation is not None:
            current = round_.finalisation.model_digest
    return compare(
        claims.ROUND_CHAIN,
        f"{len(history.rounds)} rounds lead to {_hex(current)}",
        f"{history.last_round} rounds lead to {_hex(history.model_digest)}",
    )


def _parse_config(blob: bytes) -> FederationConfig:
    try:
        config = FederationConfig.from_json(strict_json.loads(blob))
    except ValueError as error:
        raise MalformedError(f"not JSON: {error}") from error
    if digests.canonical_json(config.to_json()) != blob:
        raise MalformedError("not in canonical form")
    return config


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
