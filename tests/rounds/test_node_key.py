"""Node keys: files, forms and signatures."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain.node_registry import check_form
from ddcai.digests import RoundContext
from ddcai.errors import KeyfileError, MalformedError, VerificationError
from ddcai.rounds.identity import sign_with_node_key, verify_node_key
from ddcai.rounds.node_key import NodeKey, parse, to_pem, verify

OPENSSH = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


@pytest.fixture
def key(tmp_path: Path) -> NodeKey:
    return NodeKey.load_or_make(tmp_path / "node-key")


def test_a_key_is_made_once_and_is_its_owners(key: NodeKey, tmp_path: Path) -> None:
    path = tmp_path / "node-key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert NodeKey.load_or_make(path).public == NodeKey.load(path).public == key.public
    check_form(key.public)


def test_flower_reads_the_key_and_its_public_form(key: NodeKey, tmp_path: Path) -> None:
    from flwr.supercore.primitives.asymmetric import uses_nist_ec_curve

    public = load_pem_public_key(to_pem(key.public))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert uses_nist_ec_curve(public)
    verify(key.public, b"message", key.sign(b"message"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "node-key"
    with pytest.raises(KeyfileError, match="cannot read"):
        NodeKey.load(path)
    for private in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        path.write_bytes(private.private_bytes(*OPENSSH))
        with pytest.raises(KeyfileError, match="P-384"):
            NodeKey.load(path)
    path.write_bytes(b"no key")
    with pytest.raises(KeyfileError, match="move it away"):
        NodeKey.load_or_make(path)
    assert path.read_bytes() == b"no key"


@given(st.binary(max_size=60))
def test_other_bytes_are_no_key(data: bytes) -> None:
    try:
        public = parse(data)
    except MalformedError:
        return
    assert isinstance(public.curve, ec.SECP384R1)


def test_the_secret_is_not_told(key: NodeKey, tmp_path: Path) -> None:
    number = key._private.private_numbers().private_value
    assert f"{number:x}" not in repr(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


def test_a_node_keys_signature_is_of_one_node_role_federation_and_challenge(
    key: NodeKey, tmp_path: Path
) -> None:
    context = RoundContext(chain_id=1, contract="0x" + "11" * 20, round=0)
    signature = sign_with_node_key(key, context, 5, "contributor", bytes(32))
    verify_node_key(key.public, signature, context, 5, "contributor", bytes(32))
    elsewhere = RoundContext(chain_id=2, contract="0x" + "11" * 20, round=0)
    for where, node, role, challenge in (
        (elsewhere, 5, "contributor", bytes(32)),
        (context, 6, "contributor", bytes(32)),
        (context, 5, "keyholder", bytes(32)),
        (context, 5, "contributor", bytes(31) + b"\1"),
    ):
        with pytest.raises(VerificationError):
            verify_node_key(key.public, signature, where, node, role, challenge)
    other = NodeKey.load_or_make(tmp_path / "another")
    for public, shown in ((other.public, signature), (key.public, b""), (bytes(49), signature)):
        with pytest.raises(VerificationError, match="bound on chain"):
            verify_node_key(public, shown, context, 5, "contributor", bytes(32))
