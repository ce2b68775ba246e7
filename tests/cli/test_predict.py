"""`ddcai predict`: chain and local twin agree; a wrong model is found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ddcai.models import state
from ddcai.models.state import State
from ddcai.rounds.party import Party
from tests.cli.conftest import Ddcai, assert_refused, write_site
from tests.federation import SmallFederation

JSON = ("--format", "json")
NO_CHAIN = ("--rpc-url", "http://127.0.0.1:1")


@pytest.fixture
def given(federation: SmallFederation, site: Path) -> list[object]:
    """The rows and the federation."""
    return [
        "--data", site, "--deployment", federation.deployment_path,
        "--store", federation.trial.coordinator.store,
    ]  # fmt: skip


@pytest.fixture
def chain(federation: SmallFederation) -> tuple[str, str]:
    return ("--rpc-url", federation.url)


@pytest.fixture
def model(federation: SmallFederation) -> State:
    """The federation's current model."""
    party = Party.connect(federation.trial.coordinator)
    return party.model(party.federation.model_digest())


def test_chain_and_local_give_the_same_answers(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str]
) -> None:
    on_chain = ddcai("predict", *given, *chain, *JSON)
    local = ddcai("predict", *given, *chain, "--local", *JSON)
    assert on_chain.code == local.code == 0
    assert on_chain.json == local.json
    assert len(on_chain.json) == 48
    assert {row["class"] for row in on_chain.json} <= {"no", "yes"}
    assert "class" in ddcai("predict", *given, *chain).stdout


def test_local_needs_no_chain_with_a_model_or_a_digest(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str], model: State, tmp_path: Path
) -> None:
    state.save(tmp_path / "m.safetensors", model)
    expected = ddcai("predict", *given, *chain, *JSON).json
    by_file = ddcai(
        "predict", *given, *NO_CHAIN, "--local", "--model", tmp_path / "m.safetensors", *JSON
    )
    assert by_file.json == expected
    assert state.digest(model).hex() in by_file.stderr
    digest = state.digest(model).hex()
    by_digest = ddcai("predict", *given, *NO_CHAIN, "--local", "--digest", digest, *JSON)
    assert by_digest.json == expected


def test_no_label_column_is_needed(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str], site: Path
) -> None:
    site.write_text("age,dose,pulse,weight\n0.5,0.5,0,0\n-0.5,,0,0\n")
    assert [row["row"] for row in ddcai("predict", *given, *chain, *JSON).json] == [1, 2]


def test_a_model_file_that_does_not_match_the_digest_is_refused(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str], model: State, tmp_path: Path
) -> None:
    other = {name: value + 1 for name, value in model.items()}
    path = tmp_path / "other.safetensors"
    state.save(path, other)
    answer = ddcai("predict", *given, *chain, "--model", path)
    assert_refused(answer, str(path), state.digest(other).hex(), state.digest(model).hex())
    answer = ddcai("predict", *given, "--local", "--model", path, "--digest", "ab" * 32)
    assert_refused(answer, str(path), "ab" * 32)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinite_weights_are_refused(
    ddcai: Ddcai, given: list[object], model: State, tmp_path: Path, value: float
) -> None:
    path = tmp_path / "bad.safetensors"
    state.save(path, model)
    order = '["' + '", "'.join(model) + '"]'
    bad = {name: np.full_like(array, value) for name, array in model.items()}
    save_file(bad, path, {"ddcai.order": order})
    assert_refused(ddcai("predict", *given, "--local", "--model", path), str(path), "finite")


def test_a_damaged_store_is_refused(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str], model: State, tmp_path: Path
) -> None:
    digest = state.digest(model).hex()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / digest).write_bytes(b"other bytes")
    answer = ddcai("predict", *given, *chain, "--store", tmp_path / "store")
    assert_refused(answer, digest, "another copy")
    answer = ddcai("predict", *given, *chain, "--store", tmp_path / "empty")
    assert_refused(answer, digest, "does not hold")


def test_an_unreachable_chain_is_refused(ddcai: Ddcai, given: list[object]) -> None:
    assert_refused(ddcai("predict", *given, *NO_CHAIN), "127.0.0.1:1")


def test_a_missing_column_and_no_rows_are_refused(
    ddcai: Ddcai, given: list[object], chain: tuple[str, str], site: Path
) -> None:
    site.write_text("age,dose,weight\n0,0,0\n")
    assert_refused(ddcai("predict", *given, *chain), str(site), "'pulse'")
    write_site(site, 0, examples=0)
    assert_refused(ddcai("predict", *given, *chain), str(site), "no rows")


@pytest.mark.parametrize("digest", ["12", "zz" * 32])
def test_a_digest_has_64_hex_digits(ddcai: Ddcai, given: list[object], digest: str) -> None:
    answer = ddcai("predict", *given, "--local", "--digest", digest)
    assert_refused(answer, repr(digest), "64 hex digits")


def test_a_digest_is_for_local_alone(ddcai: Ddcai, given: list[object]) -> None:
    assert_refused(ddcai("predict", *given, "--digest", "ab" * 32), "--local")
