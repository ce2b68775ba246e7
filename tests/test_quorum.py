"""Both schemes behind one interface: what was signed verifies, nothing else does."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from ddcai import quorum
from ddcai.attestation import BlsSecretKey
from ddcai.errors import DdcaiError, MalformedError, VerificationError
from ddcai.quorum import AttestationKey, BlsScheme, EcdsaKey, EcdsaScheme, Scheme, scheme_of

MESSAGE = b"m" * 32
CONTRACT, OTHER_CONTRACT = "0x" + "11" * 20, "0x" + "22" * 20
ECDSA = EcdsaScheme(7, CONTRACT)
ACCOUNTS = [Account.from_key(bytes(31) + bytes([n])) for n in (1, 2, 3)]
KEYS: dict[str, list[AttestationKey]] = {
    "bls": [BlsSecretKey(scalar) for scalar in (1, 2, 3**40)],
    "ecdsa": [EcdsaKey(account, ECDSA) for account in ACCOUNTS],
}
SCHEMES: dict[str, Scheme] = {"bls": BlsScheme(), "ecdsa": ECDSA}
ME = ACCOUNTS[0].address
HIGHEST = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _forms(name: str) -> tuple[Scheme, list[bytes], dict[int, bytes]]:
    """The scheme, its registered keys, and a signature of each under MESSAGE."""
    keys = KEYS[name]
    signatures = {index: key.sign(MESSAGE) for index, key in enumerate(keys)}
    return SCHEMES[name], [key.registered for key in keys], signatures


def _malleable(signature: bytes) -> bytes:
    """The other s and v, which ecrecover takes as well."""
    s = HIGHEST - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize("name", quorum.SCHEMES)
def test_a_quorums_signature_verifies_under_its_signers_alone(name: str) -> None:
    scheme, keys, signatures = _forms(name)
    assert scheme.name == scheme_of(name, 7, CONTRACT).name == name
    combined = scheme.combine(signatures)
    scheme.verify(keys, MESSAGE, combined)
    # Of any order: it is the index that counts.
    assert scheme.combine(dict(reversed(signatures.items()))) == combined
    for wrong in (keys[:2], [*keys, keys[0]], [keys[0], keys[0], keys[2]], []):
        with pytest.raises((VerificationError, MalformedError)):
            scheme.verify(wrong, MESSAGE, combined)
    with pytest.raises(VerificationError):
        scheme.verify(keys, b"n" * 32, combined)
    for malformed in (b"", combined[:-1], combined + b"\0"):
        with pytest.raises((VerificationError, MalformedError)):
            scheme.verify(keys, MESSAGE, malformed)


@pytest.mark.parametrize("name", quorum.SCHEMES)
def test_one_signature_is_of_one_key_and_message(name: str) -> None:
    scheme, keys, signatures = _forms(name)
    scheme.verify_one(keys[1], MESSAGE, signatures[1])
    for key, message in ((keys[0], MESSAGE), (keys[1], b"n" * 32)):
        with pytest.raises(VerificationError):
            scheme.verify_one(key, message, signatures[1])


@pytest.mark.parametrize("name", quorum.SCHEMES)
def test_a_proof_of_possession_is_of_one_key_and_is_no_signature(name: str) -> None:
    scheme, keys, signatures = _forms(name)
    proof = KEYS[name][0].prove(ME)
    scheme.verify_possession(ME, keys[0], proof)
    for key, given_ in ((keys[1], proof), (keys[0], signatures[0]), (keys[0], b"")):
        with pytest.raises((VerificationError, MalformedError)):
            scheme.verify_possession(ME, key, given_)
    with pytest.raises((VerificationError, MalformedError)):
        scheme.verify_one(keys[0], MESSAGE, proof)


def test_an_ecdsa_proof_is_of_the_member_that_joins() -> None:
    key = KEYS["ecdsa"][0]
    with pytest.raises(VerificationError):
        ECDSA.verify_possession(ACCOUNTS[1].address, key.registered, key.prove(ME))


@pytest.mark.parametrize("other", [EcdsaScheme(8, CONTRACT), EcdsaScheme(7, OTHER_CONTRACT)])
def test_an_ecdsa_signature_is_of_one_chain_and_contract(other: EcdsaScheme) -> None:
    key = KEYS["ecdsa"][0]
    with pytest.raises(VerificationError):
        other.verify_one(key.registered, MESSAGE, key.sign(MESSAGE))
    with pytest.raises(VerificationError):
        other.verify_possession(ME, key.registered, key.prove(ME))


def test_an_ecdsa_signature_has_one_form() -> None:
    key = KEYS["ecdsa"][0]
    signature = key.sign(MESSAGE)
    # eth-account itself takes the other form.
    signable = ECDSA.attestation(MESSAGE)
    assert Account.recover_message(signable, signature=_malleable(signature)) == ME
    for form in (_malleable(signature), signature[:64] + bytes([signature[64] - 27])):
        with pytest.raises(MalformedError, match="higher s"):
            ECDSA.verify_one(key.registered, MESSAGE, form)


def test_a_personal_message_is_no_attestation() -> None:
    signature = bytes(ACCOUNTS[0].sign_message(encode_defunct(MESSAGE)).signature)
    with pytest.raises(VerificationError):
        ECDSA.verify_one(KEYS["ecdsa"][0].registered, MESSAGE, signature)


@pytest.mark.parametrize("key", [b"", bytes(20), bytes(21), b"\1" * 19])
def test_a_malformed_ecdsa_key_verifies_nothing(key: bytes) -> None:
    with pytest.raises(MalformedError, match="address of 20"):
        ECDSA.verify_one(key, MESSAGE, KEYS["ecdsa"][0].sign(MESSAGE))


@given(st.binary(max_size=200))
def test_no_other_bytes_verify(signature: bytes) -> None:
    for key in KEYS["ecdsa"]:
        with pytest.raises(DdcaiError):
            ECDSA.verify([key.registered], MESSAGE, signature)


@given(st.integers(0, 8 * 65 - 1))
def test_no_flipped_bit_verifies(bit: int) -> None:
    key = KEYS["ecdsa"][0]
    signature = bytearray(key.sign(MESSAGE))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DdcaiError):
        ECDSA.verify_one(key.registered, MESSAGE, bytes(signature))


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(VerificationError, match="'schnorr'"):
        scheme_of("schnorr", 1, CONTRACT)


def test_no_secret_is_shown() -> None:
    shown = repr(KEYS["ecdsa"][0])
    assert shown == f"EcdsaKey({ME})"
