"""A small federation of two levels: two groups of two contributors, and one direct member."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.chain.records import RoundRecord
from ddcai.configuration import Encryption
from ddcai.models import encoder, training
from ddcai.models.state import State
from ddcai.models.trained import num_values
from ddcai.rounds.group import Batch, GroupRound
from ddcai.rounds.group_contributor import GroupContributor
from ddcai.rounds.party import Party
from ddcai.rounds.update import Update
from tests.federation import SmallFederation, make_federation, small_config, small_data

GROUPS, DIRECT = (0, 1), 2  # by member
SIZE = 2


@dataclass(frozen=True, kw_only=True)
class TwoLevels:
    """A federation whose first two members are groups.

    Attributes:
        federation: its third member submits an update of its own.
        leaves: the contributors of each group.
    """

    federation: SmallFederation
    leaves: tuple[tuple[GroupContributor, ...], ...]

    def base(self, record: RoundRecord) -> State:
        return self.federation.coordinator.party.model(record.base_model_digest)

    def train(self, record: RoundRecord, site: int) -> State:
        network = encoder.build(self.federation.config)
        encoder.load_state(network, self.base(record))
        x, y = small_data(site)
        training.train(network, x, y, self.federation.config.training, seed=record.number)
        return encoder.state_of(network)

    def accounts(self, group: int) -> list[str]:
        return [leaf.party.address for leaf in self.leaves[group]]

    def leaf_digest(self, number: int, group: int, leaf: int) -> bytes:
        """Of the update that a contributor made in a round."""
        one = self.leaves[group][leaf]
        known = one.known_update(self.federation.contract.round(number))
        assert known is not None
        return known.digest

    def site(self, group: int, leaf: int) -> int:
        """Whose data a contributor has."""
        return 10 + SIZE * group + leaf

    def give(self, record: RoundRecord, group: int, leaf: int) -> tuple[Update, bytes]:
        """A contributor's update and its signature, for its group."""
        one, account = self.leaves[group][leaf], self.federation.addresses[group]
        base = self.base(record)
        one.check_round(record.number, base, account)
        trained = self.train(record, self.site(group, leaf))
        update = one.protect(record, base, trained, 48)
        return update, one.give(record, update, account)

    def group(self, record: RoundRecord, group: int) -> GroupRound:
        """A group's round, as it is on disk."""
        member = self.federation.contributors[group]
        values = num_values(self.federation.config, self.base(record), record.number)
        return GroupRound(member, self.accounts(group), record, values)

    def gather(self, record: RoundRecord, group: int) -> Batch:
        """A group takes the updates of all its contributors, and closes its list."""
        gathering = self.group(record, group)
        for leaf in range(SIZE):
            update, signature = self.give(record, group, leaf)
            gathering.add(self.leaves[group][leaf].party.address, update.blob, signature)
        return gathering.close(SIZE)

    def run_round(self) -> tuple[RoundRecord, tuple[Batch, ...]]:
        """A whole round; the finalised record and what each group made."""
        federation = self.federation
        record = federation.coordinator.open_round()
        batches = tuple(self.gather(record, group) for group in GROUPS)
        for group, batch in zip(GROUPS, batches, strict=True):
            self.group(record, group).submit(batch)
        updates = {group: batches[group].update.blob for group in GROUPS}
        updates[DIRECT] = federation.contribute(record, DIRECT).blob
        record = federation.seal(record, updates)
        federation.finalize(record, federation.open(record), range(3))
        return federation.contract.round(record.number), batches


@contextmanager
def make_two_levels(
    folder: Path, url: str, parameter_set: str = "bfv-4096-3x19", **rules: Any
) -> Iterator[TwoLevels]:
    """Makes one on a running chain; ``rules`` as `make_federation`."""
    config = small_config(
        encryption=Encryption(parameter_set=parameter_set, max_contributors=8, group_size=SIZE)
    )
    rules = {"submit_period_s": 10**6, **rules}
    with make_federation(folder, url=url, config=config, **rules) as made:
        leaves = tuple(tuple(_leaf(made, folder) for _ in range(SIZE)) for _ in GROUPS)
        yield TwoLevels(federation=made, leaves=leaves)


def _leaf(made: SmallFederation, folder: Path) -> GroupContributor:
    account: LocalAccount = Account.create()
    party = made.coordinator.party
    own = Party(
        made.contract, party.config, party.store, account, update_batches=party.update_batches
    )
    memory = folder / f"leaf-{account.address}"
    memory.mkdir()
    return GroupContributor(own, memory)
