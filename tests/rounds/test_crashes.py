"""Contributors and key holders that die at each step of a round, by SIGKILL, and come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ddcai.chain.node.connection import connect, request
from ddcai.configuration import Encryption
from ddcai.models.state import State
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.opener import opener_of
from ddcai.rounds.party import Party, Settings, attestation_key, state_folder
from ddcai.rounds.shared_opener import SUM, Asked, SharedOpener
from tests.crashing import KILLED, run
from tests.federation import SmallFederation, make_federation, small_config

NAME = "south"
INDEX = 1


@pytest.fixture(scope="module")
def settings(federation: SmallFederation) -> Settings:
    """One contributor's, which counts what it spends."""
    path = federation.trial.folder / "policy.toml"
    path.write_text("[money]\nmax_spend_wei_per_day = 1000000000000000000\n")
    path.chmod(0o600)
    return replace(federation.trial.contributors[NAME], policy=str(path))


def _contributor(settings: Settings) -> Contributor:
    party = Party.connect(settings)
    return Contributor(party, attestation_key(settings, party), state_folder(settings, party))


def contribute(settings: Settings, number: int, trained: State) -> None:
    """What a node does with a training message."""
    contributor = _contributor(settings)
    party = contributor.party
    base = party.model(party.federation.round(number).base_model_digest)
    record = contributor.check_round(number, base)
    contributor.submit(record, contributor.protect(record, base, trained, 20))


def _attest(settings: Settings, number: int, opened: bytes, signature: bytes, out: Path) -> None:
    out.write_bytes(_contributor(settings).attest(number, opened, signature))


def _settle(settings: Settings) -> None:
    _contributor(settings).settle()


def _sent(federation: SmallFederation) -> int:
    address = federation.addresses[INDEX]
    return int(request(connect(federation.url), "eth_getTransactionCount", [address, "latest"]), 16)


TRANSACTION = [f"transaction-{when}:1" for when in ("before", "signed", "sent", "after")]
# Its policy's count of the round, its update, and what it spends: set aside, and spent.
FILES = [f"file-{when}:{nth}" for nth in range(1, 5) for when in ("before", "part", "after")]
BLOB = [f"blob-{when}:1" for when in ("before", "part", "after")]


@pytest.mark.parametrize("fault", TRANSACTION + FILES + BLOB)
def test_a_contributor_killed_while_it_submits(
    federation: SmallFederation, settings: Settings, fault: str
) -> None:
    """Back again, it submits once, pays once, and its update counts."""
    record, before = federation.coordinator.open_round(), _sent(federation)
    number, trained = record.number, federation.train(record, INDEX)
    assert run(contribute, fault, settings, number, trained) == KILLED
    assert run(contribute, "", settings, number, trained) == 0
    assert _sent(federation) - before == 1
    base = federation.coordinator.party.model(record.base_model_digest)
    collection = federation.coordinator.collect(record, base)
    collection.add_from_store()
    assert collection.accepted == (federation.addresses[INDEX],)


@pytest.mark.parametrize("when", ["before", "part", "after"])
def test_a_contributor_killed_while_it_attests(
    federation: SmallFederation, settings: Settings, tmp_path: Path, when: str
) -> None:
    record = federation.coordinator.open_round()
    updates = {index: federation.contribute(record, index).blob for index in range(3)}
    sealed = federation.seal(record, updates)
    opening = federation.open(sealed)
    asked = (settings, record.number, opening.blob, opening.signature)
    out = tmp_path / "signature"
    assert run(_attest, f"file-{when}:1", *asked, out) == KILLED
    assert not out.exists()
    assert run(_attest, "", *asked, out) == 0
    result = federation.coordinator.result(sealed, opening)
    signatures = federation.signatures(sealed, opening, [0, 2]) | {INDEX: out.read_bytes()}
    federation.coordinator.finalize(sealed, opening, result, signatures)


@pytest.mark.parametrize("fault", TRANSACTION)
def test_a_contributor_killed_while_it_takes_its_deposit_back(
    federation: SmallFederation, settings: Settings, fault: str
) -> None:
    record = federation.run_round(settle=False)
    before = _sent(federation)
    assert federation.contract.claimable(record.number, federation.addresses[INDEX])[0] > 0
    assert run(_settle, fault, settings) == KILLED
    assert run(_settle, "", settings) == 0
    assert federation.contract.claimable(record.number, federation.addresses[INDEX]) == (0, 0)
    assert _sent(federation) - before == 1


# Those that hold a key together.


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    encryption = Encryption(parameter_set="bfv-8192-3x20", max_contributors=8)
    config = small_config(encryption=encryption)
    with make_federation(
        tmp_path_factory.mktemp("shared"), 3, url=chain_url, config=config, holders=(2, 3)
    ) as made:
        yield made


def _holder(settings: Settings) -> SharedOpener:
    party = Party.connect(settings)
    opener = opener_of(settings, party, state_folder(settings, party))
    assert isinstance(opener, SharedOpener)
    return opener


def _share(settings: Settings, asked: Asked, out: Path) -> None:
    out.write_bytes(_holder(settings).share(asked))


def _combine(settings: Settings, asked: Asked, shares: dict[int, bytes], out: Path) -> None:
    found = _holder(settings).combine(asked, shares)
    out.write_bytes(found.value + found.signature)


@pytest.mark.parametrize("when", ["before", "part", "after"])
def test_a_key_holder_killed_while_it_opens(
    shared: SmallFederation, tmp_path: Path, when: str
) -> None:
    """Back again, it opens the same list, and the sum is signed."""
    record = shared.coordinator.open_round()
    updates = {index: shared.contribute(record, index).blob for index in range(3)}
    sealed = shared.seal(record, updates)
    first, second = shared.openers[:2]
    (settings,) = (
        one
        for one in shared.trial.key_holders.values()
        if Party.connect(one).address == first.party.address
    )
    asked, out = Asked(what=SUM, round=record.number, responders=(0, 1)), tmp_path / "out"
    assert run(_share, f"file-{when}:1", settings, asked, out) == KILLED
    assert not out.exists()
    assert run(_share, "", settings, asked, out) == 0
    shares = {0: out.read_bytes(), 1: second.share(asked)}
    assert run(_combine, "", settings, asked, shares, out) == 0
    found = second.combine(asked, shares)
    assert found.value == out.read_bytes()[:-65]
    opening = shared.open(sealed)
    assert opening.blob == found.value
    result = shared.coordinator.result(sealed, opening)
    signatures = shared.signatures(sealed, opening, [0, 1, 2])
    shared.coordinator.finalize(sealed, opening, result, signatures)
