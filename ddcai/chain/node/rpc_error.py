"""JSON-RPC errors, as the embedded chain gives them."""

from __future__ import annotations


class RpcError(Exception):
    """A JSON-RPC error: ``code``, ``message`` and, for a revert, its data as hex."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
