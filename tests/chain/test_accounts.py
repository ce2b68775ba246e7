from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcai.chain.accounts import (
    PASSWORD_VARIABLE,
    find_keystore,
    load_account,
    new_account,
    read_password,
)
from ddcai.errors import KeyfileError, WrongPassword

# The scrypt vector of the Web3 Secret Storage definition, version 3.
OFFICIAL = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "r": 1,
            "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_account(tmp_path_factory.mktemp("keystore"), "pass word ", light=True)[1]


def test_round_trip(tmp_path: Path) -> None:
    account, path = new_account(tmp_path / "a" / "b", "pass word ", light=True)
    assert load_account(path, "pass word ").key == account.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.endswith(account.address[2:].lower())
    assert account.key.hex() not in path.read_text()


def test_two_accounts_differ(tmp_path: Path) -> None:
    first, second = (new_account(tmp_path, "p", light=True) for _ in range(2))
    assert first[0].address != second[0].address
    assert first[1] != second[1]
    assert find_keystore(tmp_path, first[0].address) == first[1]


def test_official_vector(tmp_path: Path) -> None:
    path = tmp_path / "official.json"
    path.write_text(json.dumps(OFFICIAL))
    account = load_account(path, "testpassword")
    assert account.key.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


@pytest.mark.parametrize("password", ["pass word", "pass word  ", "", "PASS WORD "])
def test_wrong_password(keystore: Path, password: str) -> None:
    with pytest.raises(WrongPassword, match="does not open") as caught:
        load_account(keystore, password)
    assert not password or f"{password!r}" not in str(caught.value)


def test_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyfileError, match="empty"):
        new_account(tmp_path, "", light=True)
    assert list(tmp_path.iterdir()) == []


def test_missing_keystore(tmp_path: Path) -> None:
    with pytest.raises(KeyfileError, match="ddcai account new"):
        load_account(tmp_path / "none", "p")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"crypto": 5, "version": 3}', b"[" * 50_000]
)
def test_what_is_no_keystore(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(KeyfileError, match="keystore"):
        load_account(path, "p")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_damaged_keystore(keystore: Path, tmp_path: Path, data: st.DataObject) -> None:
    """A changed character is noticed, or changes nothing that matters."""
    text = keystore.read_text()
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from('0123456789abcdef{}",:x'))
    # A cost may become so large that the test would take minutes.
    if text[place] == character or '"n"' in text[max(0, place - 12) : place + 12]:
        return
    path = tmp_path / "damaged"
    path.write_text(text[:place] + character + text[place + 1 :])
    expected = load_account(keystore, "pass word ").key
    try:
        found = load_account(path, "pass word ").key
    except KeyfileError:
        return
    assert found == expected


def test_keystore_of_another_account_under_this_address(tmp_path: Path) -> None:
    _, path = new_account(tmp_path, "p", light=True)
    content = json.loads(path.read_text())
    content["address"] = Account.create().address[2:].lower()
    path.write_text(json.dumps(content))
    with pytest.raises(KeyfileError, match="damaged"):
        load_account(path, "p")


def test_find_keystore_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(KeyfileError, match="not an Ethereum address"):
        find_keystore(tmp_path, "0x12")
    with pytest.raises(KeyfileError, match="0 keystores"):
        find_keystore(tmp_path / "none", Account.create().address)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" secret \n", " secret "),
        (b"sec\rret\n", "sec\rret"),
        ("Passwört\n".encode(), "Passwört"),
    ],
)
def test_password_file(tmp_path: Path, content: bytes, password: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert read_password(path) == password


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_password_file_without_a_password(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(KeyfileError, match=r"empty|UTF-8"):
        read_password(path)


def test_password_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "from here")
    assert read_password() == "from here"
    with pytest.raises(KeyfileError, match="cannot read"):
        read_password(tmp_path / "none")  # a file that was named is not passed over
    monkeypatch.delenv(PASSWORD_VARIABLE)
    with pytest.raises(KeyfileError, match="--password-file"):
        read_password()
