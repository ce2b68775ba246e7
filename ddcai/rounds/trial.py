"""A whole federation in one folder on one machine: for the demo, tests and benchmarks.

Real keys, keystores, contracts, blobs and settings, as a deployment has them; only the
passwords are known and the key derivation is light. Never for anything of value.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from ddcai.attestation import BlsSecretKey
from ddcai.chain.accounts import new_account
from ddcai.chain.deploy import Deployment
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.records import NOBODY
from ddcai.chain.transactions import Sender
from ddcai.configuration import FederationConfig
from ddcai.encryption import bfv
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.public import AnyKey, load_key
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.models.state import State
from ddcai.rounds.ceremony import PIECES_NAME, PUBLIC_NAME, RECORD_NAME, CeremonyRecord, hold
from ddcai.rounds.founding import Founding, join
from ddcai.rounds.party import Party, Settings, attestation_key
from ddcai.store import Files, Store

_PASSWORD = "trial: everybody knows this password"
_FUNDS_WEI = 10**18


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Where the parties' files are.

    Attributes:
        folder: everything is in it.
        deployment: the federation's addresses; its file is ``settings.deployment``.
        coordinator: its settings.
        key_holders: settings by name.
        contributors: settings by name, in the order given.
    """

    folder: Path
    deployment: Deployment
    coordinator: Settings
    key_holders: dict[str, Settings]
    contributors: dict[str, Settings] = field(default_factory=dict)

    @property
    def key_holder(self) -> Settings:
        """Of a single one."""
        (only,) = self.key_holders.values()
        return only

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
    holders: tuple[int, int] | None = None,
    **rules: Any,
) -> Trial:
    """Makes accounts and keys, funds them from the development account, deploys and joins.

    Args:
        folder: a new or empty folder.
        rpc_url: a chain with the usual development accounts (embedded, anvil).
        config: the federation's configuration.
        names: the contributors, each a folder of its own.
        model: the first model, where it is not the configuration's own.
        holders: (T, N): so many of so many key holders open together, by a key of their own
            ceremony. None: a single one has the key.
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
    threshold, count = holders or (1, 1)
    holder_names = [f"key-holder-{n}" for n in range(1, count + 1)] if holders else ["key-holder"]
    opening = {name: account(name) for name in holder_names}
    public: AnyKey
    record: CeremonyRecord | None
    key_files: dict[str, Path]
    if holders is None:
        public, key_files = _single_key(config, folder, holder_names[0])
        record = None
    else:
        public, key_files, record = _common_key(config, folder, opening, threshold)

    members: dict[str, tuple[LocalAccount, Path]] = {}
    bls_keys: dict[str, dict[str, str]] = {name: {} for name in names}
    for name in names:
        members[name] = account(name)
        if rules.get("quorum_scheme", "bls") == "bls":
            bls_key = folder / name / "bls.json"
            BlsSecretKey.generate().save(bls_key, _PASSWORD, light=True)
            bls_keys[name]["bls_key"] = str(bls_key)

    store_url = str(folder / "blobs")
    deployment = Founding.prepare(config, public, model, record).deploy(
        rpc_url=rpc_url,
        sponsor=coordinator,
        store=Store(store_url),
        coordinator=coordinator.address,
        key_holder=opening[holder_names[0]][0].address if record is None else NOBODY,
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
        key_holders={
            name: settings(name, path, encryption_key=str(key_files[name]), role="keyholder")
            for name, (_, path) in opening.items()
        },
        contributors={
            name: settings(name, path, **bls_keys[name]) for name, (_, path) in members.items()
        },
    )
    for own in trial.contributors.values():
        party = Party.connect(own)
        join(party, attestation_key(own, party))
    return trial


def _single_key(
    config: FederationConfig, folder: Path, name: str
) -> tuple[bfv.PublicKey, dict[str, Path]]:
    secret, public = bfv.generate(parameter_set(config.encryption.parameter_set))
    path = folder / name / "encryption-secret.json"
    secret.save(path, _PASSWORD, light=True)
    public.save(folder / "encryption-public.json")
    return public, {name: path}


def _common_key(
    config: FederationConfig,
    folder: Path,
    opening: Mapping[str, tuple[LocalAccount, Path]],
    threshold: int,
) -> tuple[AnyKey, dict[str, Path], CeremonyRecord]:
    """A key by a ceremony of all holders at once, each in a thread of its own."""
    accounts = sorted((made.address for made, _ in opening.values()), key=str.lower)
    plan = KeyPlan(
        label=config.name,
        parameters=config.encryption.parameter_set,
        threshold=threshold,
        holders=tuple(accounts),
    )
    exchange = Files(str(folder / "ceremony"))
    with ThreadPoolExecutor(len(opening)) as pool:
        futures = [
            pool.submit(
                hold, plan, made, exchange, folder / name, _PASSWORD, timeout_s=60, light=True
            )
            for name, (made, _) in opening.items()
        ]
        records = [future.result() for future in futures]
    first = folder / next(iter(opening))
    shutil.copy(first / PUBLIC_NAME, folder / PUBLIC_NAME)
    shutil.copy(first / RECORD_NAME, folder / RECORD_NAME)
    files = {name: folder / name / PIECES_NAME for name in opening}
    return load_key(folder / PUBLIC_NAME), files, records[0]
