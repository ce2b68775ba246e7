"""The house rules: which room may import which, where each big library may be, file lengths."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A room imports only rooms above it (and itself). Why the order is this one: docs/protocol.md.
ROOMS = (
    "errors",
    "faults",
    "strict_json",
    "event_log",
    "strict_toml",
    "digests",
    "assessment",
    "privacy",
    "configuration",
    "keyfile",
    "policy",
    "quantise",
    "encryption",
    "attestation",
    "quorum",
    "incentives",
    "models",
    "chain",
    "store",
    "data",
    "simulation",
    "rounds",
    "audit",
    "flower",
    "dashboard",
    "cli",
)
APPS = ("clients", "coordinator")
OURS = ("ddcai", *APPS)

# Who may import what, by the first part of its name; everybody else may not.
LIBRARIES = {
    "web3": {"ddcai/chain"},
    "eth_tester": {"ddcai/chain"},
    "eth": {"ddcai/chain"},
    "rlp": {"ddcai/chain"},
    "trie": {"ddcai/chain"},
    "tenseal": {"ddcai/encryption"},
    "flwr": {"ddcai/flower", "ddcai/cli", "clients", "coordinator"},
    "dp_accounting": {"ddcai/privacy"},
    "torch": {"ddcai/models", "ddcai/data", "ddcai/cli", "clients", "coordinator"},
    "py_ecc": {"ddcai/attestation.py", "ddcai/chain"},
    "py_arkworks_bls12381": {"ddcai/attestation.py", "ddcai/chain"},
    "fsspec": {"ddcai/store.py"},
    "sqlalchemy": {"ddcai/audit/index"},
    "typer": {"ddcai/cli"},
    "rich": {"ddcai/cli"},
    "prometheus_client": {"ddcai/cli"},
    "tensorboard": {"coordinator"},
    "pandas": {"ddcai/data"},
    "pyarrow": {"ddcai/data", "ddcai/encryption", "ddcai/audit/ledger"},
    "safetensors": {"ddcai/models"},
    "matplotlib": {"ddcai/simulation"},
    "fastapi": {"ddcai/dashboard"},
    "starlette": {"ddcai/dashboard"},
    "uvicorn": {"ddcai/dashboard"},
    "sklearn": set(),
}

SOURCES = sorted(path for top in OURS for path in (ROOT / top).rglob("*.py"))
PYTHON = sorted(
    path
    for top in (*OURS, "tests", "benchmarks", "examples", "contracts/test")
    for path in (ROOT / top).rglob("*.py")
)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _for_types_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under ``if TYPE_CHECKING``: nothing of it ever runs."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of all that a file imports, inside functions too, with the line."""
    tree = ast.parse(path.read_bytes())
    typing = _for_types_only(tree)
    for node in ast.walk(tree):
        if node in typing and not _is_ours(node):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}:{node.lineno}: write the whole name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _is_ours(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS


def faults(path: Path, where: str) -> list[str]:
    """What a file imports and must not; ``where`` is its name from the root."""
    top, *rest = where.split("/")
    found = []
    for name, line in _imports(path):
        first, *inner = name.split(".")
        if first == "ddcai" and top == "ddcai" and inner and inner[0] in ROOMS:
            own = rest[0].removesuffix(".py")
            if own != "__init__" and ROOMS.index(inner[0]) > ROOMS.index(own):
                found.append(f"{where}:{line}: {own} imports {inner[0]}, which is below it")
        if first == "ddcai" and inner and inner[0] == "cli" and top != "ddcai":
            found.append(f"{where}:{line}: the roof is imported by nobody")
        if first in APPS and first != top and not where.startswith("ddcai/cli/"):
            found.append(f"{where}:{line}: only ddcai/cli imports {first}")
        if first in LIBRARIES and not any(
            where == place or where.startswith(f"{place}/") for place in LIBRARIES[first]
        ):
            found.append(f"{where}:{line}: {first} is not imported here")
    return found


def test_rooms_are_those_of_the_package() -> None:
    there = {
        path.stem
        for path in (ROOT / "ddcai").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__")
        or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert there == set(ROOMS)


def test_every_room_imports_only_what_it_may() -> None:
    assert SOURCES
    assert [fault for path in SOURCES for fault in faults(path, _name(path))] == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("ddcai/digests.py", "from ddcai.encryption import wire"),
        ("ddcai/rounds/party.py", "from ddcai import flower"),
        ("ddcai/rounds/party.py", "import web3"),
        ("ddcai/audit/sums.py", "def f():\n    import tenseal"),
        ("ddcai/rounds/party.py", "from flwr.app import Message"),
        ("ddcai/flower/mod.py", "from clients.app import app"),
        ("clients/app.py", "import coordinator.app"),
        ("coordinator/app.py", "from ddcai.cli import output"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, where: str, line: str) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(line)
    assert len(faults(planted, where)) == 1


def test_no_file_is_too_long() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_every_list_of_names_is_sorted() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
            ):
                names = ast.literal_eval(node.value)
                assert names == sorted(set(names)), _name(path)


def test_every_file_says_what_it_is() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_bytes())
        assert not tree.body or ast.get_docstring(tree), _name(path)
