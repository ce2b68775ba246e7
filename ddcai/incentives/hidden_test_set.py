"""A sponsor's test set: its pieces and their salts, kept on disk until all are revealed.

Warning: whoever loses this file can reveal nothing, and forfeits the bounty; whoever reads it
knows the test set. Keep a copy, and keep it secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ddcai import strict_json
from ddcai.errors import ConfigurationError, MalformedError
from ddcai.incentives.prediction_market import (
    MAX_PIECES,
    MIN_PIECES,
    SALT_BYTES,
    Sample,
    decode_piece,
    encode_piece,
    piece_digest,
)
from ddcai.keyfile import write_atomically

_FORMAT = "ddcai test set 1"


@dataclass(frozen=True)
class HiddenTestSet:
    """Pieces as `encode_piece` makes them, with their salts, 32 bytes each; not in `repr`."""

    pieces: list[bytes] = field(repr=False)
    salts: list[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        count = len(self.pieces)
        if not MIN_PIECES <= count <= MAX_PIECES or len(self.salts) != count:
            raise ConfigurationError(
                f"{count} pieces and {len(self.salts)} salts: give {MIN_PIECES} to {MAX_PIECES} "
                "pieces, each with a salt"
            )
        if any(len(salt) != SALT_BYTES for salt in self.salts):
            raise ConfigurationError(f"a salt does not have {SALT_BYTES} bytes")
        for piece in self.pieces:
            decode_piece(piece)

    @classmethod
    def commit(cls, samples: Sequence[Sample], pieces: int) -> Self:
        """Deals samples to pieces in turn, and draws salts from the system's randomness.

        Raises:
            ConfigurationError: a number of pieces out of range, fewer samples than pieces, or a
                piece that does not fit a page.
        """
        if not MIN_PIECES <= pieces <= min(MAX_PIECES, len(samples)):
            raise ConfigurationError(
                f"{pieces} pieces of {len(samples)} samples: give {MIN_PIECES} to {MAX_PIECES} "
                "pieces, and a sample for each"
            )
        dealt = [encode_piece(samples[i::pieces]) for i in range(pieces)]
        return cls(dealt, [os.urandom(SALT_BYTES) for _ in dealt])

    def digests(self) -> list[bytes]:
        """What the market is deployed with."""
        return [
            piece_digest(index, salt, piece)
            for index, (piece, salt) in enumerate(zip(self.pieces, self.salts, strict=True))
        ]

    def save(self, path: Path | str) -> None:
        """Writes a new file that its owner alone can read; before the market is deployed.

        Raises:
            ConfigurationError: there is a file already: it may be another market's only copy.
        """
        path = Path(path)
        if path.exists():
            raise ConfigurationError(f"{path} exists: choose another name, or move it away")
        content = {
            "format": _FORMAT,
            "pieces": [piece.hex() for piece in self.pieces],
            "salts": [salt.hex() for salt in self.salts],
        }
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode(), mode=0o600)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            ConfigurationError: missing, or not such a file. No message says what is in it.
        """
        try:
            content = strict_json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        except ValueError:
            content = None
        wrong = ConfigurationError(f"{path} is not a test set of a market: give the file of `save`")
        if not isinstance(content, dict) or set(content) != {"format", "pieces", "salts"}:
            raise wrong
        pieces, salts = content["pieces"], content["salts"]
        if content["format"] != _FORMAT or not all(
            isinstance(one, list) for one in (pieces, salts)
        ):
            raise wrong
        try:
            return cls(
                [bytes.fromhex(one) for one in pieces], [bytes.fromhex(one) for one in salts]
            )
        except (TypeError, ValueError, ConfigurationError, MalformedError):
            raise wrong from None
