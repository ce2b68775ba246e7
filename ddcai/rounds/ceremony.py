"""A key ceremony through a folder that all holders read and write.

Each message is a JSON file, signed by its holder's account (EIP-191) and bound to the plan and to
the digest of all messages of the phases before it, so that a holder that shows different messages
to different holders is found by the next phase. The folder is not trusted: a file without its
holder's signature is as good as none. Nothing in it is secret.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from ddcai import strict_json
from ddcai.chain.account_signatures import SIGNATURE_BYTES
from ddcai.digests import canonical_json, tag
from ddcai.encryption.public import load_key
from ddcai.encryption.threshold.bodies import fields_of, hex_bytes
from ddcai.encryption.threshold.ceremony import PHASES, Participant, new_secret
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import (
    BlobMissing,
    CeremonyFailed,
    CeremonyPaused,
    KeyfileError,
    MalformedError,
)
from ddcai.keyfile import destroy, load_secret, save_secret, write_atomically
from ddcai.store import Files

log = logging.getLogger("ddcai.ceremony")

PIECES_NAME, PUBLIC_NAME, RECORD_NAME = "key-pieces.json", "encryption-public.json", "ceremony.json"
_SECRET_NAME, _LOCK_NAME = "ceremony-secret.json", "ceremony.lock"
_HOLDS_SECRET = "ceremony-secret"
_FORMAT, _RECORD_FORMAT = "ddcai-ceremony-message-1", "ddcai-ceremony-1"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0


@dataclass(frozen=True, kw_only=True)
class CeremonyRecord:
    """What a ceremony ended with: what the chain is told of a key.

    Attributes:
        plan: who holds it.
        public_key_digest: of the collective public key.
        ceremony_digest: of all messages; each holder's signature is in the last phase's.
    """

    plan: KeyPlan
    public_key_digest: bytes
    ceremony_digest: bytes

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "format": _RECORD_FORMAT,
            "plan": self.plan.to_json(),
            "public_key_digest": self.public_key_digest.hex(),
            "ceremony_digest": self.ceremony_digest.hex(),
        }

    @classmethod
    def load(cls, path: Path | str) -> CeremonyRecord:
        """Reads the file that `hold` writes.

        Raises:
            KeyfileError: it is missing, or something else.
            ConfigurationError: its plan is none.
        """
        try:
            names = ("format", "plan", "public_key_digest", "ceremony_digest")
            found = fields_of(strict_json.loads(Path(path).read_bytes()), names)
            if found["format"] != _RECORD_FORMAT:
                raise MalformedError("another format")
            return cls(
                plan=KeyPlan.from_json(found["plan"]),
                public_key_digest=hex_bytes(found["public_key_digest"], 32),
                ceremony_digest=hex_bytes(found["ceremony_digest"], 32),
            )
        except OSError as error:
            raise KeyfileError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, MalformedError) as error:
            raise KeyfileError(
                f"{path} is no record of a key ceremony: give the {RECORD_NAME} that "
                "`ddcai keys ceremony` wrote"
            ) from error


def hold(
    plan: KeyPlan,
    account: LocalAccount,
    exchange: Files,
    folder: Path,
    password: str,
    *,
    timeout_s: float = 3600.0,
    light: bool = False,
) -> CeremonyRecord:
    """Takes part in a ceremony, from wherever this holder stands in it.

    Guarantees:
        what it says in a phase it says once: a message is on its own disk before it is sent, and
        the same bytes are sent again;
        its key pieces are on disk, under the password, before it returns; the secret that its
        messages followed from is deleted then;
        done already, it returns the same record.

    Args:
        plan: what the holders agreed on.
        account: this holder's.
        exchange: the folder that all holders read and write.
        folder: this holder's own, for its files: `PIECES_NAME`, `PUBLIC_NAME`, `RECORD_NAME`.
        password: protects what is secret in it.
        timeout_s: how long to wait for the others, in each phase.
        light: quick to open, and to guess: for trials only.

    Raises:
        ConfigurationError: the account is none of the plan's holders.
        CeremonyFailed: naming a holder at fault.
        CeremonyPaused: naming those that did not come; call it again.
        KeyfileError: the folder has another ceremony's files.
        StoreError: the exchange cannot be read or written.
    """
    index = plan.index(account.address)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        if (folder / RECORD_NAME).exists():
            return _finished(plan, account.address, folder, password)
        participant = Participant(plan, index, _secret(plan, folder, password, light=light))
        digest = keccak(tag("ceremony-start") + plan.digest)
        while (phase := participant.phase) is not None:
            own = folder / f"{phase}.json"
            if not own.exists():
                body = participant.body()
                write_atomically(own, _message(plan, phase, account, digest, body), mode=0o644)
            exchange.write(_name(plan, phase, index), own.read_bytes())
            bodies, digest = _collect(plan, phase, digest, exchange, timeout_s)
            participant.take(bodies)
        ring = participant.ring(digest)
        if not (folder / PIECES_NAME).exists():
            ring.save(folder / PIECES_NAME, password, light=light)
        participant.public_key.save(folder / PUBLIC_NAME)
        record = CeremonyRecord(
            plan=plan, public_key_digest=ring.public_key_digest, ceremony_digest=digest
        )
        write_atomically(folder / RECORD_NAME, _json(record.to_json()), mode=0o644)
        _forget(folder)
        return record


def _finished(plan: KeyPlan, holder: str, folder: Path, password: str) -> CeremonyRecord:
    record = CeremonyRecord.load(folder / RECORD_NAME)
    ring = KeyRing.load(folder / PIECES_NAME, password)
    public = load_key(folder / PUBLIC_NAME)
    if record.plan != plan or ring.plan != plan or ring.holder != holder:
        raise KeyfileError(
            f"{folder} has the key {record.plan.label!r}: choose another folder for {plan.label!r}"
        )
    if not record.public_key_digest == ring.public_key_digest == public.digest():
        raise KeyfileError(f"the files in {folder} are of different keys: restore a backup")
    _forget(folder)
    return record


def _forget(folder: Path) -> None:
    """Deletes what the pieces' seeds could be made from again, and what was sent."""
    with contextlib.suppress(FileNotFoundError):
        destroy(folder / _SECRET_NAME)
    for phase in PHASES:
        (folder / f"{phase}.json").unlink(missing_ok=True)


def _secret(plan: KeyPlan, folder: Path, password: str, *, light: bool) -> bytes:
    """The secret that this holder's messages follow from, made at the first call."""
    path = folder / _SECRET_NAME
    if not path.exists():
        save_secret(
            path,
            holds=_HOLDS_SECRET,
            secret=new_secret(),
            public={"plan": plan.digest.hex()},
            password=password,
            light=light,
        )
    secret, public = load_secret(path, holds=_HOLDS_SECRET, password=password)
    if public != {"plan": plan.digest.hex()}:
        raise KeyfileError(f"{folder} has an unfinished ceremony of another plan: choose another")
    return secret


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: two would say two things."""
    with (folder / _LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CeremonyPaused(
                f"another process holds the ceremony in {folder}: wait for it, or end it"
            ) from None
        yield


def _name(plan: KeyPlan, phase: str, index: int) -> str:
    return f"{plan.digest.hex()[:32]}-{PHASES.index(phase) + 1}-{phase}-{index}.json"


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def _statement(plan: KeyPlan, phase: str, holder: str, before: bytes, body: Any) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "plan": plan.digest.hex(),
        "phase": phase,
        "holder": holder,
        "before": before.hex(),
        "body": body,
    }


def _signable(statement: dict[str, Any]) -> tuple[bytes, SignableMessage]:
    digest = keccak(tag("ceremony-message") + canonical_json(statement))
    return digest, encode_defunct(text=f"ddcai key ceremony message {digest.hex()}")


def _message(
    plan: KeyPlan, phase: str, account: LocalAccount, before: bytes, body: dict[str, Any]
) -> bytes:
    statement = _statement(plan, phase, account.address, before, body)
    signature = bytes(account.sign_message(_signable(statement)[1]).signature)
    return _json(statement | {"signature": signature.hex()})


def _read(plan: KeyPlan, phase: str, holder: str, content: bytes) -> tuple[bytes, bytes, Any]:
    """A message's digest, what it says of the phases before, and its body.

    Raises:
        MalformedError: it is not the holder's for this phase of this plan.
    """
    try:
        document = strict_json.loads(content)
    except ValueError as error:
        raise MalformedError("it is not JSON") from error
    names = ("format", "plan", "phase", "holder", "before", "body", "signature")
    fields = fields_of(document, names)
    before, body = hex_bytes(fields["before"], 32), fields["body"]
    statement = _statement(plan, phase, holder, before, body)
    if {name: value for name, value in fields.items() if name != "signature"} != statement:
        raise MalformedError("it is for another ceremony, phase or holder")
    digest, signable = _signable(statement)
    try:
        signature = hex_bytes(fields["signature"], SIGNATURE_BYTES)
        signer = str(Account.recover_message(signable, signature=signature))
    except MalformedError:
        raise
    except Exception as error:  # eth-account raises its own kinds
        raise MalformedError("its signature is none") from error
    if signer != holder:
        raise MalformedError(f"it is signed by {signer}")
    return digest, before, body


def _collect(
    plan: KeyPlan, phase: str, before: bytes, exchange: Files, timeout_s: float
) -> tuple[list[Any], bytes]:
    """All holders' bodies of a phase, and the digest of all messages so far."""
    found: dict[int, tuple[bytes, Any]] = {}
    said: dict[int, str] = {}
    deadline, pause = time.monotonic() + timeout_s, _FIRST_PAUSE_S
    while True:
        for index, holder in enumerate(plan.holders):
            if index in found:
                continue
            try:
                content = exchange.read(_name(plan, phase, index))
                digest, seen, body = _read(plan, phase, holder, content)
            except BlobMissing:
                continue
            except MalformedError as error:
                if said.get(index) != str(error):  # once, not at every look
                    log.warning("the %s message of %s is passed over: %s", phase, holder, error)
                said[index] = str(error)
                continue
            if seen != before:
                raise CeremonyFailed(
                    f"{holder} saw other messages before the phase {phase!r}: a holder showed "
                    "different ones to different holders, or the folder was altered; begin "
                    "another ceremony"
                )
            found[index] = (digest, body)
        if len(found) == len(plan.holders):
            break
        if time.monotonic() + pause > deadline:
            raise CeremonyPaused(
                f"{_names(plan, found)} sent no valid message of the phase {phase!r} within "
                f"{timeout_s:.0f} s: see that they take part, and run the same command again"
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    ordered = [found[index] for index in range(len(plan.holders))]
    together = before + b"".join(digest for digest, _ in ordered)
    return [body for _, body in ordered], keccak(tag("ceremony-phase") + together)


def _names(plan: KeyPlan, found: Mapping[int, Any]) -> str:
    return ", ".join(holder for at, holder in enumerate(plan.holders) if at not in found)
