"""Rounds over two keys: the holders hand on, and one of them leaves, while a round is under way.

| round | opened | opened by |
|---|---|---|
| 1 | under epoch 1 | its holders |
| 2 | under epoch 1, submitted to; then the next key is registered | epoch 1's, in their grace |
| 3 | under epoch 2 | its holders |
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History
from ddcai.audit.keys import key_rows
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.encryption import bfv
from ddcai.encryption.journal import Journal
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.errors import ForgedUpdate, RoundError, WrongEncryptionKey
from ddcai.rounds.ceremony import PIECES_NAME
from ddcai.rounds.key_use import KeyMeter
from ddcai.rounds.party import state_folder
from ddcai.rounds.shared_opener import SUM, Asked, SharedOpener
from ddcai.store import Store
from tests.audit.node_reading import read_history
from tests.epochs import NEW_NAME, Rekeyed, copied, opener, rekey

from .support import KEY_HOLDER_NODE, Nodes
from .test_holders import federation_of


def without(rekeyed: Rekeyed, *away: str) -> Nodes:
    nodes = Nodes(rekeyed.made)
    names = list(rekeyed.made.trial.key_holders)
    for name in away:
        del nodes.members[KEY_HOLDER_NODE + names.index(name)]
    return nodes


def go_on(nodes: Nodes, rounds: int) -> None:
    nodes.strategy(join_timeout_s=1.0).start(nodes.grid(), num_rounds=rounds)


@pytest.fixture(scope="module")
def two(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rekeyed]:
    """The federation of the table above."""
    with federation_of(tmp_path_factory.mktemp("epochs"), chain_url, 2, 3) as made:
        made.run_round()
        record = made.coordinator.open_round()
        for index in range(len(made.contributors)):
            made.contribute(record, index)
        rekeyed = rekey(made)
        first, *_ = made.trial.key_holders
        # Of epoch 2 a single holder is there, too few for a round of its own.
        go_on(without(rekeyed, first, NEW_NAME), 2)
        go_on(without(rekeyed, rekeyed.left, first), 3)
        yield rekeyed


def history_of(rekeyed: Rekeyed) -> History:
    return read_history(connect(rekeyed.made.url), rekeyed.made.deployment.federation)


def audit(rekeyed: Rekeyed, store: Store | None = None) -> list[Claim]:
    return list(verify(history_of(rekeyed), store or rekeyed.made.store))


def keys(found: list[Claim]) -> dict[str, Claim]:
    return {one.subject: one for one in found if one.name == claims.ENCRYPTION_KEY}


def test_each_round_is_opened_by_its_own_holders_and_all_audits_clean(two: Rekeyed) -> None:
    assert [two.made.contract.round(n).state.name for n in (1, 2, 3)] == ["FINALIZED"] * 3
    found = audit(two)
    assert [one for one in found if not one.passed] == []
    opened = {one.round: one for one in found if one.name == claims.OPENING}
    assert [opened[n].expected for n in (1, 2, 3)] == [
        "2 of 3 holders of epoch 1",
        "2 of 3 holders of epoch 1",
        "2 of 3 holders of epoch 2",
    ]
    assert [one.expected for one in keys(found).values()] == [
        "0x" + epoch.key_digest.hex() for epoch in two.epochs
    ]
    assert set(keys(found)) == {"", "epoch 2"}


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_audit_fails_without_the_key_of_each_epoch(
    two: Rekeyed, tmp_path: Path, epoch: int
) -> None:
    blobs, digest = copied(tmp_path, two.made), two.epochs[epoch - 1].key_digest
    path, subject = blobs / digest.hex(), "" if epoch == 1 else "epoch 2"
    path.unlink()
    found = audit(two, Store(str(blobs)))
    assert [(one.name, one.subject, one.found) for one in found if not one.passed] == [
        (claims.ENCRYPTION_KEY, subject, claims.ABSENT)
    ]
    # Another one: whoever made it could read what is encrypted under it.
    other = bfv.generate(bfv.PublicKey.from_blob(two.made.store.get(digest)).parameters)[1]
    path.write_bytes(other.to_blob())
    claim = keys(audit(two, Store(str(blobs))))[subject]
    assert (claim.status, claim.found) == (Status.FAIL, "0x" + other.digest().hex())


def test_a_key_of_another_parameter_set_fails(two: Rekeyed) -> None:
    """The chain knows digests alone: a key of any set can be registered."""
    history = history_of(two)
    other = bfv.generate(parameter_set("bfv-8192-2x30"))[1]
    two.made.store.put(other.digest(), other.to_blob())
    first, second = history.key_epochs
    changed = dataclasses.replace(
        history, key_epochs=(first, dataclasses.replace(second, key_digest=other.digest()))
    )
    claim = keys(list(verify(changed, two.made.store)))["epoch 2"]
    assert (claim.status, claim.found) == (Status.FAIL, "bfv-8192-2x30")


def test_who_left_opens_nothing_of_the_next_key(two: Rekeyed) -> None:
    gone = opener(two.made.trial.key_holders[two.left])
    assert gone.party.address not in two.epochs[1].holders
    gone.share(Asked(what=SUM, round=2, responders=(0, 1, 2)))
    with pytest.raises(WrongEncryptionKey, match=rf"{gone.party.address} is no holder"):
        gone.share(Asked(what=SUM, round=3, responders=(0, 1, 2)))


def test_who_left_is_not_counted(two: Rekeyed) -> None:
    first, *_ = two.made.trial.key_holders
    with pytest.raises(RoundError, match="2 are needed"):
        go_on(without(two, first, NEW_NAME), 4)
    assert two.made.contract.last_round() == 3


def test_a_holder_without_the_file_of_an_earlier_key_says_what_to_do(two: Rekeyed) -> None:
    staying, *_ = two.made.trial.key_holders
    settings = two.made.trial.key_holders[staying]
    only = dataclasses.replace(
        settings, encryption_key=str(Path(settings.encryption_key) / "epoch-2")
    )
    asked = Asked(what=SUM, round=2, responders=(0, 1, 2))
    opener(settings).share(asked)
    with pytest.raises(WrongEncryptionKey, match="of epoch 1") as refused:
        opener(only).share(asked)
    for part in (two.epochs[0].key_digest.hex(), PIECES_NAME, "encryption-key", "start again"):
        assert part in str(refused.value)


def test_the_pieces_of_the_first_key_do_not_open_the_second(two: Rekeyed) -> None:
    """The attack: all holders of epoch 2 open with what they have of epoch 1, and agree."""
    made = two.made
    old: dict[tuple[int, ...], bytes] = {}
    for settings in made.trial.key_holders.values():
        path = Path(settings.encryption_key)
        file = path if path.is_file() else path / PIECES_NAME
        if file.exists():
            old |= KeyRing.load(file, settings.password()).seeds
    assert set(old) == {(0,), (1,), (2,)}
    asked = Asked(what=SUM, round=3, responders=(0, 1, 2))

    def stale(honest: SharedOpener) -> SharedOpener:
        ring = honest._rings[two.epochs[1].key_digest]
        seeds = {piece: old[piece] for piece in ring.seeds}
        forged = dataclasses.replace(ring, seeds=seeds)
        return SharedOpener(honest.party, [forged], honest._folder)

    def come_to(openers: list[SharedOpener]) -> None:
        shares = {number: one.share(asked) for number, one in enumerate(openers)}
        for one in openers:
            assert one.combine(asked, shares).value

    come_to(list(made.openers))
    with pytest.raises(ForgedUpdate):
        come_to([stale(one) for one in made.openers])


def test_a_holder_remembers_what_it_opened_under_all_keys(two: Rekeyed) -> None:
    """So that budgets of scalars and of epsilon do not begin again with a key."""
    staying, *_ = two.made.trial.key_holders
    both = opener(two.made.trial.key_holders[staying])
    both.share(Asked(what=SUM, round=3, responders=(0, 1, 2)))
    folders = list(state_folder(two.made.trial.key_holders[staying], both.party).glob("key-*"))
    assert len(folders) == 2
    assert both._opened(3) >= {1, 3}


def test_a_round_that_the_key_cannot_open_is_not_opened(
    two: Rekeyed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of one ciphertext a round: the key of epoch 2 opened one, and hides no more."""
    made, nodes = two.made, Nodes(two.made)
    found = made.coordinator.key_use()
    assert found is not None
    assert (found.epoch, found.spent, found.next_round, found.scarce) == (2, 1, 1, False)
    before = [made.contract.balance(address) for address in made.addresses]
    monkeypatch.setattr(smudging, "most_openings", lambda *_: 1)
    with caplog.at_level(logging.WARNING), pytest.raises(RoundError, match="hides 1: the round is"):
        nodes.strategy().start(nodes.grid(), num_rounds=4)
    assert made.contract.last_round() == 3
    assert [made.contract.balance(address) for address in made.addresses] == before
    (said,) = [one.message for one in caplog.records if "opens 0 more rounds" in one.message]
    assert "of 1 in all" in said


def test_the_chain_shows_no_less_than_any_holder_opened(two: Rekeyed) -> None:
    meter = KeyMeter(two.made.config, two.made.coordinator.current_model())
    rows = key_rows(history_of(two), meter)
    assert [row.rounds_left is None for row in rows] == [True, False]
    for number, epoch in enumerate(two.epochs, 1):
        for one in two.made.openers:
            ring = one._rings.get(epoch.key_digest)
            if ring is not None:
                counted = sum(Journal(path).ciphertexts() for path in one._journals(ring).values())
                opened = rows[number - 1].opened
                assert opened is not None
                assert counted <= opened == len(rows[number - 1].rounds)
