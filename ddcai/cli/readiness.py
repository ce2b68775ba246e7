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

from ddcai.cli.output import say
from ddcai.errors import ConfigurationError, InsufficientBalance, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation
    from ddcai.chain.records import Member
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
    from ddcai.rounds.party import Party

    party = Party.connect(settings)
    federation = party.federation
    require_attestation_key(settings, party)
    if party.guard is not None:
        party.guard.check_federation(party)
    federation.require_funds()
    _ = party.encryption_key()  # read and checked against the chain's digest
    return party


def require_member(federation: Federation, address: str) -> Member:
    """The member of an account; raises PolicyError if it is none."""
    member = federation.member(address)
    if member is None or not member.active:
        raise PolicyError(f"{address} is no member: run `ddcai federation join` first")
    return member


def require_attestation_key(settings: Settings, party: Party) -> None:
    """Refuses a contributor's key that is not the one registered on chain.

    Raises:
        ConfigurationError, KeyfileError: another key, or none; as `attestation_key`.
        PolicyError: as `require_member`.
    """
    from ddcai.rounds.party import attestation_key

    member = require_member(party.federation, party.address)
    key = attestation_key(settings, party)
    if party.federation.pubkey(member.index) != key.registered:
        raise ConfigurationError(
            f"{settings.bls_key or settings.keystore} holds the attestation key {key.public}, but "
            f"{party.address} registered another: give the registered one as --bls-key"
        )


def check_key_holder(settings: Settings) -> Party:
    """A key holder that could open now, alone or with others."""
    from ddcai.rounds.opener import opener_of
    from ddcai.rounds.party import Party, state_folder

    party = Party.connect(settings)
    opener_of(settings, party, state_folder(settings, party))
    return party


def bind_node_key(party: Party, path: Path) -> None:
    """Makes the node's key if there is none, and binds it to the account: the one thing here
    that is sent, and once. A deployment without a registry goes on with a warning."""
    from ddcai.rounds.node_binding import bind
    from ddcai.rounds.node_key import NodeKey

    key = NodeKey.load_or_make(path)
    if party.node_registry is None:
        say("WARNING: the deployment names no node_registry: nobody can tell this node by its key")
        return
    receipt = bind(party, key)
    if receipt is not None:
        say(f"node key {path} bound to {party.address} for {receipt.gas_used} gas")


def say_policy(path: Path) -> None:
    """That a policy is in force; a warning where others than its owner may change it."""
    say(f"policy {path}: in force, read anew for each message")
    if others_can_change(path):
        say(f"WARNING: others can change {path}: chown it to this account, and chmod 600")


def others_can_change(path: Path) -> bool:
    """Whether others than root and this user may write a file."""
    found = path.stat()
    return bool(found.st_mode & 0o022) or found.st_uid not in (0, os.getuid())


def say_single_key_holder(party: Party) -> None:
    """A warning where a single key holder has the federation's key."""
    from ddcai.cli.keys import SINGLE_KEY_HOLDER

    if party.federation.key_holders() is None:
        say(SINGLE_KEY_HOLDER)


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
    _ = party.encryption_key()
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
