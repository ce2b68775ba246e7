"""An invitation: one TOML file with all that a newcomer needs, signed by who runs the federation.

The signature is by EIP-712, in the domain of the federation's contract on its chain, over every
field. A file can prove only that its signer wrote it. Whether the signer is the sponsor or the
coordinator the contract says (`Invitation.require_signer`), and whether the contract is the one
that was meant, the newcomer: whoever forges a whole federation signs its invitations, too.
Nothing in the file is secret, and none lets anybody in: the contract does.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from ddcai.chain.account_signatures import recover, signed_hash, typed_data
from ddcai.chain.deploy import Deployment
from ddcai.chain.deployment_file import check_address
from ddcai.chain.endpoints import authorities, check_rpc_url, check_store, check_superlink
from ddcai.chain.federation import Federation
from ddcai.chain.records import NOBODY
from ddcai.digests import canonical_json
from ddcai.errors import ConfigurationError, MalformedError, PolicyError, VerificationError
from ddcai.strict_toml import loads, read, shown

FORMAT = "ddcai-invitation-1"
LARGEST_FILE_BYTES = 256 * 1024
_KEYS = (
    "format", "chain_id", "federation", "account", "expires", "rpc_url", "store", "superlink",
    "ca_certificate", "deployment", "signer", "signature",
)  # fmt: skip
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")
_KINDS: dict[str, tuple[type, str]] = {
    "chain_id": (int, "a whole number"),
    "expires": (datetime, "a time in UTC"),
}
_LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a newcomer needs to know of a federation.

    Attributes:
        deployment: the federation's deployment file, whole.
        account: who is invited, a checksum address; empty for whomever the contract lets in.
        expires: until when it is taken, in unix seconds.
        rpc_url: an endpoint of the chain, http or https, without a password.
        store: the blob store, an absolute path or a URL as `endpoints.check_store` says.
        superlink: the coordinator's, HOST:PORT.
        ca_certificate: certificates, PEM, that vouch for the SuperLink's TLS; empty where it has
            none, for trials.
    """

    deployment: Deployment
    account: str
    expires: int
    rpc_url: str
    store: str
    superlink: str
    ca_certificate: str

    def __post_init__(self) -> None:
        if self.account:
            check_address("account", self.account)
            _require(self.account != NOBODY, "account", self.account, "give somebody's")
        good = type(self.expires) is int and 0 < self.expires <= _LAST_SECOND
        _require(good, "expires", self.expires, "give a time in unix seconds")
        good = self.deployment.chain_id < 2**64
        _require(good, "chain_id", self.deployment.chain_id, "give one below 2**64")
        check_rpc_url(self.rpc_url)
        check_store(self.store)
        check_superlink(self.superlink)
        if self.ca_certificate:
            object.__setattr__(self, "ca_certificate", authorities(self.ca_certificate))

    def statement(self) -> SignableMessage:
        """What the sponsor or the coordinator signs."""
        return typed_data(
            "ddcai invitation",
            "Invitation",
            {
                "deployment": ("string", _json(self.deployment).decode()),
                "account": ("address", self.account or NOBODY),
                "expires": ("uint256", self.expires),
                "rpcUrl": ("string", self.rpc_url),
                "store": ("string", self.store),
                "superlink": ("string", self.superlink),
                "caCertificate": ("string", self.ca_certificate),
            },
            chain_id=self.deployment.chain_id,
            contract=self.deployment.federation,
        )

    def signed_by(self, account: LocalAccount) -> str:
        """The file's text."""
        signature = bytes(account.sign_message(self.statement()).signature)
        values = {
            "format": json.dumps(FORMAT),
            "chain_id": str(self.deployment.chain_id),
            "federation": json.dumps(self.deployment.federation),
            "account": json.dumps(self.account),
            "expires": f"{datetime.fromtimestamp(self.expires, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "rpc_url": json.dumps(self.rpc_url),
            "store": json.dumps(self.store, ensure_ascii=False),
            "superlink": json.dumps(self.superlink),
            "ca_certificate": f'"""\n{self.ca_certificate}"""',
            "deployment": f'"""\n{base64.encodebytes(_json(self.deployment)).decode()}"""',
            "signer": json.dumps(str(account.address)),
            "signature": json.dumps("0x" + signature.hex()),
        }
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    @classmethod
    def parse(cls, text: str) -> tuple[Self, str]:
        """Reads a file's text: the invitation, and the account that signed it.

        Raises:
            MalformedError: not of this form.
            VerificationError: who is named as signer did not sign this.
        """
        try:
            return cls._parse(loads(text))
        except ConfigurationError as error:
            raise MalformedError(str(error)) from error

    @classmethod
    def load(cls, path: Path | str) -> tuple[Self, str]:
        """Reads a file of at most 256 KiB.

        Raises:
            ConfigurationError: it cannot be read.
            MalformedError, VerificationError: as `parse`.
        """
        text = read(path, "the invitation", LARGEST_FILE_BYTES)
        try:
            return cls.parse(text)
        except MalformedError as error:
            raise MalformedError(f"the invitation {path}: {error}") from error
        except VerificationError as error:
            raise VerificationError(f"the invitation {path}: {error}") from error

    @classmethod
    def _parse(cls, found: dict[str, Any]) -> tuple[Self, str]:
        for name in found:
            if name not in _KEYS:
                raise ConfigurationError(f"{shown(name)} is no key: {', '.join(_KEYS)} are")
        for name in _KEYS:
            if name not in found:
                raise ConfigurationError(f"{name} is missing: ask for the file again")
            kind, words = _KINDS.get(name, (str, "a string"))
            _require(type(found[name]) is kind, name, found[name], f"give {words}")
        _require(found["format"] == FORMAT, "format", found["format"], f"{FORMAT} is read here")
        invitation = cls(
            deployment=_deployment(found),
            expires=_seconds(found["expires"]),
            **{name: found[name] for name in _KEYS if name in _SAME},
        )
        signer, signature = found["signer"], found["signature"]
        check_address("signer", signer)
        _require(_SIGNATURE.fullmatch(signature) is not None, "signature", signature,
                 "give 0x and 130 hex digits, in lower case")  # fmt: skip
        signed = signed_hash(invitation.statement())
        if recover(signed, bytes.fromhex(signature[2:])) != signer:
            raise VerificationError(
                f"{signer} did not sign this: the file was altered; ask for it again"
            )
        return invitation, signer

    def require_time(self, now: float) -> None:
        """Raises PolicyError once it, or its CA certificate, is over; ``now`` in unix seconds."""
        if now > self.expires:
            raise PolicyError(
                f"the invitation ended on {datetime.fromtimestamp(self.expires, UTC):%Y-%m-%d} at "
                f"{datetime.fromtimestamp(self.expires, UTC):%H:%M} UTC: ask for a new one"
            )
        if self.ca_certificate:
            found = x509.load_pem_x509_certificates(self.ca_certificate.encode())
            last = max(one.not_valid_after_utc for one in found)
            if now > last.timestamp():
                raise PolicyError(
                    f"the invitation's CA certificate ended on {last:%Y-%m-%d}: ask for a new one"
                )

    def require_account(self, address: str) -> None:
        """Raises PolicyError if it is for another account."""
        if self.account and self.account != address:
            raise PolicyError(
                f"the invitation is for {self.account}, not for {address}: give the keystore of "
                f"that account, or ask for an invitation of {address}"
            )

    def require_signer(self, signer: str, federation: Federation) -> str:
        """Whether the signer is sponsor or coordinator, by the contract: which of the two.

        Raises:
            VerificationError: neither.
        """
        sponsor, coordinator = federation.sponsor(), federation.rules().coordinator
        if signer == sponsor:
            return "sponsor"
        if signer == coordinator:
            return "coordinator"
        raise VerificationError(
            f"the invitation is signed by {signer}, and {federation.address} is run by the sponsor "
            f"{sponsor} and the coordinator {coordinator}: take one that either of them signed"
        )


_SAME = {"account", "rpc_url", "store", "superlink", "ca_certificate"}


def _json(deployment: Deployment) -> bytes:
    return canonical_json(dataclasses.asdict(deployment))


def _deployment(found: dict[str, Any]) -> Deployment:
    text = found["deployment"].replace("\n", "")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ConfigurationError(f"deployment is no base64: {error}") from error
    deployment = Deployment.parse(data, "deployment")
    for name in ("chain_id", "federation"):
        here, there = found[name], getattr(deployment, name)
        _require(here == there, name, here, f"its deployment says {there}: ask for it again")
    return deployment


def _seconds(moment: datetime) -> int:
    good = moment.tzinfo is not None and moment.utcoffset() == UTC.utcoffset(None)
    good = good and moment.microsecond == 0
    _require(good, "expires", moment, "give a time in UTC, to the second")
    return int(moment.timestamp())


def _require(good: bool, name: str, value: object, remedy: str) -> None:
    if not good:
        raise ConfigurationError(f"{name} is {shown(value)}: {remedy}")
