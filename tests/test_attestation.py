"""Both backends give the same bytes, and nothing but a true signature verifies."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest
from py_ecc.bls import G2ProofOfPossession as reference
from py_ecc.bls.g2_primitives import subgroup_check
from py_ecc.bls.point_compression import modular_squareroot_in_FQ2
from py_ecc.optimized_bls12_381 import FQ, FQ2, b, b2, field_modulus

from ddcai import attestation
from ddcai.attestation import BlsSecretKey
from ddcai.errors import KeyfileError, MalformedError, VerificationError, WrongPassword

MESSAGE = b"m" * 32
KEYS = [BlsSecretKey(scalar) for scalar in (1, 2, 3**40)]
SIGNATURES = [key.sign(MESSAGE) for key in KEYS]
IDENTITY_KEY = b"\xc0" + bytes(47)
IDENTITY_SIGNATURE = b"\xc0" + bytes(95)

VECTOR_SCRIPT = """
import json
from ddcai import attestation as a
keys = [a.BlsSecretKey(s) for s in (1, 2, 3**40)]
sigs = [k.sign(b"m" * 32) for k in keys]
print(json.dumps([a.BACKEND, [k.pubkey.hex() for k in keys], [s.hex() for s in sigs],
    [k.prove_possession().hex() for k in keys], a.aggregate(sigs).hex()]))
"""


def _vectors(backend: str) -> list[object]:
    environment = os.environ | {"DDCAI_BLS": backend}
    command = [sys.executable, "-c", VECTOR_SCRIPT]
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    return json.loads(run.stdout)


def test_both_backends_give_the_same_bytes() -> None:
    name, *from_reference = _vectors("py_ecc")
    _, *from_default = _vectors("")
    assert name == "py_ecc"
    assert from_reference == from_default


def test_signatures_are_those_of_py_ecc() -> None:
    assert SIGNATURES[2] == reference.Sign(3**40, MESSAGE)
    assert KEYS[2].pubkey == reference.SkToPk(3**40)
    assert KEYS[2].prove_possession() == reference.PopProve(3**40)


def test_aggregate_verifies() -> None:
    attestation.verify_aggregate([key.pubkey for key in KEYS], MESSAGE, _sum())


def _sum() -> bytes:
    return attestation.aggregate(SIGNATURES)


@pytest.mark.parametrize("backend", ["default", "py_ecc"])
def test_false_aggregates_are_refused(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "py_ecc":
        monkeypatch.setattr(attestation, "_fast", None)
    pubkeys = [key.pubkey for key in KEYS]
    false = [
        (pubkeys[:2], MESSAGE, _sum()),  # one signer not named
        ([*pubkeys, pubkeys[0]], MESSAGE, _sum()),  # one named twice
        (pubkeys, b"n" * 32, _sum()),  # another message
        (pubkeys, MESSAGE, SIGNATURES[0]),
        (pubkeys, MESSAGE, IDENTITY_SIGNATURE),
        ([IDENTITY_KEY], MESSAGE, IDENTITY_SIGNATURE),
        ([], MESSAGE, IDENTITY_SIGNATURE),
        ([bytes(48)], MESSAGE, _sum()),
        ([pubkeys[0][:47]], MESSAGE, SIGNATURES[0]),
    ]
    for keys, message, signature in false:
        with pytest.raises(VerificationError):
            attestation.verify_aggregate(keys, message, signature)


def test_possession_is_no_signature_and_the_other_way_round() -> None:
    key = KEYS[2]
    attestation.verify_possession(key.pubkey, key.prove_possession())
    with pytest.raises(VerificationError):
        attestation.verify_possession(key.pubkey, key.sign(key.pubkey))
    with pytest.raises(VerificationError):
        attestation.verify(key.pubkey, key.pubkey, key.prove_possession())
    with pytest.raises(VerificationError):  # the rogue key: somebody else's proof
        attestation.verify_possession(key.pubkey, KEYS[0].prove_possession())


def test_points_survive_the_chain_form() -> None:
    for key, signature in zip(KEYS, SIGNATURES, strict=True):
        point = attestation.pubkey_to_eip2537(key.pubkey)
        assert len(point) == 128
        assert attestation.pubkey_from_eip2537(point) == key.pubkey
        point = attestation.signature_to_eip2537(signature)
        assert len(point) == 256
        assert attestation.signature_from_eip2537(point) == signature


def test_points_off_the_curve_are_refused() -> None:
    point = bytearray(attestation.pubkey_to_eip2537(KEYS[0].pubkey))
    point[-1] ^= 1
    false_keys = [bytes(point), bytes(point[:-1]), bytes(128), b"\xff" * 128]
    for item in false_keys:
        with pytest.raises(MalformedError):
            attestation.pubkey_from_eip2537(item)
    point = bytearray(attestation.signature_to_eip2537(SIGNATURES[0]))
    point[-1] ^= 1
    for item in (bytes(point), bytes(256), b""):
        with pytest.raises(MalformedError):
            attestation.signature_from_eip2537(item)
    for signatures in ([], [b"\0" * 96], [SIGNATURES[0][:95]]):
        with pytest.raises(MalformedError):
            attestation.aggregate(signatures)


def _square_root(value: FQ) -> FQ | None:
    root = value ** ((field_modulus + 1) // 4)
    return root if root * root == value else None


def _outside_g1() -> bytes:
    """A point of G1's curve outside the group of prime order, in EIP-2537 form."""
    for number in itertools.count(2):
        x = FQ(number)
        y = _square_root(x**3 + b)
        if y is not None and not subgroup_check((x, y, FQ(1))):
            return b"".join(int(part).to_bytes(64, "big") for part in (x, y))
    raise AssertionError


def _outside_g2() -> bytes:
    """The same of G2's curve."""
    for number in itertools.count(2):
        x = FQ2([number, 1])
        y = modular_squareroot_in_FQ2(x**3 + b2)
        if y is not None and not subgroup_check((x, y, FQ2.one())):
            return b"".join(int(part).to_bytes(64, "big") for part in (*x.coeffs, *y.coeffs))
    raise AssertionError


@pytest.mark.parametrize("backend", ["default", "py_ecc"])
def test_points_outside_the_group_are_refused(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "py_ecc":
        monkeypatch.setattr(attestation, "_fast", None)
    with pytest.raises(MalformedError):
        attestation.pubkey_from_eip2537(_outside_g1())
    with pytest.raises(MalformedError):
        attestation.signature_from_eip2537(_outside_g2())


def test_key_file_keeps_the_key_and_hides_it(tmp_path) -> None:
    key = BlsSecretKey.generate()
    path = tmp_path / "bls.json"
    key.save(path, "correct horse", light=True)
    assert BlsSecretKey.load(path, "correct horse").pubkey == key.pubkey
    secret = key._scalar
    assert str(secret) not in repr(key)
    assert f"{secret:064x}" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(WrongPassword, match="check it"):
        BlsSecretKey.load(path, "wrong")
    with pytest.raises(KeyfileError, match="there already"):
        key.save(path, "correct horse", light=True)
    path.write_text(path.read_text().replace(key.pubkey.hex(), KEYS[0].pubkey.hex()))
    with pytest.raises(WrongPassword):  # another key's label on this secret
        BlsSecretKey.load(path, "correct horse")


@pytest.mark.parametrize("scalar", [0, -1, 2**256])
def test_scalars_out_of_range_are_refused(scalar: int) -> None:
    with pytest.raises(MalformedError):
        BlsSecretKey(scalar)
