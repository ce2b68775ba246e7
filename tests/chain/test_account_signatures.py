from __future__ import annotations

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.chain.account_signatures import check_form, recover
from ddcai.errors import MalformedError
from tests.chain.holders import ORDER, OUTSIDER, malleated, one_signature

messages = st.binary(min_size=32, max_size=32)
MESSAGE = bytes(range(32))


@settings(max_examples=20)
@given(secret=st.integers(1, ORDER - 1), message=messages)
def test_the_signer_is_recovered(secret: int, message: bytes) -> None:
    account = Account.from_key(secret.to_bytes(32, "big"))
    assert recover(message, one_signature(account, message)) == account.address


@settings(max_examples=20)
@given(message=messages)
def test_the_other_form_of_a_signature_is_refused(message: bytes) -> None:
    """eth-account takes it, and says the same signer."""
    other = malleated(one_signature(OUTSIDER, message))
    assert Account._recover_hash(message, signature=other) == OUTSIDER.address
    with pytest.raises(MalformedError, match="higher s"):
        recover(message, other)


def test_v_from_zero_is_refused() -> None:
    signature = one_signature(OUTSIDER, MESSAGE)
    other = signature[:64] + bytes([signature[64] - 27])
    assert Account._recover_hash(MESSAGE, signature=other) == OUTSIDER.address
    with pytest.raises(MalformedError, match="v of"):
        recover(MESSAGE, other)


@given(signature=st.binary(max_size=70) | st.binary(min_size=65, max_size=65))
def test_any_bytes_are_a_signature_or_malformed(signature: bytes) -> None:
    try:
        signer = recover(MESSAGE, signature)
    except MalformedError:
        return
    assert Account._recover_hash(MESSAGE, signature=signature) == signer


@pytest.mark.parametrize("at", [0, 32], ids=["r", "s"])
@pytest.mark.parametrize("value", [0, ORDER, 2**256 - 1])
def test_numbers_out_of_range_are_refused(at: int, value: int) -> None:
    signature = bytearray(one_signature(OUTSIDER, MESSAGE))
    signature[at : at + 32] = value.to_bytes(32, "big")
    with pytest.raises(MalformedError):
        check_form(bytes(signature))


def test_r_on_no_point_of_the_curve_is_refused() -> None:
    """5 is the abscissa of no point of secp256k1."""
    signature = (5).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"\x1b"
    check_form(signature)
    with pytest.raises(MalformedError, match="of no account"):
        recover(MESSAGE, signature)
