"""What parties take as signed by the key holder, where T of N accounts stand as it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from web3 import Web3

from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.node.connection import connect
from ddcai.chain.opening import opening_message, scalars_message
from ddcai.chain.records import Commitment, RoundRecord
from ddcai.digests import scalars_digest
from ddcai.errors import VerificationError
from ddcai.rounds.party import Party
from ddcai.rounds.scalars import OpenedScalars
from ddcai.store import Store
from tests.chain.holders import (
    FIRST,
    malleated,
    one_signature,
    rekeyed,
    sealed,
    signature_of,
    stage_holders,
)
from tests.chain.support import digest
from tests.federation import play_chain, small_config

OPENED = digest()
Attack = Callable[[bytes, bytes, KeyEpoch], bytes]
ATTACKS: dict[str, Attack] = {
    "missing": lambda m, s, later: s[:-65],
    "twice": lambda m, s, later: s[:73] + s[8:73],
    "other epoch": lambda m, s, later: signature_of(later, m),
    "outsiders": lambda m, s, later: s[:8] + signature_of(later, m)[8:138],
    "malleated": lambda m, s, later: s[:73] + malleated(s[73:]),
    "v": lambda m, s, later: s[:-1] + bytes([s[-1] - 27]),
    "one account": lambda m, s, later: one_signature(FIRST[0], m),
    "other message": lambda m, s, later: s[:8] + one_signature(FIRST[0], OPENED) + s[73:],
}


@pytest.fixture(scope="module")
def w3() -> Iterator[Web3]:
    with play_chain() as chain:
        yield connect(chain.url)


@pytest.fixture(scope="module")
def party(w3: Web3, tmp_path_factory: pytest.TempPathFactory) -> Party:
    """Somebody who reads a federation whose round 1 belongs to epoch 1, of 2."""
    config = small_config()
    scene = stage_holders(w3, config=config.to_json())
    sealed(scene)
    rekeyed(scene)
    return Party(scene.by(None), config, Store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def record(party: Party) -> RoundRecord:
    """Round 1, as if its updates were judged."""
    found = party.federation.round(1)
    return replace(
        found,
        commitment=Commitment(
            draw_block=1,
            list_digest=digest(),
            randomness=digest(),
            scores_digest=digest(),
            committed=found.submissions,
        ),
    )


def _epochs(party: Party) -> tuple[KeyEpoch, ...]:
    holders = party.federation.key_holders()
    assert holders is not None
    return holders.epochs()


def _messages(party: Party, record: RoundRecord, opened: dict[str, tuple[int, ...]]) -> list[bytes]:
    """What is signed under the sum, and under scalars for the gate and for the window."""
    federation, commitment = party.federation, record.commitment
    assert commitment is not None
    values = {address: list(own) for address, own in opened.items()}
    where = (federation.chain_id, federation.address, record.number)
    return [
        opening_message(*where, record.sum_digest, OPENED),
        *(
            scalars_message(
                *where,
                scalars_digest(
                    party.context(record.number), commitment.list_digest, values, movement=movement
                ),
            )
            for movement in (False, True)
        ),
    ]


def _check(party: Party, record: RoundRecord, signatures: list[bytes]) -> None:
    """Checks each as what it is."""
    opened = _opened(record)
    party.check_opening(record, OPENED, signatures[0])
    for movement in (False, True):
        scalars = OpenedScalars(by_contributor=opened, signature=signatures[1 + movement])
        scalars.check(party, record, movement=movement)
        assert OpenedScalars.from_blob(scalars.to_blob()) == scalars


def _opened(record: RoundRecord) -> dict[str, tuple[int, ...]]:
    return {one.address: (place, -place) for place, one in enumerate(record.submissions)}


def test_the_rounds_holders_sign(party: Party, record: RoundRecord) -> None:
    first, _ = _epochs(party)
    messages = _messages(party, record, _opened(record))
    for who in ((0, 1), (0, 2), (1, 2)):
        _check(party, record, [signature_of(first, one, who) for one in messages])


@pytest.mark.parametrize(("of", "told"), [(0, "opened sum"), (1, "scalars"), (2, "scalars")])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_they_did_not_sign_is_refused(
    party: Party, record: RoundRecord, of: int, told: str, attack: Attack
) -> None:
    first, second = _epochs(party)
    messages = _messages(party, record, _opened(record))
    signatures = [signature_of(first, one) for one in messages]
    signatures[of] = attack(messages[of], signatures[of], second)
    with pytest.raises(VerificationError, match=f"the {told} of round 1: "):
        _check(party, record, signatures)
