"""An audit's claims with the auditor's signature, in a file that anybody can check again.

The signature says who is answerable for the report, at which block it was made, and that not a
byte of it was changed. It does not make the claims true: `check-report --again` verifies anew.
Keys: the auditor's account signs; its keystore stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from ddcai import digests, strict_json
from ddcai.audit.claims import Claim, Status
from ddcai.audit.report import strict
from ddcai.chain.account_signatures import recover, signed_hash, typed_data
from ddcai.errors import ConfigurationError, MalformedError, VerificationError

FORMAT = "ddcai-audit-report-1"
MAX_BYTES = 64 << 20
_MAX_TEXT = 1 << 20
_TAG = digests.tag("audit-report")
_NAMES = {
    *("format", "chain_id", "contract", "round", "block", "software", "auditor"),
    *("counts", "claims", "signature"),
}
_CLAIM_NAMES = set(Claim.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The block that a report is of: number, hash (32 bytes), time (unix seconds)."""

    number: int
    hash: bytes
    time: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """A signed report.

    Attributes:
        chain_id, contract: of the federation, its address.
        round: the round that was verified; None for the whole federation.
        block: the state that was verified is that after this block.
        software: by which it was verified, such as ``ddcai 0.1.0``.
        auditor: the account that signed.
        claims: in the order in which they were made.
        signature: 65 bytes, of the auditor's account (EIP-712); empty before it is signed.
    """

    chain_id: int
    contract: str
    round: int | None
    block: Block
    software: str
    auditor: str
    claims: tuple[Claim, ...]
    signature: bytes = b""

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each status."""
        return {
            status.value: sum(claim.status is status for claim in self.claims) for status in Status
        }

    @property
    def time(self) -> datetime:
        """Of its block, UTC."""
        return datetime.fromtimestamp(self.block.time, UTC)

    def digest(self) -> bytes:
        """Digest of everything but the signature, 32 bytes."""
        content = self.to_json()
        del content["signature"]
        return keccak(_TAG + digests.canonical_json(content))

    def check(self) -> None:
        """Raises VerificationError unless the auditor signed this report."""
        try:
            signer = recover(_typed_hash(self), self.signature)
        except MalformedError as error:
            raise VerificationError(f"the report's signature: {error}") from error
        if signer != self.auditor:
            raise VerificationError(
                f"the signature is not that of the auditor {self.auditor}: the report was "
                "changed, or somebody else signed it"
            )

    # The file.

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "round": self.round,
            "block": {
                "number": self.block.number,
                "hash": "0x" + self.block.hash.hex(),
                "time": self.block.time,
            },
            "software": self.software,
            "auditor": self.auditor,
            "counts": self.counts,
            "claims": [asdict(claim) for claim in self.claims],
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Reads what `to_json` made; `check` says whether it was signed.

        Raises:
            MalformedError: anything else.
        """
        values = strict.object_("a report", content, _NAMES)
        if values["format"] != FORMAT:
            raise MalformedError(f"format is {str(values['format'])[:80]!r}: expected {FORMAT!r}")
        block = strict.object_("block", values["block"], {"number", "hash", "time"})
        claims = values["claims"]
        if not isinstance(claims, list):
            raise MalformedError("claims is no list")
        report = cls(
            chain_id=strict.number("chain_id", values["chain_id"]),
            contract=strict.address("contract", values["contract"]),
            round=_optional("round", values["round"]),
            block=Block(
                number=strict.number("block number", block["number"]),
                hash=strict.digest("block hash", block["hash"]),
                time=strict.number("block time", block["time"]),
            ),
            software=_text("software", values["software"]),
            auditor=strict.address("auditor", values["auditor"]),
            claims=tuple(_claim(claim) for claim in claims),
            signature=strict.bytes_("signature", values["signature"]),
        )
        if values["counts"] != report.counts:
            raise MalformedError("counts are not those of the claims")
        return report

    def save(self, path: Path) -> None:
        """Writes the file, canonical JSON and a newline, in the place of one that is there."""
        strict.write(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return digests.canonical_json(self.to_json()) + b"\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote, in that one form.

        Raises:
            ConfigurationError: it cannot be read.
            MalformedError: not such a file.
        """
        raw = strict.read(path, MAX_BYTES)
        try:
            report = cls.from_json(strict_json.loads(raw))
            if report.to_bytes() != raw:
                raise MalformedError("it is not in the canonical form")
        except (MalformedError, ConfigurationError, ValueError) as error:
            raise MalformedError(f"{path} is no report of `audit verify`: {error}") from error
        return report


def sign_report(
    account: LocalAccount,
    claims: Iterable[Claim],
    *,
    chain_id: int,
    contract: str,
    block: Block,
    round_: int | None = None,
) -> Report:
    """A report of these claims, signed by an account."""
    report = Report(
        chain_id=chain_id,
        contract=contract,
        round=round_,
        block=block,
        software=f"ddcai {version('ddcai')}",
        auditor=str(account.address),
        claims=tuple(claims),
    )
    signature = bytes(account.sign_message(_signable(report)).signature)
    return replace(report, signature=signature)


def _typed_hash(report: Report) -> bytes:
    return signed_hash(_signable(report))


def _signable(report: Report) -> SignableMessage:
    """EIP-712: what a wallet shows its owner, and the digest of all the rest."""
    return typed_data(
        "ddcai audit report",
        "AuditReport",
        {
            "blockNumber": ("uint64", report.block.number),
            "blockHash": ("bytes32", report.block.hash),
            "claims": ("uint64", len(report.claims)),
            "failed": ("uint64", report.counts[Status.FAIL.value]),
            "reportDigest": ("bytes32", report.digest()),
        },
        chain_id=report.chain_id,
        contract=report.contract,
    )


def _claim(value: Any) -> Claim:
    values = strict.object_("a claim", value, _CLAIM_NAMES)
    status = _text("status", values["status"])
    if status not in {one.value for one in Status}:
        raise MalformedError(f"status is {status!r}: this version of ddcai does not know it")
    return Claim(
        name=_text("name", values["name"]),
        status=Status(status),
        round=_optional("round", values["round"]),
        window=_optional("window", values["window"]),
        subject=_text("subject", values["subject"]),
        expected=_text("expected", values["expected"]),
        found=_text("found", values["found"]),
    )


def _optional(name: str, value: Any) -> int | None:
    return None if value is None else strict.number(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise MalformedError(f"{name} is no text of at most {_MAX_TEXT} characters")
    return value
