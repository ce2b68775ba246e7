"""Commands on a real federation: chain, contracts, key files, blobs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from click.testing import CliRunner, Result

from ddcai.cli.app import app
from ddcai.rounds.party import Settings
from tests.federation import COLUMNS, SmallFederation, make_federation, play_chain, small_data

VARIABLES = (
    "ETH_RPC_URL",
    "ETH_KEYSTORE",
    "ETH_PASSWORD",
    "DDCAI_STORE",
    "DDCAI_DEPLOYMENT",
    "DDCAI_HEAD",
    "DDCAI_INDEX",
    "DDCAI_BLS_KEY",
    "DDCAI_ENCRYPTION_KEY",
    "DDCAI_STATE",
)
DEPOSIT_WEI = 10**15


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Its result."""
        return json.loads(self.stdout)


Ddcai = Callable[..., Answer]


@cache
def command() -> click.Command:
    """All of `ddcai`, built once: building the tree takes 0.3 s, which typer's runner pays anew
    for each command that it runs."""
    return typer.main.get_command(app)


def invoke(arguments: Sequence[str]) -> Result:
    """What a command came to in this process."""
    return CliRunner().invoke(command(), arguments)


@pytest.fixture
def ddcai(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ddcai:
    """Runs a command in this process, in a folder of its own, without inherited settings."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        result = invoke([str(one) for one in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """A chain for all federations of this process."""
    with play_chain() as chain:
        yield chain.url


@pytest.fixture(scope="session")
def federation(
    tmp_path_factory: pytest.TempPathFactory, chain_url: str
) -> Iterator[SmallFederation]:
    """Three contributors, one finished round; nobody may write to its chain or store."""
    folder = tmp_path_factory.mktemp("federation")
    with make_federation(folder, url=chain_url, deposit_wei=DEPOSIT_WEI) as made:
        made.run_round()
        yield made


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A password file."""
    path = tmp_path / "password"
    path.write_text("open sesame\n")
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A contributor's file."""
    return write_site(tmp_path / "site.csv", 0)


def write_site(path: Path, index: int, *, examples: int = 48) -> Path:
    """Writes a contributor's data as CSV."""
    x, y = small_data(index, examples)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "ill"])
        for row, label in zip(x[:, ::2], y, strict=True):
            writer.writerow([*(f"{value:.6f}" for value in row), ("no", "yes")[label]])
    return path


def as_options(settings: Settings, *names: str) -> list[str]:
    """A party's settings as options; those named, or all that `ddcai client` takes."""
    chosen = settings.to_mapping()
    return [
        part
        for name, value in chosen.items()
        if not names or name in names
        for part in (f"--{name}", value)
    ]


def assert_refused(answer: Answer, *parts: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that has every part."""
    assert answer.code == 2, answer.stderr
    assert answer.stdout == ""
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), answer.stderr
    for part in parts:
        assert part in last
