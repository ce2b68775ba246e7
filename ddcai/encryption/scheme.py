"""The seam where a scheme stands: it encrypts, adds and opens, here and nowhere else.

One scheme exists, BFV under one key holder (`ddcai.encryption.bfv`). A threshold key or a
compact scheme implements these protocols and adds its blobs in its own way.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ddcai.encryption.parameters import ParameterSet


class Encrypter(Protocol):
    """What a contributor holds: the federation's public key."""

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""

    def digest(self) -> bytes:
        """32 bytes that name the key on chain."""

    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        """Values int64[v], within a lane, to a blob; different bytes at every call."""


class Opener(Protocol):
    """What a key holder holds."""

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""

    @property
    def public_key_digest(self) -> bytes:
        """32 bytes that name the matching public key."""

    def decrypt(self, blob: bytes) -> NDArray[np.int64]:
        """A blob to values int64[v]. To be called by `ddcai.encryption.opening` alone."""
