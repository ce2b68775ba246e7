"""`ddcai keys`."""

from __future__ import annotations

import json
from pathlib import Path

from ddcai.cli.keys import PUBLIC_NAME, SECRET_NAME
from ddcai.encryption.bfv import PublicKey, SecretKey
from tests.cli.conftest import Ddcai, assert_refused


def test_new_writes_a_public_and_a_secret_file_that_belong_together(
    ddcai: Ddcai, password: Path, tmp_path: Path
) -> None:
    out = tmp_path / "keys"
    answer = ddcai(
        "keys", "new", "--out", out, "--password-file", password, "--light-kdf", "--format", "json"
    )
    assert answer.code == 0
    public = PublicKey.load(out / PUBLIC_NAME)
    secret = SecretKey.load(out / SECRET_NAME, "open sesame")
    assert secret.public_key_digest == public.digest()
    assert answer.json["digest"] == "0x" + public.digest().hex()


def test_each_file_says_which_it_is(ddcai: Ddcai, password: Path, tmp_path: Path) -> None:
    ddcai("keys", "new", "--out", tmp_path, "--password-file", password, "--light-kdf")
    public = json.loads((tmp_path / PUBLIC_NAME).read_text())
    secret = json.loads((tmp_path / SECRET_NAME).read_text())
    assert public["holds"] == "bfv-public-key"
    assert secret["holds"] == "bfv-secret-key"
    assert (tmp_path / SECRET_NAME).stat().st_mode & 0o777 == 0o600


def test_new_says_what_the_single_key_holder_could_do(
    ddcai: Ddcai, password: Path, tmp_path: Path
) -> None:
    answer = ddcai("keys", "new", "--out", tmp_path, "--password-file", password, "--light-kdf")
    assert "WARNING" in answer.stderr
    assert "read every single update" in answer.stderr


def test_new_never_replaces_a_key(ddcai: Ddcai, password: Path, tmp_path: Path) -> None:
    options = ("keys", "new", "--out", tmp_path, "--password-file", password, "--light-kdf")
    assert ddcai(*options).code == 0
    before = (tmp_path / SECRET_NAME).read_bytes()
    assert_refused(ddcai(*options), str(tmp_path / PUBLIC_NAME), "--out")
    assert (tmp_path / SECRET_NAME).read_bytes() == before


def test_new_refuses_an_unknown_parameter_set(ddcai: Ddcai, password: Path, tmp_path: Path) -> None:
    answer = ddcai(
        "keys", "new", "--out", tmp_path / "keys", "--password-file", password,
        "--parameter-set", "rot13",
    )  # fmt: skip
    assert_refused(answer, "'rot13'", "bfv-4096-3x19")
    assert not (tmp_path / "keys").exists()
