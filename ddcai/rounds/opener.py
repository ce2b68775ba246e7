"""The key holder's side that its key files make: a single one, or one of several."""

from __future__ import annotations

from pathlib import Path

from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.threshold.keyring import KeyRing, holds_pieces
from ddcai.errors import ConfigurationError
from ddcai.rounds.ceremony import PIECES_NAME
from ddcai.rounds.keyholder import Opener
from ddcai.rounds.party import Party, Settings
from ddcai.rounds.shared_opener import SharedOpener


def opener_of(settings: Settings, party: Party, folder: Path) -> Opener | SharedOpener:
    """Opens the key that the settings name: a file, or a folder with the files of several epochs.

    Args:
        folder: where the key holder remembers what it opened.

    Raises:
        ConfigurationError: no key is named, none is there, or it is not the federation's.
        KeyfileError, WrongPassword: about a file.
    """
    if not settings.encryption_key:
        raise ConfigurationError("encryption-key is not set: give it, or set DDCAI_ENCRYPTION_KEY")
    path, budget = Path(settings.encryption_key), int(settings.scalar_budget)
    files = sorted(path.glob(f"**/{PIECES_NAME}")) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(
            f"no {PIECES_NAME} in {path}: give the folder that `ddcai keys ceremony` wrote, or a "
            "key's file"
        )
    password = settings.password()
    if holds_pieces(files[0]):
        rings = [KeyRing.load(file, password) for file in files]
        return SharedOpener(party, rings, folder, scalar_budget=budget)
    secret = SecretKey.load(path, password)
    try:
        return Opener(party, secret, folder, scalar_budget=budget)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
