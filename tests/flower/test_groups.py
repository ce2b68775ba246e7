"""Two levels through Flower: a group is a client whose training function gathers."""

from __future__ import annotations

from pathlib import Path

from ddcai.audit.claims import all_hold
from ddcai.audit.groups import check_groups
from ddcai.models.state import State
from tests.flower.support import Nodes, Site
from tests.groups import GROUPS, TwoLevels, make_two_levels


def gathering(levels: TwoLevels, group: int) -> Site:
    """A group's app: takes its contributors' updates, submits their sum, posts the list."""

    def gather(model: State, _: int) -> State:
        contract = levels.federation.contract
        record = contract.round(contract.last_round())
        batch = levels.gather(record, group)
        levels.group(record, group).submit(batch)
        return model  # the mod sends the sum, whatever is returned here

    return Site(train=gather, metrics={"num-examples": 1})


def test_a_round_of_groups_runs_and_audits_clean(tmp_path: Path, chain_url: str) -> None:
    with make_two_levels(tmp_path, chain_url) as levels:
        federation = levels.federation
        nodes = Nodes(federation, {group: gathering(levels, group) for group in GROUPS})
        nodes.strategy().start(nodes.grid(), num_rounds=1)
        party, record = federation.coordinator.party, federation.contract.round(1)
        assert federation.contract.model_digest() != record.base_model_digest
        assert federation.contract.balance() == 0
        assert party.update_batches is not None
        posted = party.update_batches.posted(federation.contract.address, 1)
        sums = {item.address: item.digest for item in record.sealed}
        assert {one.group: one.sum_digest for one in posted} == {
            federation.addresses[group]: sums[federation.addresses[group]] for group in GROUPS
        }
        claims = check_groups(
            federation.contract, party.update_batches, party.store, party.config, 1
        )
        assert all_hold(claims)
