"""The container files and units of docs/deploy: their commands exist, and they give away little.

No image is built here: what is checked is what the files say.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from ddcai.cli import config, config_file
from ddcai.cli.app import app
from tests.cli.test_app import COMMANDS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
SECTIONS = config.sections(typer.main.get_command(app))
_SECRET = re.compile(r"password|secret|token|private|mnemonic", re.IGNORECASE)
_PATHS = ("ETH_PASSWORD", "ETH_KEYSTORE", "DDCAI_BLS_KEY", "DDCAI_ENCRYPTION_KEY")
_STATED = {
    "NoNewPrivileges": "yes",
    "DynamicUser": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "UMask": "0077",
    "LimitCORE": "0",
    "StateDirectoryMode": "0700",
}
VARIABLES = {
    name
    for command in COMMANDS.values()
    for option in command.params
    if isinstance(option, click.Option)
    for name in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or [])
}


def instructions(text: str) -> list[tuple[str, str]]:
    """A Containerfile's instructions, continued lines joined."""
    lines = [one for one in text.splitlines() if not one.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(one.split(" ", 1)[0], one.split(" ", 1)[1]) for one in joined.splitlines() if one]


def container_faults(text: str) -> list[str]:
    """What a Containerfile must not do."""
    steps, found = instructions(text), []
    for name, rest in steps:
        image = rest.split()[0]
        if name == "FROM" and (":" not in image.split("/")[-1] or image.endswith(":latest")):
            found.append(f"{image} has no version")
        if name == "ADD":
            found.append("ADD downloads and unpacks: COPY does not")
        if name in ("ENV", "ARG") and _SECRET.search(rest):
            found.append(f"a secret in the image: {rest}")
        if name == "COPY" and "--from" not in rest:
            sources = rest.split()[:-1]
            found += [f"{one} is not there" for one in sources if not (ROOT / one).exists()]
        if name in ("ENTRYPOINT", "CMD") and not rest.startswith("["):
            found.append(f"{name} runs a shell, which takes the signals")
        if name == "RUN" and "pip install" in rest and "-c constraints.txt" not in rest:
            found.append("packages of any version")
    users = [rest for name, rest in steps if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        found.append("runs as root, or as a user by name")
    return found


def test_the_container_file_has_no_fault() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert container_faults(text) == []
    steps = dict(instructions(text))
    assert steps["ENTRYPOINT"] == '["ddcai"]'
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"  # what is not named stays out of the image: keys, data, .git
    for name, rest in instructions(text):
        if name == "COPY" and "--from" not in rest:
            assert {f"!{one}" for one in rest.split()[:-1]} <= set(ignored)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (":3.11-slim-bookworm", ""),
        (":3.11-slim-bookworm", ":latest"),
        ("USER 10001:10001", "USER root"),
        ("USER 10001:10001", "USER 0:0"),
        ("USER 10001:10001\n", ""),
        ("COPY ddcai ddcai", "ADD https://example.org/a.tar.gz ddcai"),
        ("COPY ddcai ddcai", "COPY ddkai ddcai"),
        ("ENV ", "ENV DB_PASSWORD=1 "),
        ('ENTRYPOINT ["ddcai"]', "ENTRYPOINT ddcai"),
        ("-c constraints.txt ", ""),
    ],
)
def test_a_planted_fault_of_the_container_file_is_found(old: str, new: str) -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert old in text
    assert container_faults(text.replace(old, new))


def command_faults(words: list[str]) -> list[str]:
    """What is wrong with the words of a ddcai command."""
    command = COMMANDS.get(f"ddcai {words[0]}")
    if command is None:
        return [f"{words[0]} is no command"]
    known = {name for one in command.params for name in one.opts}
    return [one for one in words[1:] if one.startswith("-") and one not in known]


def variable_faults(name: str, value: str) -> list[str]:
    """A variable that nothing reads, or one with a secret in it."""
    if name not in VARIABLES and name != config_file.VARIABLE:
        return [f"nothing reads {name}"]
    if name in _PATHS and not value.startswith(("/", "%d/")):
        return [f"{name} is no path"]
    return []


def compose_faults(document: dict[str, Any]) -> list[str]:
    """What a composition must not do."""
    found = []
    for name, one in document["services"].items():
        found += command_faults(one["command"])
        for variable, value in one["environment"].items():
            found += variable_faults(variable, value)
        hard = one.get("read_only") is True and one.get("cap_drop") == ["ALL"]
        if not hard or one.get("security_opt") != ["no-new-privileges:true"]:
            found.append(f"{name} may do more than it must")
        if one.get("privileged") or one.get("network_mode") == "host" or "user" in one:
            found.append(f"{name} is not kept apart")
        if one["image"].endswith(":latest") or ":" not in one["image"]:
            found.append(f"{one['image']} has no version")
        public = [port for port in one["ports"] if not port.startswith("127.0.0.1:")]
        if public != (["9191:9191"] if name == "coordinator" else []):
            found.append(f"{name} is open to others: {public}")
        found += [
            f"no secret {one}" for one in one.get("secrets", ()) if one not in document["secrets"]
        ]
        for volume in one["volumes"]:
            source, _, rest = volume.partition(":")
            if source.startswith(".") and not rest.endswith(":ro"):
                found.append(f"{name} could write {source}")
            elif not source.startswith(".") and source not in document["volumes"]:
                found.append(f"no volume {source}")
    return found


def test_the_composition_has_no_fault() -> None:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose_faults(document) == []
    assert set(document["services"]) == {"coordinator", "client", "dashboard"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("read_only: true", "read_only: false"),
        ("cap_drop: [ALL]", "cap_drop: []"),
        ("no-new-privileges:true", "no-new-privileges:false"),
        ("  init: true", "  privileged: true"),
        ("ddcai:0.1.0", "ddcai:latest"),
        ("127.0.0.1:8765:8765", "8765:8765"),
        ("./data:/srv/data:ro", "./data:/srv/data"),
        ("[client, ", "[klient, "),
        ("--metrics-port", "--metric-port"),
        ("DDCAI_LOG_FORMAT", "DDCAI_LOGS"),
        ("DDCAI_LOG_FORMAT: json", "ETH_PASSWORD: hunter2"),
        ("  client-bls-key:", "  client-other-key:"),
    ],
)
def test_a_planted_fault_of_the_composition_is_found(old: str, new: str) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert old in text
    assert compose_faults(yaml.safe_load(text.replace(old, new)))


def test_its_configuration_has_keys_of_the_commands_and_secrets_that_are_mounted() -> None:
    """Its files are in the containers, so that they are not there."""
    path = DEPLOY / "ddcai.toml"
    faults = config_file.check(path, SECTIONS)
    assert {one.fault.rpartition(" ")[2] for one in faults} <= {"there", "file"}
    secrets = set(re.findall(r'"/run/secrets/(.+)"', path.read_text()))
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert secrets == set(document["secrets"])


def unit_faults(text: str) -> list[str]:
    """What a unit must not do."""
    pairs = [line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line)]
    found = [
        f"{key} is not {value!r}" for key, value in _STATED.items() if [key, value] not in pairs
    ]
    for key, value in pairs:
        if key == "ExecStart":
            found += command_faults(value.split()[1:])
        if key == "Environment":
            for one in value.split():
                found += variable_faults(*one.split("=", 1))
    return found


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_has_no_fault(path: Path) -> None:
    assert unit_faults(path.read_text()) == []


def test_there_are_three_units() -> None:
    assert [path.stem for path in UNITS] == ["ddcai-client", "ddcai-coordinator", "ddcai-dashboard"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((f"{key}={value}\n", f"{key}=no\n") for key, value in _STATED.items()),
        ("ddcai client", "ddcai klient"),
        ("ddcai client", "ddcai client --confg"),
        ("DDCAI_CONFIG=", "DDCAI_CONFIGURATION="),
        ("ETH_PASSWORD=%d/password", "ETH_PASSWORD=hunter2"),
    ],
)
def test_a_planted_fault_of_a_unit_is_found(old: str, new: str) -> None:
    text = (DEPLOY / "ddcai-client.service").read_text()
    assert old in text
    assert unit_faults(text.replace(old, new))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_a_unit_and_finds_it_hardened(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    # The program is where the documentation installs it: not here.
    copy.write_text(path.read_text().replace("/opt/ddcai/bin/ddcai", "/bin/true"))
    for command in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            ["systemd-analyze", *command, str(copy)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nknown" not in done.stderr, done.stderr
