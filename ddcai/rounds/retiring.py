"""Destroying pieces of keys that no round can need any more.

Ciphertexts stay in the blob store, and whoever comes by enough pieces of a key can open all that
were ever encrypted under it. So pieces are not kept longer than they serve.

| a key is kept | as |
|---|---|
| that is the current one, or none of the federation's | it may still be needed |
| whose successor was registered less than the grace period ago | its holders' signatures count |
| under which a round was opened that is not settled | the round may still be opened |
| under which rounds were opened of a window that waits for its verdict | its movement is opened |

The rest is destroyed. That an epoch is over is what the chain's endpoint says: one that lies could
have pieces destroyed that are needed, so a holder asks a node that it trusts. What the holder
opened stays on record (`ddcai.encryption.journal`): budgets count over all keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ddcai.chain.assessment import WindowRecord, WindowState
from ddcai.chain.federation import Federation
from ddcai.chain.key_holders import KeyEpoch
from ddcai.encryption.threshold.bodies import hex_bytes
from ddcai.encryption.threshold.keyring import HOLDS_PIECES
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import ConfigurationError, KeyfileError, MalformedError
from ddcai.keyfile import destroy, read_public
from ddcai.rounds.ceremony import PIECES_NAME

# What is half destroyed has this name, so that the next call ends it.
RETIRED_SUFFIX = ".retired"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A file with pieces of a key, and whether they are needed.

    Attributes:
        file: where it is.
        label: of the key's plan; empty where the file cannot be read.
        epoch: the key's; None where the federation never had it.
        keep: whether it is kept.
        why: the reason for either.
    """

    file: Path
    label: str
    epoch: int | None
    keep: bool
    why: str


class Retiring:
    """Which of a holder's pieces a federation still needs, at the time of its chain's last block.

    Raises:
        ConfigurationError: its key holder is a single account.
    """

    def __init__(self, federation: Federation) -> None:
        holders = federation.key_holders()
        if holders is None:
            raise ConfigurationError(
                f"the key holder of {federation.address} is {federation.rules().key_holder}, which "
                "has one key for all rounds: nothing of it can be retired"
            )
        self._federation, self._epochs = federation, holders.epochs()
        self._grace_s, self._now = holders.grace_seconds(), federation.block_time()

    def look(self, path: Path) -> tuple[Standing, ...]:
        """Every file of pieces in a folder, or one file.

        Raises:
            ConfigurationError: there is none.
        """
        names = (PIECES_NAME, PIECES_NAME + RETIRED_SUFFIX)
        files = [path] if path.is_file() else [f for name in names for f in path.glob(f"**/{name}")]
        if not files:
            raise ConfigurationError(
                f"no {PIECES_NAME} in {path}: give the folder with a holder's key files"
            )
        return tuple(self._standing(file) for file in sorted(files))

    def _standing(self, file: Path) -> Standing:
        if file.name.endswith(RETIRED_SUFFIX):
            return Standing(file=file, label="", epoch=None, keep=False, why="left half destroyed")
        try:
            label, digest = _key_of(file)
        except KeyfileError as error:
            return Standing(file=file, label="", epoch=None, keep=True, why=str(error))
        for epoch in self._epochs:
            if epoch.key_digest == digest:
                needed = self._needed(epoch)
                return Standing(
                    file=file,
                    label=label,
                    epoch=epoch.number,
                    keep=needed is not None,
                    why=needed or f"epoch {epoch.number} is over, and no round needs it",
                )
        why = f"the key 0x{digest.hex()} is none of this federation's, or not registered yet"
        return Standing(file=file, label=label, epoch=None, keep=True, why=why)

    def _needed(self, epoch: KeyEpoch) -> str | None:
        """What an epoch's pieces are needed for; None where they are not."""
        if epoch.number == len(self._epochs):
            return "it is the current key"
        until = self._epochs[epoch.number].registered_at + self._grace_s
        if self._now <= until:
            last = datetime.fromtimestamp(until, UTC)
            return f"its holders may still sign, until {last:%Y-%m-%d %H:%M:%S} UTC"
        rounds = self._rounds[epoch.number]
        for number in rounds:
            if not self._federation.round(number).settled:
                return f"round {number} was opened under it and is not settled: finish or cancel it"
        for window in self._waiting:
            own = sorted(rounds & set(window.rounds))
            if own:
                return (
                    f"window {window.number} waits for its verdict, and has rounds of it: "
                    f"{', '.join(map(str, own))}"
                )
        return None

    @cached_property
    def _rounds(self) -> dict[int, set[int]]:
        """Numbers of the rounds that were opened under each epoch."""
        found: dict[int, set[int]] = {epoch.number: set() for epoch in self._epochs}
        for number in range(1, self._federation.last_round() + 1):
            epoch = self._federation.key_holder_of(number)
            assert isinstance(epoch, KeyEpoch)
            found[epoch.number].add(number)
        return found

    @cached_property
    def _waiting(self) -> tuple[WindowRecord, ...]:
        """Windows that wait for a verdict, or for more rounds first."""
        if not self._federation.rules().assessed:
            return ()
        assessment = self._federation.assessment()
        windows = map(assessment.window, range(1, assessment.window_count() + 1))
        return tuple(w for w in windows if w.state in (WindowState.FILLING, WindowState.FULL))


def retire(standings: Iterable[Standing]) -> None:
    """Destroys the files that nothing needs.

    Raises:
        KeyfileError: naming one that cannot be destroyed.
    """
    for standing in standings:
        if standing.keep:
            continue
        file = standing.file
        try:
            if not file.name.endswith(RETIRED_SUFFIX):
                file = file.rename(file.with_name(file.name + RETIRED_SUFFIX))
            destroy(file)
        except OSError as error:
            raise KeyfileError(f"cannot destroy {file}: {error.strerror}") from error


def _key_of(file: Path) -> tuple[str, bytes]:
    """The label and the digest of the key that a file has pieces of, without its password.

    Raises:
        KeyfileError: it is another file.
    """
    public = read_public(file, holds=HOLDS_PIECES)["public"]
    try:
        plan = KeyPlan.from_json(public.get("plan"))
        return plan.label, hex_bytes(public.get("public_key_digest"), 32)
    except (ConfigurationError, MalformedError) as error:
        raise KeyfileError(f"{file} is damaged: {error}") from error
