"""One file for a machine's coordinator and client, and a variable for every option."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from ddcai.cli import config, config_file
from ddcai.cli.app import app
from ddcai.errors import ConfigurationError
from tests.cli.conftest import Ddcai, assert_refused
from tests.cli.test_app import COMMANDS

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
ROOT = typer.main.get_command(app)
SECTIONS = config.sections(ROOT)
_OPTIONS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to be, in the folder that a command is started in, beside what it may name."""
    monkeypatch.chdir(tmp_path)
    for name in ("there", "site.csv", "deployment.json"):
        (tmp_path / name).write_text("")
    return tmp_path / "ddcai.toml"


def parsed(name: str, *arguments: object) -> dict[str, Any]:
    """What a command would be called with."""
    context = SECTIONS[name].make_context(name, [str(one) for one in arguments])
    return context.params


def test_every_option_has_a_variable_of_its_own() -> None:
    first = [option.envvar[0] for _, option in _OPTIONS]  # type: ignore[index]
    assert len(set(first)) == len(first) > 300
    for (name, option), found in zip(_OPTIONS, first, strict=True):
        flag = max(option.opts, key=len)
        assert found == re.sub("[- ]+", "_", f"{name} {flag}").upper()


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_how_variables_are_called(name: str) -> None:
    prefix = re.sub("[- ]", "_", name).upper() + "_"
    assert prefix in str(COMMANDS[name].epilog)


def test_no_option_takes_a_secret_as_its_value() -> None:
    """What is secret is in a file, and the option is its path."""
    for name, option in _OPTIONS:
        if re.search(r"password|secret|mnemonic|[a-z]-key$", max(option.opts, key=len)):
            public = re.search(r"public-key|key-holder", max(option.opts, key=len))
            assert public or isinstance(option.type, click.Path), (name, option.opts)


def test_flag_before_variable_before_file_before_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--deployment", "there")
    assert parsed("coordinator", *given)["rounds"] == 10
    file.write_text("[coordinator]\nrounds = 11\n")
    given = (*given, "--config", file)
    assert parsed("coordinator", *given)["rounds"] == 11
    monkeypatch.setenv("DDCAI_COORDINATOR_ROUNDS", "12")
    assert parsed("coordinator", *given)["rounds"] == 12
    assert parsed("coordinator", *given, "--rounds", 13)["rounds"] == 13


def test_the_long_variable_counts_before_the_short_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[client]\nstore = "from-file"\n')
    given = ("--deployment", "there", "--config", file)
    assert parsed("client", *given)["store"] == "from-file"
    monkeypatch.setenv("DDCAI_STORE", "short")
    assert parsed("client", *given)["store"] == "short"
    monkeypatch.setenv("DDCAI_CLIENT_STORE", "long")
    assert parsed("client", *given)["store"] == "long"


def test_the_file_may_be_named_by_a_variable_and_give_what_must_be_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(
        '[client]\ndeployment = "deployment.json"\ndata = "site.csv"\ninsecure = true\nport = 7\n'
        '[coordinator]\ndeployment = "there"\nleave-out-key-holder = ["0xaa", "0xbb"]\n'
    )
    monkeypatch.setenv("DDCAI_CONFIG", str(file))
    found = parsed("client")
    assert (found["data"], found["insecure"], found["port"]) == ("site.csv", True, 7)
    assert found["deployment"] == "deployment.json"
    assert list(parsed("coordinator")["leave_out_key_holder"]) == ["0xaa", "0xbb"]
    monkeypatch.setenv("DDCAI_CLIENT_INSECURE", "false")
    assert parsed("client")["insecure"] is False


def test_the_command_itself_refuses_a_file_with_faults(ddcai: Ddcai, file: Path) -> None:
    file.write_text('[client]\ndatta = "site.csv"\n')
    assert_refused(ddcai("client", "--config", file), str(file), "'datta'", "data is")
    file.write_text("[coordinator]\nrounds = 3\n")
    assert_refused(ddcai("client", "--config", file), "no [client]")


FAULTS = [
    ('[client]\ndatta = "a"\n', "'datta'", "data is"),
    ("[coordinator]\ncheck-only = true\n", "'check-only'", "no key"),
    ('[client]\nconfig = "there"\n', "'config'", "no key"),
    ("[clients]\n", "'clients'", "known are coordinator, client"),
    ('[task]\nlabel = "ill"\n', "'task'", "its own file"),
    ("client = 3\n", "client", "write [client]"),
    ('[coordinator]\nrounds = "ten"\n', "rounds", "give a whole number"),
    ("[coordinator]\nrounds = true\n", "rounds", "give a whole number"),
    ("[coordinator]\nrounds = 1.0\n", "rounds", "give a whole number"),
    ("[coordinator]\nrounds = 0\n", "rounds", "x>=1"),
    ("[coordinator]\nrounds = 2020-01-01\n", "rounds", "a date or time"),
    ("[client]\nport = 65536\n", "port", "65535"),
    ("[client]\ninsecure = 1\n", "insecure", "give true or false"),
    ("[client]\nstore = 3\n", "store", "give a string"),
    ('[client]\nrole = "boss"\n', "role", "keyholder"),
    ('[coordinator]\nleave-out-key-holder = "0xaa"\n', "leave-out", "give a list"),
    ("[coordinator]\nleave-out-key-holder = [1]\n", "leave-out", "give a list"),
    ('[client]\ndata = "away.csv"\n', "data", "away.csv is not there"),
    ('[client]\ndata = "a\\u0000b"\n', "data", "is not there"),
    ('[client]\nrpc-url = "https://me:word@node.example"\n', "rpc-url", "carries a password"),
    ("[client\n", "not TOML", "give a TOML file"),
    ("x = " + "[" * 1000, "brackets", "give a TOML file"),
]


@pytest.mark.parametrize(("text", "where", "remedy"), FAULTS)
def test_check_names_the_fault_and_the_remedy(
    ddcai: Ddcai, file: Path, text: str, where: str, remedy: str
) -> None:
    file.write_text(text)
    answer = ddcai("config", "check", file)
    assert_refused(answer, where, remedy)
    [fault] = ddcai("config", "check", file, "--format", "json").json
    assert fault.keys() == {"where", "fault", "remedy"}
    assert fault["remedy"]


def test_check_names_every_fault_at_once(ddcai: Ddcai, file: Path) -> None:
    file.write_text('[client]\nport = "x"\nprot = 3\ndata = "no"\n[coordinater]\n')
    answer = ddcai("config", "check", file, "--format", "json")
    assert answer.code == 2
    assert len(answer.json) == len(answer.stderr.splitlines()) == 4


def test_a_file_that_is_not_there_is_refused(ddcai: Ddcai, file: Path) -> None:
    assert_refused(ddcai("config", "check", file), str(file), "No such file")


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'ETH_PASSWORD = "hunter2"',
        'secret-key = "hunter2"',
        'password-file = "hunter2"',
        'rpc-url = "https://me:hunter2@node.example"',
        'password-file = ["hunter2"]',
    ],
)
def test_a_secret_is_refused_and_not_repeated(ddcai: Ddcai, file: Path, line: str) -> None:
    file.write_text(f"[client]\n{line}\n")
    for answer in (ddcai("config", "check", file), ddcai("client", "--config", file)):
        assert answer.code == 2
        assert "hunter2" not in answer.stderr + answer.stdout


@given(st.text(), st.sampled_from(["", "[client]\n", "[coordinator]\n"]))
def test_any_file_is_good_or_has_faults(
    tmp_path_factory: pytest.TempPathFactory, text: str, before: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(before + text, encoding="utf-8", errors="replace")
    for fault in config_file.check(path, SECTIONS):
        assert fault.fault
        assert fault.remedy


@given(
    st.sampled_from([(s, k) for s, c in SECTIONS.items() for k in config_file.keys(c)]),
    st.one_of(st.booleans(), st.integers(), st.text(st.characters(categories=["L"]))),
)
def test_a_value_that_check_takes_is_one_that_the_command_takes(
    tmp_path_factory: pytest.TempPathFactory, where: tuple[str, str], value: Any
) -> None:
    section, key = where
    path = tmp_path_factory.getbasetemp() / "value.toml"
    shown = str(value).lower() if isinstance(value, bool) else value
    quoted = f'"{value}"' if isinstance(value, str) else shown
    path.write_text(f"[{section}]\n{key} = {quoted}\n", encoding="utf-8")
    faults = config_file.check(path, {section: SECTIONS[section]})
    refuses = pytest.raises(ConfigurationError) if faults else contextlib.nullcontext()
    with refuses:
        found = parsed(section, "--config", path, *_given(section, key))
        name = config_file.keys(SECTIONS[section])[key].name
        assert str(found[str(name)]) in (str(value), str(Path(str(value))))


def _given(section: str, key: str) -> list[str]:
    """What must be given and is not what is tried."""
    options = config_file.keys(SECTIONS[section]).items()
    required = [name for name, option in options if option.required and name != key]
    return [part for name in required for part in (f"--{name}", ".")]


def test_every_key_is_documented_with_its_value_and_default(ddcai: Ddcai) -> None:
    text = DOCS.read_text(encoding="utf-8")
    documented = {}
    for section in config_file.SECTIONS:
        [part] = re.findall(rf"^### `\[{section}\]`$(.*?)(?=^#|\Z)", text, re.M | re.S)
        rows = [line.strip("|").split(" | ") for line in part.splitlines() if line[:3] == "| `"]
        for key, value, default, *_ in rows:
            documented[section, key.strip(" `")] = (value.strip(), default.strip(" `"))
    found = {
        (row["section"], row["key"]): (row["value"].replace('"', "`"), row["default"])
        for row in ddcai("config", "keys", "--format", "json").json
    }
    assert documented == found


def test_the_documented_file_is_good(ddcai: Ddcai, file: Path) -> None:
    [text] = re.findall(r"```toml\n(# ddcai\.toml.*?)```", DOCS.read_text("utf-8"), re.S)
    file.write_text(text)
    for name in re.findall(r'"(\S+)"  # a file', text):
        (file.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (file.parent / name).write_text("")
    answer = ddcai("config", "check", file)
    assert (answer.code, answer.stderr) == (0, f"{file}: good\n")
    assert set(re.findall(r"^\[(\w+)\]", text, re.M)) == set(SECTIONS)
