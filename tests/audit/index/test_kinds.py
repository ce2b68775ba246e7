"""The index of federations with more contracts: a head that is taught, updates that are judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from ddcai.audit.index import contracts, reading, schema
from ddcai.audit.index.contracts import Beside
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger
from ddcai.chain.events import events
from ddcai.chain.incentive import self_assessment
from ddcai.chain.node.connection import connect
from ddcai.chain.node_registry import NodeRegistry
from ddcai.chain.trainer_deployment import deploy_trainer
from ddcai.configuration import Training
from ddcai.errors import ConfigurationError
from tests.audit.colluding import assessment_of, empty_round, post
from tests.chain import trainers
from tests.chain.support import STRANGER
from tests.federation import make_federation, small_config
from tests.groups import GROUPS, make_two_levels
from tests.rounds.judged import CONFIG

NAMES = {
    contracts.FEDERATION: "Federation",
    contracts.HEAD: "TeachableHead",
    contracts.TRAINER: "CollaborativeTrainer",
    contracts.INCENTIVE: "SelfAssessment",
}


def test_a_teacher_is_found_and_releases_follow_the_rounds(tmp_path: Path, chain_url: str) -> None:
    """The head has its trainer after the first sync: its `TeacherSet` tells of it."""
    config = small_config(training=Training(learning_rate=0.05, encoder_every=2))
    folder, path = tmp_path / "federation", tmp_path / "index.sqlite"
    with make_federation(folder, url=chain_url, config=config, learning_rate=20) as made:
        w3, sponsor = connect(made.url), made.coordinator.party.account
        assert sponsor is not None
        with Index(path, writable=True) as index:
            job = Sync(index, w3, made.deployment.federation)
            job.run()
            incentive = self_assessment(trainers.rules(owner=sponsor.address))
            deployed = deploy_trainer(w3, sponsor, made.deployment.head, incentive)
            alice = trainers.trainer(w3, deployed, STRANGER)
            taught = trainers.teach(alice, bytes([127, 0, 90, 0, 64, 0]), 1)
            for _ in range(2):
                made.run_round(settle=False)
            assert job.run().done
            with index.reading() as connection:
                found = {one.kind: one for one in reading.find(connection).contracts}
                assert found[contracts.TRAINER].address == deployed.trainer
                assert found[contracts.INCENTIVE].address == deployed.incentive
                for kind, name in NAMES.items():
                    address = found[kind].address
                    mine = list(reading.events(connection, schema.events.c.contract == address))
                    assert mine == events(w3, address, contract_name=name)
                    assert mine or kind == contracts.INCENTIVE
    with Ledger.open(path) as ledger:
        first = ledger.rounds()[0].base_model_digest
        # Even rounds train the encoder, and make a release.
        assert [(row.round, row.release) for row in ledger.model(first).descendants] == [
            (1, 0),
            (2, 1),
        ]
        [row] = ledger.contributions()
        assert (row.trainer, row.contributor, row.outcome) == (
            deployed.trainer,
            STRANGER.address,
            "open",
        )
        assert (row.id, row.price_wei) == (taught.id, taught.price_wei)


def test_windows_of_judged_rounds_are_in(tmp_path: Path, chain_url: str) -> None:
    path = tmp_path / "index.sqlite"
    with make_federation(
        tmp_path / "federation", 4, url=chain_url, config=CONFIG, submit_period_s=10**6
    ) as made:
        empty_round(made)
        empty_round(made)  # the window has two
        post(made, 1, {0: 3, 1: 4, 2: 1})
        assessment_of(made, 0).dispute(1)
        w3 = connect(made.url)
        with Index(path, writable=True) as index:
            assert Sync(index, w3, made.deployment.federation).run().done
            with index.reading() as connection:
                watched = {one.kind: one for one in reading.find(connection).contracts}
                address = watched[contracts.ASSESSMENT].address
                assert address == made.contract.rules().assessment
                mine = list(reading.events(connection, schema.events.c.contract == address))
                assert mine == events(w3, address, contract_name="WindowAssessment")
                table = schema.events.c
                rows = connection.execute(
                    select(table.name, table.window, table.account).where(
                        table.contract == address, table.window.is_not(None)
                    )
                ).all()
        assert {window for _, window, _ in rows} == {1}
        disputes = [account for name, _, account in rows if "Disput" in name]
        assert disputes == [made.addresses[0]]


def test_node_keys_and_lists_of_groups_are_in(tmp_path: Path, chain_url: str) -> None:
    """No contract of the federation names theirs: a deployment file does."""
    with (
        make_two_levels(tmp_path / "one", chain_url) as one,
        make_two_levels(tmp_path / "two", chain_url) as two,
    ):
        made, path = one.federation.deployment, tmp_path / "index.sqlite"
        w3 = connect(one.federation.url)
        assert made.node_registry is not None
        assert made.update_batches is not None
        member = one.federation.coordinator.party
        assert member.account is not None
        registry = NodeRegistry(w3, made.node_registry, member.federation.sender)
        owner, key = one.federation.contributors[0].party.account, b"\x02" + bytes(47) + b"\x01"
        assert owner is not None
        registry.bind(owner.address, key, registry.sign(owner, key))
        one.run_round()
        with Index(path, writable=True) as index:
            Sync(index, w3, made.federation).run()
            beside = Beside(node_registry=made.node_registry, update_batches=made.update_batches)
            assert Sync(index, w3, made.federation, beside=beside).run().done
            with index.reading() as connection:
                table = schema.events.c
                for kind, address, name in (
                    (contracts.NODE_REGISTRY, made.node_registry, "NodeRegistry"),
                    (contracts.UPDATE_BATCHES, made.update_batches, "UpdateBatches"),
                ):
                    mine = list(reading.events(connection, table.kind == kind))
                    assert mine == events(w3, address, contract_name=name)
                rows = connection.execute(
                    select(table.account, table.round).where(table.name == "BatchPosted")
                ).all()
                assert set(rows) == {(one.federation.addresses[group], 1) for group in GROUPS}
                bound = select(table.account).where(table.name == "NodeKeyBound")
                assert connection.execute(bound).scalars().all() == [owner.address]
        # The contract of lists serves all federations: others' are left out.
        other = two.federation.deployment.federation
        with Index(tmp_path / "other.sqlite", writable=True) as index:
            beside = Beside(update_batches=made.update_batches)
            assert Sync(index, w3, other, beside=beside).run().done
            with index.reading() as connection:
                kinds = set(connection.execute(select(schema.events.c.kind)).scalars())
                assert contracts.UPDATE_BATCHES not in kinds
            with pytest.raises(ConfigurationError, match="of the federation"):
                Sync(index, w3, other, beside=Beside(node_registry=made.node_registry))
