"""`ddcai federation root-set`, and what a deployed federation makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ddcai.chain.records import WindowRules
from ddcai.models.anchor import read_root_set, root_set_from_blob
from tests.cli.conftest import Ddcai, as_options, assert_refused, write_site
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG, ROOT_X, ROOT_Y

TOML = """
name = "small"
[task]
label = "ill"
classes = ["no", "yes"]
[[task.features]]
name = "age"
kind = "numeric"
low = -1
[[task.features]]
name = "dose"
kind = "numeric"
low = -1
[[task.features]]
name = "pulse"
kind = "numeric"
low = -1
[[task.features]]
name = "weight"
kind = "numeric"
low = -1
[aggregation]
weighting = "uniform"
[encryption]
parameter_set = "bfv-8192-2x30"
"""
JUDGED = TOML + "[assessment]\nwindow = 2\n"
_TAKES = ("deployment", "rpc-url", "store", "keystore", "password-file")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that waits for its root set."""
    path = tmp_path / "federation.toml"
    path.write_text(JUDGED)
    return path


def test_a_root_set_becomes_a_file_and_a_commitment(
    ddcai: Ddcai, tmp_path: Path, config: Path
) -> None:
    data, out = write_site(tmp_path / "public.csv", 7, examples=120), tmp_path / "root-set.bin"
    made = ddcai(
        "federation", "root-set", "--config", config, "--data", data, "--out", out, "--format",
        "json",
    )  # fmt: skip
    assert made.code == 0, made.stderr
    x, y = root_set_from_blob(read_root_set(out))
    assert made.json["samples"] == len(x) == 120
    assert made.json["class yes"] == int(y.sum())
    again = ddcai("federation", "root-set", "--config", config, "--data", data, "--out", out)
    assert_refused(again, str(out), "another --out")
    # What it prints is what a configuration takes, and what it finds again.
    config.write_text(JUDGED + f'root_set = "{made.json["root_set"]}"\n')
    more = ("--data", data, "--out", tmp_path / "second.bin")
    assert "note" not in ddcai("federation", "root-set", "--config", config, *more).stderr
    config.write_text(JUDGED + f'root_set = "{"00" * 32}"\n')
    more = ("--data", data, "--out", tmp_path / "third.bin")
    assert "another root set" in ddcai("federation", "root-set", "--config", config, *more).stderr


def test_what_could_not_judge_is_refused(ddcai: Ddcai, tmp_path: Path, config: Path) -> None:
    out = tmp_path / "root-set.bin"
    few = write_site(tmp_path / "few.csv", 7, examples=20)
    where = ("--config", config, "--out", out)
    assert_refused(ddcai("federation", "root-set", "--data", few, *where), "20 samples", "least 50")
    one = tmp_path / "one.csv"
    header, *lines = write_site(tmp_path / "many.csv", 7, examples=400).read_text().splitlines()
    ill = [line for line in lines if line.endswith("yes")]
    one.write_text("\n".join([header, *ill, *[x for x in lines if x not in ill][:9]]) + "\n")
    assert_refused(ddcai("federation", "root-set", "--data", one, *where), "samples a class")
    config.write_text(TOML)
    assert_refused(ddcai("federation", "root-set", "--data", one, *where), "[assessment]")
    assert not out.exists()


def test_a_coordinator_has_the_root_set_or_does_not_start(
    ddcai: Ddcai, tmp_path: Path, chain_url: str, federation: SmallFederation
) -> None:
    windows = WindowRules(window_rounds=2, bond_wei=7, dispute_period_s=11)
    with make_federation(
        tmp_path / "judged", url=chain_url, config=CONFIG, windows=windows
    ) as made:
        own = (*as_options(made.trial.coordinator, *_TAKES), "--output", tmp_path / "out")
        assert_refused(ddcai("coordinator", *own), "root-set is not set")
        nonsense = tmp_path / "root-set.bin"
        nonsense.write_bytes(b"nonsense")
        assert_refused(
            ddcai("coordinator", *own, "--root-set", nonsense), "no root set", "root-set"
        )
        assert_refused(ddcai("coordinator", *own, "--root-set", tmp_path / "no"), "cannot read")
        where = ("--deployment", made.deployment_path, "--rpc-url", made.url, "--format", "json")
        shown = ddcai("federation", "show", *where).json
        assert shown["assessment"] == made.contract.rules().assessment
        expected = dataclasses.asdict(windows)
        assert {name: shown[name] for name in expected} == expected
    unjudged = as_options(federation.trial.coordinator, *_TAKES)
    from ddcai.models.anchor import root_set_to_blob

    nonsense.write_bytes(root_set_to_blob(ROOT_X, ROOT_Y))
    refused = ddcai("coordinator", *unjudged, "--root-set", nonsense, "--output", tmp_path / "out")
    assert_refused(refused, "judges by none")
    assert not (tmp_path / "out").exists()
