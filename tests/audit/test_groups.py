"""What groups did, from chain and blobs: honest ones, and each way to cheat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status, all_hold
from ddcai.audit.groups import check_groups
from ddcai.audit.verify import verify_at
from ddcai.chain.records import RoundRecord
from ddcai.chain.update_batches import PostedBatch
from ddcai.encryption import updates, wire
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.updates import any_set
from ddcai.errors import ConfigurationError
from ddcai.rounds.batch import BatchList, Given
from tests.federation import small_config
from tests.groups import DIRECT, GROUPS, TwoLevels


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """What a group that cheats submits and posts.

    Attributes:
        given: its list.
        added: blobs that its update is the sum of.
        root: that it posts; its list's by default.
        published: whether the store gets the list.
    """

    given: Sequence[Given]
    added: Sequence[bytes]
    root: bytes | None = None
    published: bool = True


def honest(levels: TwoLevels, record: RoundRecord, group: int) -> Forgery:
    """What the group's contributors gave it; their blobs are in the store."""
    given, blobs = [], []
    for leaf, contributor in enumerate(levels.accounts(group)):
        update, signature = levels.give(record, group, leaf)
        levels.federation.store.put(update.digest, update.blob)
        given.append(Given(contributor=contributor, update=update.digest, signature=signature))
        blobs.append(update.blob)
    return Forgery(given=given, added=blobs)


def signed(
    levels: TwoLevels, record: RoundRecord, group: int, account: LocalAccount, blob: bytes
) -> Given:
    """What an account that keeps to no rules gives a group, and the store."""
    party = levels.federation.contributors[group].party
    context = party.context(record.number)
    digest = digests.update_digest(context, account.address, blob)
    party.store.put(digest, blob)
    assert party.update_batches is not None
    signature = party.update_batches.sign(account, context, party.address, digest)
    return Given(contributor=account.address, update=digest, signature=signature)


def post(levels: TwoLevels, record: RoundRecord, group: int, forgery: Forgery) -> None:
    party = levels.federation.contributors[group].party
    context, number = party.context(record.number), record.number
    total = updates.accumulator(any_set(party.config.encryption.parameter_set))
    for blob in forgery.added:
        total.add(blob)
    listed = BatchList.of(forgery.given)
    digest = digests.update_digest(context, party.address, total.to_blob())
    document = digests.batch_list_digest(context, party.address, listed.to_blob())
    if forgery.published:
        party.store.put(document, listed.to_blob())
    party.federation.submit_update(number, digest)
    assert party.update_batches is not None
    posted = PostedBatch(
        group=party.address,
        root=listed.tree().root if forgery.root is None else forgery.root,
        count=len(listed),
        sum_digest=digest,
        list_digest=document,
    )
    party.update_batches.post(context.contract, number, posted)


def audit(levels: TwoLevels, number: int) -> list[Claim]:
    party = levels.federation.coordinator.party
    assert party.update_batches is not None
    found = check_groups(
        levels.federation.contract, party.update_batches, party.store, party.config, number
    )
    return list(found)


def odd(found: list[Claim]) -> dict[str, Status]:
    return {one.name: one.status for one in found if not one.passed}


def test_every_claim_about_honest_groups_holds(levels: TwoLevels) -> None:
    found = audit(levels, 1)
    assert all_hold(found)
    assert odd(found) == {}
    per_group = list(claims.GROUPED[:-1])
    assert [one.name for one in found] == [*per_group, *per_group, claims.GROUP_ONCE]
    groups = [levels.federation.addresses[group] for group in GROUPS]
    assert [one.subject for one in found] == [groups[0]] * 6 + [groups[1]] * 6 + [""]


def test_the_audit_of_the_federation_takes_sums_of_sums(levels: TwoLevels) -> None:
    federation = levels.federation
    found = list(verify_at(federation.url, federation.contract.address, federation.store))
    assert [one for one in found if not one.passed] == []
    assert claims.MODEL in {one.name for one in found}


def dropped(levels: TwoLevels, good: Forgery) -> Forgery:
    return replace(good, added=good.added[:1])


def doubled(levels: TwoLevels, good: Forgery) -> Forgery:
    return replace(good, added=[*good.added, good.added[0]])


def unlisted(levels: TwoLevels, good: Forgery) -> Forgery:
    return replace(good, given=good.given[:1])


def another_root(levels: TwoLevels, good: Forgery) -> Forgery:
    return replace(good, root=BatchList.of(good.given[:1]).tree().root)


def hidden(levels: TwoLevels, good: Forgery) -> Forgery:
    return replace(good, published=False)


def replayed(levels: TwoLevels, good: Forgery) -> Forgery:
    """The first contributor's statement and update of round 1, in its name again."""
    party = levels.federation.contributors[0].party
    assert party.update_batches is not None
    old = party.update_batches.posted(party.federation.address, 1)[0]
    given = BatchList.from_blob(party.store.get(old.list_digest)).given
    first = next(one for one in given if one.contributor == good.given[0].contributor)
    blob = party.store.get(first.update)
    return replace(good, given=[first, good.given[1]], added=[blob, good.added[1]])


def unsigned(levels: TwoLevels, good: Forgery) -> Forgery:
    """A contributor that gave nothing, in whose name the group adds an update again."""
    account, store = Account.create().address, levels.federation.store
    party = levels.federation.contributors[0].party
    context = party.context(levels.federation.contract.last_round())
    digest = digests.update_digest(context, account, good.added[1])
    store.put(digest, good.added[1])
    forged = Given(contributor=account, update=digest, signature=good.given[1].signature)
    return Forgery(given=[good.given[0], forged], added=good.added)


def crowded(levels: TwoLevels, good: Forgery) -> Forgery:
    """A third contributor, where an update is planned as the sum of two."""
    record = levels.federation.contract.round(levels.federation.contract.last_round())
    blob = levels.give(record, 1, 1)[0].blob
    more = signed(levels, record, 0, Account.create(), blob)
    return Forgery(given=[*good.given, more], added=[*good.added, blob])


def cancelling(levels: TwoLevels, good: Forgery) -> Forgery:
    """Two updates whose sum anybody could read, submitted as if it were none."""
    parameters = parameter_set("bfv-4096-3x19")
    record = levels.federation.contract.round(levels.federation.contract.last_round())
    account = levels.leaves[0][1].party.account
    assert account is not None
    primes = np.array(parameters.data_primes, dtype=np.uint64)[:, None]
    words = (primes - wire.parse(good.added[0], parameters)) % primes
    values = wire.open_blob(good.added[0], parameters).values
    second = signed(levels, record, 0, account, wire.to_blob(words, values, parameters))
    return replace(good, given=[good.given[0], second])


FAIL, MISSING, SKIPPED = Status.FAIL, Status.MISSING, Status.SKIPPED
FORGERIES: list[tuple[Callable[[TwoLevels, Forgery], Forgery], dict[str, Status]]] = [
    (dropped, {claims.GROUP_SUM: FAIL}),
    (doubled, {claims.GROUP_SUM: FAIL}),
    (unlisted, {claims.GROUP_SUM: FAIL}),
    (cancelling, {claims.GROUP_SUM: FAIL}),
    (another_root, {claims.GROUP_ROOT: FAIL}),
    (hidden, {claims.GROUP_LIST: MISSING} | dict.fromkeys(claims.GROUPED[1:-1], SKIPPED)),
    (
        replayed,
        {claims.GROUP_SIGNED: FAIL, claims.GROUP_UPDATES: FAIL, claims.GROUP_SUM: SKIPPED},
    ),
    (unsigned, {claims.GROUP_SIGNED: FAIL}),
    (crowded, {claims.GROUP_SIZE: FAIL}),
]


@pytest.mark.parametrize(
    ("forge", "expected"), FORGERIES, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_group_that_cheats_fails_the_claim_about_it(
    levels: TwoLevels,
    forge: Callable[[TwoLevels, Forgery], Forgery],
    expected: dict[str, Status],
) -> None:
    record = levels.federation.coordinator.open_round()
    try:
        post(levels, record, 0, forge(levels, honest(levels, record, 0)))
        found = audit(levels, record.number)
        assert odd(found) == expected
        assert not all_hold(found)
        assert {one.subject for one in found if not one.passed} == {levels.federation.addresses[0]}
    finally:
        levels.federation.coordinator.cancel(record)


@pytest.mark.parametrize("member", [False, True])
def test_a_contributor_that_counts_twice_is_named(levels: TwoLevels, member: bool) -> None:
    """With one ciphertext in two groups, or as a member beside its group."""
    federation = levels.federation
    twice = federation.contributors[DIRECT] if member else levels.leaves[0][0]
    account = twice.party.account
    assert account is not None
    record = federation.coordinator.open_round()
    try:
        first, second = (honest(levels, record, group) for group in GROUPS)
        federation.contribute(record, DIRECT)
        blob = first.added[0]
        given = [signed(levels, record, 1, account, blob), second.given[1]]
        if not member:
            post(levels, record, 0, first)
        post(levels, record, 1, Forgery(given=given, added=[blob, second.added[1]]))
        (claim,) = [one for one in audit(levels, record.number) if not one.passed]
    finally:
        federation.coordinator.cancel(record)
    groups = [federation.addresses[group] for group in GROUPS]
    if member:
        assert claim.found == f"{account.address} by itself, {groups[1]}"
    else:
        copied = f"a ciphertext of {account.address}, {account.address}"
        assert claim.found == f"{account.address} by {', '.join(groups)}; {copied}"


def test_blobs_that_are_lost_or_damaged(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    try:
        good = honest(levels, record, 0)
        post(levels, record, 0, good)
        update = good.added[0]
        levels.federation.store.put(good.given[0].update, update[:-1] + bytes([update[-1] ^ 1]))
        assert odd(audit(levels, record.number)) == {
            claims.GROUP_UPDATES: FAIL,
            claims.GROUP_SUM: SKIPPED,
        }
        (Path(levels.federation.store.url) / good.given[0].update.hex()).unlink()
        assert odd(audit(levels, record.number)) == {
            claims.GROUP_UPDATES: MISSING,
            claims.GROUP_SUM: SKIPPED,
        }
    finally:
        levels.federation.coordinator.cancel(record)


def test_a_round_without_lists_and_another_configuration(levels: TwoLevels) -> None:
    record = levels.federation.coordinator.open_round()
    assert audit(levels, record.number) == []
    levels.federation.coordinator.cancel(record)
    party = levels.federation.coordinator.party
    assert party.update_batches is not None
    with pytest.raises(ConfigurationError, match="digest"):
        next(
            check_groups(
                party.federation, party.update_batches, party.store, small_config(), record.number
            )
        )
