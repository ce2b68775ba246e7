"""A federation whose head contributions teach: rounds, contributions, releases and the audit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Status
from ddcai.audit.verify import verify
from ddcai.chain.classifier import Classifier
from ddcai.chain.head import checked_teaching, teaching
from ddcai.chain.incentive import self_assessment
from ddcai.chain.node.connection import connect
from ddcai.chain.trainer_deployment import deploy_trainer
from ddcai.chain.transactions import Sender
from ddcai.configuration import Training
from ddcai.data.loading import load
from ddcai.errors import ConfigurationError, ContractReverted
from ddcai.models.encoder import build, load_state
from ddcai.models.heads import Head, TeachableHead, features, head_of
from tests.audit.node_reading import read_history
from tests.chain import trainers
from tests.chain.support import STRANGER
from tests.cli.conftest import Ddcai, assert_refused
from tests.federation import SmallFederation, make_federation, small_config

RATE = 20


def _written(made: SmallFederation) -> Head:
    """The head of the federation's current model."""
    return head_of(made.coordinator.current_model(), made.config)


@pytest.mark.slow
def test_contributions_last_until_the_encoder_changes(
    ddcai: Ddcai, chain_url: str, tmp_path: Path, site: Path
) -> None:
    """Even rounds train the encoder; somebody teaches before each round."""
    config = small_config(training=Training(learning_rate=0.05, encoder_every=2))
    folder = tmp_path / "federation"
    with make_federation(folder, url=chain_url, config=config, learning_rate=RATE) as made:
        w3, sponsor = connect(made.url), made.coordinator.party.account
        assert sponsor is not None
        incentive = self_assessment(trainers.rules(owner=sponsor.address))
        deployed = deploy_trainer(w3, sponsor, made.deployment.head, incentive)
        assert deploy_trainer(w3, sponsor, made.deployment.head, incentive) == dataclasses.replace(
            deployed, gas_used=0, deployed_block=0
        )  # taken up: nothing is sent again
        alice = trainers.trainer(w3, deployed, STRANGER)
        assert alice.model_owner() == alice.address
        live = Classifier(w3, made.deployment.head)
        twin = TeachableHead(_written(made), RATE, 2)
        row = np.array([127, -127, 90, 0, 64, -30], np.int8)
        label = 1 - int(twin.predict(row[None])[0])

        # A contribution, then a round that trains the head alone.
        first = trainers.teach(alice, row.tobytes(), label)
        twin.update(row, label)
        assert live.words() == twin.to_words()
        made.run_round()
        twin.write(_written(made), 1)
        assert live.words() == twin.to_words() != twin.written.to_words()
        assert alice.predict_many([row.tobytes()]) == [label] == [twin.predict(row[None])[0]]
        with pytest.raises(ContractReverted, match="TooEarly"):
            alice.refund(first)
        _same_answers(ddcai, made, site)

        # Another, then a round that trains the encoder.
        again = trainers.teach(alice, row.tobytes(), 1 - label)
        made.run_round()
        assert alice.model_release() == 1
        assert live.words() == _written(made).to_words()
        with pytest.raises(ContractReverted, match="WrongRelease"):
            trainers.teach(alice, row.tobytes(), label)
        before = alice.incentive.owed_wei(STRANGER.address)
        alice.claim(refunds=[first, again])
        gained = alice.incentive.owed_wei(STRANGER.address) - before
        assert gained == first.price_wei + again.price_wei > 0
        trainers.teach(alice, row.tobytes(), label, release=1)

        shown = ddcai(
            "federation", "show", "--deployment", made.deployment_path, "--rpc-url", made.url,
            "--format", "json",
        ).json  # fmt: skip
        assert (shown["encoder_every"], shown["release"]) == (2, 1)
        assert (shown["teacher"], shown["founder"]) == (alice.address, sponsor.address)

        history = read_history(w3, made.deployment.federation)
        found = {one.name: one.status for one in verify(history, made.store)}
        assert set(found) == set(claims.NAMES)
        assert set(found.values()) == {Status.PASS}
        # A head that would keep deposits open over a new encoder.
        planted = dataclasses.replace(history, encoder_every=4)
        bad = {one.name for one in verify(planted, made.store) if one.status is Status.FAIL}
        assert bad == {claims.RELEASES}

        # The trainer ends; the federation goes on, and the sponsor may choose another.
        trainers.trainer(w3, deployed, sponsor).close()
        assert alice.model_owner() == sponsor.address
        made.run_round()
        next_one = deploy_trainer(w3, sponsor, made.deployment.head, incentive)
        assert next_one.first_release == 1


def test_only_the_founder_deploys_the_trainer_of_a_head(chain_url: str, tmp_path: Path) -> None:
    with make_federation(tmp_path / "federation", url=chain_url, learning_rate=1) as made:
        w3 = connect(made.url)
        before = trainers.nonce(w3, STRANGER)
        with pytest.raises(ConfigurationError, match="belongs to"):
            deploy_trainer(w3, STRANGER, made.deployment.head, self_assessment(trainers.rules()))
        assert trainers.nonce(w3, STRANGER) == before
        with pytest.raises(ContractReverted, match="Unauthorized"):
            Classifier(w3, made.deployment.head, Sender(w3, STRANGER)).update(
                np.zeros(6, np.int8), 1
            )


def test_a_trainer_is_deployed_by_the_federations_file(
    ddcai: Ddcai, chain_url: str, tmp_path: Path
) -> None:
    config = small_config(training=Training(encoder_every=0))
    changes = {"encoder_every": 1}
    with make_federation(
        tmp_path / "federation", url=chain_url, config=config, learning_rate=1
    ) as made:
        sponsor = made.trial.coordinator
        given = [
            "--rpc-url", made.url, "--keystore", sponsor.keystore,
            "--password-file", sponsor.password_file, "--deployments", tmp_path / "out",
        ]  # fmt: skip
        neither = ddcai("trainer", "deploy", *given)
        assert_refused(neither, "either --model or --federation")
        made_ = ddcai(
            "trainer", "deploy", *given, "--federation", made.deployment_path, "--format", "json"
        )
        assert made_.code == 0
        assert made_.json["classes"] == ["no", "yes"]
        assert made_.json["model"] == made.deployment.head
        found = teaching(connect(made.url), made.deployment.head)
        assert found is not None
        assert (found.teacher, found.encoder_every) == (made_.json["trainer"], 0)
        # A head that was deployed for other rounds than the configuration's.
        wrong = dataclasses.replace(
            config, training=dataclasses.replace(config.training, **changes)
        )
        with pytest.raises(ConfigurationError, match="encoder_every is 1: do not contribute"):
            checked_teaching(connect(made.url), made.deployment.head, wrong)


def test_a_head_of_rounds_alone_takes_no_trainer(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    sponsor = federation.trial.coordinator
    assert teaching(connect(federation.url), federation.deployment.head) is None
    refused = ddcai(
        "trainer", "deploy", "--federation", federation.deployment_path,
        "--rpc-url", federation.url, "--keystore", sponsor.keystore,
        "--password-file", sponsor.password_file, "--deployments", tmp_path / "out",
    )  # fmt: skip
    assert_refused(refused, "written by rounds alone", "--teachable")


def _same_answers(ddcai: Ddcai, made: SmallFederation, site: Path) -> None:
    """`predict` asks the live head, with and without --local."""
    given = [
        "--data", site, "--deployment", made.deployment_path, "--rpc-url", made.url,
        "--store", made.trial.coordinator.store, "--format", "json",
    ]  # fmt: skip
    asked = ddcai("predict", *given)
    assert asked.code == 0
    assert ddcai("predict", *given, "--local").json == asked.json
    digest = made.contract.model_digest().hex()
    written = ddcai("predict", *given, "--local", "--digest", digest)
    assert written.json != asked.json  # the federation's own, untaught


def test_rows_are_encoded_here_and_taught_to_the_head(
    ddcai: Ddcai, chain_url: str, tmp_path: Path, site: Path
) -> None:
    """What is sent are features; a change of the release returns the deposit, and says so."""
    config = small_config(training=Training(learning_rate=0.05, encoder_every=1))
    with make_federation(
        tmp_path / "federation", url=chain_url, config=config, learning_rate=RATE
    ) as made:
        sponsor = made.trial.coordinator
        account = [
            "--rpc-url", made.url, "--keystore", sponsor.keystore,
            "--password-file", sponsor.password_file,
        ]  # fmt: skip
        deployed = ddcai(
            "trainer", "deploy", *account, "--deployments", tmp_path / "out",
            "--federation", made.deployment_path, "--format", "json",
        )  # fmt: skip
        assert deployed.code == 0, deployed.stderr
        trainer = ["--trainer", deployed.json["deployment"]]
        given = [
            "contribute", *trainer, *account, "--federation", made.deployment_path,
            "--store", sponsor.store, "--data", site, "--format", "json",
        ]  # fmt: skip
        refused = ddcai(*given, "--label", "yes")
        assert_refused(refused, "--federation goes with --data alone")
        dry = ddcai(*given, "--dry-run")
        assert dry.code == 0, dry.stderr
        assert "the rows stay here" in dry.stderr
        done = ddcai(*given, "--yes")
        assert done.code == 0, done.stderr
        labels = [row["label"] for row in dry.json]
        assert [row["label"] for row in done.json] == labels
        events = trainers.Trainer.connect(
            connect(made.url), deployed.json["trainer"]
        ).contributions()
        x, y = load(site, config)
        module = build(config)
        load_state(module, made.coordinator.current_model())
        assert [one.features for one in events] == [row.tobytes() for row in features(module, x)]
        assert [one.label for one in events] == y.tolist()

        # A dense model's contributions, back as a data set.
        exported = ddcai(
            "data", "export", *trainer, "--rpc-url", made.url, "--out", tmp_path / "set.npz",
            "--format", "json",
        )  # fmt: skip
        assert exported.code == 0, exported.stderr
        with np.load(tmp_path / "set.npz") as arrays:
            assert arrays["y"].tolist() == y.tolist()
            assert (arrays["x"] == features(module, x)).all()

        # Every round of this federation changes the encoder: deposits are due at once.
        owner = made.coordinator.party.address
        waiting = ddcai(
            "claims", *trainer, "--rpc-url", made.url, "--account", owner, "--format", "json"
        ).json
        assert {one["why_not"] for one in waiting} <= {"TooEarly", None}
        assert not any(one["now"] for one in waiting)
        made.run_round()
        due = ddcai(
            "claims", *trainer, "--rpc-url", made.url, "--account", owner, "--format", "json"
        ).json
        assert [one["id"] for one in due] == [one.id for one in events]
        assert all(one["now"] and one["points"] == 0 for one in due)
        got = ddcai("refund", "--all", *trainer, *account, "--format", "json")
        assert got.code == 0, got.stderr
        assert sum(one["amount_wei"] for one in got.json) == sum(one.price_wei for one in events)
