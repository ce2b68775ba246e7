"""Invitations: what was written is read, and whatever was altered is refused."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from ddcai.chain.deploy import Deployment
from ddcai.chain.federation import Federation
from ddcai.chain.invitation import LARGEST_FILE_BYTES, Invitation
from ddcai.cli.certificates import own_certificates
from ddcai.errors import (
    ConfigurationError,
    DdcaiError,
    MalformedError,
    PolicyError,
    VerificationError,
)
from tests.chain.support import CONFIG, COORDINATOR, STRANGER, Scene
from tests.chain.support import SPONSOR as CHAINS_SPONSOR

SPONSOR: LocalAccount = Account.from_key(b"\x01" * 32)
SOMEBODY = STRANGER.address
EXPIRES = 1_800_000_000
DEPLOYMENT = Deployment(
    chain_id=31337,
    name="small",
    deployed_block=3,
    gas_used=9_000_000,
    federation=SPONSOR.address,
    head=SOMEBODY,
    quorum=SOMEBODY,
    config=CONFIG,
    encryption_key_digest="0x" + "12" * 32,
    initial_model_digest="0x" + "34" * 32,
    node_registry=SOMEBODY,
)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a certificate of it."""
    folder = tmp_path_factory.mktemp("tls")
    own_certificates(folder)
    return folder


def invitation(**changes: Any) -> Invitation:
    values: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "account": SOMEBODY,
        "expires": EXPIRES,
        "rpc_url": "https://rpc.example.org/v1",
        "store": "s3://bucket/prefix",
        "superlink": "fl.example.org:9191",
        "ca_certificate": "",
    }
    return Invitation(**(values | changes))


addresses = (
    st.binary(min_size=32, max_size=32)
    .filter(lambda key: any(key[1:]))
    .map(lambda key: str(Account.from_key(b"\x01" + key[1:]).address))
)
words = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


@st.composite
def invitations(draw: st.DrawFn) -> Invitation:
    deployment = dataclasses.replace(
        DEPLOYMENT,
        chain_id=draw(st.integers(1, 2**64 - 1)),
        name=draw(words),
        config=draw(st.dictionaries(st.text(max_size=8), st.integers() | st.text() | st.floats(
            allow_nan=False, allow_infinity=False), max_size=4)),
        node_registry=draw(st.none() | st.just(SOMEBODY)),
    )  # fmt: skip
    host = draw(words | st.just("[::1]") | st.just("10.0.0.5"))
    return invitation(
        deployment=deployment,
        account=draw(st.just("") | addresses),
        expires=draw(st.integers(1, 253_402_300_799)),
        rpc_url=f"http://{draw(words)}:{draw(st.integers(1, 65535))}/{draw(words)}",
        store=draw(
            st.builds("gs://{}/{}".format, words, words) | st.builds("/mnt/ä {}".format, words)
        ),
        superlink=f"{host}:{draw(st.integers(1, 65535))}",
    )


@settings(max_examples=40, deadline=None)
@given(made=invitations())
def test_what_was_written_is_read(made: Invitation) -> None:
    text = made.signed_by(SPONSOR)
    assert Invitation.parse(text) == (made, SPONSOR.address)
    assert Invitation.parse(text.replace("\n", "\r\n")) == (made, SPONSOR.address)  # as mail does
    assert made.signed_by(SPONSOR) == text


@given(st.text())
def test_any_text_is_an_invitation_or_refused(text: str) -> None:
    with contextlib.suppress(MalformedError, VerificationError):
        Invitation.parse(text)


def test_the_signature_is_what_a_wallet_makes_of_the_document(tls: Path) -> None:
    """Against eth-account's encoding of a document that is written out here."""
    made = invitation(ca_certificate=(tls / "ca.pem").read_text())
    found = tomllib.loads(made.signed_by(SPONSOR))
    names = {
        "deployment": "string", "account": "address", "expires": "uint256", "rpcUrl": "string",
        "store": "string", "superlink": "string", "caCertificate": "string",
    }  # fmt: skip
    document = encode_typed_data(
        {"name": "ddcai invitation", "version": "1", "chainId": 31337,
         "verifyingContract": DEPLOYMENT.federation},
        {"Invitation": [{"name": name, "type": kind} for name, kind in names.items()]},
        {
            "deployment": base64.b64decode(found["deployment"]).decode(),
            "account": found["account"],
            "expires": int(found["expires"].timestamp()),
            "rpcUrl": found["rpc_url"],
            "store": found["store"],
            "superlink": found["superlink"],
            "caCertificate": found["ca_certificate"],
        },
    )  # fmt: skip
    signature = bytes.fromhex(found["signature"][2:])
    assert Account.recover_message(document, signature=signature) == SPONSOR.address


@cache
def _other_deployment() -> str:
    deployment = dataclasses.replace(DEPLOYMENT, head=SPONSOR.address)
    return base64.b64encode(json.dumps(dataclasses.asdict(deployment)).encode()).decode()


OTHERS = [
    ("account", SPONSOR.address),
    ("account", ""),
    ("expires", "2030-01-01T00:00:00Z"),
    ("rpc_url", "https://rpc.example.org/v2"),
    ("store", "s3://bucket/other"),
    ("superlink", "fl.example.org:9192"),
    ("deployment", _other_deployment()),
    ("signer", SOMEBODY),
]


def changed(text: str, name: str, value: str) -> str:
    """A file with another value of a key."""
    quoted = value if name == "expires" else json.dumps(value)
    pattern = rf'^{name} = (""".*?"""|.*?)$'
    after, count = re.subn(pattern, lambda _: f"{name} = {quoted}", text, flags=re.M | re.S)
    assert count == 1
    return after


@pytest.mark.parametrize(("name", "value"), OTHERS)
def test_another_value_of_any_key_is_refused(name: str, value: str) -> None:
    text = invitation().signed_by(SPONSOR)
    with pytest.raises(VerificationError, match="altered"):
        Invitation.parse(changed(text, name, value))


def test_another_authority_is_refused(tls: Path, tmp_path: Path) -> None:
    made = invitation(ca_certificate=(tls / "ca.pem").read_text())
    text = made.signed_by(SPONSOR)
    other = own_certificates(tmp_path / "other").authority.read_text()
    for pem in (other, made.ca_certificate + other, ""):
        with pytest.raises(VerificationError, match="altered"):
            Invitation.parse(changed(text, "ca_certificate", pem))
    plain = invitation().signed_by(SPONSOR)
    with pytest.raises(VerificationError, match="altered"):
        Invitation.parse(changed(plain, "ca_certificate", other))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 2**16), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_or_is_refused(place: int, bit: int) -> None:
    """Space around values is not signed."""
    made = invitation()
    data = bytearray(made.signed_by(SPONSOR).encode())
    data[place % len(data)] ^= 1 << bit
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    with contextlib.suppress(MalformedError, VerificationError):
        assert Invitation.parse(text) == (made, SPONSOR.address)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('format = "ddcai-invitation-2"', "ddcai-invitation-2"),
        ("chain_id = 1", "chain_id is 1"),
        ("chain_id = true", "a whole number"),
        ('chain_id = "31337"', "a whole number"),
        (f'federation = "{SOMEBODY}"', "federation is"),
        ('account = "0x12"', "checksum"),
        (f'account = "{SOMEBODY.lower()}"', "checksum"),
        (f'account = "0x{"0" * 40}"', "somebody's"),
        ("expires = 1800000000", "a time in UTC"),
        ("expires = 2030-01-01", "a time in UTC"),
        ("expires = 2030-01-01T00:00:00", "in UTC"),
        ("expires = 2030-01-01T00:00:00+01:00", "in UTC"),
        ("expires = 2030-01-01T00:00:00.5Z", "second"),
        ("expires = 1969-12-31T00:00:00Z", "unix"),
        ('deployment = "e30"', "base64"),
        ('deployment = "e30="', "deployment file"),
        ('signer = "me"', "signer"),
        ('signature = "0x12"', "signature"),
        (f'signature = "0x{"12" * 64}05"', "v of 5"),
        (f'signature = "0x{"f" * 128}1b"', "order"),
    ],
)  # fmt: skip
def test_values_of_another_form_are_refused(line: str, message: str) -> None:
    name, value = line.split(" = ")
    text = re.sub(rf'^{name} = (""".*?"""|.*?)$', f"{name} = {value}",
                  invitation().signed_by(SPONSOR), flags=re.M | re.S)  # fmt: skip
    with pytest.raises(MalformedError, match=re.escape(message)):
        Invitation.parse(text)


@pytest.mark.parametrize("name", sorted(tomllib.loads(invitation().signed_by(SPONSOR))))
def test_every_key_and_no_other_is_there(name: str) -> None:
    text = invitation().signed_by(SPONSOR)
    without = re.sub(rf'^{name} = (""".*?"""|.*?)$\n', "", text, flags=re.M | re.S)
    with pytest.raises(MalformedError, match=f"{name} is missing"):
        Invitation.parse(without)
    with pytest.raises(MalformedError, match=f"'{name}s' is no key"):
        Invitation.parse(text + f"{name}s = 1\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"rpc_url": url}
        for url in (
            "", "ws://host", "file:///etc/passwd", "HTTP", "https://", "http://me:word@host",
            "http://token@host", "http://host/../up", "http://ho st", "http://host:99999", "http://h\n",
        )
    ]
    + [
        {"store": url}
        for url in (
            "", "blobs", "../blobs", "/mnt/../etc", "~/blobs", "file:///mnt", "memory://x",
            "simplecache::s3://bucket", "/mnt::s3://bucket", "reference://x", "zip://a.zip", "github://a:b@c",
            "s3://", "s3://bucket/../other", "sftp://me:word@host/x", "/mnt/\u202eblobs", "/mnt/\n",
        )
    ]
    + [
        {"superlink": address}
        for address in (
            "", "host", "host:0", "host:65536", ":1", "--root-certificates:1", "-h:1", "ho st:1",
            "host:1 --insecure", "user@host:1", "host:1\n", "h/../x:1", "[::1:9191", "host:1e3",
        )
    ],
    ids=repr,
)  # fmt: skip
def test_hostile_addresses_are_refused(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(ConfigurationError, match=f"^{name} is") as caught:
        invitation(**changes)
    assert "word" not in str(caught.value).replace("no password", "")
    text = changed(invitation().signed_by(SPONSOR), name, changes[name])
    with pytest.raises(MalformedError):
        Invitation.parse(text)


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/x", "..", ".", "a\x00b", "UP", "a b"])
def test_a_deployment_s_name_is_part_of_a_file_s_name_and_no_path(name: str) -> None:
    content = dataclasses.asdict(DEPLOYMENT) | {"name": name}
    data = base64.b64encode(json.dumps(content).encode()).decode()
    text = changed(invitation().signed_by(SPONSOR), "deployment", data)
    with pytest.raises(MalformedError, match="name is"):
        Invitation.parse(text)


def test_what_stands_beside_certificates_is_dropped(tls: Path) -> None:
    """A private key that got into the file, for one."""
    pem = (tls / "ca.pem").read_text()
    made = invitation(ca_certificate=(tls / "ca-key.pem").read_text() + pem)
    assert made.ca_certificate == pem
    assert "PRIVATE" not in made.signed_by(SPONSOR)


def test_it_ends() -> None:
    invitation().require_time(EXPIRES)
    with pytest.raises(PolicyError, match="2027-01-15 at 08:00 UTC"):
        invitation().require_time(EXPIRES + 1)


def test_its_certificate_ends(tls: Path) -> None:
    """After ten years; of several, the last one counts."""
    made = invitation(ca_certificate=(tls / "ca.pem").read_text(), expires=4_000_000_000)
    made.require_time(EXPIRES)
    with pytest.raises(PolicyError, match="CA certificate ended on 20"):
        made.require_time(3_900_000_000)


def test_it_is_for_one_account_or_any() -> None:
    invitation(account="").require_account(SPONSOR.address)
    invitation().require_account(SOMEBODY)
    with pytest.raises(PolicyError, match=f"for {SOMEBODY}, not for {SPONSOR.address}"):
        invitation().require_account(SPONSOR.address)


def test_the_chain_says_whose_word_counts(scene: Scene, w3: Web3) -> None:
    federation = Federation.connect(w3, scene.deployment.federation)
    made = invitation()
    assert made.require_signer(CHAINS_SPONSOR.address, federation) == "sponsor"
    assert made.require_signer(COORDINATOR.address, federation) == "coordinator"
    with pytest.raises(VerificationError, match=SOMEBODY):
        made.require_signer(SOMEBODY, federation)


def test_a_file_is_short_and_named(tmp_path: Path) -> None:
    path = tmp_path / "invitation.toml"
    path.write_text(invitation().signed_by(SPONSOR))
    assert Invitation.load(path) == (invitation(), SPONSOR.address)
    path.write_text(changed(path.read_text(), "signer", SOMEBODY))
    with pytest.raises(VerificationError, match=str(path)):
        Invitation.load(path)
    path.write_text("#" * (LARGEST_FILE_BYTES + 1))
    for file in (path, tmp_path / "none"):
        with pytest.raises(DdcaiError, match=str(file)):
            Invitation.load(file)
