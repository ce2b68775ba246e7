"""What the documents show is true: commands run, options exist, links lead somewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import typer

from ddcai.assessment.configuration import Assessment
from ddcai.cli.app import app
from ddcai.cli.processes import free_port, program_folder
from ddcai.configuration import (
    Aggregation,
    Encryption,
    Feature,
    FederationConfig,
    Model,
    Task,
    Training,
)
from ddcai.data.loading import load
from ddcai.models.encoder import build, encode
from ddcai.privacy.configuration import Privacy

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "ddcai/data/sets/*/*.md")
    for path in ROOT.glob(pattern)
)

# Lines of `sh` blocks that the session below leaves out, and what runs them instead.
NOT_RUN = {
    "make demo": "installs; its recipe is `ddcai demo`, which tests/test_wheel.py runs",
    "make test": "is what runs this test",
    "python3 -m venv .venv": "tests/test_wheel.py makes and fills an environment of its own",
    ". .venv/bin/activate": "as above",
    "python -m pip install -c constraints.txt '.[fast]'": "as above, without downloading",
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SESSION_TIMEOUT_S = 900


def _blocks(path: Path, language: str) -> list[str]:
    return [
        text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language
    ]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _without_comment(line: str) -> str:
    return re.sub(r"\s+# .*", "", line).strip()


def _session(path: Path) -> str:
    """All `sh` blocks of a document, in order, as one script."""
    lines = "".join(_blocks(path, "sh")).splitlines()
    return "\n".join(line for line in lines if _without_comment(line) not in NOT_RUN)


def _environment() -> dict[str, str]:
    """A new user's: no settings of ours, and this installation's programs."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DDCAI_", "ETH_", "FLWR_", "PYTEST_"))
    }
    return clean | {"PATH": os.pathsep.join([str(program_folder()), clean["PATH"]])}


@pytest.mark.slow
def test_the_readme_s_session_runs_as_it_is_shown(tmp_path: Path) -> None:
    """Ports that are free, and one round in place of two; nothing else is changed."""
    chain, link = free_port(), free_port()
    script = _session(ROOT / "README.md")
    for shown, used, times in (
        ("ddcai chain >", f"ddcai chain --port {chain} >", 1),
        ("--label target", f"--label target --superlink 127.0.0.1:{link}", 1),
        ("--role keyholder", f"--role keyholder --superlink 127.0.0.1:{link}", 1),
        ("--rounds 2", f"--rounds 1 --port {link}", 1),
        ("audit round 2", "audit round 1", 1),
    ):
        assert script.count(shown) == times, f"README.md no longer shows {shown!r}"
        script = script.replace(shown, used)
    process = subprocess.Popen(
        ["bash", "-c", f"set -eo pipefail\n{script}"],
        cwd=tmp_path,
        env=_environment() | {"ETH_RPC_URL": f"http://127.0.0.1:{chain}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=SESSION_TIMEOUT_S)
    finally:
        # What a failed session leaves behind: its own group of processes, made above.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    logs = "\n".join(f"{path.name}:\n{path.read_text()}" for path in tmp_path.glob("*.log"))
    assert process.returncode == 0, said + logs
    assert "finished:completed" in said
    assert " PASS, 0 FAIL, 0 MISSING, 0 SKIPPED" in said
    assert said.count("quorum signed the result") == 1
    assert said.count("expected 2 of 3 holders of epoch 1, found 2 of 3 signed") == 1
    predictions = re.findall(r"│ +\d+ │ (?:healthy|disease) .*", said)
    assert len(predictions) == 6
    assert predictions[:3] == predictions[3:]
    assert (tmp_path / "run" / "model.safetensors").exists()
    # The lesson: what the model said before and after it, and the deposit, which came back.
    lesson = said[said.index("a SparsePerceptron") :]
    assert re.findall(r"│ +1 │ (ham|spam) +│ +0 │", lesson) == ["ham", "spam"]
    assert "dry run: nothing was sent" in lesson
    assert len(re.findall(r"│ +1 │ refund │ .* │ yes │", lesson)) == 2
    assert re.search(r"^withdrew [\d.]+ ETH$", lesson, re.MULTILINE)
    assert (tmp_path / "taught.npz").exists()


def test_the_other_sessions_run_as_they_are_shown() -> None:
    """Documents of an example are run in its folder."""
    for path in DOCUMENTS:
        if path == ROOT / "README.md":
            continue
        for line in _session(path).splitlines():
            done = subprocess.run(
                ["bash", "-c", line], cwd=path.parent, env=_environment(), capture_output=True
            )
            # diff says by 1 that it found what it was asked for
            assert done.returncode == (1 if line.startswith("diff ") else 0), (_name(path), line)
            assert done.stdout


def test_lines_that_are_not_run_are_there_and_covered() -> None:
    shown = {
        _without_comment(line)
        for path in DOCUMENTS
        for block in _blocks(path, "sh")
        for line in block.splitlines()
    }
    assert set(NOT_RUN) <= shown
    for target, recipe in (("demo", "ddcai demo"), ("test", "-m pytest")):
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert recipe in done.stdout


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Every ``ddcai ...`` that a document shows in a block, as words."""
    for path in DOCUMENTS:
        for language in ("sh", "console"):
            for block in _blocks(path, language):
                text = block.replace("\\\n", " ")
                for line in text.splitlines():
                    line = re.sub(r"^[$>] ?", "", _without_comment(line)).rstrip("&; ")
                    line = re.sub(r"\$\(([^)]*)\)", "X", line)
                    if line.strip().startswith("ddcai"):
                        yield _name(path), shlex.split(re.sub(r"2?>\s*\S+", "", line))[1:]


def test_every_command_that_is_shown_has_these_options() -> None:
    """For blocks with placeholders, which cannot be run."""
    root = typer.main.get_command(app)
    found = list(_commands())
    assert len(found) > 20
    for where, words in found:
        command: click.Command = root
        rest = list(words)
        while isinstance(command, click.Group):
            assert rest, (where, words)
            command = command.commands[rest.pop(0)]
        options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
        for word in rest:
            if word.startswith("-"):
                assert word.split("=")[0] in options, (where, words)


def test_every_command_is_documented() -> None:
    def leaves(command: click.Command, name: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for inner, one in command.commands.items():
                yield from leaves(one, f"{name} {inner}")
        else:
            yield name

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in leaves(typer.main.get_command(app), "ddcai"):
        assert f"`{name}`" in text, name


SECTIONS: dict[str, Any] = {
    "## Top level": FederationConfig,
    "## `[task]`": Task,
    "### `[[task.features]]`": Feature,
    "## `[model]`": Model,
    "## `[training]`": Training,
    "## `[aggregation]`": Aggregation,
    "## `[encryption]`": Encryption,
    "## `[assessment]`": Assessment,
    "## `[privacy]`": Privacy,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_is_documented(heading: str) -> None:
    """In the table of its section, with its default."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    [section] = [
        part for part in re.split(r"^(?=##)", text, flags=re.MULTILINE) if part.startswith(heading)
    ]
    rows = [line.split("|")[1:] for line in section.splitlines() if line.startswith("| `")]
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    fields = dataclasses.fields(SECTIONS[heading])
    assert sorted(documented) == sorted(field.name for field in fields)
    for field in fields:
        if isinstance(field.default, int | float | str):
            [row] = [row for row in rows if f"`{field.name}`" in row[0]]
            number = isinstance(field.default, float)
            shown = f"{field.default:g}" if number else str(field.default) or '""'
            assert shown in row[1], field.name


def test_the_entry_points_of_the_documents_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets, data = _blocks(ROOT / "docs" / "configuration.md", "python")
    (tmp_path / "hospital_doc").mkdir()
    for name, text in (("__init__", ""), ("nets", nets), ("data", data)):
        (tmp_path / "hospital_doc" / f"{name}.py").write_text(text)
    (tmp_path / "site.csv").write_text("0.5,-1,0\n0.25,1,1\n-1,0,1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    column = {"kind": "numeric", "low": -1, "high": 1}
    task = {
        "label": "y",
        "classes": ["no", "yes"],
        "features": [column | {"name": "a"}],
        "dataset": "hospital_doc.data:load",
    }
    document = {"name": "doc", "task": task, "model": {"entry_point": "hospital_doc.nets:make"}}
    config = FederationConfig.from_json(document)
    x, y = load(tmp_path / "site.csv", config)
    assert y.tolist() == [0, 1, 1]
    assert encode(build(config), x).shape == (3, 8)
    assert np.abs(encode(build(config), x)).max() <= 1


def test_links_lead_to_files() -> None:
    for path in DOCUMENTS:
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            if link.startswith(("http://", "https://")):
                continue
            file, _, heading = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), (_name(path), link)
            if heading:
                titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {
                    re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
                }
                assert heading in slugs, (_name(path), link)


def test_no_file_names_a_machine() -> None:
    """Neither paths of somebody's machine nor hosts of package registries."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    own = re.compile(
        rb"/(?:home|root|Users|work)/\w\w|registry\.npmjs|pypi\.org|pythonhosted|"
        rb"download\.pytorch|--index-url|--find-links"
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path != Path(__file__):
            assert own.search(path.read_bytes()) is None, name


def test_python_is_the_documented_one() -> None:
    assert (3, 11) <= sys.version_info[:2] <= (3, 13)
