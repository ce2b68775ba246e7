"""A federation as an RO-Crate, for research archives: models, configuration, events, report.

Deterministic: the same events, blobs and descriptions give the same bytes, by the same versions of
the libraries that write Parquet and safetensors. Nothing in it is secret: models and events are
what every auditor sees.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ddcai import digests
from ddcai.audit.ledger.archive import Archive, EventRow
from ddcai.audit.ledger.files import csv_text
from ddcai.audit.ledger.parquet import write_parquet
from ddcai.audit.report.crate_graph import METADATA, Described, Stored, metadata
from ddcai.audit.report.page import as_html
from ddcai.audit.report.signed import Report
from ddcai.errors import BlobMissing, ConfigurationError, VerificationError
from ddcai.models import state
from ddcai.store import Store

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the first that the format has


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: the files, and the rounds whose models the store lacked (0: initial)."""

    files: tuple[str, ...]
    absent: tuple[int, ...]


def export(
    archive: Archive,
    store: Store,
    target: Path,
    described: Described,
    report: Report | None = None,
) -> Exported:
    """Writes the crate to a new folder, or to a file that ends with ``.zip``.

    Args:
        archive: what the index has (`Ledger.archive`).
        described: an empty name or description is made from the federation's.
        report: a signed report of the same federation, to go with it.

    Raises:
        ConfigurationError: the place is taken or cannot be written, or a false description.
        VerificationError: a blob that is not what the chain says, or a report that does not hold
            or is of another federation.
        BlobMissing: the store lacks the configuration.
    """
    if report is not None:
        _check_report(archive, report)
    try:
        if target.is_dir() and any(target.iterdir()):
            raise ConfigurationError(f"{target} is not empty: give a new folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ro-crate-") as folder:
            crate = _Crate(Path(folder) / "crate", store)
            exported = crate.fill(archive, described, report)
            if target.suffix == ".zip":
                packed = Path(folder) / "packed"
                _pack(crate.folder, packed)
                packed.replace(target)
            else:
                if target.is_dir():
                    target.rmdir()
                shutil.move(crate.folder, target)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error
    return exported


def _check_report(archive: Archive, report: Report) -> None:
    report.check()
    if (report.chain_id, report.contract) != (archive.chain_id, archive.contract):
        raise VerificationError(
            f"the report is of {report.contract} on chain {report.chain_id}, not of "
            f"{archive.contract} on chain {archive.chain_id}"
        )


class _Crate:
    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store
        self._files: list[Stored] = []
        (folder / "models").mkdir(parents=True)

    def fill(
        self,
        archive: Archive,
        described: Described,
        report: Report | None,
    ) -> Exported:
        """Writes all files and, last, the metadata."""
        digest = archive.config_digest
        config = self._store.get(digest)
        _compare("the configuration", digest, digests.config_blob_digest(config))
        self._write("configuration.json", config, "Configuration", "application/json", digest)
        models, absent = self._models(archive)
        self._write("events.csv", csv_text(archive.events, EventRow).encode(), "Events", "text/csv")
        write_parquet(self.folder / "events.parquet", archive.events, EventRow)
        self._add("events.parquet", "Events", "application/vnd.apache.parquet")
        if report is not None:
            self._write("report.json", report.to_bytes(), "Signed report", "application/json")
            page = as_html(report).encode()
            self._write("report.html", page, "The report, to read", "text/html")
        described = _completed(described, archive, json.loads(config)["name"], absent)
        last = archive.events[-1].time if archive.events else datetime.fromtimestamp(0, UTC)
        content = metadata(archive, described, self._files, models, last)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (self.folder / METADATA).write_bytes(text.encode())
        return Exported(files=(METADATA, *(one.path for one in self._files)), absent=tuple(absent))

    def _models(self, archive: Archive) -> tuple[dict[bytes, str], list[int]]:
        """Path of each model by digest, and the rounds whose models the store lacks."""
        wanted = [(0, archive.initial_model_digest)] + [
            (one.number, one.finalisation.model_digest)
            for one in archive.rounds
            if one.finalisation is not None
        ]
        paths: dict[bytes, str] = {}
        absent = []
        for number, digest in wanted:
            if digest in paths:  # a round that changed nothing
                continue
            what = f"Model of round {number}" if number else "Initial model"
            try:
                blob = self._store.get(digest)
            except BlobMissing:
                absent.append(number)
                continue
            _compare(what, digest, digests.model_digest(blob))
            path = f"models/round-{number}.safetensors" if number else "models/initial.safetensors"
            state.save(self.folder / path, state.from_canonical(blob))
            (self.folder / path).chmod(0o644)
            self._add(path, what, "application/octet-stream", digest)
            paths[digest] = path
        return paths, absent

    def _write(
        self, path: str, content: bytes, name: str, kind: str, digest: bytes | None = None
    ) -> None:
        (self.folder / path).write_bytes(content)
        self._add(path, name, kind, digest)

    def _add(self, path: str, name: str, kind: str, digest: bytes | None = None) -> None:
        size = (self.folder / path).stat().st_size
        identifier = "" if digest is None else "0x" + digest.hex()
        self._files.append(
            Stored(path=path, name=name, kind=kind, size=size, identifier=identifier)
        )


def _compare(what: str, expected: bytes, found: bytes) -> None:
    if found != expected:
        raise VerificationError(
            f"{what} in the store is not the one of the chain, 0x{expected.hex()}: see "
            "`ddcai audit verify`"
        )


def _completed(described: Described, archive: Archive, name: str, absent: list[int]) -> Described:
    """With a name and a description, and with what is not there."""
    finalised = len(archive.finalised())
    text = described.description or (
        f"Federated learning by the contract {archive.contract} on chain {archive.chain_id}: "
        f"the models of {finalised} rounds, the configuration, and all events of the chain. "
        "Updates were encrypted and are not part of it."
    )
    if absent:
        rounds = ", ".join("the start" if one == 0 else f"round {one}" for one in absent)
        text += f" Models that the store did not hold are left out: {rounds}."
    return replace(described, name=described.name or f"Federation {name}", description=text)


def _pack(folder: Path, target: Path) -> None:
    """A ZIP whose bytes follow from the files alone: sorted, without times, not compressed."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_TIME)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
