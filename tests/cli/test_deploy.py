"""`ddcai federation deploy`: what it writes, and what it refuses before it sends anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ddcai.chain.deploy import Deployment
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import connect, request
from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import FOLDER
from ddcai.encryption.bfv import PublicKey
from ddcai.models import state
from ddcai.models.encoder import initial_state
from ddcai.rounds.party import Party, Settings
from ddcai.store import Store
from tests.chain.support import faulty, reply
from tests.cli.conftest import Answer, Ddcai, assert_refused

# With a single key, as for trials, and the parameter set that is cheapest for one.
TOML = (
    (FOLDER / "federation.toml")
    .read_text(encoding="utf-8")
    .replace('"bfv-8192-3x20"', '"bfv-4096-3x19"')
)
EXAMPLES = Path(__file__).parents[2] / "examples"
OTHERS = [f"0x{number:040x}" for number in range(0xA1, 0xA5)]


@dataclass
class Sponsor:
    """A funded account, an encryption key, a configuration; and the command made of them."""

    ddcai: Ddcai
    folder: Path
    url: str
    keystore: str
    address: str
    password: Path
    more: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "federation.toml"

    @property
    def deployments(self) -> Path:
        return self.folder / "deployments"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def deploy(self, *more: object, changes: dict[str, str | None] | None = None) -> Answer:
        """Runs the command; ``changes`` replace an option's value, or drop it."""
        options: dict[str, str | None] = {
            "--config": str(self.config),
            "--public-key": str(self.folder / "encryption-public.json"),
            "--coordinator": self.address,
            "--key-holder": OTHERS[0],
            "--deployments": str(self.deployments),
            "--rpc-url": self.url,
            "--keystore": self.keystore,
            "--password-file": str(self.password),
            "--store": str(self.store),
            "--format": "json",
        }
        options |= changes or {}
        given = [part for name, value in options.items() if value for part in (name, value)]
        invited = [part for address in OTHERS[1:] for part in ("--invite", address)]
        return self.ddcai("federation", "deploy", *given, *invited, *more)

    def assert_nothing_done(self) -> None:
        assert not self.deployments.exists()
        assert not self.store.exists()
        self.assert_nothing_sent()

    def assert_nothing_sent(self) -> None:
        count = request(connect(self.url), "eth_getTransactionCount", [self.address, "latest"])
        assert count == "0x0"


@pytest.fixture
def sponsor(ddcai: Ddcai, tmp_path: Path, password: Path, chain_url: str) -> Sponsor:
    account = ddcai(
        "account", "new", "--out", tmp_path, "--password-file", password, "--light-kdf",
        "--format", "json",
    ).json  # fmt: skip
    ddcai("account", "fund", account["address"], "--ether", "1", "--rpc-url", chain_url)
    ddcai(
        "keys", "new", "--out", tmp_path, "--password-file", password, "--light-kdf",
        "--parameter-set", "bfv-4096-3x19",
    )  # fmt: skip
    (tmp_path / "federation.toml").write_text(TOML)
    return Sponsor(ddcai, tmp_path, chain_url, account["keystore"], account["address"], password)


def test_deploy_writes_the_file_the_blobs_and_the_contract(sponsor: Sponsor) -> None:
    answer = sponsor.deploy("--quorum", "3/4", "--min-contributors", "2", "--deposit-wei", "7")
    assert answer.code == 0
    path = sponsor.deployments / "31337-heart-disease.json"
    assert answer.json["deployment"] == str(path)
    deployment = Deployment.load(path)
    rules = Federation.connect(connect(sponsor.url), deployment.federation).rules()
    assert (rules.coordinator, rules.deposit_wei) == (sponsor.address, 7)
    assert (rules.quorum_numerator, rules.quorum_denominator, rules.min_contributors) == (3, 4, 2)
    config = FederationConfig.from_toml(sponsor.config)
    assert rules.config_digest == config.digest()
    party = Party.connect(
        Settings(deployment=str(path), rpc_url=sponsor.url, store=str(sponsor.store))
    )
    assert party.encryption_key() == PublicKey.load(sponsor.folder / "encryption-public.json")
    first = party.model(party.federation.model_digest())
    assert state.digest(first) == state.digest(initial_state(config))
    assert Store(str(sponsor.store)).has(config.digest())


def test_dry_run_does_nothing(sponsor: Sponsor) -> None:
    answer = sponsor.deploy("--dry-run")
    assert answer.code == 0
    assert answer.json["ciphertexts_per_update"] == 1
    sponsor.assert_nothing_done()


def test_deploy_takes_a_model_file(sponsor: Sponsor) -> None:
    config = FederationConfig.from_toml(sponsor.config)
    first = {name: value + 1 for name, value in initial_state(config).items()}
    state.save(sponsor.folder / "first.safetensors", first)
    answer = sponsor.deploy("--model", sponsor.folder / "first.safetensors")
    assert answer.json["initial_model_digest"] == "0x" + state.digest(first).hex()


def test_a_second_federation_of_the_same_name_is_refused(sponsor: Sponsor) -> None:
    assert sponsor.deploy().code == 0
    before = (sponsor.deployments / "31337-heart-disease.json").read_bytes()
    assert_refused(sponsor.deploy(), "31337-heart-disease.json", "another")
    assert (sponsor.deployments / "31337-heart-disease.json").read_bytes() == before


Change = Callable[[Sponsor], Answer]


def _edited(old: str, new: str) -> Change:
    def change(sponsor: Sponsor) -> Answer:
        text = sponsor.config.read_text()
        assert old in text
        sponsor.config.write_text(text.replace(old, new))
        return sponsor.deploy()

    return change


def _with(name: str, value: str | None) -> Change:
    return lambda sponsor: sponsor.deploy(changes={name: value})


def _with_model(values: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(sponsor: Sponsor) -> Answer:
        first = initial_state(FederationConfig.from_toml(sponsor.config))
        path = sponsor.folder / "bad.safetensors"
        state.save(path, first)
        _, metadata = state.load(path)
        order = '["' + '", "'.join(first) + '"]'
        save_file(
            {name: values(array) for name, array in first.items()},
            path,
            metadata | {"ddcai.order": order},
        )
        return sponsor.deploy("--model", path)

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        pytest.param(
            _edited("hidden = [32, 16]", "hidden = [65536, 65536]"),
            ("update", "model.hidden"),
            id="an update too large for the planner",
        ),
        pytest.param(
            _edited("max_contributors = 64", "max_contributors = 65"),
            ("65", "max_contributors"),
            id="more contributors than the parameter set adds",
        ),
        pytest.param(
            _edited('"bfv-4096-3x19"', '"bfv-4096-2x23"'),
            ("bfv-4096-3x19", "bfv-4096-2x23"),
            id="a key of another parameter set",
        ),
        pytest.param(_edited("[model]", "[modle]"), ("modle", "model"), id="an unknown setting"),
        pytest.param(_with("--min-contributors", "1"), ("min-contributors is 1",), id="too few"),
        pytest.param(_with("--min-contributors", "65"), ("65", "64"), id="more than fit"),
        pytest.param(_with("--quorum", "3/2"), ("'3/2'", "2/3"), id="a quorum above one"),
        pytest.param(_with("--quorum", "most"), ("'most'",), id="a quorum that is no share"),
        pytest.param(_with("--coordinator", "0x12"), ("'0x12'", "40 hex"), id="no address"),
        pytest.param(_with("--key-holder", None), (), id="no key holder"),
        pytest.param(_with("--invite", OTHERS[1]), (OTHERS[1][2:].upper(), "twice"), id="twice"),
        pytest.param(
            _with("--public-key", "nowhere.json"), ("nowhere.json",), id="no public key file"
        ),
        pytest.param(
            _with("--rpc-url", "http://127.0.0.1:1"), ("127.0.0.1:1", "--rpc-url"), id="no chain"
        ),
        pytest.param(_with("--keystore", None), ("keystore", "ETH_KEYSTORE"), id="no keystore"),
        pytest.param(_with("--password-file", None), ("password-file",), id="no password file"),
        pytest.param(
            _with_model(lambda array: np.full_like(array, np.nan)), ("finite",), id="NaN weights"
        ),
        pytest.param(
            _with_model(lambda array: np.full_like(array, np.inf)), ("finite",), id="infinite"
        ),
        pytest.param(
            _with_model(lambda array: np.concatenate([array, array])),
            ("first model", "(64, 38)"),
            id="a model of another shape",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    sponsor: Sponsor, change: Change, parts: tuple[str, ...]
) -> None:
    answer = change(sponsor)
    assert answer.code == 2
    assert answer.stdout == ""
    for part in parts:
        assert part.lower() in answer.stderr.lower()
    sponsor.assert_nothing_done()


def test_windows_are_deployed_with_a_federation_that_judges(sponsor: Sponsor) -> None:
    text = sponsor.config.read_text()
    judged = text.replace('weighting = "examples"', 'weighting = "uniform"')
    judged = judged.replace('"bfv-4096-3x19"', '"bfv-8192-2x30"')
    assert judged.count("bfv-8192-2x30") == judged.count('weighting = "uniform"') == 1
    sponsor.ddcai(
        "keys", "new", "--out", sponsor.folder / "keys", "--password-file", sponsor.password,
        "--light-kdf", "--parameter-set", "bfv-8192-2x30",
    )  # fmt: skip
    key = {"--public-key": str(sponsor.folder / "keys" / "encryption-public.json")}
    refused = sponsor.deploy("--bond-wei", "5")
    assert_refused(refused, "bond-wei is 5", "no [assessment]")
    sponsor.config.write_text(judged + "[assessment]\n")
    assert_refused(sponsor.deploy(changes=key), "assessment.root_set is empty", "root-set")
    for window, more, parts in (
        (300, (), ("InvalidRules", "windowRounds")),
        (5, ("--take-wait-s", "9", "--anyone-wait-s", "8"), ("InvalidRules", "anyoneWaitS")),
        (5, ("--bond-wei", str(2**96)), ("do not fit WindowAssessment", str(2**96))),
    ):
        rule = f'[assessment]\nanchor = "movement"\nwindow = {window}\n'
        sponsor.config.write_text(judged + rule)
        assert_refused(sponsor.deploy(*more, changes=key), *parts)
    sponsor.assert_nothing_sent()
    answer = sponsor.deploy("--dispute-period-s", "60", "--bond-wei", "5", changes=key)
    assert answer.code == 0, answer.stderr
    federation = Federation.connect(connect(sponsor.url), answer.json["federation"])
    rules = federation.assessment().rules()
    assert (rules.window_rounds, rules.dispute_period_s, rules.bond_wei) == (5, 60, 5)


def test_an_app_of_ones_own_gives_its_network_with_the_first_model(sponsor: Sponsor) -> None:
    rules = (EXAMPLES / "drop_in" / "federation.toml").read_text()
    sponsor.config.write_text(rules + '[encryption]\nparameter_set = "bfv-4096-3x19"\n')
    net = {"fc1.weight": (16, 6), "fc1.bias": (16,), "fc2.weight": (2, 16), "fc2.bias": (2,)}
    first = {name: np.zeros(shape, np.float32) for name, shape in net.items()}
    state.save(sponsor.folder / "first.safetensors", first)
    answer = sponsor.deploy("--model", sponsor.folder / "first.safetensors", "--dry-run")
    assert answer.code == 0, answer.stderr
    assert answer.json["num_parameters"] == 146
    refused = sponsor.deploy("--dry-run")
    assert refused.code == 2
    assert "task.features" in refused.stderr


def test_key_holder_and_coordinator_are_two_parties(sponsor: Sponsor) -> None:
    answer = sponsor.deploy(changes={"--key-holder": sponsor.address})
    assert_refused(answer, sponsor.address, "twice")
    sponsor.assert_nothing_done()


def test_a_wrong_password_is_refused(sponsor: Sponsor) -> None:
    sponsor.password.write_text("open barley\n")
    assert_refused(sponsor.deploy(), "password does not open", sponsor.keystore)
    sponsor.assert_nothing_done()


def test_a_sponsor_without_ether_is_refused(sponsor: Sponsor) -> None:
    made = sponsor.ddcai(
        "account", "new", "--out", sponsor.folder / "poor", "--password-file", sponsor.password,
        "--light-kdf", "--format", "json",
    ).json  # fmt: skip
    answer = sponsor.deploy(changes={"--keystore": made["keystore"]})
    assert_refused(answer, made["address"], "0 ETH")
    assert not sponsor.deployments.exists()


def test_deploy_says_which_quorum_and_why(sponsor: Sponsor) -> None:
    answer = sponsor.deploy("--dry-run")
    assert answer.json["quorum_scheme"] == "bls"
    assert "quorum: BLS, since chain 31337 has EIP-2537" in answer.stderr
    assert "With 3 signers" in answer.stderr
    answer = sponsor.deploy("--quorum-scheme", "ecdsa")
    assert answer.code == 0
    assert "quorum: ECDSA, since --quorum-scheme is ecdsa" in answer.stderr
    federation = Federation.connect(connect(sponsor.url), answer.json["federation"])
    assert federation.quorum_scheme() == answer.json["quorum_scheme"] == "ecdsa"


def test_a_chain_without_eip_2537_gets_an_ecdsa_quorum(sponsor: Sponsor) -> None:
    def before_prague(asked: Any, forward: Any) -> Any:
        if asked["method"] == "eth_call" and asked["params"][0].get("to", "").endswith("0b"):
            return reply(asked, "0x")
        return forward()

    with faulty(sponsor.url, before_prague) as old:
        url = str(old.provider.endpoint_uri)  # type: ignore[attr-defined]
        refused = sponsor.deploy("--quorum-scheme", "bls", changes={"--rpc-url": url})
        assert_refused(refused, "lacks EIP-2537", "--quorum-scheme ecdsa")
        sponsor.assert_nothing_done()
        answer = sponsor.deploy(changes={"--rpc-url": url})
    assert answer.code == 0, answer.stderr
    assert "quorum: ECDSA, since chain 31337 lacks EIP-2537" in answer.stderr
    federation = Federation.connect(connect(sponsor.url), answer.json["federation"])
    assert federation.quorum_scheme() == "ecdsa"


def test_noise_is_planned_and_a_contract_or_budget_that_does_not_fit_it_refused(
    sponsor: Sponsor,
) -> None:
    text = sponsor.config.read_text().replace('weighting = "examples"', 'weighting = "uniform"')
    text = re.sub(r"clamped_share_limit = \S+", "clamped_share_limit = 1", text)
    noise = "[privacy]\nnoise_multiplier = 4\ndelta = 1e-5\nepsilon_budget = {}\n"
    sponsor.config.write_text(text + noise.format(3))
    assert_refused(sponsor.deploy("--dry-run"), "may be 84 steps long, and takes 86")
    text = text.replace("max_contributors = 64", "max_contributors = 12")
    sponsor.config.write_text(text + noise.format(3))
    planned = sponsor.deploy("--dry-run")
    assert planned.code == 0
    assert "privacy: epsilon 1.013 after one round" in planned.stderr
    assert "after 7, the last in the budget of 3; delta 1e-05" in planned.stderr
    few = sponsor.deploy("--min-contributors", "2")
    assert_refused(few, "privacy.min_contributors is 3", "sums of 2 updates")
    sponsor.config.write_text(text + noise.format(1))
    assert_refused(sponsor.deploy(), "epsilon_budget is 1", "1.013")
    sponsor.assert_nothing_done()
