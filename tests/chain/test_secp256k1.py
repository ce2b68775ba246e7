"""libsecp256k1, where the extra `fast` brings it, against eth-keys' own Python: the same bytes."""

from __future__ import annotations

import pytest
from eth_keys.backends import CoinCurveECCBackend, NativeECCBackend, get_backend
from eth_keys.backends.base import BaseECCBackend
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("coincurve", reason="the extra `fast` is not installed")

PYTHON = NativeECCBackend()
LIBRARY = CoinCurveECCBackend()
FIELD = 2**256 - 2**32 - 977
secrets = st.integers(1, SECPK1_N - 1).map(lambda value: value.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)
# A curve point's abscissa below p - n could be meant by two values of r.
scalars = st.integers(0, SECPK1_N + 1) | st.integers(0, FIELD - SECPK1_N)


def test_the_library_is_taken_where_it_is_there() -> None:
    assert isinstance(get_backend(), CoinCurveECCBackend)


@settings(max_examples=25)
@given(secret=secrets, digest=digests)
def test_keys_and_signatures_are_the_same_to_the_byte(secret: bytes, digest: bytes) -> None:
    ours, theirs = PrivateKey(secret, backend=PYTHON), PrivateKey(secret, backend=LIBRARY)
    assert ours.public_key.to_bytes() == theirs.public_key.to_bytes()
    signed = ours.sign_msg_hash(digest)
    assert signed.to_bytes() == theirs.sign_msg_hash(digest).to_bytes()
    for backend in (PYTHON, LIBRARY):
        again = Signature(signed.to_bytes(), backend=backend)
        assert again.recover_public_key_from_msg_hash(digest) == ours.public_key


def _recovered(backend: BaseECCBackend, signature: tuple[int, int, int], digest: bytes) -> str:
    """The signer's address, or that there is none."""
    try:
        signed = Signature(vrs=signature, backend=backend)
        return signed.recover_public_key_from_msg_hash(digest).to_checksum_address()
    except BadSignature:
        return "refused"


@settings(max_examples=60)
@given(v=st.sampled_from([0, 1]), r=scalars, s=scalars, digest=digests)
def test_any_signature_leads_to_the_same_signer_or_to_none(
    v: int, r: int, s: int, digest: bytes
) -> None:
    assert _recovered(PYTHON, (v, r, s), digest) == _recovered(LIBRARY, (v, r, s), digest)
