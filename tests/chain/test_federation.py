from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_keys.datatypes import Signature
from web3 import Web3

from ddcai.attestation import BlsSecretKey, aggregate, pubkey_to_eip2537, signature_to_eip2537
from ddcai.chain import artifact
from ddcai.chain.abi_errors import selector
from ddcai.chain.contract import Contract
from ddcai.chain.events import events
from ddcai.chain.federation import INTERFACE_ID, Federation
from ddcai.chain.head import Head
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import Member, RoundState, Submission, UpdateState
from ddcai.chain.transactions import Sender
from ddcai.digests import RoundContext, head_digest, result_message
from ddcai.errors import ChainError, ContractReverted, InsufficientBalance, NotAFederation
from tests.chain.support import (
    CONTRIBUTORS,
    COORDINATOR,
    KEY_HOLDER,
    SPONSOR,
    STRANGER,
    WORDS,
    Scene,
    advance,
    default_rules,
    deploy,
    digest,
    stage,
)


def test_whole_life_of_a_round(node: Web3) -> None:
    scene = stage(node)
    everyone = scene.by(None)
    rules = everyone.rules()
    assert everyone.sponsor() == SPONSOR.address
    assert everyone.quorum_address() == scene.deployment.quorum
    assert everyone.head_address() == scene.deployment.head
    assert everyone.model_digest() == scene.initial_model
    assert everyone.last_round() == 0
    assert everyone.round(1).state is RoundState.NONE
    assert everyone.members() == tuple(
        Member(account.address, index, True) for index, account in enumerate(CONTRIBUTORS)
    )
    assert everyone.pubkey(2) == pubkey_to_eip2537(scene.keys[2].pubkey)

    number = scene.open()
    opened = everyone.round(number)
    assert opened.state is RoundState.OPEN
    assert opened.base_model_digest == scene.initial_model
    assert opened.finalize_deadline - opened.submit_deadline == rules.finalize_period_s
    assert opened.submissions == opened.sealed == ()

    digests = scene.submit(number, *reversed(CONTRIBUTORS))
    expected = tuple(
        Submission(account.address, index, digests[account.address])
        for index, account in enumerate(CONTRIBUTORS)
    )
    assert everyone.round(number).submissions == expected
    assert everyone.update_digest(number, CONTRIBUTORS[1].address) == expected[1].digest
    assert everyone.update_digest(number, STRANGER.address) is None
    assert everyone.balance() == 4 * rules.deposit_wei

    # The last contributor did not deliver: it can be left out once the deadline has passed.
    advance(node, rules.submit_period_s + 1)
    sum_digest = digest()
    scene.by(COORDINATOR).seal_round(number, sum_digest, [0, 1, 2])
    sealed = everyone.round(number)
    assert sealed.state is RoundState.SEALED
    assert sealed.sum_digest == sum_digest
    assert sealed.sealed == expected[:3]
    assert sealed.submissions == expected

    result = scene.result(number, (0, 2))
    context = RoundContext(
        chain_id=everyone.chain_id, contract=scene.deployment.federation, round=number
    )
    named = {
        "sum_": sum_digest,
        "opened": result["opened_digest"],
        "model": result["model_digest"],
        "head": head_digest(WORDS),
    }
    assert everyone.result_message(number, **named) == result_message(context, **named)
    receipt = scene.by(COORDINATOR).finalize_round(number, **result)
    assert receipt.gas_used > 100_000
    assert receipt.cost_wei > 0

    assert everyone.round(number).state is RoundState.FINALIZED
    assert everyone.model_digest() == result["model_digest"]
    assert Head(node, everyone.head_address()).words() == WORDS
    assert everyone.update_state(number, 0) is UpdateState.AGREED
    assert everyone.update_state(number, 3) is UpdateState.FORFEITED

    shares = [everyone.claimable(number, account.address) for account in CONTRIBUTORS]
    assert [refund for refund, _ in shares] == [rules.deposit_wei] * 3 + [0]
    assert sum(take for _, take in shares) == rules.deposit_wei  # to the last wei
    for account, (refund, take) in zip(CONTRIBUTORS[:3], shares, strict=False):
        member = scene.by(account)
        before = member.balance(account.address)
        costs = [member.refund([number]).cost_wei, member.take([number]).cost_wei]
        assert member.balance(account.address) == before + refund + take - sum(costs)
    assert everyone.balance() == 0

    names = [event.name for event in events(node, scene.deployment.federation)]
    assert names == (
        ["MemberInvited"] * 4
        + ["MemberRegistered"] * 4
        + ["RoundOpened"]
        + ["UpdateSubmitted"] * 4
        + ["RoundSealed", "RoundFinalized"]
        + ["Refunded", "Taken"] * 3
    )


def test_cancelled_round_gives_every_deposit_back(node: Web3) -> None:
    scene = stage(node)
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS[:2])
    scene.by(COORDINATOR).cancel_round(number)
    federation = scene.by(CONTRIBUTORS[0])
    assert federation.round(number).state is RoundState.CANCELLED
    assert federation.round(number).settled
    federation.refund([number])
    scene.by(CONTRIBUTORS[1]).refund([number])
    assert federation.balance() == 0
    assert federation.update_state(number, 0) is UpdateState.RETURNED
    # The number is used up.
    assert scene.open() == number + 1


def test_member_that_left_stays_on_record(node: Web3) -> None:
    scene = stage(node, registration_stake_wei=10**16)
    leaver = CONTRIBUTORS[0]
    federation = scene.by(leaver)
    assert federation.balance() == 4 * 10**16
    federation.leave()
    assert federation.balance() == 3 * 10**16
    assert federation.member(leaver.address) == Member(leaver.address, 0, False)
    assert federation.members()[0] == Member(leaver.address, 0, False)
    assert federation.member(STRANGER.address) is None


def test_a_newcomer_does_not_ask_for_all_members(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand that join would ask half a million times."""
    asked: list[str] = []
    call_many = Contract.call_many

    def counted(self: Contract, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        asked.extend(name for name, _ in calls)
        return call_many(self, calls)

    monkeypatch.setattr(Contract, "call_many", counted)
    assert scene.by(None).member(STRANGER.address) is None
    assert asked == ["memberAt"]


def test_members_are_seen_by_a_facade_made_before_them(w3: Web3) -> None:
    deployment, initial = deploy(w3)
    reader = Federation.connect(w3, deployment.federation)
    assert reader.members() == ()
    assert reader.member(CONTRIBUTORS[0].address) is None
    keys = tuple(BlsSecretKey.generate() for _ in CONTRIBUTORS)
    scene = Scene(w3, deployment, initial, keys)
    for seen, (account, key) in enumerate(zip(CONTRIBUTORS[:2], keys, strict=False), start=1):
        scene.join(account, key)
        assert len(reader.members()) == seen
    scene.by(SPONSOR).invite([STRANGER.address])
    assert reader.is_invited(STRANGER.address)
    assert not reader.is_invited(COORDINATOR.address)


def test_reading_a_settled_round_again_asks_nothing(w3: Web3) -> None:
    scene = stage(w3)
    number = scene.open()
    scene.by(COORDINATOR).cancel_round(number)
    reader = scene.by(None)
    assert reader.round(number) is reader.round(number)


def test_opening_signature_matches_the_contracts_message(scene: Scene) -> None:
    federation = scene.by(None)
    sum_digest, opened = digest(), digest()
    signature = sign_opening(
        KEY_HOLDER, federation.chain_id, federation.address, 7, sum_digest, opened
    )
    message = federation.opening_message(7, sum_digest, opened)
    vrs = signature[:64] + bytes([signature[64] - 27])
    signer = Signature(vrs).recover_public_key_from_msg_hash(message).to_checksum_address()
    assert signer == KEY_HOLDER.address


# What is not a federation.


def test_interface_id_is_that_of_the_interface() -> None:
    others = {"supportsInterface", "eip712Domain"}
    total = 0
    for entry in artifact.load("Federation").abi:
        if entry["type"] == "function" and entry["name"] not in others:
            total ^= int.from_bytes(selector(entry), "big")
    assert total.to_bytes(4, "big") == INTERFACE_ID


def test_connect_refuses_an_account(w3: Web3) -> None:
    with pytest.raises(NotAFederation, match=f"no contract at {STRANGER.address} on chain 31337"):
        Federation.connect(w3, STRANGER.address)


@pytest.mark.parametrize("part", ["head", "quorum"])
def test_connect_refuses_another_contract(scene: Scene, part: str) -> None:
    address = getattr(scene.deployment, part)
    with pytest.raises(NotAFederation, match=f"{address} is not a ddcai federation"):
        Federation.connect(scene.w3, address)


@pytest.mark.parametrize("address", ["", "0x12", "federation.eth", "0x" + "g" * 40])
def test_connect_refuses_what_is_no_address(w3: Web3, address: str) -> None:
    with pytest.raises(NotAFederation, match="is not an address"):
        Federation.connect(w3, address)


def test_writing_needs_an_account(scene: Scene) -> None:
    with pytest.raises(ChainError, match="no account to send leave from"):
        scene.by(None).leave()


def test_require_funds_says_what_is_missing(scene: Scene) -> None:
    rich = scene.by(CONTRIBUTORS[0])
    rich.require_funds(10)
    with pytest.raises(InsufficientBalance, match=r"has [\d.]+ ETH \(\d+ wei\); 100000000 round"):
        rich.require_funds(100_000_000)


# Every revert has its name and its arguments, and changes nothing.


def _key_and_proof() -> tuple[bytes, bytes]:
    key = BlsSecretKey.generate()
    return pubkey_to_eip2537(key.pubkey), signature_to_eip2537(key.prove_possession())


def _refused(
    scene: Scene, name: str, arguments: dict[str, object], act: Callable[[], object]
) -> None:
    reader = scene.by(None)
    last = reader.last_round()
    before = (last, reader.model_digest(), reader.members(), reader.balance(), reader.round(last))
    with pytest.raises(ContractReverted) as caught:
        act()
    assert (caught.value.name, caught.value.arguments) == (name, arguments)
    assert name in str(caught.value)
    after = (
        reader.last_round(),
        reader.model_digest(),
        reader.members(),
        reader.balance(),
        reader.round(last),
    )
    assert after == before


def test_reverts_of_membership(w3: Web3) -> None:
    scene = stage(w3)
    member, stranger = CONTRIBUTORS[0], STRANGER
    key, proof = _key_and_proof()
    _refused(
        scene,
        "NotSponsor",
        {"caller": member.address},
        lambda: scene.by(member).invite([stranger.address]),
    )
    _refused(
        scene,
        "NotInvited",
        {"caller": stranger.address},
        lambda: scene.by(stranger).register(key, proof),
    )
    _refused(
        scene,
        "AlreadyMember",
        {"caller": member.address},
        lambda: scene.by(member).register(key, proof),
    )
    _refused(scene, "NotMember", {"caller": stranger.address}, lambda: scene.by(stranger).leave())
    scene.by(SPONSOR).invite([stranger.address])
    newcomer = scene.by(stranger)
    _refused(
        scene,
        "WrongStake",
        {"sentWei": 5, "stakeWei": 0},
        lambda: newcomer.register(key, proof, stake_wei=5),
    )
    _refused(scene, "InvalidKey", {"length": 127}, lambda: newcomer.register(key[1:], proof))
    _refused(scene, "InvalidKey", {"length": 128}, lambda: newcomer.register(bytes(128), proof))
    _refused(
        scene,
        "InvalidProofOfPossession",
        {"index": 4},
        lambda: newcomer.register(key, _key_and_proof()[1]),
    )
    used = pubkey_to_eip2537(scene.keys[0].pubkey)
    stolen = signature_to_eip2537(scene.keys[0].prove_possession())
    with pytest.raises(ContractReverted) as caught:
        newcomer.register(used, stolen)
    assert caught.value.name == "KeyInUse"


def test_reverts_of_an_open_round(w3: Web3) -> None:
    scene = stage(w3)
    coordinator, first = scene.by(COORDINATOR), scene.by(CONTRIBUTORS[0])
    base = scene.initial_model
    _refused(
        scene,
        "NotCoordinator",
        {"caller": CONTRIBUTORS[0].address},
        lambda: first.open_round(1, base),
    )
    _refused(
        scene, "WrongRound", {"given": 2, "expected": 1}, lambda: coordinator.open_round(2, base)
    )
    wrong = digest()
    _refused(
        scene,
        "WrongBaseModel",
        {"given": "0x" + wrong.hex(), "current": "0x" + base.hex()},
        lambda: coordinator.open_round(1, wrong),
    )
    _refused(
        scene, "WrongState", {"round": 1, "state": 0}, lambda: first.submit_update(1, digest())
    )
    number = scene.open()
    _refused(scene, "WrongState", {"round": 1, "state": 1}, lambda: coordinator.open_round(2, base))
    _refused(scene, "ZeroDigest", {}, lambda: first.submit_update(number, bytes(32)))
    _refused(
        scene,
        "NotMember",
        {"caller": STRANGER.address},
        lambda: scene.by(STRANGER).submit_update(number, digest()),
    )
    poor = scene.by(CONTRIBUTORS[0])
    poor.rules()
    poor._fixed["rules"] = default_rules(deposit_wei=3).to_abi()
    _refused(
        scene,
        "WrongDeposit",
        {"sentWei": 3, "depositWei": 10**15 + 1},
        lambda: poor.submit_update(number, digest()),
    )
    scene.submit(number, *CONTRIBUTORS[:3])
    _refused(
        scene,
        "AlreadySubmitted",
        {"round": 1, "contributor": CONTRIBUTORS[0].address},
        lambda: first.submit_update(number, digest()),
    )
    _refused(
        scene,
        "MemberBusy",
        {"member": CONTRIBUTORS[0].address, "round": 1},
        lambda: first.leave(),
    )
    _refused(
        scene,
        "NotSubmitted",
        {"index": 3},
        lambda: coordinator.seal_round(number, digest(), [0, 1, 2, 3]),
    )
    _refused(
        scene,
        "TooFewContributors",
        {"sealedCount": 1, "minimum": 2},
        lambda: coordinator.seal_round(number, digest(), [1]),
    )
    with pytest.raises(ContractReverted) as caught:
        coordinator.seal_round(number, digest(), [0, 1])
    assert caught.value.name == "DeadlineNotReached"
    with pytest.raises(ContractReverted) as caught:
        first.cancel_round(number)
    assert caught.value.name == "DeadlineNotReached"
    _refused(
        scene,
        "NothingToPay",
        {"round": 1, "contributor": CONTRIBUTORS[0].address},
        lambda: first.refund([number]),
    )
    advance(w3, scene.by(None).rules().submit_period_s + 1)
    with pytest.raises(ContractReverted) as caught:
        scene.by(CONTRIBUTORS[3]).submit_update(number, digest())
    assert caught.value.name == "DeadlinePassed"
    assert caught.value.arguments["round"] == number


def test_reverts_of_a_sealed_round(w3: Web3) -> None:
    scene = stage(w3)
    coordinator = scene.by(COORDINATOR)
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS[:3])
    coordinator.seal_round(number, digest(), [0, 1, 2])

    def finalize(signers: tuple[int, ...], **changes: Any) -> Callable[[], object]:
        return lambda: coordinator.finalize_round(
            number, **scene.result(number, signers, **changes)
        )

    _refused(scene, "QuorumNotReached", {"signers": 1, "needed": 2}, finalize((0,)))
    _refused(scene, "NotSealedContributor", {"index": 3}, finalize((0, 1, 3)))
    forged = sign_opening(COORDINATOR, 31337, coordinator.address, number, digest(), digest())
    _refused(scene, "InvalidOpeningSignature", {}, finalize((0, 1), opening_signature=forged))
    flipped = bytearray(scene.result(number, (0, 1))["signature"])
    flipped[200] ^= 1
    _refused(scene, "InvalidQuorumSignature", {}, finalize((0, 1), signature=bytes(flipped)))
    _refused(scene, "ZeroDigest", {}, finalize((0, 1), model_digest=bytes(32)))
    claimed = scene.result(number, (0, 1))
    claimed["signer_indices"] = (0, 1, 2)  # more signers than signed
    _refused(
        scene,
        "InvalidQuorumSignature",
        {},
        lambda: coordinator.finalize_round(number, **claimed),
    )
    advance(w3, 10_000)
    with pytest.raises(ContractReverted) as caught:
        finalize((0, 1))()
    assert caught.value.name == "DeadlinePassed"
    # No party can lock funds: now anyone may end the round.
    scene.by(STRANGER).cancel_round(number)
    scene.by(CONTRIBUTORS[0]).refund([number])


def test_head_of_another_shape_is_refused(w3: Web3) -> None:
    scene = stage(w3)
    number = scene.open()
    scene.submit(number, *CONTRIBUTORS[:2])
    coordinator = scene.by(COORDINATOR)
    coordinator.seal_round(number, digest(), [0, 1])
    result = scene.result(number, (0, 1))
    context = RoundContext(chain_id=31337, contract=coordinator.address, round=number)
    short = WORDS[:-1]
    message = result_message(
        context,
        sum_=coordinator.round(number).sum_digest,
        opened=result["opened_digest"],
        model=result["model_digest"],
        head=head_digest(short),
    )
    signature = aggregate([scene.keys[index].sign(message) for index in (0, 1)])
    result |= {"head_words": short, "signature": signature_to_eip2537(signature)}
    # An error of the head, passed on by the federation.
    _refused(
        scene,
        "WrongWordCount",
        {"given": 6, "expected": 7},
        lambda: coordinator.finalize_round(number, **result),
    )


def test_sender_is_the_facades_own(scene: Scene) -> None:
    sender = Sender(scene.w3, STRANGER)
    federation = Federation.connect(scene.w3, scene.deployment.federation, sender)
    assert federation.sender is sender
    assert STRANGER.key.hex() not in repr(federation) + repr(sender)
