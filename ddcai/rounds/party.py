"""What every party has: a connection to the federation's contract, an account, the blobs.

A party believes the contract, at the address that its own deployment file names, and nobody
else: every blob it reads is checked against a digest from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

from eth_account.signers.local import LocalAccount

from ddcai import digests
from ddcai.attestation import BlsSecretKey
from ddcai.chain.accounts import load_account, read_password
from ddcai.chain.deploy import Deployment
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import connect
from ddcai.chain.opening import opening_signer
from ddcai.chain.records import RoundRecord
from ddcai.chain.transactions import Sender
from ddcai.configuration import FederationConfig
from ddcai.digests import RoundContext
from ddcai.encryption.bfv import PublicKey
from ddcai.errors import ConfigurationError, StoreError, VerificationError
from ddcai.models import state as states
from ddcai.models.state import State
from ddcai.quorum import AttestationKey, EcdsaKey, EcdsaScheme, Scheme, scheme_of
from ddcai.store import Store

_VARIABLES = {
    "deployment": "DDCAI_DEPLOYMENT",
    "rpc_url": "ETH_RPC_URL",
    "store": "DDCAI_STORE",
    "keystore": "ETH_KEYSTORE",
    "password_file": "ETH_PASSWORD",
    "bls_key": "DDCAI_BLS_KEY",
    "encryption_key": "DDCAI_ENCRYPTION_KEY",
    "state": "DDCAI_STATE",
    "role": "DDCAI_ROLE",
    "scalar_budget": "DDCAI_SCALAR_BUDGET",
}
ROLES = ("contributor", "keyholder")
# Four projections, anchor, three movements and one more for the window, a round: 455 rounds.
SCALAR_BUDGET = 4096


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where one party's files are. Paths, never secrets: those stay in their files.

    Attributes:
        deployment: the federation's deployment file, ``deployments/<chainId>-<name>.json``.
        rpc_url: the chain's JSON-RPC endpoint.
        store: the blob store's path or fsspec URL.
        keystore: geth v3 file of this party's account; empty for reading only.
        password_file: its first line opens the keystore and the other key files.
        bls_key: a contributor's attestation key, where the quorum is BLS.
        encryption_key: a key holder's secret decryption key.
        state: folder for what this party must remember between rounds.
        role: ``contributor`` or ``keyholder``.
        scalar_budget: how many scalars of any one contributor's updates a key holder ever opens,
            as digits; `SCALAR_BUDGET` by default.
    """

    deployment: str
    rpc_url: str
    store: str
    keystore: str = ""
    password_file: str = ""
    bls_key: str = ""
    encryption_key: str = ""
    state: str = "ddcai-state"
    role: str = "contributor"
    scalar_budget: str = str(SCALAR_BUDGET)

    def __post_init__(self) -> None:
        if not (self.scalar_budget.isdecimal() and len(self.scalar_budget) < 10):
            raise ConfigurationError(
                f"scalar-budget is {self.scalar_budget!r}: give a whole number below 10**9"
            )
        if self.role not in ROLES:
            raise ConfigurationError(f"role is {self.role!r}: give one of {', '.join(ROLES)}")

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Self:
        """Settings from kebab-case names (Flower's node or run config), then environment.

        Unknown names are left alone, since a Flower app has settings of its own.

        Raises:
            ConfigurationError: naming the setting and its variable where one is missing.
        """
        found: dict[str, str] = {}
        for name, variable in _VARIABLES.items():
            value = values.get(name.replace("_", "-")) or os.environ.get(variable)
            if value:
                found[name] = str(value)
        for name in ("deployment", "rpc_url", "store"):
            if name not in found:
                raise ConfigurationError(
                    f"{name.replace('_', '-')} is not set: give it, or set {_VARIABLES[name]}"
                )
        return cls(**found)

    def to_mapping(self) -> dict[str, str]:
        """The settings by kebab-case name, as `read` takes them."""
        return {
            item.name.replace("_", "-"): value
            for item in fields(self)
            if (value := getattr(self, item.name))
        }

    def password(self) -> str:
        """The password from its file."""
        if not self.password_file:
            raise ConfigurationError("password-file is not set: give it, or set ETH_PASSWORD")
        return read_password(self.password_file)


class Party:
    """A party's view of one federation.

    Attributes:
        federation: the contract; sends from ``account`` where there is one.
        config: the federation's configuration, checked against the contract's digest.
        store: the blobs.
    """

    def __init__(
        self,
        federation: Federation,
        config: FederationConfig,
        store: Store,
        account: LocalAccount | None = None,
    ) -> None:
        if config.digest() != federation.rules().config_digest:
            raise ConfigurationError(
                f"the configuration's digest is {config.digest().hex()}, but the contract "
                f"{federation.address} holds {federation.rules().config_digest.hex()}: "
                "take the deployment file of this federation"
            )
        require_contributors(config, federation.rules().min_contributors)
        self.federation, self.config, self.store, self.account = federation, config, store, account

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Opens the chain, the keystore and the store that the settings name.

        Raises:
            ChainUnreachable, WrongChain, NotAFederation: about the chain.
            KeyfileError, WrongPassword: about the keystore.
            ConfigurationError, StoreError: about the rest.
        """
        deployment = Deployment.load(settings.deployment)
        web3 = connect(settings.rpc_url, chain_id=deployment.chain_id)
        account = None
        if settings.keystore:
            account = load_account(settings.keystore, settings.password())
        sender = Sender(web3, account) if account else None
        federation = Federation.connect(
            web3, deployment.federation, sender, from_block=deployment.deployed_block
        )
        config = FederationConfig.from_json(deployment.config)
        return cls(federation, config, Store(settings.store), account)

    @property
    def address(self) -> str:
        """This party's account."""
        if self.account is None:
            raise ConfigurationError("keystore is not set: give it, or set ETH_KEYSTORE")
        return str(self.account.address)

    def context(self, round_: int) -> RoundContext:
        """What binds digests to a round of this federation."""
        return RoundContext(
            chain_id=self.federation.chain_id, contract=self.federation.address, round=round_
        )

    @cached_property
    def public_key(self) -> PublicKey:
        """The federation's encryption key, checked against the contract's digest."""
        digest = self.federation.rules().encryption_key_digest
        blob = self.store.get(digest)
        if digests.public_key_digest(blob) != digest:
            raise StoreError(f"the store's encryption key is not the one of digest {digest.hex()}")
        return PublicKey.from_blob(blob)

    @cached_property
    def scheme(self) -> Scheme:
        """How the federation's contributors attest."""
        federation = self.federation
        return scheme_of(
            federation.quorum_scheme(), federation.chain_id, federation.quorum_address()
        )

    def model(self, digest: bytes) -> State:
        """The model of a digest, from the store, checked."""
        blob = self.store.get(digest)
        if digests.model_digest(blob) != digest:
            raise StoreError(
                f"the store's model under {digest.hex()} has digest "
                f"{digests.model_digest(blob).hex()}: fetch it again from another copy"
            )
        return states.from_canonical(blob)

    def check_opening(self, record: RoundRecord, opened_digest: bytes, signature: bytes) -> None:
        """Raises VerificationError unless the key holder signed this opening of a round."""
        key_holder = self.federation.rules().key_holder
        try:
            signer = opening_signer(
                signature,
                self.federation.chain_id,
                self.federation.address,
                record.number,
                record.sum_digest,
                opened_digest,
            )
        except Exception as error:  # eth-account raises its own kinds for malformed signatures
            raise VerificationError(
                f"the signature under the opened sum of round {record.number} is malformed"
            ) from error
        if signer != key_holder:
            raise VerificationError(
                f"the opened sum of round {record.number} is signed by {signer}, not by the "
                f"key holder {key_holder}"
            )


def require_contributors(config: FederationConfig, minimum: int) -> None:
    """Refuses a contract that seals sums of fewer updates than the noise is reckoned for.

    Raises:
        ConfigurationError: ``privacy.min_contributors`` is more than its ``minContributors``.
    """
    if config.privacy is not None and minimum < config.privacy.min_contributors:
        raise ConfigurationError(
            f"privacy.min_contributors is {config.privacy.min_contributors}, but the contract "
            f"seals sums of {minimum} updates: deploy it with --min-contributors "
            f"{config.privacy.min_contributors}, or lower the setting, for more noise on each"
        )


def attestation_key(settings: Settings, party: Party) -> AttestationKey:
    """What a contributor attests with: its BLS key, or its account where the quorum is ECDSA.

    Raises:
        ConfigurationError: the setting that names the key is missing.
        KeyfileError, WrongPassword: about the BLS key's file.
    """
    if isinstance(party.scheme, EcdsaScheme):
        _ = party.address  # which needs an account
        assert party.account is not None
        return EcdsaKey(party.account, party.scheme)
    if not settings.bls_key:
        raise ConfigurationError("bls-key is not set: give it, or set DDCAI_BLS_KEY")
    return BlsSecretKey.load(settings.bls_key, settings.password())


def state_folder(settings: Settings, party: Party) -> Path:
    """The party's folder for this federation, made when missing.

    Named by chain, contract and encryption key: a trial chain that is started again gives
    the same contract addresses, but never the same key.
    """
    federation = party.federation
    key = federation.rules().encryption_key_digest.hex()[:16]
    folder = Path(settings.state) / f"{federation.chain_id}-{federation.address.lower()}-{key}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
