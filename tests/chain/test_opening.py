from __future__ import annotations

import pytest

from ddcai.chain.opening import (
    SIGNATURE_BYTES,
    opening_signer,
    scalars_signer,
    sign_opening,
    sign_scalars,
)
from tests.chain.support import COORDINATOR, KEY_HOLDER, SPONSOR, STRANGER, digest

CONTRACT, OTHER = SPONSOR.address, STRANGER.address
SUM, OPENED = digest(), digest()


def test_signer_is_recovered() -> None:
    signature = sign_opening(KEY_HOLDER, 1, CONTRACT, 5, SUM, OPENED)
    assert len(signature) == SIGNATURE_BYTES
    assert opening_signer(signature, 1, CONTRACT, 5, SUM, OPENED) == KEY_HOLDER.address
    forged = sign_opening(COORDINATOR, 1, CONTRACT, 5, SUM, OPENED)
    assert opening_signer(forged, 1, CONTRACT, 5, SUM, OPENED) == COORDINATOR.address


@pytest.mark.parametrize(
    "elsewhere",
    [
        (2, CONTRACT, 5, SUM, OPENED),
        (1, OTHER, 5, SUM, OPENED),
        (1, CONTRACT, 6, SUM, OPENED),
        (1, CONTRACT, 5, OPENED, OPENED),
        (1, CONTRACT, 5, SUM, SUM),
    ],
    ids=["chain", "contract", "round", "sum", "opened"],
)
def test_signature_serves_nowhere_else(elsewhere: tuple[int, str, int, bytes, bytes]) -> None:
    signature = sign_opening(KEY_HOLDER, 1, CONTRACT, 5, SUM, OPENED)
    assert opening_signer(signature, *elsewhere) != KEY_HOLDER.address


def test_a_signature_under_scalars_is_none_under_a_sum() -> None:
    signature = sign_scalars(KEY_HOLDER, 1, CONTRACT, 5, SUM)
    assert scalars_signer(signature, 1, CONTRACT, 5, SUM) == KEY_HOLDER.address
    for elsewhere in ((2, CONTRACT, 5, SUM), (1, OTHER, 5, SUM), (1, CONTRACT, 6, SUM)):
        assert scalars_signer(signature, *elsewhere) != KEY_HOLDER.address
    assert scalars_signer(signature, 1, CONTRACT, 5, OPENED) != KEY_HOLDER.address
    assert opening_signer(signature, 1, CONTRACT, 5, SUM, SUM) != KEY_HOLDER.address
