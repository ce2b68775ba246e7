from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ddcai.chain.account_signatures import recover
from ddcai.chain.holder_rules import Rekey
from ddcai.errors import ConfigurationError
from tests.chain.holders import FIRST, SECOND, group, holder_rules
from tests.chain.support import STRANGER, digest

ADDRESSES = tuple(one.address for one in FIRST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"holders": ADDRESSES[:1], "threshold": 1}, "1 key holders"),
        ({"holders": tuple(one.address for one in group("many", 65)), "threshold": 40}, "65 key"),
        ({"holders": ADDRESSES[::-1]}, "ascending"),
        ({"holders": (ADDRESSES[0], ADDRESSES[0], ADDRESSES[1])}, "each once"),
        ({"holders": ("0x" + "00" * 20, *ADDRESSES)}, "ascending"),
        ({"holders": (ADDRESSES[0].lower(), *ADDRESSES[1:])}, "checksum"),
        ({"threshold": 1}, "threshold is 1 of 3"),
        ({"threshold": 4}, "threshold is 4 of 3"),
        ({"threshold": True}, "threshold is True"),
        ({"holders": tuple(one.address for one in SECOND)}, "threshold is 2 of 4"),
        ({"key_digest": bytes(32)}, "key_digest"),
        ({"ceremony_digest": b"short"}, "ceremony_digest"),
        ({"grace_seconds": -1}, "grace_seconds"),
        ({"grace_seconds": 2**64}, "grace_seconds"),
    ],
)
def test_what_the_contract_would_refuse(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        holder_rules(**change)


def test_a_signature_serves_one_epoch_alone() -> None:
    rekey = Rekey(
        chain_id=1,
        contract=STRANGER.address,
        epoch=2,
        key_digest=digest(),
        ceremony_digest=digest(),
        holders=ADDRESSES,
        threshold=2,
    )
    signature = rekey.sign(FIRST[0])
    assert recover(rekey.digest(), signature) == FIRST[0].address
    elsewhere: list[dict[str, Any]] = [
        {"chain_id": 2},
        {"contract": FIRST[0].address},
        {"epoch": 3},
        {"key_digest": digest()},
        {"ceremony_digest": digest()},
        {"holders": ADDRESSES[:2]},
        {"threshold": 3},
    ]
    for change in elsewhere:
        assert recover(replace(rekey, **change).digest(), signature) != FIRST[0].address


@pytest.mark.parametrize(
    "change", [{"chain_id": 0}, {"epoch": 1}, {"epoch": 2**64}, {"contract": "0x12"}]
)
def test_no_epoch_to_sign(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "chain_id": 1,
        "contract": STRANGER.address,
        "epoch": 2,
        "key_digest": digest(),
        "ceremony_digest": digest(),
        "holders": ADDRESSES,
        "threshold": 2,
    }
    Rekey(**given)
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        Rekey(**(given | change))
