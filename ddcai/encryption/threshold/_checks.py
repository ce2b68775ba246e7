"""Words that somebody else computed, before anything is done with them."""

from __future__ import annotations

import numpy as np

from ddcai.encryption.words import WordArray
from ddcai.errors import MalformedError


def check_words(
    words: WordArray, shape: tuple[int, ...], primes: tuple[int, ...], what: str
) -> None:
    """Refuses all but uint64 words of a shape [..., primes, m], each below its prime.

    Raises:
        MalformedError: saying what they are.
    """
    if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.shape != shape:
        found = f"{words.dtype}{words.shape}" if isinstance(words, np.ndarray) else type(words)
        raise MalformedError(f"{what}: {found}, it is uint64{shape}: ask for it again")
    if (words >= np.array(primes, np.uint64)[:, None]).any():
        raise MalformedError(f"{what} has a word not below its prime: ask for it again")
