"""Flower's SuperLink, whose Control API answers this machine alone.

Flower 1.41 serves all of its APIs on one port, and without an account plugin it asks nobody who
calls the Control API: whoever reaches the port may submit a ServerApp, which is code that runs
here, stop the run, or register a node key of its own, which makes SuperNode authentication
worthless. TLS does not help, since it shows the server alone. So this program lets other machines
have the Fleet API, which nodes use, and nothing else.
"""

from __future__ import annotations

import importlib
import ipaddress
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
_FLEET = "/v1/fleet/"
# By these variables Flower serves both APIs at ports of their own, too, past the door here.
_OTHER_DOORS = ("FLWR_INTERNAL_GRPC_CONTROL_API", "FLWR_INTERNAL_GRPC_FLEET_API")


class FleetOnly:
    """An ASGI app that answers 403 to other machines, unless they ask for the Fleet API."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        kind = scope["type"]
        if kind == "lifespan" or _is_local(scope) or _is_fleet(scope):
            await self._app(scope, receive, send)
            return
        if kind == "http":
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})


def _is_local(scope: Scope) -> bool:
    """Whether a connection comes from this machine: by loopback, or from the very address that
    it reached. The kernel takes packets from its own addresses from nobody else."""
    client, server = scope.get("client"), scope.get("server")
    if not client or not server:
        return False
    try:
        peer, own = (_address(str(one[0])) for one in (client, server))
    except ValueError:
        return False
    return peer.is_loopback or peer == own


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text)
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped


def _is_fleet(scope: Scope) -> bool:
    # The path as the router will match it: decoded, and never normalised.
    return scope["type"] == "http" and str(scope["path"]).startswith(_FLEET)


def main() -> None:
    """The program; takes what ``flower-superlink`` takes.

    Raises:
        RuntimeError: this release of Flower starts its server in another way; nothing runs then.
    """
    # By its name: the package has a function of that name, too.
    superlink = importlib.import_module("flwr.superlink.cli.flower_superlink")
    if not hasattr(superlink, "uvicorn"):
        raise RuntimeError("flwr's SuperLink does not run by uvicorn: install flwr 1.41")
    run = superlink.uvicorn.run

    def closed(app: App, **settings: Any) -> None:
        # A proxy's headers would let a caller choose the address that it comes from.
        run(app=FleetOnly(app), **(settings | {"proxy_headers": False}))

    for variable in _OTHER_DOORS:
        os.environ.pop(variable, None)
    superlink.uvicorn.run = closed
    superlink.flower_superlink()


if __name__ == "__main__":
    main()
