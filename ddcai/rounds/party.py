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
from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.node.connection import connect
from ddcai.chain.node_registry import NodeRegistry
from ddcai.chain.opening import check_signature, opening_message
from ddcai.chain.records import RoundRecord
from ddcai.chain.transactions import DEFAULT_FEE_CAP_WEI, Sender
from ddcai.chain.update_batches import UpdateBatches
from ddcai.configuration import FederationConfig
from ddcai.digests import RoundContext
from ddcai.encryption.public import AnyKey, key_from_blob
from ddcai.errors import ConfigurationError, MalformedError, StoreError, VerificationError
from ddcai.models import state as states
from ddcai.models.state import State
from ddcai.policy.document import Policy
from ddcai.quorum import AttestationKey, EcdsaKey, EcdsaScheme, Scheme, scheme_of
from ddcai.rounds.guard import Guard
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
    "node_key": "DDCAI_NODE_KEY",
    "policy": "",  # a node's own: a coordinator started in the same environment has none
}
# Of coordinators and nodes: for how long the chain's endpoint may be away.
PATIENCE_S = 180.0
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
        node_key: file of the Flower node's key, which the account bound on chain.
        policy: a node's policy file (`ddcai.policy.document`); empty for no limits of its own.
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
    node_key: str = ""
    policy: str = ""

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
        node_registry: which node keys its accounts bound; None for a deployment without.
        update_batches: where groups post their lists; None where members are no groups.
        guard: the policy of a party that has settings and an account; None of one that only
            reads.
    """

    def __init__(
        self,
        federation: Federation,
        config: FederationConfig,
        store: Store,
        account: LocalAccount | None = None,
        node_registry: NodeRegistry | None = None,
        guard: Guard | None = None,
        update_batches: UpdateBatches | None = None,
    ) -> None:
        require_configuration(config, federation)
        self.federation, self.config, self.store, self.account = federation, config, store, account
        self.node_registry, self.update_batches = node_registry, update_batches
        self.guard = guard
        self._keys: dict[bytes, AnyKey] = {}

    @classmethod
    def connect(cls, settings: Settings, *, patience_s: float = 0.0) -> Self:
        """Opens the chain, the keystore and the store that the settings name.

        Args:
            patience_s: for how long the chain's endpoint may be away later on.

        Raises:
            ChainUnreachable, WrongChain, NotAFederation: about the chain.
            KeyfileError, WrongPassword: about the keystore.
            ConfigurationError, StoreError: about the rest.
        """
        policy = Policy.load(settings.policy) if settings.policy else Policy()
        deployment = Deployment.load(settings.deployment)
        web3 = connect(settings.rpc_url, chain_id=deployment.chain_id, patience_s=patience_s)
        account = None
        if settings.keystore:
            account = load_account(settings.keystore, settings.password())
        cap = policy.money.max_gas_price_wei
        if cap is None:
            cap = DEFAULT_FEE_CAP_WEI
        sender = Sender(web3, account, max_fee_per_gas_wei=cap) if account else None
        if sender is not None:
            sender.patience_s = max(sender.patience_s, patience_s)
        federation = Federation.connect(
            web3, deployment.federation, sender, from_block=deployment.deployed_block
        )
        config = FederationConfig.from_json(deployment.config)
        registry = None
        if deployment.node_registry is not None:
            registry = NodeRegistry(web3, deployment.node_registry, sender)
            registry.require_federation(federation.address)
        batches = None
        if deployment.update_batches is not None:
            batches = UpdateBatches(web3, deployment.update_batches, sender)
            batches.require_there()
        store = Store(settings.store)
        party = cls(federation, config, store, account, registry, update_batches=batches)
        if sender is not None:
            path = _folder(settings, party) / f"policy-{sender.address.lower()}.json"
            party.guard = Guard(policy, path)
            sender.purse = party.guard.purse
        return party

    @property
    def address(self) -> str:
        """This party's account."""
        if self.account is None:
            raise ConfigurationError("keystore is not set: give it, or set ETH_KEYSTORE")
        return str(self.account.address)

    def wait_for_pending(self) -> None:
        """Waits until all that its account sent is mined, by a process that died as well; see
        `Sender.wait_for_pending`."""
        _ = self.address  # which needs an account
        assert self.federation.sender is not None
        self.federation.sender.wait_for_pending()

    def context(self, round_: int) -> RoundContext:
        """What binds digests to a round of this federation."""
        return RoundContext(
            chain_id=self.federation.chain_id, contract=self.federation.address, round=round_
        )

    def encryption_key_digest(self, round_: int | None = None) -> bytes:
        """Digest of the key that a round's updates are encrypted under; by default, of the key
        that a round opened now would have."""
        holder: str | KeyEpoch
        if round_ is not None:
            holder = self.federation.key_holder_of(round_)
        else:
            holders = self.federation.key_holders()
            holder = "" if holders is None else holders.current()
        if isinstance(holder, KeyEpoch):
            return holder.key_digest
        return self.federation.rules().encryption_key_digest

    def encryption_key(self, round_: int | None = None) -> AnyKey:
        """The key of that digest, from the store, checked.

        Raises:
            BlobMissing, StoreError: the store has none, or another one.
            MalformedError: it is no key.
        """
        digest = self.encryption_key_digest(round_)
        if digest not in self._keys:
            blob = self.store.get(digest)
            if digests.public_key_digest(blob) != digest:
                raise StoreError(
                    f"the store's encryption key is not the one of digest {digest.hex()}"
                )
            self._keys[digest] = key_from_blob(blob)
        return self._keys[digest]

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

    def opening_message(self, record: RoundRecord, opened_digest: bytes) -> bytes:
        """The 32 bytes that a key holder signs under an opened sum of a sealed round."""
        federation = self.federation
        return opening_message(
            federation.chain_id,
            federation.address,
            record.number,
            record.sum_digest,
            opened_digest,
        )

    def check_opening(self, record: RoundRecord, opened_digest: bytes, signature: bytes) -> None:
        """Raises VerificationError unless the key holder signed this opening of a round."""
        try:
            check_signature(
                self.federation.key_holder_of(record.number),
                self.opening_message(record, opened_digest),
                signature,
            )
        except (MalformedError, VerificationError) as error:
            raise VerificationError(f"the opened sum of round {record.number}: {error}") from error


def require_configuration(config: FederationConfig, federation: Federation) -> None:
    """Refuses a configuration that is not the contract's own.

    Raises:
        ConfigurationError: its digest is another; or as `require_contributors`.
    """
    rules = federation.rules()
    if config.digest() != rules.config_digest:
        raise ConfigurationError(
            f"the configuration's digest is {config.digest().hex()}, but the contract "
            f"{federation.address} holds {rules.config_digest.hex()}: "
            "take the deployment file of this federation"
        )
    require_contributors(config, rules.min_contributors)


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
    folder = _folder(settings, party)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _folder(settings: Settings, party: Party) -> Path:
    federation = party.federation
    key = federation.rules().encryption_key_digest.hex()[:16]
    return Path(settings.state) / f"{federation.chain_id}-{federation.address.lower()}-{key}"
