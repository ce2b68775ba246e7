"""Node keys from the chain to the SuperLink: who may connect at all.

Flower's SuperLink with SuperNode authentication lets in the keys that were registered by its
Control API, as ``flwr supernode register`` does. Here they are those that active members and key
holders bound in the federation's registry; others are taken out again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from flwr.cli.cli_client_interceptor import CliClientHttpInterceptor
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    RegisterNodeRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.interceptors.http import RuntimeVersionHttpInterceptor

from ddcai.errors import ConfigurationError, DdcaiError, MalformedError
from ddcai.flower.roster import all_key_holders
from ddcai.rounds.node_key import to_pem
from ddcai.rounds.party import Party

_POLL_S = 5.0
_UNREGISTERED = "unregistered"


def bound_keys(party: Party) -> dict[bytes, str]:
    """Accounts by the node keys, in PEM, that they bound: active members and key holders.

    A key that is on no point of the curve is left out: nobody can have it.

    Raises:
        ConfigurationError: the deployment has no registry.
    """
    if party.node_registry is None:
        raise ConfigurationError(
            "the deployment file names no node_registry, so that no node can be told from "
            "another: deploy the federation anew, or accept any node with --insecure"
        )
    accounts = {one.address for one in party.federation.members() if one.active}
    found: dict[bytes, str] = {}
    keys = party.node_registry.keys(sorted(accounts | all_key_holders(party)))
    for account, key in keys.items():
        try:
            found[to_pem(key)] = account
        except MalformedError:
            continue
    return found


class Admission:
    """Keeps a SuperLink's list of node keys as the chain has it, in a thread of its own.

    ::

        with Admission("127.0.0.1:9191", certificates, party):
            ...
    """

    def __init__(
        self, address: str, root_certificates: bytes, party: Party, tell: Callable[[str], None]
    ) -> None:
        """Nothing is asked for yet.

        Args:
            address: HOST:PORT of the SuperLink's Control API.
            root_certificates: PEM, by which its TLS is checked.
            party: a view of the federation that no other thread uses.
            tell: takes a line for each node that may connect from now on, or no longer.
        """
        self._party, self._tell = party, tell
        self.control = ControlHttpClient.from_server_address(
            server_address=address,
            insecure=False,
            root_certificates=root_certificates,
            interceptors=[
                CliClientHttpInterceptor(),
                RuntimeVersionHttpInterceptor(component_name="flwr CLI"),
            ],
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="admission", daemon=True)

    def __enter__(self) -> Admission:
        """
        Raises:
            ConfigurationError: the deployment has no registry, or the SuperLink does not take keys.
        """
        try:
            self.step()
        except DdcaiError:
            raise
        except Exception as error:  # httpx's and Flower's own
            raise ConfigurationError(
                f"the SuperLink does not take node keys: {error}: let it run with TLS and "
                "--enable-supernode-auth"
            ) from error
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self.control.close()

    def step(self) -> None:
        """Registers what is bound and not registered, and takes out what is no longer bound."""
        bound = bound_keys(self._party)
        listed = {
            info.public_key: info.node_id
            for info in self.control.ListNodes(ListNodesRequest()).nodes_info
            if info.status != _UNREGISTERED and info.public_key
        }
        for key in bound.keys() - listed.keys():
            self.control.RegisterNode(RegisterNodeRequest(public_key=key))
            self._tell(f"the node of {bound[key]} may connect")
        for key in listed.keys() - bound.keys():
            self.control.UnregisterNode(UnregisterNodeRequest(node_id=listed[key]))
            self._tell(f"node {listed[key]} may no longer connect: its key is not bound any more")

    def _follow(self) -> None:
        while not self._over.wait(_POLL_S):
            try:
                self.step()
            except Exception as error:  # the chain or the SuperLink may be back the next time
                self._tell(f"WARNING: node keys are not up to date: {error}")
