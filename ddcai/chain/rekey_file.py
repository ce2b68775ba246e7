"""The file in which key holders pass on the next epoch and their signatures under it: JSON.

Nothing in it is secret. Whoever reads it checks every signature; whether the signers are the
current holders, and enough, the chain says (`ddcai.chain.key_holders.KeyHolders.rekey`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from eth_account.signers.local import LocalAccount

from ddcai import strict_json
from ddcai.chain.account_signatures import recover
from ddcai.chain.holder_rules import Rekey
from ddcai.errors import ConfigurationError, MalformedError
from ddcai.keyfile import write_atomically

_FORMAT = "ddcai-rekey-1"
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")
_DIGESTS = ("key_digest", "ceremony_digest")
_NAMES = {"format", "signatures", *(one.name for one in fields(Rekey))}
# Of 64 holders there are 11 kB of addresses and signatures.
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class RekeyFile:
    """The next epoch, and who signed it so far.

    Attributes:
        signatures: 65 bytes each, by the signer's address; each is checked when it is made.
    """

    rekey: Rekey
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        digest = self.rekey.digest()
        for address, signature in self.signatures.items():
            try:
                signer = recover(digest, signature)
            except MalformedError as error:
                raise ConfigurationError(f"the signature of {address}: {error}") from error
            if signer != address:
                raise ConfigurationError(
                    f"the signature of {address} is not under this epoch: let them sign again"
                )

    def signed_by(self, account: LocalAccount) -> Self:
        """The same, with this account's signature."""
        own = {str(account.address): self.rekey.sign(account)}
        return type(self)(rekey=self.rekey, signatures={**self.signatures, **own})

    def with_signatures_of(self, other: Self) -> Self:
        """The same, with the signatures of another copy.

        Raises:
            ConfigurationError: the other is of another epoch.
        """
        if other.rekey != self.rekey:
            odd = [
                one.name
                for one in fields(Rekey)
                if getattr(self.rekey, one.name) != getattr(other.rekey, one.name)
            ]
            raise ConfigurationError(
                f"two files are of different epochs: {', '.join(odd)} differ; send one of them"
            )
        signatures = {**self.signatures, **other.signatures}
        return type(self)(rekey=self.rekey, signatures=signatures)

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        values = {one.name: getattr(self.rekey, one.name) for one in fields(Rekey)}
        return {
            "format": _FORMAT,
            **values,
            "holders": list(self.rekey.holders),
            **{name: "0x" + values[name].hex() for name in _DIGESTS},
            "signatures": {
                address: "0x" + self.signatures[address].hex()
                for address in sorted(self.signatures, key=str.lower)
            },
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Reads what `to_json` made.

        Raises:
            ConfigurationError: anything else, or a signature that does not hold.
        """
        if not isinstance(content, dict) or set(content) != _NAMES:
            found = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise ConfigurationError(f"it has {found}, expected {sorted(_NAMES)}")
        values = dict(content)
        if values.pop("format") != _FORMAT:
            raise ConfigurationError(f"format is {content['format']!r}: expected {_FORMAT!r}")
        signatures, holders = values.pop("signatures"), values.pop("holders")
        if not isinstance(holders, list):
            raise ConfigurationError(f"holders is {holders!r}: give a list of accounts")
        if not isinstance(signatures, dict):
            raise ConfigurationError(f"signatures is {signatures!r}: give them by account")
        values |= {name: _bytes(name, values[name]) for name in _DIGESTS}
        return cls(
            rekey=Rekey(**values, holders=tuple(holders)),
            signatures={
                address: _bytes(f"the signature of {address}", signature)
                for address, signature in signatures.items()
            },
        )

    def save(self, path: Path) -> None:
        """Writes the file, in the place of one that is there."""
        text = json.dumps(self.to_json(), indent=2) + "\n"
        try:
            write_atomically(path, text.encode(), mode=0o644)
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ConfigurationError: missing, or not such a file.
        """
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        try:
            if len(raw) > _MAX_BYTES:
                raise ConfigurationError(f"it has more than {_MAX_BYTES} bytes")
            return cls.from_json(strict_json.loads(raw))
        except (ConfigurationError, ValueError) as error:
            raise ConfigurationError(f"{path} is not a file of `keys sign-rekey`: {error}") from (
                error
            )


def _bytes(name: str, value: Any) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ConfigurationError(f"{name} is {value!r}: give 0x and lower-case hex digits")
    return bytes.fromhex(value[2:])
