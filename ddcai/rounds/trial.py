"""A whole federation in one folder on one machine: for the demo, tests and benchmarks.

Real keys, keystores, contracts, blobs and settings, as a deployment has them; only the
passwords are known and the key derivation is light. Never for anything of value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from ddcai.attestation import BlsSecretKey
from ddcai.chain.accounts import new_account
from ddcai.chain.deploy import Deployment
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.transactions import Sender
from ddcai.configuration import FederationConfig
from ddcai.encryption import bfv
from ddcai.encryption.parameters import parameter_set
from ddcai.models.state import State
from ddcai.rounds.founding import Founding, join
from ddcai.rounds.party import Party, Settings, attestation_key
from ddcai.store import Store

_PASSWORD = "trial: everybody knows this password"
_FUNDS_WEI = 10**18


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Where the parties' files are.

    Attributes:
        folder: everything is in it.
        deployment: the federation's addresses; its file is ``settings.deployment``.
        coordinator, key_holder: their settings.
        contributors: settings by name, in the order given.
    """

    folder: Path
    deployment: Deployment
    coordinator: Settings
    key_holder: Settings
    contributors: dict[str, Settings] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """The blob store."""
        return Store(self.coordinator.store)


def set_up(
    folder: Path,
    rpc_url: str,
    config: FederationConfig,
    names: Sequence[str],
    *,
    model: State | None = None,
    **rules: Any,
) -> Trial:
    """Makes accounts and keys, funds them from the development account, deploys and joins.

    Args:
        folder: a new or empty folder.
        rpc_url: a chain with the usual development accounts (embedded, anvil).
        config: the federation's configuration.
        names: the contributors, each a folder of its own.
        model: the first model, where it is not the configuration's own.
        rules: passed to `Founding.deploy`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password_file = folder / "password.txt"
    password_file.write_text(_PASSWORD + "\n")
    password_file.chmod(0o600)
    bank = Sender(connect(rpc_url), dev_accounts()[0])

    def account(name: str) -> tuple[LocalAccount, Path]:
        made, path = new_account(folder / name, _PASSWORD, light=True)
        bank.send(made.address, b"", _FUNDS_WEI)
        return made, path

    coordinator, coordinator_path = account("coordinator")
    holder, holder_path = account("key-holder")
    secret, public = bfv.generate(parameter_set(config.encryption.parameter_set))
    secret_path = folder / "key-holder" / "encryption-secret.json"
    secret.save(secret_path, _PASSWORD, light=True)
    public.save(folder / "encryption-public.json")

    members: dict[str, tuple[LocalAccount, Path]] = {}
    bls_keys: dict[str, dict[str, str]] = {name: {} for name in names}
    for name in names:
        members[name] = account(name)
        if rules.get("quorum_scheme", "bls") == "bls":
            bls_key = folder / name / "bls.json"
            BlsSecretKey.generate().save(bls_key, _PASSWORD, light=True)
            bls_keys[name]["bls_key"] = str(bls_key)

    store_url = str(folder / "blobs")
    deployment = Founding.prepare(config, public, model).deploy(
        rpc_url=rpc_url,
        sponsor=coordinator,
        store=Store(store_url),
        coordinator=coordinator.address,
        key_holder=holder.address,
        invited=[made.address for made, _ in members.values()],
        **rules,
    )
    deployment_path = deployment.save(folder / "deployments")

    def settings(name: str, keystore: Path, **more: str) -> Settings:
        return Settings(
            deployment=str(deployment_path),
            rpc_url=rpc_url,
            store=store_url,
            keystore=str(keystore),
            password_file=str(password_file),
            state=str(folder / name / "state"),
            **more,
        )

    trial = Trial(
        folder=folder,
        deployment=deployment,
        coordinator=settings("coordinator", coordinator_path),
        key_holder=settings(
            "key-holder", holder_path, encryption_key=str(secret_path), role="keyholder"
        ),
        contributors={
            name: settings(name, path, **bls_keys[name]) for name, (_, path) in members.items()
        },
    )
    for own in trial.contributors.values():
        party = Party.connect(own)
        join(party, attestation_key(own, party))
    return trial
