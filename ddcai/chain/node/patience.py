"""An endpoint that is away for a while: what only reads is asked again.

For parties that run for weeks. A command that somebody waits for fails at once instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from web3 import HTTPProvider
from web3.types import RPCEndpoint

log = logging.getLogger("ddcai.chain")

Answer = TypeVar("Answer")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
# Too many requests; a proxy whose node is away.
_PASSING = (429, 502, 503, 504)


class PatientProvider(HTTPProvider):
    """Asks again while nobody answers. A transaction is not sent again: who signed it decides.

    Attributes:
        patience_s: for how long.
    """

    patience_s = 0.0

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        """As `HTTPProvider` does, and again."""
        ask = super().make_request
        if not method.startswith(("eth_get", "eth_call", "eth_estimate", "eth_chainId")):
            return ask(method, params)
        return self._again(lambda: ask(method, params))

    def make_batch_request(self, batch_requests: Any) -> Any:
        """As `HTTPProvider` does, and again: batches here only read."""
        ask = super().make_batch_request
        return self._again(lambda: ask(batch_requests))

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        deadline, pause_s = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return ask()
            except requests.RequestException as error:
                if not _passes(error) or time.monotonic() + pause_s > deadline:
                    raise
                log.warning(
                    "the chain's endpoint does not answer (%s): asked again for %.0f s",
                    type(error).__name__,
                    deadline - time.monotonic(),
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _passes(error: requests.RequestException) -> bool:
    if error.response is not None:
        return error.response.status_code in _PASSING
    return isinstance(error, requests.ConnectionError | requests.Timeout)
