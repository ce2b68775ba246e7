"""What the holders of a key agree on before they make it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from ddcai.digests import canonical_json, tag
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.threshold.sharing import Piece, Sharing
from ddcai.encryption.updates import AnySet, any_set
from ddcai.errors import ConfigurationError

_FORMAT = "ddcai-key-plan-1"
_LABEL = re.compile(r"[\w.:-]{1,64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class KeyPlan:
    """One key: who holds it, how many of them open, for which parameter set.

    Attributes:
        label: of letters, digits and ``_.:-``, 1 to 64; another one for every ceremony, so that
            nothing of one is taken for another's.
        parameters: the parameter set's name.
        threshold: T, as in `Sharing`.
        holders: N accounts with checksum, in ascending order of their bytes, as the contract
            KeyHolders has them. A holder's place here is its number.

    Raises:
        ConfigurationError: naming what cannot be.
    """

    label: str
    parameters: str
    threshold: int
    holders: tuple[str, ...]

    def __post_init__(self) -> None:
        if _LABEL.fullmatch(self.label) is None:
            raise ConfigurationError(
                f"the label {self.label[:80]!r}: give 1 to 64 letters, digits, '_', '.', ':', '-'"
            )
        for holder in self.holders:
            if not is_checksum_address(holder):
                raise ConfigurationError(f"{holder!r} is no account with checksum")
        if sorted(set(self.holders), key=str.lower) != list(self.holders):
            raise ConfigurationError("the key holders' accounts differ, and are in ascending order")
        if not self.sharing or not self.any_set.opened_by_threshold:
            raise ConfigurationError(
                f"the parameter set {self.parameters} leaves no room for the noise that hides a "
                "holder's piece: choose bfv-8192-3x20, or bfv-8192-2x30 where updates are judged, "
                "or one of the compact scheme"
            )

    @property
    def any_set(self) -> AnySet:
        """The parameter set, of either scheme."""
        return any_set(self.parameters)

    @property
    def parameter_set(self) -> ParameterSet:
        """The parameter set of BFV, where the holders share a key that lasts."""
        found = self.any_set
        assert isinstance(found, ParameterSet)
        return found

    @property
    def compact(self) -> bool:
        """Whether it is for the compact scheme: the holders share no key, only what they are
        sent, and make what contributors send it under."""
        return isinstance(self.any_set, CompactShape)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Those of a key that lasts; none in the compact scheme."""
        return () if self.compact else self.sharing.pieces

    def held_by(self, holder: int) -> tuple[Piece, ...]:
        """The pieces of one holder, in order."""
        return tuple(piece for piece in self.pieces if holder not in piece)

    @cached_property
    def sharing(self) -> Sharing:
        """Who holds which piece."""
        return Sharing(len(self.holders), self.threshold)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the plan."""
        return keccak(tag("key-plan") + canonical_json(self.to_json()))

    def index(self, holder: str) -> int:
        """A holder's number, from 0.

        Raises:
            ConfigurationError: the account is none of the holders.
        """
        try:
            return self.holders.index(holder)
        except ValueError:
            raise ConfigurationError(
                f"the account {holder} is none of the plan's key holders "
                f"{', '.join(self.holders)}: give a holder's keystore"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "format": _FORMAT,
            "label": self.label,
            "parameters": self.parameters,
            "threshold": self.threshold,
            "holders": list(self.holders),
        }

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Reads what `to_json` gives, strictly.

        Raises:
            ConfigurationError: for anything else.
        """
        names = {"format", "label", "parameters", "threshold", "holders"}
        if not isinstance(document, dict) or set(document) != names:
            raise ConfigurationError(f"no key plan: it has exactly {', '.join(sorted(names))}")
        label, holders = document["label"], document["holders"]
        if document["format"] != _FORMAT:
            raise ConfigurationError(f"a key plan of format {document['format']!r}, not {_FORMAT}")
        if not (
            isinstance(label, str)
            and isinstance(document["parameters"], str)
            and type(document["threshold"]) is int
            and isinstance(holders, list)
            and all(isinstance(holder, str) for holder in holders)
        ):
            raise ConfigurationError("no key plan: a field is of another type")
        return cls(
            label=label,
            parameters=document["parameters"],
            threshold=document["threshold"],
            holders=tuple(holders),
        )
