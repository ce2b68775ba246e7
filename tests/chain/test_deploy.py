from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import (
    Deployment,
    check_bls_precompiles,
    choose_quorum_scheme,
    deploy_federation,
)
from ddcai.chain.federation import Federation
from ddcai.chain.head import Head
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import NOBODY
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ConfigurationError, ContractReverted, InsufficientBalance
from tests.chain.holders import FIRST, holder_rules
from tests.chain.support import (
    CLASSES,
    CONFIG,
    CONTRIBUTORS,
    COORDINATOR,
    DIMENSIONS,
    KEY_HOLDER,
    SPONSOR,
    WORDS,
    Scene,
    default_rules,
    deploy,
    digest,
    faulty,
    refusal,
    reply,
)

# Of a transaction (EIP-7825).
MOST_GAS = 2**24


def _sent(w3: Web3) -> int:
    return int(request(w3, "eth_getTransactionCount", [SPONSOR.address, "latest"]), 16)


def _deploy(w3: Web3, **changes: Any) -> Deployment:
    arguments: dict[str, Any] = {
        "rules": default_rules(),
        "head_dimensions": DIMENSIONS,
        "head_classes": CLASSES,
        "head_words": WORDS,
        "initial_model_digest": digest(),
        "config": CONFIG,
    }
    return deploy_federation(w3, SPONSOR, **(arguments | changes))


def test_deployment_is_what_was_asked_for(node: Web3, tmp_path: Path) -> None:
    rules, initial = default_rules(), digest()
    invited = [CONTRIBUTORS[0].address.lower()]
    deployment = _deploy(
        node, rules=rules, initial_model_digest=initial, invited=invited, name="hearts"
    )
    federation = Federation.connect(node, deployment.federation)
    assert federation.rules() == rules
    assert federation.sponsor() == SPONSOR.address
    assert federation.model_digest() == initial
    assert federation.is_invited(CONTRIBUTORS[0].address)
    head = Head(node, deployment.head)
    assert head.shape() == (DIMENSIONS, CLASSES)
    assert head.words() == WORDS
    assert deployment.gas_used > 1_000_000
    assert deployment.save(tmp_path) == tmp_path / "31337-hearts.json"
    assert Deployment.load(tmp_path / "31337-hearts.json") == deployment


@pytest.mark.skipif(find_anvil() is None, reason="the embedded chain takes half a minute for it")
def test_a_thousand_can_be_invited() -> None:
    """All at once, they and the code are more bytes than a chain creates a contract from
    (EIP-3860), and more gas than a transaction has."""
    with ManagedAnvil() as chain:
        node = connect(chain.url)
        invited = [to_checksum_address(f"0x{one:040x}") for one in range(1, 1001)]
        deployment = _deploy(node, invited=invited[:900])
        federation = Federation.connect(node, deployment.federation, Sender(node, SPONSOR))
        federation.invite([*invited[600:], invited[0]])
        asked = [("invited", [one]) for one in invited]
        contract = Contract(node, deployment.federation, artifact.load("Federation"))
        assert all(contract.call_many(asked))
        last = int(request(node, "eth_blockNumber", []), 16)
        blocks = [request(node, "eth_getBlockByNumber", [hex(at), False]) for at in range(last)]
        assert max(int(block["gasUsed"], 16) for block in blocks) < MOST_GAS


def test_first_round_can_be_opened(w3: Web3) -> None:
    """The federation owns its parts: otherwise openRound reverts with NotReady."""
    deployment, initial = deploy(w3)
    coordinator = Scene(w3, deployment, initial, ()).by
    coordinator(COORDINATOR).open_round(1, initial)
    sponsor = Sender(w3, SPONSOR)
    head = Contract(w3, deployment.head, artifact.load("PerceptronHead"))
    data = head.encode("write", [list(WORDS)])
    with pytest.raises(ContractReverted) as caught:
        sponsor.send(deployment.head, data)
    assert caught.value.name == "OwnableUnauthorizedAccount"
    assert caught.value.arguments == {"account": SPONSOR.address}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key_holder": default_rules().coordinator}, "keyHolder"),
        ({"min_contributors": 1}, "minContributors"),
        ({"quorum_numerator": 0}, "quorumNumerator"),
        ({"quorum_numerator": 4}, "quorumDenominator"),
        ({"submit_period_s": 0}, "submitPeriodS"),
        ({"finalize_period_s": 0}, "finalizePeriodS"),
        ({"open_membership": True}, "registrationStakeWei"),
        ({"encryption_key_digest": bytes(32)}, "encryptionKeyDigest"),
    ],
)
def test_bad_rules_cost_nothing(w3: Web3, change: dict[str, Any], field: str) -> None:
    before = _sent(w3)
    with pytest.raises(ContractReverted) as caught:
        _deploy(w3, rules=default_rules(**change))
    assert (caught.value.name, caught.value.arguments) == ("InvalidRules", {"field": field})
    assert _sent(w3) == before


def test_rules_for_another_configuration_cost_nothing(w3: Web3) -> None:
    before = _sent(w3)
    with pytest.raises(ConfigurationError, match=r"rules\.config_digest"):
        _deploy(w3, config={"other": 1})
    with pytest.raises(ConfigurationError, match="initial_model_digest"):
        _deploy(w3, initial_model_digest=bytes(32))
    with pytest.raises(ConfigurationError, match="name is"):
        _deploy(w3, name="../escape")
    assert _sent(w3) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key_holder": KEY_HOLDER.address}, "rules.key_holder"),
        ({"encryption_key_digest": digest()}, "rules.encryption_key_digest"),
        ({"coordinator": FIRST[1].address}, "is one of the key holders"),
    ],
)
def test_key_holders_that_do_not_fit_the_rules_cost_nothing(
    w3: Web3, change: dict[str, Any], message: str
) -> None:
    before, shared = _sent(w3), holder_rules()
    fitting = {"key_holder": NOBODY, "encryption_key_digest": shared.key_digest}
    with pytest.raises(ConfigurationError, match=message):
        _deploy(w3, rules=default_rules(**(fitting | change)), key_holders=shared)
    assert _sent(w3) == before


def test_wrong_shape_is_the_heads_own_error(w3: Web3) -> None:
    with pytest.raises(ContractReverted) as caught:
        _deploy(w3, head_classes=1)
    assert caught.value.name == "WrongShape"
    with pytest.raises(ContractReverted) as caught:
        _deploy(w3, head_words=[1])
    assert caught.value.name == "WrongWordCount"


def test_sponsor_without_ether(w3: Web3) -> None:
    with pytest.raises(InsufficientBalance):
        deploy_federation(
            w3, Account.create(), default_rules(), 20, 3, WORDS, digest(), config=CONFIG
        )


def _answering(what: Any) -> Any:
    """A fault: the addition on BLS12-381 gets this answer; None lets the node answer."""

    def fault(asked: dict[str, Any], forward: Any) -> Any:
        if asked["method"] == "eth_call" and asked["params"][0].get("to", "").endswith("0b"):
            return reply(asked, what) if isinstance(what, str) else refusal(asked, "too busy")
        return forward()

    return fault


def test_chain_without_bls_precompiles(chain: EmbeddedChain, node: Web3) -> None:
    check_bls_precompiles(node)
    # Where there is no precompile, a call of its address succeeds and returns nothing.
    with faulty(chain.url, _answering("0x")) as old:
        with pytest.raises(ChainError, match="chain 31337 lacks EIP-2537"):
            _deploy(old)
        deployment = _deploy(old, quorum_scheme="ecdsa")
        assert Federation.connect(old, deployment.federation).quorum_scheme() == "ecdsa"


def test_the_chain_says_which_quorum_suits_it(chain: EmbeddedChain, node: Web3) -> None:
    assert choose_quorum_scheme(node) == ("bls", "chain 31337 has EIP-2537")
    with faulty(chain.url, _answering("0x")) as old:
        scheme, why = choose_quorum_scheme(old)
        assert (scheme, "chain 31337 lacks EIP-2537" in why) == ("ecdsa", True)
    # No answer is no reason to choose for ever.
    for said in ("0x00", None):
        with (
            faulty(chain.url, _answering(said)) as odd,
            pytest.raises(ChainError, match="--quorum-scheme bls or ecdsa"),
        ):
            choose_quorum_scheme(odd)


def test_an_unknown_scheme_costs_nothing(w3: Web3) -> None:
    before = _sent(w3)
    with pytest.raises(ConfigurationError, match="quorum_scheme is 'schnorr'"):
        _deploy(w3, quorum_scheme="schnorr")
    assert _sent(w3) == before


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(
        chain_id=31337,
        name="hearts",
        federation=SPONSOR.address,
        head=KEY_HOLDER.address,
        quorum=CONTRIBUTORS[0].address,
        deployed_block=3,
        gas_used=6_000_000,
        config=CONFIG,
        encryption_key_digest="0x" + digest().hex(),
        initial_model_digest="0x" + digest().hex(),
    )


def test_another_federation_is_not_overwritten(deployment: Deployment, tmp_path: Path) -> None:
    deployment.save(tmp_path)
    deployment.save(tmp_path)
    other = replace(deployment, federation=KEY_HOLDER.address)
    with pytest.raises(ConfigurationError, match="another deployment"):
        other.save(tmp_path)
    assert Deployment.load(tmp_path / "31337-hearts.json") == deployment


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("federation", SPONSOR.address.lower()),
        ("head", "0x12"),
        ("quorum", None),
        ("key_holders", SPONSOR.address.lower()),
        ("key_holders", False),
        ("chain_id", "31337"),
        ("chain_id", True),
        ("deployed_block", -1),
        ("name", "a/b"),
        ("config", []),
        ("encryption_key_digest", "0x12"),
        ("initial_model_digest", 5),
    ],
)
def test_file_with_a_wrong_value_is_refused(
    deployment: Deployment, tmp_path: Path, field: str, value: object
) -> None:
    path = deployment.save(tmp_path)
    content = json.loads(path.read_text())
    content[field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=field):
        Deployment.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "5", '{"federation": 1}', "[" * 100_000])
def test_what_is_no_deployment_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="not a deployment file"):
        Deployment.load(path)


def test_missing_deployment_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        Deployment.load(tmp_path / "none.json")
