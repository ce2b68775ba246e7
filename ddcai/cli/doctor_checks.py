"""The checks of ``ddcai doctor`` that need the federation; nothing is sent, no file changed.

A check that fails does not end the others. One that needs what another did not find is a warning.
Whether a store that is no folder can be written is not tried, since trying would write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from ddcai.cli.doctor_machine import (
    SMALL_FILES_BYTES,
    Doubt,
    Line,
    examples,
    given,
    line,
    room,
    superlink,
    superlink_clock,
    update_bytes,
    versions,
)
from ddcai.errors import ConfigurationError, InsufficientBalance, PolicyError, StoreError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from ddcai.chain.deploy import Deployment
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import Connection
    from ddcai.configuration import FederationConfig
    from ddcai.rounds.party import Party
    from ddcai.store import Store

Role = Literal["contributor", "keyholder", "coordinator"]
_Found = TypeVar("_Found")

_AHEAD_S = 60  # of no honest block
_OLD_S = 600
_BIND_GAS = 100_000  # a node's key, once: measured 86,000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to check: the options of `ddcai client`; empty where one is not given."""

    role: Role = "contributor"
    deployment: str = ""
    rpc_url: str = ""
    store: str = ""
    keystore: str = ""
    account: str = ""
    password_file: str = ""
    bls_key: str = ""
    encryption_key: str = ""
    data: str = ""
    label: str = ""
    superlink: str = ""
    ca_certificate: str = ""
    insecure: bool = False
    state: str = ""
    policy: str = ""
    rounds: int = 1


def now() -> int:  # unix seconds
    return int(time.time())


def found(value: _Found | None, check: str) -> _Found:
    """What an earlier check found.

    Raises:
        Doubt: it found nothing.
    """
    if value is None:
        raise Doubt(f"not checked: needs the {check}", f"see the line of {check}")
    return value


class Examination:
    """The checks of one party. What one found is there for those after it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._deployment: Deployment | None = None
        self._config: FederationConfig | None = None
        self._web3: Connection | None = None
        self._federation: Federation | None = None
        self._account: LocalAccount | None = None
        self._store: Store | None = None

    def lines(self) -> Iterator[Line]:
        """All checks, in order."""
        asked = self.asked
        link = asked.superlink, asked.ca_certificate, asked.insecure
        yield from versions()
        for name, check, remedy in (
            ("deployment", self.deployment, "get the deployment file from the sponsor"),
            ("chain", self.chain, "give the endpoint of the deployment's chain as --rpc-url"),
            ("contract", self.contract, "take the deployment file of this very federation"),
            ("clock", self.clock, "set this machine's clock by NTP"),
            ("account", self.account, "give the account's --keystore and --password-file"),
            ("membership", self.membership, "act by the account that has this role on chain"),
            ("balance", self.balance, "send ether to the account, or wait until gas costs less"),
            ("store", self.store, "give the store of all parties, and get access to it"),
            ("key", self.key, "give the key that is registered on chain"),
            ("policy", self.policy, "correct the policy, or take part in another federation"),
            ("data", self.data, "correct the file, or the columns' names, by the configuration"),
            ("superlink", lambda: superlink(*link), "ask the coordinator for address and ca.pem"),
            ("superlink clock", lambda: superlink_clock(*link), "set this machine's clock by NTP"),
            ("disk", self.disk, "free room, or give another --state"),
        ):
            yield line(name, check, remedy)

    def deployment(self) -> str:
        from ddcai.chain.deploy import Deployment
        from ddcai.configuration import FederationConfig

        path = given(self.asked.deployment, "--deployment")
        deployment = Deployment.load(path)
        config = FederationConfig.from_json(deployment.config)
        self._deployment, self._config = deployment, config
        return f"{path}: {config.name}, chain {deployment.chain_id}, {deployment.federation}"

    def chain(self) -> str:
        from ddcai.chain.node.connection import connect, masked, request

        url = given(self.asked.rpc_url, "--rpc-url")
        expected = None if self._deployment is None else self._deployment.chain_id
        web3 = connect(url, chain_id=expected)
        number = int(request(web3, "eth_chainId", []), 16)
        if expected is None:
            raise Doubt(f"{masked(url)} serves chain {number}: the right one?", "give --deployment")
        self._web3 = web3
        return f"{masked(url)} serves chain {number}"

    def contract(self) -> str:
        from ddcai.chain.federation import Federation
        from ddcai.chain.node_registry import NodeRegistry
        from ddcai.rounds.party import require_configuration

        deployment, web3 = found(self._deployment, "deployment"), found(self._web3, "chain")
        federation = Federation.connect(
            web3, deployment.federation, from_block=deployment.deployed_block
        )
        require_configuration(found(self._config, "deployment"), federation)
        if deployment.node_registry is not None:
            NodeRegistry(web3, deployment.node_registry).require_federation(federation.address)
        self._federation = federation
        return f"{federation.address}, of this configuration, after round {federation.last_round()}"

    def clock(self) -> str:
        from ddcai.chain.node.connection import mines_on_request

        federation = found(self._federation, "contract")
        behind_s = federation.block_time() - now()
        if mines_on_request(found(self._web3, "chain")):
            raise Doubt("not checked: a trial chain has a clock of its own", "none is needed")
        if behind_s > _AHEAD_S:
            raise ConfigurationError(f"this clock is {behind_s} s behind the chain's last block")
        if -behind_s > _OLD_S:
            raise Doubt(
                f"the chain's last block is {-behind_s} s old by this clock",
                "see whether the node follows its chain, and set this clock by NTP",
            )
        return f"the chain's last block is {-behind_s} s old"

    def account(self) -> str:
        from ddcai.cli.parties import keystore_file, open_account, password

        asked = self.asked
        keystore = Path(given(asked.keystore, "--keystore"))
        secret = password(Path(given(asked.password_file, "--password-file")))
        file = keystore_file(keystore, asked.account or None)
        self._account = open_account(file, secret, asked.account or None)
        return str(self._account.address)

    def membership(self) -> str:
        from ddcai.cli.readiness import require_member

        address = str(found(self._account, "account").address)
        federation = found(self._federation, "contract")
        if self.asked.role == "contributor":
            return f"member {require_member(federation, address).index} of {federation.address}"
        if self.asked.role == "coordinator":
            expected: tuple[str, ...] = (federation.rules().coordinator,)
        else:
            holders = federation.key_holders()
            single = (federation.rules().key_holder,)
            expected = single if holders is None else holders.current().holders
        if address not in expected:
            raise PolicyError(f"{address} is no {self.asked.role}: {', '.join(expected)}")
        return f"{self.asked.role} of {federation.address}"

    def balance(self) -> str:
        from ddcai.chain.federation import GAS_PER_ROUND
        from ddcai.chain.transactions import Sender, ether
        from ddcai.cli.readiness import ROUND_GAS

        account = found(self._account, "account")
        federation, rounds = found(self._federation, "contract"), self.asked.rounds
        federation.sender = Sender(found(self._web3, "chain"), account)
        price = federation.sender.gas_price()
        have = federation.balance(account.address)
        gas_a_round = {"contributor": GAS_PER_ROUND, "coordinator": ROUND_GAS}
        gas = rounds * gas_a_round.get(self.asked.role, 0)
        gas += 0 if self.asked.role == "coordinator" else _BIND_GAS
        deposits = rounds * federation.rules().deposit_wei
        need = gas * price + (deposits if self.asked.role == "contributor" else 0)
        said = f"{ether(have)} of {ether(need)} for {rounds} round(s), at {price} wei a gas"
        if have < need:
            raise InsufficientBalance(f"{account.address} has {said}")
        return said

    def store(self) -> str:
        from ddcai.digests import public_key_digest
        from ddcai.store import Store, is_there, local_path

        url = given(self.asked.store, "--store")
        if not is_there(url):
            raise StoreError(f"there is no store at {url}")
        store = Store(url)
        key = bytes.fromhex(found(self._deployment, "deployment").encryption_key_digest[2:])
        if public_key_digest(store.get(key)) != key:
            raise StoreError(f"what {url} holds under {key.hex()} is not the encryption key")
        self._store = store
        what = f"{url} holds the encryption key"
        path = local_path(url)
        if path is not None and os.access(path, os.W_OK | os.X_OK):
            return f"{what}, and can be written"
        if self._only_reads():
            return f"{what}; it need not be written"
        if path is not None:
            raise StoreError(f"{url} cannot be written by this user")
        raise Doubt(
            f"{url} can be read; not checked: whether it can be written, as trying would write",
            "see to it that this party's access lets it write",
        )

    def _only_reads(self) -> bool:
        """A key holder that shares the key answers by message; a single one writes the sum."""
        federation = self._federation
        if self.asked.role != "keyholder" or federation is None:
            return False
        return federation.key_holders() is not None

    def key(self) -> str:
        from ddcai.cli.parties import bls_key_file, keystore_file
        from ddcai.cli.readiness import require_attestation_key
        from ddcai.rounds.opener import opener_of
        from ddcai.rounds.party import Settings

        asked = self.asked
        if asked.role == "coordinator":
            return "a coordinator needs none but its account's"
        federation, account = found(self._federation, "contract"), found(self._account, "account")
        party = self._party()
        bls_key = ""
        if asked.role == "contributor" and federation.quorum_scheme() == "bls":
            file = keystore_file(Path(asked.keystore), asked.account or None)
            own = Path(asked.bls_key) if asked.bls_key else None
            bls_key = str(bls_key_file(own, file, account.address))
        settings = Settings(
            deployment=asked.deployment,
            rpc_url=asked.rpc_url,
            store=asked.store,
            keystore=asked.keystore,
            password_file=asked.password_file,
            bls_key=bls_key,
            encryption_key=asked.encryption_key,
            state=asked.state,
        )
        if asked.role == "contributor":
            require_attestation_key(settings, party)
            return f"{bls_key or 'the account'} is the attestation key that is registered"
        given(asked.encryption_key, "--encryption-key")
        opener_of(settings, party, Path(asked.state))  # which makes no file before it opens
        return f"{asked.encryption_key} opens what is encrypted for this federation"

    def _party(self) -> Party:
        from ddcai.rounds.party import Party

        federation, account = found(self._federation, "contract"), found(self._account, "account")
        config = found(self._config, "deployment")
        return Party(federation, config, found(self._store, "store"), account)

    def policy(self) -> str:
        from ddcai.cli.doctor_policy import check_policy

        asked = self.asked
        if asked.role == "coordinator" or not asked.policy:
            return "none: no limits of this party's own"
        web3, contributes = found(self._web3, "chain"), asked.role == "contributor"
        return check_policy(Path(asked.policy), web3, self._party(), contributes=contributes)

    def data(self) -> str:
        asked = self.asked
        if asked.role != "contributor" and not asked.data:
            return f"a {asked.role} needs none"
        path = given(asked.data, "--data")
        return examples(path, found(self._config, "deployment"), asked.label or None)

    def disk(self) -> str:
        need = SMALL_FILES_BYTES
        # A contributor keeps its update until the round is over.
        if self.asked.role == "contributor" and self._config is not None:
            holders = None if self._federation is None else self._federation.key_holders()
            epoch = None if holders is None else holders.current()
            shared = None if epoch is None else (len(epoch.holders), epoch.threshold)
            need += self.asked.rounds * update_bytes(self._config, shared)
        return room(Path(self.asked.state), need)
