from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.abi_errors import selector
from ddcai.chain.contract import Contract
from ddcai.chain.key_holders import (
    CONTRACT,
    INTERFACE_ID,
    KeyEpoch,
    KeyHolders,
    find_key_holders,
    join_signatures,
    split_signatures,
)
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.opening import check_signature, opening_message
from ddcai.errors import (
    ChainError,
    ConfigurationError,
    ContractReverted,
    MalformedError,
    VerificationError,
)
from tests.chain.holders import (
    BY_ADDRESS,
    FIRST,
    GRACE_S,
    OUTSIDER,
    SECOND,
    facade,
    finalize,
    holder_rules,
    malleated,
    next_epoch,
    one_signature,
    rekeyed,
    sealed,
    signature_of,
    signed,
    stage_holders,
    tampered,
)
from tests.chain.support import (
    COORDINATOR,
    KEY_HOLDER,
    SPONSOR,
    Scene,
    advance,
    digest,
    faulty,
    refusal,
)

VALID = bytes.fromhex("1626ba7e")
MESSAGE = digest()


@pytest.fixture(scope="module")
def shared(w3: Web3) -> Scene:
    """A federation whose second group has followed the first; within the grace period, however
    far other tests move this chain's clock."""
    scene = stage_holders(w3, holder_rules(grace_seconds=10**9))
    rekeyed(scene)
    return scene


@pytest.fixture(scope="module")
def epochs(shared: Scene) -> tuple[KeyEpoch, ...]:
    return facade(shared).epochs()


def _contract(scene: Scene) -> Contract:
    return Contract(scene.w3, facade(scene).address, artifact.load(CONTRACT))


def _sent(w3: Web3) -> int:
    return int(request(w3, "eth_getTransactionCount", [SPONSOR.address, "latest"]), 16)


# The facade.


def test_interface_id_is_that_of_the_interface() -> None:
    others = {"supportsInterface", "eip712Domain"}
    total = 0
    for entry in artifact.load(CONTRACT).abi:
        if entry["type"] == "function" and entry["name"] not in others:
            total ^= int.from_bytes(selector(entry), "big")
    assert total.to_bytes(4, "big") == INTERFACE_ID


def test_key_holders_of_a_federation(node: Web3) -> None:
    rules = holder_rules()
    scene = stage_holders(node, rules)
    federation = scene.by(None)
    holders = federation.key_holders()
    assert holders is not None
    assert scene.deployment.key_holders == holders.address == federation.rules().key_holder
    assert holders.grace_seconds() == GRACE_S
    (epoch,) = holders.epochs()
    assert (epoch.number, epoch.threshold, epoch.holders) == (1, 2, rules.holders)
    assert (epoch.key_digest, epoch.ceremony_digest) == (rules.key_digest, rules.ceremony_digest)
    block = request(node, "eth_getBlockByNumber", [hex(epoch.registered_block), False])
    assert int(block["timestamp"], 16) == epoch.registered_at
    second = rekeyed(scene)
    # A facade that had seen the first asks for the second alone, and has both.
    assert holders.epochs() == (epoch, second)
    assert (second.number, second.threshold) == (2, 3)
    assert second.holders == tuple(one.address for one in SECOND)
    assert second.registered_block > epoch.registered_block


def test_an_epoch_of_a_key_and_of_a_block(shared: Scene, epochs: tuple[KeyEpoch, ...]) -> None:
    holders, (first, second) = facade(shared), epochs
    assert holders.current() == second
    for epoch in epochs:
        assert holders.epoch_of_key(epoch.key_digest) == epoch
        assert holders.epoch_at(epoch.registered_block) == epoch
    assert holders.epoch_at(second.registered_block - 1) == first
    assert holders.epoch_at(10**9) == second
    with pytest.raises(ChainError, match="no epoch"):
        holders.epoch_of_key(digest())
    with pytest.raises(ChainError, match="no key epoch"):
        holders.epoch_at(first.registered_block - 1)


def test_what_is_no_key_holders_contract(w3: Web3, scene: Scene) -> None:
    deployment = scene.deployment
    others = (KEY_HOLDER.address, deployment.federation, deployment.head, deployment.quorum)
    assert [find_key_holders(w3, address) for address in others] == [None] * 4
    federation = scene.by(None)
    assert federation.key_holders() is None
    assert federation.key_holder_of(1) == KEY_HOLDER.address
    assert deployment.key_holders is None


def test_a_node_that_does_not_say_gives_no_answer(chain: EmbeddedChain, shared: Scene) -> None:
    """Taken for one, it would make the holders' contract one of another kind."""

    def busy(asked: dict[str, Any], forward: Callable[[], Any]) -> Any:
        return refusal(asked, "too busy") if asked["method"] == "eth_call" else forward()

    address = facade(shared).address
    with faulty(chain.url, busy) as w3, pytest.raises(RpcFailure, match="too busy"):
        find_key_holders(w3, address)


def test_the_epoch_of_a_round_is_that_of_the_block_that_opened_it(w3: Web3) -> None:
    scene = stage_holders(w3)
    first = facade(scene).current()
    number = scene.open()
    second = rekeyed(scene)
    federation = scene.by(None)
    assert federation.key_holder_of(number) == first
    scene.by(COORDINATOR).cancel_round(number)
    assert federation.key_holder_of(scene.open()) == second
    with pytest.raises(ChainError, match="0 events RoundOpened"):
        federation.key_holder_of(9)


@pytest.mark.parametrize("late", [False, True], ids=["in grace", "after grace"])
def test_a_round_is_finalised_by_its_epochs_holders(w3: Web3, late: bool) -> None:
    scene = stage_holders(w3)
    number = sealed(scene)
    epoch = scene.by(None).key_holder_of(number)
    assert isinstance(epoch, KeyEpoch)
    rekeyed(scene)
    if late:
        advance(w3, GRACE_S + 1)
        with pytest.raises(ContractReverted) as caught:
            finalize(scene, number, epoch, (0, 2))
        assert caught.value.name == "InvalidOpeningSignature"
        return
    finalize(scene, number, epoch, (0, 2))
    assert scene.by(None).round(number).settled


# Rekeying.


def test_anyone_may_send_what_the_holders_signed(w3: Web3) -> None:
    scene = stage_holders(w3)
    holders = scene.by(COORDINATOR).key_holders()
    assert holders is not None
    rekey = next_epoch(holders)
    holders.rekey(rekey, signed(rekey, FIRST))  # more than the threshold
    current = holders.current()
    assert (current.number, current.key_digest, current.holders, current.threshold) == (
        2,
        rekey.key_digest,
        rekey.holders,
        3,
    )
    again = replace(rekey, epoch=3, holders=tuple(one.address for one in FIRST), threshold=2)
    with pytest.raises(ConfigurationError, match="is epoch 2's"):
        holders.rekey(again, signed(again, SECOND[1:]))


@pytest.mark.parametrize(
    ("attack", "error", "message"),
    [
        (lambda rekey: signed(rekey, FIRST[:1]), VerificationError, "1 signed epoch 3"),
        (lambda rekey: signed(rekey, FIRST[:2]), VerificationError, "none of the 4 holders"),
        (lambda rekey: signed(rekey, (*SECOND[:2], OUTSIDER)), VerificationError, "none of"),
        (
            lambda rekey: signed(replace(rekey, threshold=4), SECOND[:3]),
            VerificationError,
            "something else",
        ),
        (
            lambda rekey: {name: malleated(one) for name, one in signed(rekey, SECOND[:3]).items()},
            MalformedError,
            "higher s",
        ),
        (
            lambda rekey: dict(
                zip(rekey.holders, [rekey.sign(one) for one in SECOND[1:]], strict=False)
            ),
            VerificationError,
            "something else",
        ),
    ],
    ids=["one", "former holders", "outsider", "other threshold", "malleated", "others' names"],
)
def test_what_the_holders_did_not_sign_is_not_sent(
    shared: Scene, attack: Callable[..., Any], error: type[Exception], message: str
) -> None:
    holders, before = facade(shared), _sent(shared.w3)
    rekey = next_epoch(holders)
    signatures = attack(rekey)
    if message.startswith("1 signed"):
        signatures = signed(rekey, SECOND[:1])
    with pytest.raises(error, match=message):
        holders.rekey(rekey, signatures)
    assert (holders.current().number, _sent(shared.w3)) == (2, before)


@pytest.mark.parametrize("change", [{"epoch": 2}, {"epoch": 4}, {"chain_id": 1}])
def test_another_epoch_than_the_next_is_not_sent(shared: Scene, change: dict[str, int]) -> None:
    holders, before = facade(shared), _sent(shared.w3)
    rekey = next_epoch(holders, **change)
    with pytest.raises(ConfigurationError, match="the next one is epoch 3"):
        holders.rekey(rekey, signed(rekey, SECOND[:3]))
    assert _sent(shared.w3) == before
    reader = KeyHolders(shared.w3, holders.address)
    with pytest.raises(ChainError, match="--keystore"):
        reader.rekey(next_epoch(holders), {})


# Joined signatures.


def _epoch(threshold: int, count: int) -> KeyEpoch:
    accounts = sorted(BY_ADDRESS, key=str.lower)[:count]
    return KeyEpoch(
        number=7,
        key_digest=MESSAGE,
        ceremony_digest=MESSAGE,
        threshold=threshold,
        holders=tuple(accounts),
        registered_at=0,
        registered_block=0,
    )


@settings(max_examples=25)
@given(st.data())
def test_what_was_joined_is_split(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, len(BY_ADDRESS)))
    threshold = data.draw(st.integers(2, count))
    epoch = replace(_epoch(threshold, count), number=data.draw(st.integers(1, 2**64 - 1)))
    who = data.draw(st.permutations(epoch.holders))[:threshold]
    message = data.draw(st.binary(min_size=32, max_size=32))
    signatures = {one: one_signature(BY_ADDRESS[one], message) for one in who}
    joined = join_signatures(epoch, signatures)
    assert len(joined) == 8 + 65 * threshold
    number, found = split_signatures(joined, message)
    assert (number, found) == (epoch.number, signatures)
    assert list(found) == sorted(who, key=str.lower)
    assert check_signature(epoch, message, joined) == tuple(found)


def test_only_the_threshold_of_holders_is_joined() -> None:
    epoch = _epoch(3, 5)
    ones = {one: one_signature(BY_ADDRESS[one], MESSAGE) for one in BY_ADDRESS}
    chosen = {one: ones[one] for one in epoch.holders[:3]}
    stranger = next(one for one in BY_ADDRESS if one not in epoch.holders)
    refused: list[tuple[dict[str, bytes], type[Exception], str]] = [
        ({}, VerificationError, "0 signatures"),
        (dict(list(chosen.items())[:2]), VerificationError, "2 signatures"),
        ({one: ones[one] for one in epoch.holders[:4]}, VerificationError, "4 signatures"),
        ({**dict(list(chosen.items())[:2]), stranger: ones[stranger]}, VerificationError, "none"),
        (
            {one.lower(): signature for one, signature in chosen.items()},
            VerificationError,
            "none of the 5 holders",
        ),
        (chosen | {epoch.holders[1]: b"short"}, MalformedError, "5 bytes"),
        (
            chosen | {epoch.holders[1]: malleated(chosen[epoch.holders[1]])},
            MalformedError,
            "higher s",
        ),
    ]
    for signatures, error, message in refused:
        with pytest.raises(error, match=message):
            join_signatures(epoch, signatures)


@given(
    st.binary(max_size=300)
    | st.integers(0, 5).flatmap(lambda n: st.binary(min_size=8 + 65 * n, max_size=8 + 65 * n))
)
def test_any_bytes_are_split_or_malformed(signature: bytes) -> None:
    try:
        _, found = split_signatures(signature, MESSAGE)
    except MalformedError:
        return
    assert signature[8:] == b"".join(found.values())


# The same answers as the contract's.


@settings(max_examples=50)
@given(seed=st.integers(0, 2**64), times=st.integers(0, 2), of=st.sampled_from([0, 1]))
def test_the_contract_answers_the_same(
    shared: Scene, epochs: tuple[KeyEpoch, ...], seed: int, times: int, of: int
) -> None:
    """Within the grace period it takes both epochs; off chain each is asked alone."""
    rng = random.Random(seed)
    message, epoch = rng.randbytes(32), epochs[of]
    who = rng.sample(range(len(epoch.holders)), epoch.threshold)
    signature = signature_of(epoch, message, who)
    for _ in range(times):
        signature = tampered(signature, message, rng)
    answer = _contract(shared).call("isValidSignature", message, signature)
    by = [each for each in epochs if _checks(each, message, signature)]
    assert (answer == VALID) == (len(by) == 1)
    if not times:
        assert by == [epoch]


def _checks(epoch: KeyEpoch, message: bytes, signature: bytes) -> bool:
    try:
        check_signature(epoch, message, signature)
    except (MalformedError, VerificationError):
        return False
    return True


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (lambda one, two, m: one[:-65], "bytes"),
        (lambda one, two, m: one[:73] + one[8:73], "once each, in ascending order"),
        (lambda one, two, m: one[:8] + one[73:] + one[8:73], "ascending"),
        (lambda one, two, m: one[:8] + two[8:], "signed by"),
        (lambda one, two, m: two, "for epoch 2, not by 2 of 3 holders of epoch 1"),
        (lambda one, two, m: one[:73] + malleated(one[73:]), "higher s"),
        (lambda one, two, m: one[:-1] + bytes([one[-1] - 27]), "v of"),
        (lambda one, two, m: one_signature(FIRST[0], m), "bytes"),
        (lambda one, two, m: bytes(8) + one[8:], "for epoch 0"),
    ],
    ids=[
        "missing", "twice", "order", "outsiders", "other epoch", "malleated", "v", "account",
        "epoch 0",
    ],
)  # fmt: skip
def test_tampered_signatures_are_refused(
    epochs: tuple[KeyEpoch, ...], attack: Callable[..., bytes], message: str
) -> None:
    first, second = epochs
    signed_ = opening_message(1, OUTSIDER.address, 1, MESSAGE, MESSAGE)
    one, two = signature_of(first, signed_), signature_of(second, signed_)
    assert check_signature(first, signed_, one) == first.holders[:2]
    with pytest.raises((MalformedError, VerificationError), match=message):
        check_signature(first, signed_, attack(one, two, signed_))


def test_more_than_the_threshold_is_refused(epochs: tuple[KeyEpoch, ...]) -> None:
    """The contract takes exactly as many, so that a set of signers has one form."""
    first = epochs[0]
    signature = (1).to_bytes(8, "big") + b"".join(one_signature(one, MESSAGE) for one in FIRST)
    with pytest.raises(VerificationError, match="3 signed, but it takes exactly 2 of 3"):
        check_signature(first, MESSAGE, signature)
