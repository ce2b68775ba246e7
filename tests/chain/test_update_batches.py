"""Groups' lists in the contract, and what their contributors sign."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.transactions import Sender
from ddcai.chain.update_batches import CONTRACT, POST_GAS, PostedBatch, UpdateBatches
from ddcai.digests import RoundContext
from ddcai.errors import (
    ChainError,
    ConfigurationError,
    ContractReverted,
    MalformedError,
    VerificationError,
)
from tests.chain.support import CONTRIBUTORS, SPONSOR, STRANGER, Scene, digest, stage

GROUP, OTHER = CONTRIBUTORS[:2]
LEAF = dev_accounts()[8]


def batches_of(scene: Scene, account: LocalAccount, address: str | None = None) -> UpdateBatches:
    """The contract as an account sees it; a new one by default."""
    sender = Sender(scene.w3, account)
    if address is None:
        address = sender.send(None, artifact.load(CONTRACT).bytecode).contract_address
        assert address is not None
    return UpdateBatches(scene.w3, address, sender)


def _batch(group: LocalAccount, sum_digest: bytes) -> PostedBatch:
    return PostedBatch(
        group=group.address, root=digest(), count=5, sum_digest=sum_digest, list_digest=digest()
    )


def _context(scene: Scene, number: int) -> RoundContext:
    chain_id, address = scene.deployment.chain_id, scene.deployment.federation
    return RoundContext(chain_id=chain_id, contract=address, round=number)


def test_groups_post_once_a_round_what_they_submitted(node: Web3) -> None:
    scene = stage(node)
    federation = scene.deployment.federation
    batches = batches_of(scene, GROUP)
    others = batches_of(scene, OTHER, batches.address)
    number = scene.open()
    with pytest.raises(ContractReverted, match="NotSubmitted"):
        batches.post(federation, number, _batch(GROUP, digest()))
    sums = scene.submit(number, GROUP, OTHER)
    assert batches.batch(federation, number, GROUP.address) is None
    first, second = (_batch(one, sums[one.address]) for one in (GROUP, OTHER))
    assert batches.post(federation, number, first).gas_used < POST_GAS
    with pytest.raises(ContractReverted, match="AlreadyPosted"):
        batches.post(federation, number, replace(first, root=digest()))
    others.post(federation, number, second)
    reader = UpdateBatches(scene.w3, batches.address)
    assert reader.batch(federation, number, GROUP.address) == (first.root, 5)
    assert reader.posted(federation, number) == (first, second)
    assert reader.posted(federation, number + 1) == ()
    assert reader.posted(batches.address, number) == ()


def test_refusals_before_anything_is_sent(scene: Scene) -> None:
    batches = batches_of(scene, GROUP)
    batches.require_there()
    batch = _batch(OTHER, digest())
    with pytest.raises(ChainError, match=OTHER.address):
        batches.post(scene.deployment.federation, 1, batch)
    with pytest.raises(ChainError, match="--keystore"):
        UpdateBatches(scene.w3, batches.address).post(scene.deployment.federation, 1, batch)
    with pytest.raises(ConfigurationError, match=STRANGER.address):
        UpdateBatches(scene.w3, STRANGER.address).require_there()
    stranger = batches_of(scene, SPONSOR, batches.address)
    with pytest.raises(ContractReverted, match="NotMember"):
        stranger.post(scene.deployment.federation, 1, _batch(SPONSOR, digest()))


def test_a_statement_is_of_one_update_group_round_federation_and_chain(scene: Scene) -> None:
    batches = batches_of(scene, GROUP)
    context, update = _context(scene, 1), digest()
    signature = batches.sign(LEAF, context, GROUP.address, update)
    who = (context, GROUP.address, LEAF.address, update)
    batches.check(*who, signature)
    for changed in (
        (replace(context, round=2), *who[1:]),
        (replace(context, chain_id=context.chain_id + 1), *who[1:]),
        (replace(context, contract=batches.address), *who[1:]),
        (context, OTHER.address, LEAF.address, update),
        (context, GROUP.address, OTHER.address, update),
        (context, GROUP.address, LEAF.address, digest()),
    ):
        with pytest.raises(VerificationError, match="did not sign"):
            batches.check(*changed, signature)
    with pytest.raises(VerificationError):  # as for another contract of this kind
        batches_of(scene, GROUP).check(*who, signature)
    with pytest.raises(MalformedError):
        batches.check(*who, signature[:-1])
