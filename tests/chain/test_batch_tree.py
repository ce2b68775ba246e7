"""Trees of lists, against RFC 6962 written out, and against OpenZeppelin on a chain."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from eth_abi import abi
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain.batch_tree import BatchTree, root_of
from ddcai.chain.update_batches import PostedBatch, UpdateBatches
from ddcai.digests import RoundContext
from ddcai.errors import MalformedError, RoundError
from tests.chain.support import CONTRIBUTORS, STRANGER, Scene, digest
from tests.chain.test_update_batches import batches_of

ACCOUNTS = st.binary(min_size=20, max_size=20).map(to_checksum_address)
DIGESTS = st.binary(min_size=32, max_size=32)
LISTS = st.dictionaries(ACCOUNTS, DIGESTS, min_size=1, max_size=20)


def _leaf(account: str, update: bytes) -> bytes:
    inner = keccak(abi.encode(["address", "bytes32"], [account, update]))
    return keccak(abi.encode(["bytes32", "bytes32"], [keccak(b"ddcai.v1.batch-leaf"), inner]))


def _node(one: bytes, other: bytes) -> bytes:
    words = [keccak(b"ddcai.v1.batch-node"), *sorted((one, other))]
    return keccak(abi.encode(["bytes32"] * 3, words))


def _rfc_6962(leaves: Sequence[bytes]) -> bytes:
    """Section 2.1: split at the largest power of two that is less than the list is long."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return _node(_rfc_6962(leaves[:split]), _rfc_6962(leaves[split:]))


@given(LISTS)
def test_root_is_that_of_rfc_6962_over_ascending_accounts(updates: dict[str, bytes]) -> None:
    ordered = sorted(updates, key=lambda one: int(one, 16))
    tree = BatchTree(dict(random.sample(sorted(updates.items()), len(updates))))
    assert tree.contributors == tuple(ordered)
    assert len(tree) == len(updates)
    assert tree.root == _rfc_6962([_leaf(one, updates[one]) for one in ordered])


@given(LISTS, st.data())
def test_every_path_leads_to_the_root_and_an_altered_one_elsewhere(
    updates: dict[str, bytes], data: st.DataObject
) -> None:
    tree = BatchTree(updates)
    one = data.draw(st.sampled_from(sorted(updates)))
    proof = tree.proof(one.lower())
    assert len(proof) <= (len(updates) - 1).bit_length()
    assert root_of(one, updates[one], proof) == tree.root
    altered: list[Callable[[], bytes]] = [
        partial(root_of, one, data.draw(DIGESTS.filter(lambda d: d != updates[one])), proof),
        partial(root_of, data.draw(ACCOUNTS.filter(lambda a: a != one)), updates[one], proof),
        partial(root_of, one, updates[one], [*proof, data.draw(DIGESTS)]),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        other = data.draw(DIGESTS.filter(lambda d: d != proof[place]))
        changed = [*proof[:place], other, *proof[place + 1 :]]
        shorter = [*proof[:place], *proof[place + 1 :]]
        altered += [partial(root_of, one, updates[one], path) for path in (changed, shorter)]
    assert tree.root not in [change() for change in altered]


def test_no_node_passes_for_a_leaf() -> None:
    """With one hash and no tags, (left, right) of a node would pass for (contributor, digest)."""
    updates = {account.address: digest() for account in CONTRIBUTORS}
    tree = BatchTree(updates)
    left, right = (
        root_of(one, updates[one], tree.proof(one)[:1]) for one in tree.contributors[::3]
    )
    assert _node(left, right) == tree.root
    for account, update in ((left, right), (right, left)):
        assert root_of(to_checksum_address(account[12:]), update, []) != tree.root


def test_lists_that_are_none_are_refused() -> None:
    account = CONTRIBUTORS[0].address
    with pytest.raises(RoundError, match="no updates"):
        BatchTree({})
    with pytest.raises(MalformedError, match="twice"):
        BatchTree({account: digest(), account.lower(): digest()})
    with pytest.raises(RoundError, match=STRANGER.address):
        BatchTree({account: digest()}).proof(STRANGER.address)
    with pytest.raises(MalformedError, match="31 bytes"):
        root_of(account, digest(), [bytes(31)])


def test_openzeppelin_on_the_chain_includes_the_same_leaves(scene: Scene) -> None:
    number = scene.open()
    sums = scene.submit(number, *CONTRIBUTORS)
    context = RoundContext(
        chain_id=scene.deployment.chain_id, contract=scene.deployment.federation, round=number
    )
    batches: UpdateBatches | None = None
    for group, size in zip(CONTRIBUTORS, (1, 2, 7, random.randrange(3, 30)), strict=True):
        batches = batches_of(scene, group, None if batches is None else batches.address)
        updates = {to_checksum_address(random.randbytes(20)): digest() for _ in range(size)}
        tree = BatchTree(updates)
        posted = PostedBatch(
            group=group.address,
            root=tree.root,
            count=size,
            sum_digest=sums[group.address],
            list_digest=digest(),
        )
        batches.post(context.contract, number, posted)
        for one in random.sample(tree.contributors, min(size, 7)):
            proof = tree.proof(one)
            assert batches.includes(context, group.address, one, updates[one], proof)
            altered = [digest(), *proof[1:]]
            assert root_of(one, updates[one], altered) != tree.root
            assert not batches.includes(context, group.address, one, updates[one], altered)
            assert not batches.includes(context, STRANGER.address, one, updates[one], proof)
            assert not batches.includes(context, group.address, one, digest(), proof)
