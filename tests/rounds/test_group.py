"""Two levels on a chain: groups add, the coordinator adds their sums, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account

from ddcai import digests
from ddcai.chain.records import RoundRecord
from ddcai.chain.update_batches import UpdateBatches
from ddcai.encryption import updates
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.opening import opened_from_blob
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.updates import any_set
from ddcai.errors import (
    ConfigurationError,
    ContractReverted,
    MalformedError,
    PolicyError,
    RoundError,
    TooManyContributors,
    UpdateMismatch,
    VerificationError,
)
from ddcai.models import state
from ddcai.models.trained import num_values
from ddcai.rounds.batch import BatchList
from ddcai.rounds.group import GroupRound
from ddcai.rounds.group_contributor import GroupContributor
from ddcai.rounds.result import quantiser, reach
from tests.federation import SmallFederation, small_data
from tests.groups import DIRECT, GROUPS, SIZE, TwoLevels, make_two_levels


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[TwoLevels]:
    with make_two_levels(tmp_path_factory.mktemp("groups"), chain_url) as made:
        yield made


@pytest.fixture(autouse=True)
def _ends_the_round(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "levels" not in request.fixturenames:
        return
    levels: TwoLevels = request.getfixturevalue("levels")
    contract = levels.federation.contract
    last = contract.last_round()
    if last and not contract.round(last).settled:
        levels.federation.coordinator.cancel(contract.round(last))


def test_the_model_of_two_levels_is_the_plain_average_of_five(levels: TwoLevels) -> None:
    federation = levels.federation
    record, made = levels.run_round()
    base, counts, locals_ = levels.base(record), [], []
    for group in GROUPS:
        for leaf in range(SIZE):
            locals_.append(state.flatten(levels.train(record, levels.site(group, leaf))))
            counts.append(48)
    locals_.append(state.flatten(levels.train(record, DIRECT)))
    counts.append(len(small_data(DIRECT)[0]))
    start = state.flatten(base).astype(np.float64)
    deltas = np.stack([local.astype(np.float64) - start for local in locals_])
    plain = start + np.average(deltas, axis=0, weights=counts)
    aggregation = federation.config.aggregation
    # Stochastic rounding moves each integer by less than one step of a full-weight delta.
    step = aggregation.value_range / quantiser(federation.config).value_limit
    bound = 5 * step * aggregation.max_examples / sum(counts)
    got = state.flatten(federation.coordinator.current_model()).astype(np.float64)
    assert np.abs(got - plain).max() <= bound + np.spacing(np.abs(plain).max(), dtype=np.float32)
    assert np.abs(got - start).max() > 10 * bound

    batches, context = _batches(levels), _context(levels, record.number)
    assert batches.posted(context.contract, context.round) == tuple(one.posted for one in made)
    for one in made:
        tree = one.listed.tree()
        for given in one.listed.given:
            proof = tree.proof(given.contributor)
            who = (one.posted.group, given.contributor)
            assert batches.includes(context, *who, given.update, proof)
    assert [item.digest for item in record.sealed][:2] == [one.posted.sum_digest for one in made]


def _context(levels: TwoLevels, number: int) -> digests.RoundContext:
    return levels.federation.coordinator.party.context(number)


def _batches(levels: TwoLevels) -> UpdateBatches:
    """As the first group sees the contract."""
    found = levels.federation.contributors[0].party.update_batches
    assert found is not None
    return found


def test_a_group_takes_only_what_its_contributors_signed_for_it(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    gathering = levels.group(record, 0)
    update, signature = levels.give(record, 0, 0)
    other, others = levels.give(record, 0, 1)
    foreign, foreigners = levels.give(record, 1, 0)
    first, second = levels.accounts(0)
    stranger = levels.accounts(1)[0]
    refused: list[tuple[str, bytes, bytes, type[Exception]]] = [
        (first, update.blob, others, VerificationError),  # another's signature
        (second, update.blob, signature, VerificationError),  # another's update
        (first, other.blob, signature, VerificationError),  # another update
        (first, update.blob, signature[:-1], MalformedError),
        (stranger, foreign.blob, foreigners, PolicyError),  # of the other group
        (levels.federation.addresses[DIRECT], update.blob, signature, PolicyError),
        (first, update.blob[:-1], signature, VerificationError),
    ]
    for contributor, blob, signed, error in refused:
        with pytest.raises(error):
            gathering.add(contributor, blob, signed)
    assert gathering.accepted == ()
    gathering.add(first, update.blob, signature)
    gathering.add(first, update.blob, signature)
    assert gathering.accepted == (first,)


def _signed(levels: TwoLevels, number: int, blob: bytes, leaf: int = 1) -> tuple[str, bytes, bytes]:
    """What a contributor that does not keep to the rules gives the first group."""
    party = levels.leaves[0][leaf].party
    context = party.context(number)
    digest = digests.update_digest(context, party.address, blob)
    assert party.account is not None
    group = levels.federation.addresses[0]
    return party.address, blob, _batches(levels).sign(party.account, context, group, digest)


def test_a_group_drops_copies_malformed_updates_and_second_ones(levels: TwoLevels) -> None:
    federation = levels.federation
    record = federation.coordinator.open_round()
    number, gathering = record.number, levels.group(record, 0)
    update, signature = levels.give(record, 0, 0)
    gathering.add(levels.accounts(0)[0], update.blob, signature)
    with pytest.raises(UpdateMismatch, match="used before"):
        gathering.add(*_signed(levels, number, update.blob))  # a copy of another's ciphertext
    for blob in (update.blob[:-1], b"", update.blob + b"\0"):
        with pytest.raises(MalformedError):
            gathering.add(*_signed(levels, number, blob))
    second, _ = levels.give(record, 0, 1)
    with pytest.raises(UpdateMismatch, match="one counts"):
        gathering.add(*_signed(levels, number, second.blob, leaf=0))
    gathering.add(*_signed(levels, number, second.blob))
    assert len(gathering.accepted) == 2
    federation.coordinator.cancel(record)

    record = federation.coordinator.open_round()
    gathering = levels.group(record, 0)
    with pytest.raises(VerificationError):  # last round's signature under last round's update
        gathering.add(levels.accounts(0)[0], update.blob, signature)
    with pytest.raises(UpdateMismatch, match="used before"):  # and under a new one
        gathering.add(*_signed(levels, record.number, update.blob, leaf=0))
    assert gathering.accepted == ()


def test_a_group_has_room_for_as_many_as_were_planned(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    third = Account.create()
    member = levels.federation.contributors[0]
    values = num_values(levels.federation.config, levels.base(record), record.number)
    everybody = [*levels.accounts(0), third.address]
    small = GroupRound(member, everybody, record, values - 1)
    update, signature = levels.give(record, 0, 0)
    with pytest.raises(MalformedError):  # of another size
        small.add(levels.accounts(0)[0], update.blob, signature)
    levels.gather(record, 0)
    gathering = GroupRound(member, everybody, record, values)
    assert len(gathering.accepted) == SIZE
    context, batches = _context(levels, record.number), _batches(levels)
    digest = digests.update_digest(context, third.address, update.blob)
    signature = batches.sign(third, context, member.party.address, digest)
    with pytest.raises(RoundError, match="closed"):
        gathering.add(third.address, update.blob, signature)
    (member.folder / f"round-{record.number}.group" / "list").unlink()
    with pytest.raises(RoundError, match="group_size"):
        gathering.add(third.address, update.blob, signature)


def test_a_group_that_is_started_again_goes_on_and_makes_one_sum(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    update, signature = levels.give(record, 0, 0)
    levels.group(record, 0).add(levels.accounts(0)[0], update.blob, signature)
    assert levels.group(record, 0).accepted == (levels.accounts(0)[0],)
    with pytest.raises(RoundError, match="needs 2"):
        levels.group(record, 0).close(SIZE)
    batch = levels.gather(record, 0)
    again = levels.group(record, 0)
    assert again.close(SIZE) == batch
    base, member = levels.base(record), levels.federation.contributors[0]
    # What its node would send: the sum, and no update of its own.
    assert member.protect(record, base, base, 1).blob == batch.update.blob
    again.submit(batch)
    levels.group(record, 0).submit(batch)  # sends nothing twice
    blobs = [levels.federation.store.get(one.update) for one in batch.listed.given]
    total = updates.accumulator(parameter_set("bfv-4096-3x19"))
    for blob in blobs:
        total.add(blob)
    assert total.to_blob() == batch.update.blob
    stored = levels.federation.store.get(batch.posted.list_digest)
    assert BatchList.from_blob(stored) == batch.listed


def test_a_group_that_closed_early_cannot_post_a_longer_list(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    gathering = levels.group(record, 0)
    update, signature = levels.give(record, 0, 0)
    gathering.add(levels.accounts(0)[0], update.blob, signature)
    early = gathering.close()
    gathering.submit(early)
    (levels.federation.contributors[0].folder / f"round-{record.number}.group" / "list").unlink()
    update, signature = levels.give(record, 0, 1)
    gathering.add(levels.accounts(0)[1], update.blob, signature)
    with pytest.raises(RoundError, match="one a round"):
        gathering.close()
    with pytest.raises(ContractReverted, match="AlreadyPosted"):
        _batches(levels).post(levels.federation.contract.address, record.number, early.posted)


def test_a_member_counts_by_itself_and_not_in_a_group(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    member = levels.federation.contributors[DIRECT].party
    update, _ = levels.give(record, 0, 0)
    digest = digests.update_digest(_context(levels, record.number), member.address, update.blob)
    assert member.account is not None
    group = levels.federation.contributors[0]
    signature = _batches(levels).sign(
        member.account, _context(levels, record.number), group.party.address, digest
    )
    values = num_values(levels.federation.config, levels.base(record), record.number)
    gathering = GroupRound(group, [member.address], record, values)
    with pytest.raises(PolicyError, match="counts by itself"):
        gathering.add(member.address, update.blob, signature)


def test_a_second_process_of_a_group_is_found_by_its_list(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    batch = levels.gather(record, 0)
    levels.federation.contributors[0].commit(record, batch.update)
    other = replace(batch.posted, root=bytes(31) + b"\1")
    _batches(levels).post(levels.federation.contract.address, record.number, other)
    with pytest.raises(PolicyError, match="must not share one account"):
        levels.group(record, 0).submit(batch)


def test_a_contributor_gives_one_update_to_one_group(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    update, signature = levels.give(record, 0, 0)
    one, groups = levels.leaves[0][0], levels.federation.addresses
    assert one.give(record, update, groups[0]) == signature
    with pytest.raises(PolicyError, match="count it twice"):
        one.give(record, update, groups[1])
    with pytest.raises(PolicyError, match="was not made by"):
        one.give(record, levels.give(record, 0, 1)[0], groups[0])
    base = levels.base(record)
    member = GroupContributor(levels.federation.contributors[DIRECT].party, one.folder)
    with pytest.raises(PolicyError, match="is a member itself"):
        member.check_round(record.number, base, groups[0])
    with pytest.raises(PolicyError, match="no member"):
        one.check_round(record.number, base, levels.accounts(1)[0])
    other = {name: array + 1 for name, array in base.items()}
    with pytest.raises(PolicyError, match="another"):
        one.check_round(record.number, other, groups[0])
    with pytest.raises(PolicyError, match="not open"):
        one.check_round(record.number - 1, base, groups[0])


def _at_the_end_of_the_range(levels: TwoLevels, record: RoundRecord) -> RoundRecord:
    """Five contributors of the largest integers, three updates: sealed."""
    federation, config = levels.federation, levels.federation.config
    values = np.full(num_values(config, levels.base(record), record.number), reach(config))
    sums = {}
    for member, contributor in enumerate(federation.contributors):
        key = contributor.party.encryption_key(record.number)
        assert not isinstance(key, HolderKeys)
        total = updates.accumulator(any_set(config.encryption.parameter_set))
        for _ in range(1 if member == DIRECT else SIZE):
            total.add(key.encrypt(values))
        update = contributor.remember(record, total.to_blob())
        contributor.submit(record, update)
        sums[member] = update.blob
    return federation.seal(record, sums)


def test_the_largest_updates_of_groups_are_opened(levels: TwoLevels) -> None:
    """Their sum is beyond what three contributors reach, and within what five do."""
    federation = levels.federation
    record = _at_the_end_of_the_range(levels, federation.coordinator.open_round())
    total = opened_from_blob(federation.open(record).blob)
    assert (total == 5 * reach(federation.config)).all()


def test_several_key_holders_open_the_largest_updates(tmp_path: Path, chain_url: str) -> None:
    with make_two_levels(
        tmp_path, chain_url, "bfv-8192-3x20", holders=(2, 3), submit_period_s=3600
    ) as shared:
        federation = shared.federation
        record = _at_the_end_of_the_range(shared, federation.coordinator.open_round())
        total = opened_from_blob(federation.open(record, [0, 2]).blob)
        assert (total == 5 * reach(federation.config)).all()


def test_more_updates_than_were_planned_are_not_opened(levels: TwoLevels) -> None:
    """Each may be the sum of two: three of them may be six contributors, where five fit."""
    federation = levels.federation
    party = federation.opener.party
    record = federation.coordinator.open_round()
    blobs = {index: federation.contribute(record, index).blob for index in range(3)}
    record = federation.seal(record, blobs)
    planned = party.config
    party.config = replace(planned, encryption=replace(planned.encryption, max_contributors=5))
    try:
        with pytest.raises(TooManyContributors, match="allow 2"):
            federation.open(record)
    finally:
        party.config = planned
    federation.open(record)


def test_a_federation_without_groups_has_none(federation: SmallFederation) -> None:
    record = federation.coordinator.open_round()
    with pytest.raises(ConfigurationError, match="update_batches"):
        GroupRound(federation.contributors[0], [], record, 10)
