"""Key holders for tests: two groups of accounts, a federation of one, and forged signatures."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from web3 import Web3

from ddcai.attestation import BlsSecretKey
from ddcai.chain.deploy import deploy_federation
from ddcai.chain.holder_rules import HolderRules, Rekey
from ddcai.chain.key_holders import KeyEpoch, KeyHolders, join_signatures
from ddcai.chain.records import NOBODY
from ddcai.digests import config_digest
from tests.chain.support import (
    CLASSES,
    CONFIG,
    CONTRIBUTORS,
    COORDINATOR,
    DIMENSIONS,
    SPONSOR,
    WORDS,
    Scene,
    default_rules,
    digest,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GRACE_S = 3600


def group(name: str, count: int) -> tuple[LocalAccount, ...]:
    """Accounts of a name, ascending; the same at every call."""
    accounts = [Account.from_key(keccak(text=f"{name} {place}")) for place in range(count)]
    return tuple(sorted(accounts, key=lambda one: one.address.lower()))


FIRST, SECOND = group("first", 3), group("second", 4)  # 2 of 3, then 3 of 4
OUTSIDER = group("outsider", 1)[0]
BY_ADDRESS = {one.address: one for one in (*FIRST, *SECOND, OUTSIDER)}


def holder_rules(**changes: Any) -> HolderRules:
    given: dict[str, Any] = {
        "holders": tuple(one.address for one in FIRST),
        "threshold": 2,
        "key_digest": digest(),
        "ceremony_digest": digest(),
        "grace_seconds": GRACE_S,
    }
    return HolderRules(**(given | changes))


def stage_holders(
    w3: Web3,
    rules: HolderRules | None = None,
    *,
    config: dict[str, Any] = CONFIG,
    **changes: Any,
) -> Scene:
    """A federation of the first group, with all contributors as members."""
    shared = holder_rules() if rules is None else rules
    initial = digest()
    deployment = deploy_federation(
        w3,
        SPONSOR,
        default_rules(
            key_holder=NOBODY,
            encryption_key_digest=shared.key_digest,
            config_digest=config_digest(config),
            **changes,
        ),
        DIMENSIONS,
        CLASSES,
        [0] * len(WORDS),
        initial,
        [account.address for account in CONTRIBUTORS],
        config=config,
        key_holders=shared,
    )
    scene = Scene(w3, deployment, initial, tuple(BlsSecretKey.generate() for _ in CONTRIBUTORS))
    for account, key in zip(CONTRIBUTORS, scene.keys, strict=True):
        scene.join(account, key)
    return scene


def facade(scene: Scene) -> KeyHolders:
    """The key holders' contract; the sponsor pays."""
    found = scene.by(SPONSOR).key_holders()
    assert found is not None
    return found


def next_epoch(holders: KeyHolders, /, **changes: Any) -> Rekey:
    """What the second group would follow with."""
    given: dict[str, Any] = {
        "chain_id": holders.chain_id,
        "contract": holders.address,
        "epoch": holders.current().number + 1,
        "key_digest": digest(),
        "ceremony_digest": digest(),
        "holders": tuple(one.address for one in SECOND),
        "threshold": 3,
    }
    return Rekey(**(given | changes))


def signed(rekey: Rekey, accounts: Sequence[LocalAccount]) -> dict[str, bytes]:
    """Their signatures, by address."""
    return {one.address: rekey.sign(one) for one in accounts}


def rekeyed(scene: Scene, **changes: Any) -> KeyEpoch:
    """The first group registers the second one."""
    holders = facade(scene)
    rekey = next_epoch(holders, **changes)
    holders.rekey(rekey, signed(rekey, FIRST[:2]))
    return holders.current()


def one_signature(account: LocalAccount, message: bytes) -> bytes:
    return bytes(account.unsafe_sign_hash(message).signature)


def signature_of(epoch: KeyEpoch, message: bytes, who: Sequence[int] | None = None) -> bytes:
    """What the holders of these places, or the first ones, sign together."""
    places = range(epoch.threshold) if who is None else who
    accounts = [BY_ADDRESS[epoch.holders[place]] for place in places]
    return join_signatures(epoch, {one.address: one_signature(one, message) for one in accounts})


def sealed(scene: Scene) -> int:
    """Opens the next round, and seals it."""
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS)
    scene.by(COORDINATOR).seal_round(number, digest(), range(len(CONTRIBUTORS)))
    return number


def finalize(scene: Scene, number: int, epoch: KeyEpoch, who: Sequence[int] | None = None) -> None:
    """An epoch's holders open a sealed round; the contract takes the result."""
    result = scene.result(number, (0, 1, 2))
    coordinator = scene.by(COORDINATOR)
    sum_digest = coordinator.round(number).sum_digest
    message = coordinator.opening_message(number, sum_digest, result["opened_digest"])
    result["opening_signature"] = signature_of(epoch, message, who)
    coordinator.finalize_round(number, **result)


def malleated(signature: bytes) -> bytes:
    """The other form of one account's signature: the higher s, and the other v."""
    s = -int.from_bytes(signature[32:64], "big") % ORDER
    return signature[:32] + s.to_bytes(32, "big") + bytes([(55 - signature[64]) % 256])


def tampered(signature: bytes, message: bytes, rng: random.Random) -> bytes:
    """One of the things that an attacker could do to signatures, tampered with before or not."""
    start = len(signature) % 65  # where they begin: 8 with an epoch, 0 of an account
    if len(signature) < 65:
        return signature + rng.randbytes(65)
    ones = [signature[at : at + 65] for at in range(start, len(signature), 65)]
    place = rng.randrange(len(ones))
    one = ones[place]
    kind = rng.randrange(11)
    if kind == 0:  # one bit
        at = rng.randrange(len(signature))
        return signature[:at] + bytes([signature[at] ^ 1 << rng.randrange(8)]) + signature[at + 1 :]
    if kind == 1:
        ones[place] = malleated(one)
    elif kind == 2:
        ones[place] = one[:64] + bytes(
            [rng.choice([0, 1, (one[64] - 27) % 256, 29, 31, 37, 38, 255])]
        )
    elif kind == 3:  # missing
        del ones[place]
    elif kind == 4:  # twice
        ones.insert(place, one)
    elif kind == 5:
        ones.reverse()
    elif kind == 6:  # of somebody else
        ones[place] = one_signature(rng.choice(list(BY_ADDRESS.values())), message)
    elif kind == 7:  # r or s out of range
        value = rng.choice([0, ORDER, ORDER + 1, 2**256 - 1]).to_bytes(32, "big")
        ones[place] = (value + one[32:]) if rng.random() < 0.5 else (one[:32] + value + one[64:])
    elif kind == 8:
        return signature[: rng.randrange(len(signature))]
    elif kind == 9:
        return signature + rng.randbytes(rng.choice([1, 8, 65]))
    elif start:  # another epoch
        return rng.choice([0, 1, 2, 3, 2**64 - 1]).to_bytes(8, "big") + signature[start:]
    return signature[:start] + b"".join(ones)
