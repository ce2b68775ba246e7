from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.opening import (
    SIGNATURE_LENGTHS,
    check_signature,
    opening_message,
    scalars_message,
    sign_opening,
    sign_scalars,
)
from ddcai.chain.records import bitmap
from ddcai.errors import ContractReverted, MalformedError, VerificationError
from tests.chain.holders import tampered
from tests.chain.support import (
    CONTRIBUTORS,
    COORDINATOR,
    KEY_HOLDER,
    SPONSOR,
    STRANGER,
    WORDS,
    Scene,
    digest,
    stage,
)

CONTRACT, OTHER = SPONSOR.address, STRANGER.address
SUM, OPENED = digest(), digest()
ELSEWHERE = [
    (2, CONTRACT, 5, SUM, OPENED),
    (1, OTHER, 5, SUM, OPENED),
    (1, CONTRACT, 6, SUM, OPENED),
    (1, CONTRACT, 5, OPENED, OPENED),
    (1, CONTRACT, 5, SUM, SUM),
]


def test_the_key_holders_signature_holds() -> None:
    message = opening_message(1, CONTRACT, 5, SUM, OPENED)
    signature = sign_opening(KEY_HOLDER, 1, CONTRACT, 5, SUM, OPENED)
    assert len(signature) in SIGNATURE_LENGTHS
    assert check_signature(KEY_HOLDER.address, message, signature) == (KEY_HOLDER.address,)
    forged = sign_opening(COORDINATOR, 1, CONTRACT, 5, SUM, OPENED)
    with pytest.raises(VerificationError, match=f"signed by {COORDINATOR.address}, not by the key"):
        check_signature(KEY_HOLDER.address, message, forged)


@pytest.mark.parametrize(
    "elsewhere", ELSEWHERE, ids=["chain", "contract", "round", "sum", "opened"]
)
def test_signature_serves_nowhere_else(elsewhere: tuple[int, str, int, bytes, bytes]) -> None:
    signature = sign_opening(KEY_HOLDER, 1, CONTRACT, 5, SUM, OPENED)
    with pytest.raises(VerificationError, match="not by the key holder"):
        check_signature(KEY_HOLDER.address, opening_message(*elsewhere), signature)


def test_a_signature_under_scalars_is_none_under_a_sum() -> None:
    signature, holder = sign_scalars(KEY_HOLDER, 1, CONTRACT, 5, SUM), KEY_HOLDER.address
    check_signature(holder, scalars_message(1, CONTRACT, 5, SUM), signature)
    others = [
        scalars_message(2, CONTRACT, 5, SUM),
        scalars_message(1, OTHER, 5, SUM),
        scalars_message(1, CONTRACT, 6, SUM),
        scalars_message(1, CONTRACT, 5, OPENED),
        opening_message(1, CONTRACT, 5, SUM, SUM),
    ]
    for message in others:
        with pytest.raises(VerificationError, match="not by the key holder"):
            check_signature(holder, message, signature)


@pytest.fixture(scope="module")
def sealed(w3: Web3) -> Scene:
    """A federation whose round 1 waits for its result."""
    scene = stage(w3)
    scene.submit(scene.open(), *CONTRIBUTORS)
    scene.by(COORDINATOR).seal_round(1, digest(), range(4))
    return scene


def test_the_message_is_the_contracts(sealed: Scene) -> None:
    address = sealed.deployment.federation
    found = sealed.by(None).opening_message(1, SUM, OPENED)
    assert opening_message(31337, address, 1, SUM, OPENED) == found


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), times=st.integers(0, 2))
def test_the_contract_answers_the_same_for_an_account(sealed: Scene, seed: int, times: int) -> None:
    """A result without a quorum's signature: what the contract says next tells its answer."""
    rng = random.Random(seed)
    address, opened = sealed.deployment.federation, rng.randbytes(32)
    sum_digest = sealed.by(None).round(1).sum_digest
    message = opening_message(31337, address, 1, sum_digest, opened)
    signature = sign_opening(KEY_HOLDER, 31337, address, 1, sum_digest, opened)
    for _ in range(times):
        signature = tampered(signature, message, rng)
    contract = Contract(sealed.w3, address, artifact.load("Federation"))
    with pytest.raises(ContractReverted) as caught:
        contract.call(
            "finalizeRound", 1, (opened, digest()), signature, list(WORDS), bitmap(range(4)), b""
        )
    refused = caught.value.name == "InvalidOpeningSignature"
    try:
        check_signature(KEY_HOLDER.address, message, signature)
    except (MalformedError, VerificationError):
        assert refused
    else:
        assert not refused
