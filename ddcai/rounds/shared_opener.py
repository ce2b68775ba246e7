"""A key holder's side of a round where several hold one key: its share, and all shares together.

Every holder is asked twice. First for its share: it recomputes what may be opened, as a single key
holder does, and closes its partial openings to all but the other holders. Then, with everybody's
shares, for what they come to: it compares, puts together, checks, and signs what it found. The
coordinator carries the shares, and cannot read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct
from eth_utils.crypto import keccak

from ddcai.chain.account_signatures import SIGNATURE_BYTES
from ddcai.chain.key_holders import KeyEpoch
from ddcai.digests import tag
from ddcai.encryption.compact.holding import CompactSums
from ddcai.encryption.compact.scalars import CompactScalars
from ddcai.encryption.journal import Journal
from ddcai.encryption.scalars import ScalarRules
from ddcai.encryption.sealed import SealedSums
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.opening import HeldKey, Partial, ThresholdScalars, ThresholdSums
from ddcai.encryption.threshold.shares import ShareExchange
from ddcai.errors import ConfigurationError, RoundError, WrongEncryptionKey
from ddcai.rounds.ceremony import PIECES_NAME
from ddcai.rounds.keyholder import sign_sum
from ddcai.rounds.openable import (
    committed_updates,
    gate_vectors,
    movement_vectors,
    sealed_round,
)
from ddcai.rounds.party import SCALAR_BUDGET, Party
from ddcai.rounds.result import reach, update_reach
from ddcai.rounds.scalars import OpenedScalars

Result = TypeVar("Result")

SUM, SCALARS, MOVEMENT = "sum", "scalars", "movement"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the holders are asked to open.

    Attributes:
        what: `SUM`, `SCALARS` (of committed updates, for the gate) or `MOVEMENT` (of finalised
            ones, for the window).
        round: the round.
        anchor: digest of the published anchor, for scalars whose rule needs one.
        responders: numbers of the holders that take part.
    """

    what: str
    round: int
    responders: tuple[int, ...]
    anchor: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a holder found in all shares.

    Attributes:
        value: an opened sum's blob, or opened scalars' blob with this holder's signature;
            empty where the shares do not agree.
        signature: under an opened sum; empty otherwise.
        accused: numbers of the holders whose share is none, or not what this holder computes.
    """

    value: bytes
    signature: bytes
    accused: tuple[int, ...]


class SharedOpener:
    """One of the holders of a federation's keys.

    Args:
        party: its chain, account and store.
        rings: its part of each key that the federation has or had; at least of one.
        folder: where it remembers what it opened. Losing it means that one round could be
            opened twice, with two lists: back it up.
        scalar_budget: scalars of one contributor that it ever opens, under all keys.

    Raises:
        ConfigurationError: the federation's key holder is a single account, or no ring is one of
            its keys', or one is another account's.
    """

    def __init__(
        self,
        party: Party,
        rings: Sequence[KeyRing],
        folder: Path,
        *,
        scalar_budget: int = SCALAR_BUDGET,
    ) -> None:
        holders = party.federation.key_holders()
        if holders is None:
            raise ConfigurationError(
                "this federation's key holder is a single account: give its secret key, not pieces"
            )
        known = {epoch.key_digest for epoch in holders.epochs()}
        for ring in rings:
            if ring.holder != party.address:
                raise ConfigurationError(
                    f"the pieces of {ring.plan.label} are of the account {ring.holder}, not of "
                    f"{party.address}: give that account's keystore"
                )
        # One that is not registered yet may be so by the next round.
        self._rings = {ring.public_key_digest: ring for ring in rings}
        if not known & self._rings.keys():
            raise ConfigurationError(
                f"none of the {len(rings)} keys that {party.address} has pieces of is registered "
                f"for this federation, whose last one is 0x{holders.current().key_digest.hex()}"
            )
        self.party, self._folder, self._budget = party, folder, scalar_budget
        self._last: tuple[object, Any] | None = None

    def share(self, asked: Asked) -> bytes:
        """This holder's share, under its account's signature.

        Raises:
            OpeningRefused: in all the cases in which a single key holder refuses, and KeyExhausted.
            RoundError: too few holders, or this one is none of them.
        """
        ring, partial = self._partial(asked)
        share = ShareExchange(ring, partial.about, asked.responders).share(partial.own)
        assert self.party.account is not None
        return share + bytes(self.party.account.sign_message(_signable(share)).signature)

    def combine(self, asked: Asked, shares: Mapping[int, bytes]) -> Found:
        """What all shares come to, signed; or whose share is false.

        Args:
            shares: by holder's number, as `share` gave them.

        Raises:
            ForgedUpdate: they come to what honest contributors and holders do not make.
            OpeningRefused, RoundError: as `share`.
        """
        ring, partial = self._partial(asked)
        valid = {
            number: share[:-SIGNATURE_BYTES]
            for number, share in shares.items()
            if number in asked.responders and _signer(share) == ring.plan.holders[number]
        }
        gathered = ShareExchange(ring, partial.about, asked.responders).gather(partial.own, valid)
        if gathered.partials is None:
            return Found(value=b"", signature=b"", accused=gathered.accused)
        value, signature = partial.finish(gathered.partials)
        self._last = None
        return Found(value=value, signature=signature, accused=())

    def _partial(self, asked: Asked) -> tuple[KeyRing, Partial[tuple[bytes, bytes]]]:
        ring = self._ring(asked.round)
        makers = {SUM: self._sum, SCALARS: self._scalars, MOVEMENT: self._scalars}
        if asked.what not in makers:
            raise RoundError(f"asked to open {asked.what!r}: none of {', '.join(makers)}")
        return ring, makers[asked.what](ring, asked)

    def _once(self, about: object, make: Callable[[], Partial[Result]]) -> Partial[Result]:
        """What was made for the first question serves the second, if it is about the same as the
        chain has it now."""
        if self._last is None or self._last[0] != about:
            self._last = None  # its memory, before more is taken
            self._last = about, make()
        made: Partial[Result] = self._last[1]
        return made

    def _key(self, ring: KeyRing) -> HeldKey | None:
        """The part of a key that lasts; None in the compact scheme, which has none."""
        if ring.plan.compact:
            return None
        return HeldKey(ring, self.party.config.encryption.max_contributors)

    def _sum(self, ring: KeyRing, asked: Asked) -> Partial[tuple[bytes, bytes]]:
        party, journals, key = self.party, self._journals(ring), self._key(ring)
        sums = SealedSums(
            ring.plan.any_set,
            ring.public_key_digest,
            journals[SUM],
            party.store.get,
            None if key is None else key.allowance(*journals.values()),
        )
        limit = update_reach(party.config)
        opener: CompactSums | ThresholdSums
        if key is None:
            opener = CompactSums(ring, sums, value_limit=limit)
        else:
            opener = ThresholdSums(key, sums, value_limit=limit)
        sealed = sealed_round(party, asked.round, self._opened(asked.round))
        partial = self._once((ring, sealed), lambda: opener.partial(sealed))

        def finish(partials: Mapping[tuple[int, ...], bytes]) -> tuple[bytes, bytes]:
            opening = sign_sum(party, sealed, partial.finish(partials).blob)
            return opening.blob, opening.signature

        return Partial(about=partial.about, own=partial.own, finish=finish)

    def _scalars(self, ring: KeyRing, asked: Asked) -> Partial[tuple[bytes, bytes]]:
        party, journals, key = self.party, self._journals(ring), self._key(ring)
        moved = asked.what == MOVEMENT
        record = party.federation.round(asked.round)
        if moved:
            vectors, noise = movement_vectors(party, record)
        else:
            vectors, noise = gate_vectors(party, record, asked.anchor)
        rules = ScalarRules(
            ring.plan.any_set,
            ring.public_key_digest,
            journals[asked.what],
            party.store.get,
            budget=self._budget,
            beside=[path for path in self._all(SCALARS, MOVEMENT) if path != journals[asked.what]],
            allowance=None if key is None else key.allowance(*journals.values()),
        )
        limit = reach(party.config)
        opener: CompactScalars | ThresholdScalars
        if key is None:
            opener = CompactScalars(ring, rules, value_limit=limit)
        else:
            opener = ThresholdScalars(key, rules, value_limit=limit)
        committed = committed_updates(party, record)
        about = (ring, asked.what, committed, vectors.digest(), noise)
        partial = self._once(about, lambda: opener.partial(committed, vectors, noise))

        def finish(partials: Mapping[tuple[int, ...], bytes]) -> tuple[bytes, bytes]:
            opened = partial.finish(partials)
            return OpenedScalars.sign(party, record, opened, movement=moved).to_blob(), b""

        return Partial(about=partial.about, own=partial.own, finish=finish)

    def _ring(self, round_: int) -> KeyRing:
        epoch = self.party.federation.key_holder_of(round_)
        assert isinstance(epoch, KeyEpoch)
        ring = self._rings.get(epoch.key_digest)
        if ring is None:
            who = self.party.address
            raise WrongEncryptionKey(
                f"round {round_} is encrypted under the key 0x{epoch.key_digest.hex()} of epoch "
                f"{epoch.number}, of which {who} "
                + (
                    f"gave no pieces: put that epoch's {PIECES_NAME} beside the others into one "
                    "folder, give the folder as encryption-key, and start again"
                    if who in epoch.holders
                    else f"is no holder: {', '.join(epoch.holders)} open it"
                )
            )
        if (ring.plan.holders, ring.plan.threshold) != (epoch.holders, epoch.threshold):
            raise WrongEncryptionKey(
                f"epoch {epoch.number} is registered for {epoch}, but the key was made for "
                f"{ring.plan.threshold} of {len(ring.plan.holders)} others: register another"
            )
        return ring

    def _journals(self, ring: KeyRing) -> dict[str, Path]:
        """A folder for each kind of opening, under each key."""
        own = self._folder / f"key-{ring.public_key_digest.hex()[:16]}"
        return {what: own / what for what in (SUM, SCALARS, MOVEMENT)}

    def _all(self, *kinds: str) -> list[Path]:
        """The folders of these kinds under all keys, also of those that are no more."""
        return [path for kind in kinds for path in self._folder.glob(f"key-*/{kind}")]

    def _opened(self, round_: int) -> frozenset[int]:
        """Rounds whose sums this holder ever opened, under all keys."""
        context = self.party.context(round_)
        return frozenset().union(*(Journal(path).rounds(context) for path in self._all(SUM)))


def _signable(share: bytes) -> SignableMessage:
    digest = keccak(tag("signed-share") + share)
    return encode_defunct(text=f"ddcai share of an opening {digest.hex()}")


def _signer(share: bytes) -> str:
    """Who signed a share; empty where nobody did."""
    try:
        return str(
            Account.recover_message(
                _signable(share[:-SIGNATURE_BYTES]), signature=share[-SIGNATURE_BYTES:]
            )
        )
    except Exception:  # eth-account raises its own kinds for malformed signatures
        return ""
