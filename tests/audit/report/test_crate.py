"""The RO-Crate: what the specification demands of it, and that it holds what the chain says."""

from __future__ import annotations

import csv
import json
import re
import shutil
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from eth_account.signers.local import LocalAccount

from ddcai.audit.history import History
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger
from ddcai.audit.ledger.archive import Archive
from ddcai.audit.report.crate import Exported, export
from ddcai.audit.report.crate_graph import Author, Described
from ddcai.audit.report.signed import Report, sign_report
from ddcai.chain.node.connection import Connection
from ddcai.errors import BlobMissing, ConfigurationError, VerificationError
from ddcai.models import state
from ddcai.store import Store
from tests.federation import SmallFederation

STRANGER = "0x000000000000000000000000000000000000dEaD"
ADA = Author(name="Ada Lovelace", url="https://orcid.org/0000-0002-1825-0097")
DESCRIBED = Described(
    name="", description="", licence="CC-BY-4.0", authors=(ADA, Author(name="Site of the north"))
)


@pytest.fixture(scope="session")
def archive(
    tmp_path_factory: pytest.TempPathFactory, audited: SmallFederation, w3: Connection
) -> Archive:
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with Index(path, writable=True) as writer:
        Sync(writer, w3, audited.deployment.federation).run()
    with Ledger.open(path) as ledger:
        return ledger.archive()


@pytest.fixture(scope="session")
def crate(
    tmp_path_factory: pytest.TempPathFactory,
    archive: Archive,
    audited: SmallFederation,
    report: Report,
) -> Path:
    """With everything that can be in it."""
    folder = tmp_path_factory.mktemp("crates") / "crate"
    exported = export(archive, audited.store, folder, DESCRIBED, report)
    assert exported.absent == ()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def graph(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / "ro-crate-metadata.json").read_text())
    return {entity["@id"]: entity for entity in content["@graph"]}


def links(value: Any) -> list[str]:
    """What an entity's properties refer to."""
    if isinstance(value, list):
        return [target for one in value for target in links(one)]
    if isinstance(value, dict):
        return [value["@id"]]
    return []


def check_rules(folder: Path) -> None:
    """The MUSTs of RO-Crate 1.2 that concern an attached crate of files."""
    content = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    assert set(content) == {"@context", "@graph"}
    assert content["@context"] == "https://w3id.org/ro/crate/1.2/context"
    entities = content["@graph"]
    ids = [entity["@id"] for entity in entities]
    assert len(set(ids)) == len(ids)
    by_id = dict(zip(ids, entities, strict=True))
    for entity in entities:
        assert entity["@type"]
        for value in entity.values():  # flat: an object in a property is a reference alone
            for one in value if isinstance(value, list) else [value]:
                assert isinstance(one, str) or set(one) == {"@id"}
    descriptor = by_id["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    root = by_id[descriptor["about"]["@id"]]
    assert (root["@id"], root["@type"]) == ("./", "Dataset")
    assert root["name"]
    assert root["description"]
    assert datetime.strptime(root["datePublished"], "%Y-%m-%d")
    assert by_id[root["license"]["@id"]]["@type"] == "CreativeWork"
    # Every file is described, reachable from the root, and there; its path is an encoded URI.
    described = {entity["@id"] for entity in entities if entity["@type"] == "File"}
    assert described == set(links(root["hasPart"]))
    there = set(files(folder)) - {"ro-crate-metadata.json"}
    assert {unquote(one) for one in described} == there
    for one in described:
        assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", one)
        assert not one.startswith(("/", "."))
        assert int(by_id[one]["contentSize"]) == (folder / unquote(one)).stat().st_size
    # No reference inside the crate leads nowhere, and nothing is described that nobody names.
    named = {target for entity in entities for value in entity.values() for target in links(value)}
    statuses = {target for target in named if target.startswith("http://schema.org/")}
    outside = {"https://w3id.org/ro/crate/1.2"} | statuses
    assert named - outside <= set(ids)
    assert set(ids) - named == {"ro-crate-metadata.json"}


def test_it_keeps_the_specification_s_rules(crate: Path) -> None:
    check_rules(crate)


def test_models_and_configuration_are_those_of_the_chain(crate: Path, history: History) -> None:
    entities = graph(crate)
    assert json.loads((crate / "configuration.json").read_bytes())["name"] == "small"
    wanted = {"models/initial.safetensors": history.initial_model_digest}
    for round_ in history.finalised():
        assert round_.finalisation is not None
        wanted[f"models/round-{round_.number}.safetensors"] = round_.finalisation.model_digest
    assert set(wanted) == {name for name in files(crate) if name.startswith("models/")}
    for name, digest in wanted.items():
        state.load(crate / name, expected_digest=digest)
        assert entities[name]["identifier"] == "0x" + digest.hex()


def test_all_events_are_there_twice(crate: Path, archive: Archive, history: History) -> None:
    with (crate / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(crate / "events.parquet").to_pylist()
    assert len(rows) == len(table) == len(archive.events) > 20
    sealed = [row for row in rows if row["name"] == "RoundSealed"]
    round_ = history.round(1)
    assert round_ is not None
    assert round_.sealing is not None
    arguments = json.loads(sealed[0]["arguments"])
    assert arguments["sumDigest"] == "0x" + round_.sealing.sum_digest.hex()
    assert arguments["members"] == [7]
    assert [row["tx_hash"] for row in rows] == [row["tx_hash"] for row in table]
    places = [(int(row["block_number"]), int(row["log_index"])) for row in rows]
    assert places == sorted(places)


def test_who_made_which_model_out_of_which(
    crate: Path, audited: SmallFederation, history: History
) -> None:
    entities = graph(crate)
    north, south, east = audited.addresses
    coordinator = audited.coordinator.party.address
    first, second, third, fourth = (entities[f"#round-{number}"] for number in range(1, 5))
    assert links(first["object"]) == ["models/initial.safetensors"]
    assert links(first["result"]) == links(second["object"]) == ["models/round-1.safetensors"]
    assert links(second["result"]) == ["models/round-2.safetensors"]
    assert links(first["agent"]) == [f"#{one}" for one in (coordinator, north, south, east)]
    # South's update was never sealed, so that it had no part in the second model.
    assert links(second["agent"]) == [f"#{one}" for one in (coordinator, north, east)]
    assert "result" not in third
    assert third["error"] == "the round was cancelled"
    assert [one["actionStatus"]["@id"].rsplit("/")[-1] for one in (first, third, fourth)] == [
        "CompletedActionStatus",
        "FailedActionStatus",
        "ActiveActionStatus",
    ]
    round_ = history.round(1)
    assert round_ is not None
    assert round_.finalisation is not None
    # Two blocks of a trial chain can be of one second.
    for name, step in (("startTime", round_.opened), ("endTime", round_.finalisation.step)):
        assert datetime.fromisoformat(first[name]) == step.time
    assert first["endTime"] <= second["startTime"]
    assert "endTime" not in fourth
    assert entities[f"#{north}"]["identifier"] == f"eip155:31337:{north}"


def test_licence_and_authors(crate: Path) -> None:
    entities = graph(crate)
    root = entities["./"]
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert links(root["author"]) == [ADA.url, "#author-2"]
    assert entities[ADA.url]["name"] == "Ada Lovelace"
    assert root["name"] == "Federation small"


def test_the_report_goes_with_it(crate: Path, report: Report) -> None:
    assert Report.load(crate / "report.json") == report
    assert (crate / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_the_same_bytes_each_time_in_a_folder_and_a_zip(
    crate: Path,
    tmp_path: Path,
    archive: Archive,
    audited: SmallFederation,
    report: Report,
) -> None:
    given = (archive, audited.store)
    for name in ("one.zip", "two.zip", "folder"):
        export(*given, tmp_path / name, DESCRIBED, report)
    assert files(tmp_path / "folder") == files(crate)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed == files(crate)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "one.zip", "two.zip"]


def test_without_a_report_and_with_hostile_texts(
    tmp_path: Path, archive: Archive, audited: SmallFederation
) -> None:
    hostile = '"}]}, <script>alert(1)</script> \u202e ../../etc/passwd =1+1'
    described = Described(
        name=hostile,
        description=hostile,
        licence="https://example.org/licence",
        authors=(Author(name=hostile.replace("<", "(").replace(">", ")")),),
    )
    export(archive, audited.store, tmp_path / "crate", described)
    check_rules(tmp_path / "crate")
    entities = graph(tmp_path / "crate")
    assert entities["./"]["name"] == hostile
    assert "report.json" not in entities


# What is not there, or not what the chain says.


@pytest.fixture
def copy(audited: SmallFederation, tmp_path: Path) -> Path:
    """A copy of the blobs, to be damaged."""
    return Path(shutil.copytree(audited.store.url, tmp_path / "blobs"))


def exported_from(blobs: Path, archive: Archive, target: Path) -> Exported:
    return export(archive, Store(str(blobs)), target, DESCRIBED)


def test_a_model_that_the_store_lacks_is_left_out(
    copy: Path, archive: Archive, history: History, tmp_path: Path
) -> None:
    first = history.finalised()[0].finalisation
    assert first is not None
    (copy / first.model_digest.hex()).unlink()
    (copy / history.initial_model_digest.hex()).unlink()
    target = tmp_path / "crate"
    assert exported_from(copy, archive, target).absent == (0, 1)
    check_rules(target)
    entities = graph(target)
    assert "left out: the start, round 1." in entities["./"]["description"]
    assert "object" not in entities["#round-1"]
    assert "result" not in entities["#round-1"]


@pytest.mark.parametrize("what", ["configuration", "model"])
def test_a_blob_that_is_not_the_chain_s_is_never_exported(
    copy: Path, archive: Archive, history: History, tmp_path: Path, what: str
) -> None:
    digest = history.rules.config_digest if what == "configuration" else history.model_digest
    path = copy / digest.hex()
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob)
    with pytest.raises(VerificationError, match=f"(?i){what} .*is not the one of the chain"):
        exported_from(copy, archive, tmp_path / "crate")
    assert [path.name for path in tmp_path.iterdir()] == ["blobs"]
    path.unlink()
    if what == "configuration":
        with pytest.raises(BlobMissing):
            exported_from(copy, archive, tmp_path / "crate")


def test_a_report_of_another_federation_or_a_changed_one(
    archive: Archive,
    audited: SmallFederation,
    report: Report,
    auditor: LocalAccount,
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    given = (archive, audited.store, tmp_path / "crate", DESCRIBED)
    foreign = sign_report(
        auditor, report.claims, chain_id=31337, contract=STRANGER, block=report.block
    )
    with pytest.raises(VerificationError, match=f"the report is of {STRANGER}"):
        export(*given, foreign)
    with pytest.raises(VerificationError, match="not that of the auditor"):
        export(*given, replace(report, claims=report.claims[1:]))
    assert not (tmp_path / "crate").exists()


def test_a_folder_that_is_not_empty(
    archive: Archive, audited: SmallFederation, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ConfigurationError, match="is not empty"):
        export(archive, audited.store, tmp_path, DESCRIBED)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Ada", Author(name="Ada")),
        (f"  Ada Lovelace <{ADA.url}> ", ADA),
        ("Ada<http://a.b>", Author(name="Ada", url="http://a.b")),
    ],
)
def test_authors(text: str, author: Author) -> None:
    assert Author.parse(text) == author


@pytest.mark.parametrize("text", ["", "<https://a.b>", "Ada <mail@a.b>", "Ada <", "A <http://[>"])
def test_refuses_authors(text: str) -> None:
    with pytest.raises(ConfigurationError, match="author is"):
        Author.parse(text)


@pytest.mark.parametrize("licence", ["", "CC BY", "javascript:alert(1)", "../x", "https://"])
def test_refuses_licences(licence: str) -> None:
    with pytest.raises(ConfigurationError, match="licence is"):
        Described(name="", description="", licence=licence)


def test_refuses_an_author_given_twice() -> None:
    with pytest.raises(ConfigurationError, match="one URL"):
        Described(name="", description="", licence="MIT", authors=(ADA, ADA))
