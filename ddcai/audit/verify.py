"""Verification by somebody who took no part: chain and blobs alone, no key, no deployment file.

Guarantees:
- one failed artefact fails the claim about that artefact and no other: a claim that needs it is
  SKIPPED and says so, and where the right value follows from others it is used instead (a
  model that was recomputed serves as the next round's base when its blob is damaged);
- a claim about a blob that the store does not hold is MISSING: no fraud, and no PASS;
- bytes from the store are parsed only after their digest was found on chain.

What it cannot show: that an opened sum is what the sealed sum decrypts to. Only who holds the
decryption key can; the key holder's signature says who is answerable. The same holds for the
scalars that single updates are judged by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddcai import digests, strict_json
from ddcai.audit import claims, money
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import History
from ddcai.audit.indexed import stored_history
from ddcai.audit.journal import Journal
from ddcai.audit.judged import JudgedRounds
from ddcai.audit.round_checks import RoundChecks
from ddcai.audit.signatures import Signatures
from ddcai.audit.verdicts import JudgedWindows
from ddcai.audit.window_money import check_windows
from ddcai.audit.workers import bases, in_order
from ddcai.chain.node.connection import connect
from ddcai.configuration import FederationConfig
from ddcai.encryption.public import key_from_blob
from ddcai.errors import ConfigurationError, MalformedError
from ddcai.models import state
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
    with stored_history(connect(rpc_url), contract, from_block) as (history, _):
        yield from verify(history, store)


@dataclass(frozen=True, kw_only=True)
class Work:
    """How an audit is done; what it finds does not depend on it.

    Attributes:
        workers: processes that check rounds, each with its own interpreter; 1 for none but this.
            A store that they can open by its URL is needed.
        journal: the file of a `ddcai.audit.journal.Journal`: rounds that passed are not verified
            again, and what was read of the store is not read again. None: nothing is kept.
    """

    workers: int = 1
    journal: Path | None = None


def verify(
    history: History, store: Store, work: Work = Work(), *, round_: int | None = None
) -> Iterator[Claim]:
    """Verifies what a chain said of a federation against the blobs; a claim at a time.

    Args:
        round_: only the claims about this round, and about the configuration. Copies of updates
            of other rounds are then found only where a journal has those rounds.

    Raises:
        ConfigurationError: no such round, or the journal of another federation.
        MalformedError: a journal that is damaged.
    """
    verifier = _Verifier(history, store, work)
    yield from verifier.claims() if round_ is None else verifier.claims_of(round_)


class _Verifier:
    def __init__(self, history: History, store: Store, work: Work) -> None:
        self._history, self._store, self._blobs = history, store, Blobs(store)
        self._work = work
        self._config: FederationConfig | None = None

    def claims(self) -> Iterator[Claim]:
        history = self._history
        yield self._check_config()
        yield self._check_encryption_key()
        for epoch in history.key_epochs[1:]:
            yield self._check_key(epoch.key_digest, f"epoch {epoch.number}")
        yield self._check_model(claims.INITIAL_MODEL, history.initial_model_digest)
        signatures = Signatures(history)
        for member in history.members:
            yield signatures.check_possession(member)
        yield _check_chain(history)
        judged_rounds = JudgedRounds(history, self._blobs, self._config)
        yield from judged_rounds.check_root_set()
        yield from self._rounds(range(len(history.rounds)), judged_rounds)
        yield RoundChecks(history, self._store, self._config).check_current_head()
        if history.encoder_every is not None:
            yield self._check_releases(history.encoder_every)
        yield money.check_conserved(history)
        yield money.check_solvent(history)
        if history.assessment is not None:
            yield from check_windows(history, history.assessment)
            yield from JudgedWindows(
                history, history.assessment, self._blobs, judged_rounds
            ).claims()

    def claims_of(self, number: int) -> Iterator[Claim]:
        """Those about one round, and about the configuration that it rests on."""
        places = [n for n, one in enumerate(self._history.rounds) if one.number == number]
        if not places:
            raise ConfigurationError(
                f"there is no round {number}: the last one is {self._history.last_round}"
            )
        yield self._check_config()
        judged_rounds = JudgedRounds(self._history, self._blobs, self._config)
        yield from self._rounds(places, judged_rounds)

    def _rounds(self, places: Sequence[int], judged_rounds: JudgedRounds) -> Iterator[Claim]:
        history, work = self._history, self._work
        sealed = (
            place
            for place in places
            if history.rounds[place].sealing is not None and history.rounds[place].cancelled is None
        )
        with Journal(work.journal, history.chain_id, history.contract) as journal:
            journal.begin(bases(history, self._config))
            wanted = (place for place in sealed if not journal.has(place))
            with in_order(history, self._store, self._config, wanted, work.workers) as checked:
                for place in places:
                    round_ = history.rounds[place]
                    if round_.cancelled is not None:
                        continue
                    if round_.judging is not None:
                        yield from judged_rounds.check_list(round_, round_.judging)
                    if round_.sealing is None:
                        continue
                    if round_.judging is not None:
                        yield from judged_rounds.check_scores(round_, round_.judging)
                    found = journal.found(place)
                    yield from found or journal.finish(place, next(checked))

    # The federation.

    def _check_config(self) -> Claim:
        digest = self._history.rules.config_digest
        claim, self._config = self._blobs.check(
            claims.CONFIG, digest, digests.config_blob_digest, _parse_config
        )
        return claim

    def _check_encryption_key(self) -> Claim:
        digest, epochs = self._history.rules.encryption_key_digest, self._history.key_epochs
        if epochs and epochs[0].key_digest != digest:
            shared = _hex(epochs[0].key_digest)
            return compare(claims.ENCRYPTION_KEY, f"epoch 1's {shared}", _hex(digest))
        return self._check_key(digest)

    def _check_key(self, digest: bytes, subject: str = "") -> Claim:
        name = claims.ENCRYPTION_KEY
        claim, key = self._blobs.check(
            name, digest, digests.public_key_digest, key_from_blob, subject=subject
        )
        if key is not None and self._config is not None:
            chosen, found = self._config.encryption.parameter_set, key.set_id
            if found != chosen:
                return judged(name, False, f"a key of {chosen}", found, subject=subject)
        return claim

    def _check_model(self, name: str, digest: bytes) -> Claim:
        claim, _ = self._blobs.check(name, digest, digests.model_digest, state.from_canonical)
        return claim

    def _check_releases(self, every: int) -> Claim:
        """That a head which contributions teach is replaced by the rounds that change features."""
        if self._config is None:
            return skipped(claims.RELEASES, f"every {every}", "the configuration cannot be used")
        expected = f"every {self._config.training.encoder_every}"
        return compare(claims.RELEASES, expected, f"every {every}")


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
