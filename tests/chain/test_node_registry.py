"""Node keys in the contract: what accounts signed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import Deployment
from ddcai.chain.node_registry import CONTRACT, NODE_KEY_BYTES, NodeRegistry, check_form
from ddcai.chain.transactions import Sender
from ddcai.errors import (
    ChainError,
    ConfigurationError,
    ContractReverted,
    MalformedError,
    VerificationError,
)
from tests.chain.holders import FIRST, holder_rules, stage_holders
from tests.chain.support import CONTRIBUTORS, KEY_HOLDER, SPONSOR, STRANGER, Scene, stage

MEMBER, OTHER = CONTRIBUTORS[:2]


def _key() -> bytes:
    return b"\x03" + os.urandom(NODE_KEY_BYTES - 1)


def _registry(scene: Scene, sender: LocalAccount | None = STRANGER) -> NodeRegistry:
    assert scene.deployment.node_registry is not None
    paying = None if sender is None else Sender(scene.w3, sender)
    return NodeRegistry(scene.w3, scene.deployment.node_registry, paying)


def _bind(registry: NodeRegistry, account: LocalAccount) -> bytes:
    key = _key()
    registry.bind(account.address, key, registry.sign(account, key))
    return key


def test_a_member_binds_a_key_and_another_one_later(node: Web3) -> None:
    scene = stage(node)
    registry = _registry(scene)  # a stranger sends what the member signed
    registry.require_federation(scene.deployment.federation)
    assert registry.keys([MEMBER.address, OTHER.address]) == {}
    first = _bind(registry, MEMBER)
    assert registry.keys([MEMBER.address, OTHER.address]) == {MEMBER.address: first}
    second = _bind(registry, MEMBER)
    assert _registry(scene, None).keys([MEMBER.address]) == {MEMBER.address: second}
    assert registry.bindings(MEMBER.address) == 2


def test_the_key_holder_binds_a_key_and_a_stranger_does_not(scene: Scene) -> None:
    registry = _registry(scene)
    key = _bind(registry, KEY_HOLDER)
    assert registry.keys([KEY_HOLDER.address])[KEY_HOLDER.address] == key
    with pytest.raises(ContractReverted, match="NotInFederation"):
        _bind(registry, SPONSOR)
    assert registry.keys([SPONSOR.address]) == {}


def test_those_who_share_the_key_bind_keys(w3: Web3) -> None:
    registry = _registry(stage_holders(w3, holder_rules()))
    for holder in FIRST:
        key = _bind(registry, holder)
        assert registry.keys([holder.address]) == {holder.address: key}


def test_a_signature_serves_one_key_account_and_binding(scene: Scene) -> None:
    registry = _registry(scene)
    key = _key()
    signature = registry.sign(OTHER, key)
    for account, wrong in ((OTHER, _key()), (MEMBER, key)):
        with pytest.raises(VerificationError):
            registry.bind(account.address, wrong, signature)
    before = registry.bindings(OTHER.address)
    registry.bind(OTHER.address, key, signature)
    _bind(registry, OTHER)
    with pytest.raises(VerificationError, match=f"binding {before + 3}"):
        registry.bind(OTHER.address, key, signature)  # a key of before, replayed
    # The contract says so, too: whoever replays does not ask our facade.
    contract = Contract(scene.w3, registry.address, artifact.load(CONTRACT))
    data = contract.encode("bind", [OTHER.address, key, signature])
    with pytest.raises(ContractReverted, match="AccountDidNotSign"):
        Sender(scene.w3, STRANGER).send(registry.address, data)
    assert registry.bindings(OTHER.address) == before + 2


def test_a_signature_serves_one_registry(scene: Scene, w3: Web3) -> None:
    own, foreign = _registry(scene), _registry(stage(w3))
    key = _key()
    statement = foreign.statement(MEMBER.address, key, own.bindings(MEMBER.address) + 1)
    signature = bytes(MEMBER.sign_message(statement).signature)
    with pytest.raises(VerificationError):
        own.bind(MEMBER.address, key, signature)
    with pytest.raises(ConfigurationError, match="deployment file"):
        foreign.require_federation(scene.deployment.federation)


def test_a_registry_where_no_contract_is_is_refused(scene: Scene) -> None:
    with pytest.raises(ConfigurationError, match=STRANGER.address):
        NodeRegistry(scene.w3, STRANGER.address).require_federation(scene.deployment.federation)
    head = scene.deployment.head
    with pytest.raises(ConfigurationError, match=f"{head}, which is no registry"):
        NodeRegistry(scene.w3, head).require_federation(scene.deployment.federation)


def test_reading_alone_sends_nothing(scene: Scene) -> None:
    with pytest.raises(ChainError, match="--keystore"):
        _registry(scene, None).bind(MEMBER.address, _key(), bytes(65))


@given(st.binary(max_size=100))
def test_keys_have_one_form(data: bytes) -> None:
    good = len(data) == NODE_KEY_BYTES and data[0] in (2, 3)
    if good:
        check_form(data)
    else:
        with pytest.raises(MalformedError, match="P-384"):
            check_form(data)


def test_a_deployment_file_of_before_has_no_registry(scene: Scene, tmp_path: Path) -> None:
    path = scene.deployment.save(tmp_path)
    text = path.read_text()
    assert Deployment.load(path).node_registry == scene.deployment.node_registry
    line = f',\n  "node_registry": "{scene.deployment.node_registry}"'
    assert line in text
    path.write_text(text.replace(line, ""))
    assert Deployment.load(path).node_registry is None
    path.write_text(text.replace('"head"', '"haed"'))
    with pytest.raises(ConfigurationError):
        Deployment.load(path)
    path.write_text(text.replace(str(scene.deployment.node_registry), "0x00"))
    with pytest.raises(ConfigurationError, match="node_registry"):
        Deployment.load(path)
