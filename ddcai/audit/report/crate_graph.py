"""The metadata of an RO-Crate 1.2 of a federation, as JSON-LD.

https://w3id.org/ro/crate/1.2: a flat list of entities, each with an ``@id`` and a ``@type``; the
first two are the metadata file and the crate itself. Each round is a CreateAction from the model
that it started from to the one that it led to, by the accounts whose updates were sealed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self
from urllib.parse import quote, urlsplit

from ddcai.audit.history import RoundHistory
from ddcai.audit.ledger.archive import Archive
from ddcai.chain.records import RoundState
from ddcai.errors import ConfigurationError

METADATA = "ro-crate-metadata.json"
_CONTEXT = "https://w3id.org/ro/crate/1.2/context"
_PROFILE = "https://w3id.org/ro/crate/1.2"
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_AUTHOR = re.compile(r"([^<>]+?)\s*<(\S+)>")
_SOFTWARE = {"@id": "#ddcai"}
_STATUS = {
    RoundState.FINALIZED: "http://schema.org/CompletedActionStatus",
    RoundState.CANCELLED: "http://schema.org/FailedActionStatus",
}
_ACTIVE = "http://schema.org/ActiveActionStatus"


@dataclass(frozen=True, kw_only=True)
class Author:
    """Whom the archive names as an author; `url`, such as an ORCID iD, may be empty."""

    name: str
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``Name`` or ``Name <https://orcid.org/...>``.

        Raises:
            ConfigurationError: neither.
        """
        found = _AUTHOR.fullmatch(text.strip())
        name, url = found.groups() if found else (text.strip(), "")
        if not name or "<" in name or (found and not _is_url(url)):
            raise ConfigurationError(
                f"author is {text!r}: give a name, or a name and <https://orcid.org/...>"
            )
        return cls(name=name, url=url)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file of the crate.

    Attributes:
        path: from the crate's folder, with ``/``.
        kind: its media type.
        size: in bytes.
        identifier: its digest on chain, where it has one.
    """

    path: str
    name: str
    kind: str
    size: int
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What somebody says of the crate.

    Attributes:
        licence: SPDX identifier or URL of the licence of what is in it.

    Raises:
        ConfigurationError: a licence that is neither, or an author given twice.
    """

    name: str
    description: str
    licence: str
    authors: tuple[Author, ...] = ()

    def __post_init__(self) -> None:
        if not _is_url(self.licence) and not _SPDX.fullmatch(self.licence):
            raise ConfigurationError(
                f"licence is {self.licence!r}: give an SPDX identifier such as CC-BY-4.0, or a URL"
            )
        urls = [one.url for one in self.authors if one.url]
        if len(set(urls)) != len(urls) or self.licence_url in urls:
            raise ConfigurationError("two authors have one URL, or an author the licence's")

    @property
    def licence_url(self) -> str:
        """The licence's address."""
        known = _is_url(self.licence)
        return self.licence if known else f"https://spdx.org/licenses/{self.licence}"


def metadata(
    archive: Archive,
    described: Described,
    files: Sequence[Stored],
    models: Mapping[bytes, str],
    published: datetime,
) -> dict[str, Any]:
    """The content of ``ro-crate-metadata.json``.

    Args:
        models: path of the file of each model that is there, by its digest.
        published: the date that the crate bears.
    """
    people = [_person(number, one) for number, one in enumerate(described.authors, start=1)]
    actions = [_action(archive, round_, models) for round_ in archive.rounds]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": described.name,
        "description": described.description,
        "datePublished": published.astimezone(UTC).strftime("%Y-%m-%d"),
        "license": {"@id": described.licence_url},
        "identifier": _identifier(archive, archive.contract),
        "hasPart": [_link(_path_id(one.path)) for one in files],
        "mentions": [_link(action["@id"]) for action in actions],
    }
    if people:
        root["author"] = [_link(person["@id"]) for person in people]
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _PROFILE},
    }
    licence = {
        "@id": described.licence_url,
        "@type": "CreativeWork",
        "name": described.licence,
    }
    software = {
        **_SOFTWARE,
        "@type": "SoftwareApplication",
        "name": "ddcai",
        "softwareVersion": version("ddcai"),
    }
    accounts = [_account(archive, one) for one in _accounts(archive.rounds)]
    entities = [descriptor, root, *map(_file, files), licence, *people, software]
    return {"@context": _CONTEXT, "@graph": [*entities, *accounts, *actions]}


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and " " not in text


def _link(target: str) -> dict[str, str]:
    return {"@id": target}


def _path_id(path: str) -> str:
    return quote(path)


def _file(stored: Stored) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "@id": _path_id(stored.path),
        "@type": "File",
        "name": stored.name,
        "encodingFormat": stored.kind,
        "contentSize": str(stored.size),
    }
    return entity | ({"identifier": stored.identifier} if stored.identifier else {})


def _person(number: int, author: Author) -> dict[str, Any]:
    return {"@id": author.url or f"#author-{number}", "@type": "Person", "name": author.name}


def _identifier(archive: Archive, address: str) -> str:
    """An account of a chain, by CAIP-10."""
    return f"eip155:{archive.chain_id}:{address}"


def _account(archive: Archive, address: str) -> dict[str, Any]:
    return {
        "@id": f"#{address}",
        "@type": "Organization",
        "name": address,
        "identifier": _identifier(archive, address),
    }


def _accounts(rounds: Iterable[RoundHistory]) -> list[str]:
    """Everybody who had a part in a round, each once."""
    found: dict[str, None] = {}
    for round_ in rounds:
        found |= dict.fromkeys(_agents(round_))
    return list(found)


def _agents(round_: RoundHistory) -> list[str]:
    """Who opened a round, and whose updates its model is made of."""
    return list(dict.fromkeys([round_.opened.by, *(one.address for one in round_.sealed)]))


def _action(archive: Archive, round_: RoundHistory, models: Mapping[bytes, str]) -> dict[str, Any]:
    final, cancelled = round_.finalisation, round_.cancelled
    action: dict[str, Any] = {
        "@id": f"#round-{round_.number}",
        "@type": "CreateAction",
        "name": f"Round {round_.number} of federation {archive.contract}",
        "startTime": _time(round_.opened.time),
        "actionStatus": _link(_STATUS.get(round_.state, _ACTIVE)),
        "instrument": _SOFTWARE,
        "agent": [_link(f"#{address}") for address in _agents(round_)],
    }
    base = models.get(round_.base_model_digest)
    if base is not None:
        action["object"] = [_link(_path_id(base))]
    if cancelled is not None:
        action |= {"endTime": _time(cancelled.time), "error": "the round was cancelled"}
    if final is not None:
        action["endTime"] = _time(final.step.time)
        action["identifier"] = final.step.tx_hash
        if final.model_digest in models:
            action["result"] = [_link(_path_id(models[final.model_digest]))]
    return action


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
