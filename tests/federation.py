"""A small federation, whole and real, in one folder: for every test that needs one.

A play chain, deployed contracts, keystores, BLS and BFV keys, blobs on disk, four numeric
columns of synthetic data a site, a network of a few dozen parameters. About three seconds to
make, one a round::

    with make_federation(tmp_path) as federation:
        record = federation.run_round()
        federation.contributors[0].settle()

`federation.trial` has the settings of each party, for tests that go through files (CLI,
Flower). `run_round` is made of the steps below it; tests that attack one take them singly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcai.chain.deploy import Deployment
from ddcai.chain.federation import Federation
from ddcai.chain.key_holders import KeyEpoch, join_signatures
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import RoundRecord
from ddcai.configuration import (
    Encryption,
    Feature,
    FederationConfig,
    Model,
    Task,
    Training,
)
from ddcai.models import encoder, training
from ddcai.models.state import State
from ddcai.rounds import trial
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.keyholder import Opener, Opening
from ddcai.rounds.opener import opener_of
from ddcai.rounds.party import Party, Settings, attestation_key, state_folder
from ddcai.rounds.result import Result
from ddcai.rounds.shared_opener import SUM, Asked, SharedOpener
from ddcai.rounds.update import Update
from ddcai.store import Store

PlayChain = ManagedAnvil | EmbeddedChain
COLUMNS = ("age", "dose", "pulse", "weight")
SITES = ("north", "south", "east", "west", "centre", "coast", "hills", "lake")


def play_chain() -> AbstractContextManager[PlayChain]:
    """A chain with the usual development accounts: anvil where it is installed.

    It takes a third of the embedded chain's CPU time, and what a federation does on the embedded
    chain is shown by the demo, the documents' sessions, `tests/cli/test_whole.py` and
    `tests/rounds/test_result.py`; `tests/chain` has its contracts on both.
    """
    return EmbeddedChain() if find_anvil() is None else ManagedAnvil()


def small_config(**changes: Any) -> FederationConfig:
    """Four columns, two classes, 4-6-2 weights; ``changes`` replace whole sections.

    The parameter set is one of a single key: the cheapest.
    """
    sections: dict[str, Any] = {
        "name": "small",
        "task": Task(
            label="ill",
            classes=("no", "yes"),
            features=tuple(Feature(name=name, kind="numeric", low=-1, high=1) for name in COLUMNS),
        ),
        "model": Model(hidden=(6,), head_scale=1024, seed=7),
        "training": Training(local_epochs=1, batch_size=16, learning_rate=0.05),
        "encryption": Encryption(parameter_set="bfv-4096-3x19", max_contributors=8),
    }
    return FederationConfig(**(sections | changes))


def small_data(site: int, examples: int = 48) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """One site's inputs float32[n, 8] and labels int64[n], the same at every call.

    A label depends on the first two columns; nothing is missing, so the indicators are 0.
    """
    rng = np.random.default_rng(1000 + site)
    values = rng.uniform(-1, 1, (examples, len(COLUMNS)))
    x = np.zeros((examples, 2 * len(COLUMNS)), np.float32)
    x[:, ::2] = values
    y = (values[:, 0] + values[:, 1] > 0).astype(np.int64)
    return x, y


@dataclass(frozen=True, kw_only=True)
class SmallFederation:
    """A federation with everybody in it.

    Attributes:
        url: the chain's endpoint.
        trial: where each party's files are, and its settings.
        opener: a single key holder; of one of which several hold the key, the first.
        openers: those that hold a key together.
        contributors: in member order, as are `names`, `addresses` and `data`.
        data: each contributor's (x, y).
    """

    url: str
    config: FederationConfig
    trial: trial.Trial
    coordinator: Coordinator
    opener: Opener | SharedOpener
    openers: tuple[SharedOpener, ...]
    contributors: tuple[Contributor, ...]
    data: tuple[tuple[NDArray[np.float32], NDArray[np.int64]], ...]

    @property
    def deployment(self) -> Deployment:
        """Addresses; its file is `deployment_path`."""
        return self.trial.deployment

    @property
    def deployment_path(self) -> Path:
        """The deployment file."""
        return Path(self.trial.coordinator.deployment)

    @property
    def store(self) -> Store:
        """The blob store that all parties share."""
        return self.trial.store

    @property
    def names(self) -> tuple[str, ...]:
        """The contributors' names."""
        return tuple(self.trial.contributors)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The contributors' accounts."""
        return tuple(one.party.address for one in self.contributors)

    @property
    def contract(self) -> Federation:
        """The contract, for reading."""
        return Federation.connect(connect(self.url), self.deployment.federation)

    def pass_time(self, seconds: int) -> None:
        """Moves the chain's clock ahead, past a deadline."""
        w3 = connect(self.url)
        request(w3, "evm_increaseTime", [seconds])
        request(w3, "evm_mine", [])

    # One round's steps.

    def train(self, record: RoundRecord, index: int) -> State:
        """What a contributor's local training makes of the round's base model."""
        party = self.contributors[index].party
        network = encoder.build(self.config)
        encoder.load_state(network, party.model(record.base_model_digest))
        x, y = self.data[index]
        recipe = self.config.training
        alone = not recipe.trains_encoder(record.number)
        training.train(network, x, y, recipe, seed=record.number, head_only=alone)
        return encoder.state_of(network)

    def contribute(self, record: RoundRecord, index: int, *, deliver: bool = True) -> Update:
        """A contributor checks the round, trains, encrypts, and submits.

        Without ``deliver`` it commits the digest and pays, but nobody gets the ciphertext.
        """
        contributor = self.contributors[index]
        base = contributor.party.model(record.base_model_digest)
        contributor.check_round(record.number, base)
        update = contributor.protect(
            record, base, self.train(record, index), len(self.data[index][0])
        )
        if deliver:
            contributor.submit(record, update)
        else:
            contributor.party.federation.submit_update(record.number, update.digest)
        return update

    def seal(self, record: RoundRecord, updates: dict[int, bytes]) -> RoundRecord:
        """The coordinator adds the delivered updates, by contributor, and seals their sum."""
        base = self.coordinator.party.model(record.base_model_digest)
        collection = self.coordinator.collect(record, base)
        for index, blob in updates.items():
            collection.add(self.addresses[index], blob)
        return self.coordinator.seal(record, collection)

    def signatures(
        self, record: RoundRecord, opening: Opening, signers: Sequence[int]
    ) -> dict[int, bytes]:
        """The contributors' signatures under the result, by member index."""
        return {
            index: self.contributors[index].attest(record.number, opening.blob, opening.signature)
            for index in signers
        }

    def open(self, record: RoundRecord, responders: Sequence[int] = ()) -> Opening:
        """The key holder, or the key holders of these numbers (all by default), open a sum."""
        if isinstance(self.opener, Opener):
            return self.opener.open(record.number)
        numbers = tuple(responders or range(len(self.openers)))
        asked = Asked(what=SUM, round=record.number, responders=numbers)
        shares = {number: self.openers[number].share(asked) for number in numbers}
        found = {number: self.openers[number].combine(asked, shares) for number in numbers}
        epoch = self.contract.key_holder_of(record.number)
        assert isinstance(epoch, KeyEpoch)
        signing = {epoch.holders[n]: found[n].signature for n in numbers[: epoch.threshold]}
        (value,) = {one.value for one in found.values()}
        context = self.coordinator.party.context(record.number)
        return Opening.of(context, value, join_signatures(epoch, signing))

    def finalize(self, record: RoundRecord, opening: Opening, signers: Sequence[int]) -> Result:
        """The coordinator computes the result, has it signed, and submits it."""
        result = self.coordinator.result(record, opening)
        signatures = self.signatures(record, opening, signers)
        self.coordinator.finalize(record, opening, result, signatures)
        return result

    def run_round(
        self,
        *,
        silent: Sequence[int] = (),
        undelivered: Sequence[int] = (),
        unsigned: Sequence[int] = (),
        settle: bool = True,
    ) -> RoundRecord:
        """A whole round; returns the finalised record.

        Args:
            silent: contributors that take no part.
            undelivered: contributors that commit an update but never deliver it; the round is
                sealed after the deadline, and they forfeit.
            unsigned: contributors that do not attest.
            settle: whether deposits are taken back at the end.
        """
        record = self.coordinator.open_round()
        present = [index for index in range(len(self.contributors)) if index not in silent]
        updates: dict[int, bytes] = {}
        for index in present:
            update = self.contribute(record, index, deliver=index not in undelivered)
            if index not in undelivered:
                updates[index] = update.blob
        if undelivered:
            self.pass_time(record.submit_deadline - self.contract.block_time() + 1)
        record = self.seal(record, updates)
        opening = self.open(record)
        self.finalize(record, opening, [index for index in updates if index not in unsigned])
        if settle:
            for contributor in self.contributors:
                contributor.settle()
        return self.contract.round(record.number)


@contextmanager
def make_federation(
    folder: Path,
    members: int = 3,
    *,
    url: str | None = None,
    config: FederationConfig | None = None,
    **rules: Any,
) -> Iterator[SmallFederation]:
    """Makes a federation, and its chain unless one is given.

    Args:
        folder: a new or empty folder.
        members: how many contributors, at most 8.
        url: a running chain with the usual development accounts; None starts one, which ends
            with the context.
        config: `small_config()` by default.
        rules: as `ddcai.rounds.founding.Founding.deploy` takes them.
    """
    if url is None:
        with play_chain() as chain:
            yield _make(folder, members, chain.url, config or small_config(), rules)
    else:
        yield _make(folder, members, url, config or small_config(), rules)


def _make(
    folder: Path, members: int, url: str, config: FederationConfig, rules: dict[str, Any]
) -> SmallFederation:
    made = trial.set_up(folder, url, config, SITES[:members], **rules)

    def contributor(name: str) -> Contributor:
        settings = made.contributors[name]
        party = Party.connect(settings)
        return Contributor(party, attestation_key(settings, party), state_folder(settings, party))

    def opener(settings: Settings) -> Opener | SharedOpener:
        party = Party.connect(settings)
        return opener_of(settings, party, state_folder(settings, party))

    openers = [opener(settings) for settings in made.key_holders.values()]
    shared = [one for one in openers if isinstance(one, SharedOpener)]
    return SmallFederation(
        url=url,
        config=config,
        trial=made,
        coordinator=Coordinator(Party.connect(made.coordinator)),
        opener=openers[0],
        openers=tuple(sorted(shared, key=lambda one: one.party.address.lower())),
        contributors=tuple(contributor(name) for name in made.contributors),
        data=tuple(small_data(site) for site in range(members)),
    )
