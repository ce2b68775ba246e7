"""Files that say where contracts are: ``deployments/<chainId>-<name>.json``, parsed strictly."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Self

from eth_utils.address import is_checksum_address

from ddcai import strict_json
from ddcai.errors import ConfigurationError
from ddcai.keyfile import write_atomically

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")


@dataclass(frozen=True, kw_only=True)
class DeploymentFile:
    """What all kinds of deployment file have; a kind is known by its fields.

    Attributes:
        chain_id: of its chain.
        name: for people; lower-case letters, digits and hyphens.
        deployed_block: no event of the contracts is older.
        gas_used: by the whole deployment.
    """

    chain_id: int
    name: str
    deployed_block: int
    gas_used: int

    def __post_init__(self) -> None:
        check_name(self.name)
        for field, least in (("chain_id", 1), ("deployed_block", 0), ("gas_used", 0)):
            check_number(field, getattr(self, field), least)

    @property
    def main_address(self) -> str:
        """The contract that tells one deployment from another."""
        raise NotImplementedError

    def save(self, folder: Path | str) -> Path:
        """Writes ``<chain_id>-<name>.json`` into a folder (usually ``deployments``).

        Raises:
            ConfigurationError: another deployment has this name on this chain, in this folder.
        """
        path = Path(folder) / f"{self.chain_id}-{self.name}.json"
        if path.exists() and type(self).load(path).main_address != self.main_address:
            raise ConfigurationError(
                f"{path} is another deployment: choose another name, or move that file away"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        write_atomically(path, text.encode(), mode=0o644)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            ConfigurationError: missing, or not a deployment file of this kind.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the deployment file {path}: {error.strerror}"
            ) from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """Reads a file's bytes.

        Args:
            where: they are from, for messages.

        Raises:
            ConfigurationError: as `load`.
        """
        try:
            content = strict_json.loads(data)
        except ValueError as error:
            raise ConfigurationError(f"{where} is not a deployment file: {error}") from error
        names = {field.name for field in fields(cls)}
        # What came later may be missing in older files.
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if not isinstance(content, dict) or not needed <= set(content) <= names:
            found = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise ConfigurationError(
                f"{where} is not a deployment file of this kind: it has {found}, expected "
                f"{sorted(names)}"
            )
        try:
            return cls(**content)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error


def check_name(name: object) -> None:
    """Raises ConfigurationError unless a deployment's name can be part of a file name."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigurationError(
            f"name is {name!r}: use lower-case letters, digits and hyphens, at most 64"
        )


def check_address(field: str, value: object) -> None:
    """Raises ConfigurationError unless this is a checksum address."""
    if not is_checksum_address(value):
        raise ConfigurationError(f"{field} is {value!r}: give a checksum address")


def check_number(field: str, value: object, least: int) -> None:
    """Raises ConfigurationError unless this is an integer from `least`."""
    if type(value) is not int or value < least:
        raise ConfigurationError(f"{field} is {value!r}: give a number from {least}")
