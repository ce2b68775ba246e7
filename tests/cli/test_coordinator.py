"""`ddcai coordinator`: what it refuses. That it runs is in `tests/cli/test_whole.py`."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcai.cli.flower_run import write_app
from tests.cli.conftest import Ddcai, as_options, assert_refused
from tests.federation import SmallFederation, make_federation

_TAKES = ("deployment", "rpc-url", "store", "keystore", "password-file")


@pytest.fixture
def options(federation: SmallFederation, tmp_path: Path) -> list[str]:
    """The coordinator's own."""
    given = as_options(federation.trial.coordinator, *_TAKES)
    return [*given, "--output", str(tmp_path / "out")]


def test_another_account_is_refused(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    other = federation.trial.contributors[federation.names[0]]
    answer = ddcai("coordinator", *as_options(other, *_TAKES), "--output", tmp_path / "out")
    assert_refused(answer, federation.addresses[0], "not this federation's coordinator")
    assert not (tmp_path / "out").exists()


def test_too_few_contributors_are_refused(ddcai: Ddcai, chain_url: str, tmp_path: Path) -> None:
    with make_federation(tmp_path / "two", 2, url=chain_url) as two:
        answer = ddcai("coordinator", *as_options(two.trial.coordinator, *_TAKES))
    assert_refused(answer, "2 contributors", "needs 3", "ddcai federation join")


def test_the_store_of_another_federation_is_refused(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    other = dataclasses.replace(federation.trial.coordinator, store=str(tmp_path / "empty"))
    answer = ddcai("coordinator", *as_options(other, *_TAKES))
    assert_refused(answer, "does not hold", federation.contract.model_digest().hex())


def test_bad_test_data_is_refused(ddcai: Ddcai, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("a,b\n1,2\n")
    assert_refused(ddcai("coordinator", *options, "--test-data", "test.csv"), "test.csv", "'ill'")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_port_in_use_is_refused(ddcai: Ddcai, options: list[str], taken: int) -> None:
    answer = ddcai("coordinator", *options, "--port", taken)
    assert_refused(answer, f"port {taken}", "--port", "--superlink")


def test_a_superlink_that_is_not_there_is_refused(ddcai: Ddcai, options: list[str]) -> None:
    answer = ddcai("coordinator", *options, "--superlink", "127.0.0.1:1", "--insecure")
    assert_refused(answer, "127.0.0.1:1", "start it first")


def test_tls_is_whole_or_a_word_says_that_there_is_none(
    ddcai: Ddcai, options: list[str], taken: int
) -> None:
    answer = ddcai("coordinator", *options, "--host", "0.0.0.0")
    assert_refused(answer, "'0.0.0.0'", "--tls-host")
    answer = ddcai("coordinator", *options, "--tls-key", "key.pem")
    assert_refused(answer, "--tls-certificate", "--ca-certificate")
    answer = ddcai("coordinator", *options, "--ca-certificate", "ca.pem", "--insecure")
    assert_refused(answer, "drop it")
    answer = ddcai("coordinator", *options, "--superlink", "127.0.0.1:1", "--tls", "none")
    assert_refused(answer, "none/ca.pem", "--ca-certificate")
    for more, said in ((["--insecure"], "any node may connect"), ([], "clients need")):
        answer = ddcai("coordinator", *options, "--port", taken, *more)
        assert said in answer.stderr
        assert_refused(answer, f"port {taken}")


def test_the_app_carries_the_two_packages_and_the_settings(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", 'store = "/a b"\n')
    for name in ("clients/app.py", "coordinator/app.py", "LICENSE"):
        assert (folder / name).is_file()
    assert 'store = "/a b"' in (folder / "pyproject.toml").read_text()
