"""A contributor's update of a round, made once: clipped, quantised, encrypted, kept on disk.

The same for a member, which submits it, and for a contributor of a group, which gives it to that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ddcai import digests
from ddcai.chain.records import RoundRecord
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.errors import DataError
from ddcai.keyfile import write_once
from ddcai.models import state
from ddcai.models.state import State
from ddcai.models.trained import require_rest_unchanged, trained_part
from ddcai.rounds.party import Party
from ddcai.rounds.privacy import require_budget, with_noise
from ddcai.rounds.result import quantiser


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


class UpdateMaker:
    """Makes one party's updates.

    Args:
        party: its chain, account and store.
        folder: where it remembers them; private to this federation.
    """

    def __init__(self, party: Party, folder: Path) -> None:
        self.party, self.folder = party, folder

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
            PolicyLimit: one round too many for the node's policy today.
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
        if self.party.guard is not None:
            self.party.guard.count_round(number)
        values, key = with_noise(config, encoded.values), self.party.encryption_key(number)
        if isinstance(key, HolderKeys):
            blob = key.encrypt(values, self.party.context(number), self.party.address)
        else:
            blob = key.encrypt(values)
        kept = self.remember(record, blob)
        if kept.blob != blob:
            return kept
        metrics = {
            "clamped_share": encoded.clamped_share,
            "encrypt_s": time.perf_counter() - started,
        }
        return Update(
            blob=blob,
            digest=kept.digest,
            metrics=metrics if config.privacy is None else {},
        )

    def remember(self, record: RoundRecord, blob: bytes) -> Update:
        """The round's update: this one, on disk on return, or the one that another process of this
        party wrote first."""
        kept = write_or_read(self._update_path(record), blob)
        return Update(blob=kept, digest=self._digest(record, kept))

    def _digest(self, record: RoundRecord, blob: bytes) -> bytes:
        return digests.update_digest(self.party.context(record.number), self.party.address, blob)

    def _update_path(self, record: RoundRecord) -> Path:
        return self.folder / f"round-{record.number}.update"

    def _attested(self) -> frozenset[int]:
        """Rounds whose opened sum this contributor saw, whatever the chain shows."""
        paths = self.folder.glob("round-*.attested")
        return frozenset(int(path.stem.removeprefix("round-")) for path in paths)


def write_or_read(path: Path, data: bytes) -> bytes:
    """What the file holds: ``data``, on disk on return, or what another process wrote first."""
    return data if write_once(path, data) else path.read_bytes()


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
