"""Everything that can be known to go wrong, found out before a party starts.

Each check raises a `DdcaiError` that names the value and the remedy; nothing is sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.errors import ConfigurationError, InsufficientBalance, PolicyError

if TYPE_CHECKING:
    from ddcai.rounds.party import Party, Settings

# Opening, sealing and finalising a round with a BLS quorum: measured below 700k gas.
ROUND_GAS = 1_000_000


def check_data(settings: Settings, data: Path, label: str | None) -> int:
    """Reads a site's file as training will; returns the number of examples.

    Raises:
        DataError: as `ddcai.data.loading.load`.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.configuration import FederationConfig
    from ddcai.data.loading import load

    config = FederationConfig.from_json(Deployment.load(settings.deployment).config)
    _, labels = load(data, config, label=label)
    return len(labels)


def check_contributor(settings: Settings) -> Party:
    """A contributor that could take part in a round now."""
    from ddcai.rounds.party import Party, attestation_key

    party = Party.connect(settings)
    federation, address = party.federation, party.address
    member = federation.member(address)
    if member is None or not member.active:
        raise PolicyError(f"{address} is no member: run `ddcai federation join` first")
    key = attestation_key(settings, party)
    if federation.pubkey(member.index) != key.registered:
        raise ConfigurationError(
            f"{settings.bls_key or settings.keystore} holds the attestation key {key.public}, but "
            f"{address} registered another: give the registered one as --bls-key"
        )
    federation.require_funds()
    _ = party.public_key  # read and checked against the chain's digest
    return party


def check_key_holder(settings: Settings) -> Party:
    """A key holder that could open a sum now."""
    from ddcai.encryption.bfv import SecretKey
    from ddcai.rounds.party import Party

    if not settings.encryption_key:
        raise ConfigurationError(
            "encryption-key is not set: give --encryption-key, or set DDCAI_ENCRYPTION_KEY"
        )
    party = Party.connect(settings)
    rules = party.federation.rules()
    if party.address != rules.key_holder:
        raise ConfigurationError(
            f"the account {party.address} is not this federation's key holder "
            f"{rules.key_holder}: give the key holder's keystore"
        )
    secret = SecretKey.load(settings.encryption_key, settings.password())
    if secret.public_key_digest != rules.encryption_key_digest:
        raise ConfigurationError(
            f"{settings.encryption_key} opens the public key {secret.public_key_digest.hex()}, "
            f"but the federation encrypts under {rules.encryption_key_digest.hex()}: give the "
            "secret key that belongs to it"
        )
    return party


def check_coordinator(settings: Settings, root_set: Path | None = None) -> Party:
    """A coordinator that could run a round now."""
    from ddcai.models.anchor import read_root_set
    from ddcai.rounds.coordinator import Coordinator
    from ddcai.rounds.party import Party

    party = Party.connect(settings)
    coordinator = Coordinator(party, None if root_set is None else read_root_set(root_set))
    coordinator.require_root_set()
    federation = party.federation
    minimum = federation.rules().min_contributors
    members = sum(member.active for member in federation.members())
    if members < minimum:
        raise PolicyError(
            f"{members} contributors have joined {federation.address}, but a round needs "
            f"{minimum}: too few; let more run `ddcai federation join`"
        )
    coordinator.current_model()
    _ = party.public_key
    assert federation.sender is not None
    need = ROUND_GAS * federation.sender.gas_price()
    have = federation.balance(party.address)
    if have < need:
        raise InsufficientBalance(
            f"{party.address} has {have} wei, but a round's gas may cost {need}: send it some first"
        )
    return party


@contextlib.contextmanager
def only_one(folder: Path, address: str) -> Iterator[None]:
    """Holds the party's state folder for this process alone.

    Raises:
        PolicyError: another process holds it: two clients must not share one account.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "running"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise PolicyError(
                f"process {holder or 'unknown'} already runs {address} with the state folder "
                f"{folder}: two clients must not share one account; stop it, or use another"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
