"""The wheel: built, installed into an environment of its own, and run far from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What a wheel is made of; the build writes beside it, so it is done on a copy.
SOURCES = ("ddcai", "clients", "coordinator", "pyproject.toml", "README.md", "LICENSE")
NEEDED = (
    "ddcai/py.typed",
    "ddcai/chain/artifacts/Federation.json",
    "ddcai/chain/artifacts/BlsQuorum.json",
    "ddcai/chain/artifacts/EcdsaQuorum.json",
    "ddcai/chain/artifacts/KeyHolders.json",
    "ddcai/chain/artifacts/PerceptronHead.json",
    "ddcai/chain/artifacts/TeachableHead.json",
    "ddcai/chain/artifacts/WindowAssessment.json",
    "ddcai/chain/artifacts/CollaborativeTrainer.json",
    "ddcai/chain/artifacts/PredictionMarket.json",
    "ddcai/chain/artifacts/SelfAssessment.json",
    "ddcai/chain/artifacts/Points.json",
    "ddcai/chain/artifacts/Bounty.json",
    "ddcai/chain/artifacts/DensePerceptron.json",
    "ddcai/chain/artifacts/NaiveBayes.json",
    "ddcai/chain/artifacts/NearestCentroid.json",
    "ddcai/chain/artifacts/SparseNearestCentroid.json",
    "ddcai/chain/artifacts/SparsePerceptron.json",
    "ddcai/dashboard/static/app.js",
    "ddcai/dashboard/static/charts.js",
    "ddcai/dashboard/static/common.js",
    "ddcai/dashboard/static/dom.js",
    "ddcai/dashboard/static/icon.svg",
    "ddcai/dashboard/static/index.html",
    "ddcai/dashboard/static/models.js",
    "ddcai/dashboard/static/money.js",
    "ddcai/dashboard/static/style.css",
    "ddcai/dashboard/static/views.js",
    "ddcai/data/sets/heart-disease/federation.toml",
    "ddcai/data/sets/heart-disease/LICENCE.md",
    "ddcai/data/sets/heart-disease/cleveland.csv",
    "ddcai/data/sets/sms-spam/LICENCE.md",
    "ddcai/data/sets/sms-spam/SMSSpamCollection.txt",
    "clients/app.py",
    "coordinator/app.py",
)


def _run(*command: object, cwd: Path) -> str:
    """Runs a command without this process's own settings of Python; its output."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout's tracked files."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", *SOURCES], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        copy = folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    options = ("--wheel", "--no-isolation", "--outdir", folder / "dist")
    _run(sys.executable, "-m", "build", *options, folder / "source", cwd=folder)
    [built] = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ddcai`` in a fresh environment: the wheel's files, this environment's dependencies.

    A path file lends the dependencies, so that nothing is downloaded. The editable install of
    the checkout works by another path file, which a path file does not pass on.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install")
    _run(*pip, "--no-deps", "--no-index", "--quiet", wheel, cwd=folder)
    [packages] = folder.glob("lib/python*/site-packages")
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)))
    return folder / "bin" / "ddcai"


def test_the_wheel_holds_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(NEEDED) - names == set()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "ddcai",
        "clients",
        "coordinator",
    }


def test_what_is_imported_is_the_wheel_s(program: Path, tmp_path: Path) -> None:
    code = "import clients, coordinator, ddcai; [print(one.__file__) for one in {}]"
    code = code.format("(clients, coordinator, ddcai)")
    found = _run(program.parent / "python", "-c", code, cwd=tmp_path).splitlines()
    assert len(found) == 3
    assert all(Path(path).is_relative_to(program.parent.parent) for path in found)


def test_help_and_version(program: Path, tmp_path: Path) -> None:
    said = _run(program, "--help", cwd=tmp_path)
    for command in ("chain", "account", "keys", "federation", "coordinator", "client", "audit"):
        assert command in said
    assert "0.1.0" in _run(program, "--version", cwd=tmp_path)


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(program: Path, tmp_path: Path) -> None:
    said = _run(program, "demo", "--rounds", "2", cwd=tmp_path)
    assert "Every claim passes." in said
    assert re.search(r"flipper +│ +2 │.*│ forfeited", said)
    assert "FAIL" not in said
    assert list(tmp_path.iterdir()) == []
