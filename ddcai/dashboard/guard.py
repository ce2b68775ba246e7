"""What the page's server refuses, and what it tells browsers with every answer.

The server only reads, so what is left to defend is the reader: a page of somebody else that asks
this server through the reader's browser (by a name that it points here, "DNS rebinding"; or in a
frame), and text from a chain that would run as a script.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing but this server's own files; no inline script or style; no string ever becomes markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
READING = ("GET", "HEAD")


class Guard:
    """Stands before an application: refuses what is no reading of this very server.

    Guarantees:
        Every answer, a refusal too, has all of `HEADERS`.
        A name that is none of ours gets 421, another method than GET and HEAD 405.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        """Guards ``app``.

        Args:
            names: that readers may ask this server by, besides localhost. An address in digits
                is always one of ours: nobody can point somebody else's name at a page that way.
        """
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        hosts = [value for name, value in scope["headers"] if name == b"host"]
        answer: ASGIApp = self._app
        if len(hosts) != 1 or not self.knows(hosts[0].decode("latin-1")):
            text = "this server has another name: give it with --name"
            answer = PlainTextResponse(text, status_code=421)
        elif scope["method"] not in READING:
            allow = {"Allow": ", ".join(READING)}
            answer = PlainTextResponse("this server only reads", status_code=405, headers=allow)
        await answer(scope, receive, send_with_headers)

    def knows(self, host: str) -> bool:
        """Whether a Host header is one of this server's names, or an address in digits."""
        name, separator, port = host.rpartition(":")
        if not separator or host.endswith("]"):
            name, port = host, "0"
        if not (port.isascii() and port.isdecimal()):
            return False
        if name.startswith("[") and name.endswith("]"):
            return _is_address(name[1:-1], 6)
        return name.lower().rstrip(".") in self._names or _is_address(name, 4)


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
