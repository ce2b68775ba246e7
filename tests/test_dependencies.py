"""Pinned versions, their hashes and the bill of materials: three files that say the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "docs" / "deploy"
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
_HASHED = re.compile(_PIN.pattern + r" --hash=sha256:(?P<hash>[0-9a-f]{64})")


def lines(path: Path) -> list[str]:
    """Without comments."""
    return [one for one in path.read_text().splitlines() if one and not one.startswith("#")]


def hashed() -> dict[str, tuple[str, str]]:
    """(version, SHA-256) by name."""
    found = {}
    for line in lines(DEPLOY / "hashes.txt"):
        match = _HASHED.fullmatch(line)
        assert match, line
        found[canonicalize_name(match["name"])] = match["version"], match["hash"]
    return found


def test_every_pin_has_its_hash() -> None:
    pins = {}
    for line in lines(ROOT / "constraints.txt"):
        match = _PIN.match(line)
        assert match, line
        pins[canonicalize_name(match["name"])] = Version(match["version"]).public
    assert {name: Version(one).public for name, (one, _) in hashed().items()} == pins
    assert {"flwr", "torch", "tenseal", "web3", "py-ecc", "pytest"} <= pins.keys()


def test_the_bill_of_materials_names_them() -> None:
    bill = json.loads((DEPLOY / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "ddcai"
    found = {}
    for one in bill["components"]:
        assert one["purl"].startswith(f"pkg:pypi/{one['name']}@")
        [own] = one["hashes"]
        assert own["alg"] == "SHA-256"
        found[canonicalize_name(one["name"])] = one["version"], own["content"]
    assert found == hashed()


def test_hashes_are_those_of_pip_s_report() -> None:
    def report(version: str) -> str:
        found = {
            "url": "https://example.org/a_b-1.0%2Bcpu-py3-none-any.whl",
            "archive_info": {"hashes": {"sha256": "ab" * 32}},
        }
        one = {"metadata": {"name": "A_b", "version": version}, "download_info": found}
        return json.dumps({"version": "1", "install": [one]})

    command = [sys.executable, str(DEPLOY / "pin_hashes.py")]
    done = subprocess.run(
        command, input=report("1.0+cpu"), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"a-b==1.0+cpu --hash=sha256:{'ab' * 32}"
    odd = subprocess.run(command, input=report("1.1"), capture_output=True, text=True, check=False)
    assert odd.returncode == 1
    assert "not of version 1.1" in odd.stderr


@pytest.mark.parametrize(
    ("target", "step"),
    [
        ("hashes", "pin_hashes.py"),
        ("sbom", "sbom.cdx.json"),
        ("dependency-audit", "pip-audit"),
    ],
)
def test_the_commands_that_keep_them_are_there(target: str, step: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert step in done.stdout
