from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.threshold.boxes import PUBLIC_BYTES, SECRET_BYTES, BoxKey, seal
from ddcai.errors import MalformedError

KEY, OTHER = BoxKey(bytes(range(SECRET_BYTES))), BoxKey.generate()
ABOUT = b"about"


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_a_box_opens_for_its_holder_and_what_it_is_about_alone(secret: bytes, about: bytes) -> None:
    box = seal(secret, KEY.public_bytes(), about)
    assert KEY.open(box, about) == secret
    assert box != seal(secret, KEY.public_bytes(), about)
    for key, said in ((OTHER, about), (KEY, about + b"!")):
        with pytest.raises(MalformedError, match="does not open"):
            key.open(box, said)


@given(st.data())
def test_an_altered_box_does_not_open(data: st.DataObject) -> None:
    box = bytearray(seal(b"secret", KEY.public_bytes(), ABOUT))
    at = data.draw(st.integers(0, len(box) - 1))
    box[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(box) - 1))
    for altered in (bytes(box), bytes(box[:cut]), bytes(box) + b"\0"):
        with pytest.raises(MalformedError, match="does not open"):
            KEY.open(altered, ABOUT)


def test_a_key_is_its_secret_and_shows_nothing_of_it() -> None:
    secret = bytes(range(SECRET_BYTES))
    assert BoxKey(secret).public_bytes() == KEY.public_bytes() != OTHER.public_bytes()
    assert len(KEY.public_bytes()) == PUBLIC_BYTES
    expected = MLKEM768PrivateKey.from_seed_bytes(secret[:64]).public_key().public_bytes_raw()
    assert KEY.public_bytes()[:1184] == expected
    assert secret.hex()[:16] not in repr(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


@pytest.mark.parametrize("public", [b"", bytes(PUBLIC_BYTES - 1), b"\xff" * PUBLIC_BYTES])
def test_a_public_key_that_is_none_is_refused(public: bytes) -> None:
    with pytest.raises(MalformedError, match="public box key"):
        seal(b"secret", public, ABOUT)
    with pytest.raises(MalformedError, match="has 96 bytes"):
        BoxKey(public)
