"""A contributor of the compact scheme that is killed: no secret meets two updates."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from ddcai.chain.records import RoundState
from ddcai.configuration import Encryption
from ddcai.encryption.compact import wire
from tests.federation import SmallFederation, make_federation, small_config

CONFIG = small_config(encryption=Encryption(max_contributors=8, parameter_set="compact-64-3x18"))


@pytest.fixture(scope="module")
def compact(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    with make_federation(
        tmp_path_factory.mktemp("compact"), 3, url=chain_url, config=CONFIG, holders=(2, 3)
    ) as made:
        yield made


def killed_at(made: SmallFederation, step: str) -> None:
    """Contributor 0 encrypts in a process that is killed before or after the file is there."""
    record = made.coordinator.open_round()
    contributor, base = made.contributors[0], made.coordinator.current_model()
    trained = {name: value + np.float32(0.01) for name, value in base.items()}
    child = os.fork()
    if child == 0:
        try:
            link = os.link

            def killed(*paths: object) -> None:
                if step == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                link(*paths)
                os.kill(os.getpid(), signal.SIGKILL)

            os.link = killed
            contributor.protect(record, base, trained, 10)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_contributor_that_is_killed_sends_one_update(compact: SmallFederation, step: str) -> None:
    killed_at(compact, step)
    record = compact.contract.round(compact.contract.last_round())
    assert record.state is RoundState.OPEN
    assert record.submissions == ()  # nothing was sent
    contributor, base = compact.contributors[0], compact.coordinator.current_model()
    kept = contributor.known_update(record)
    assert (kept is not None) == (step == "after")
    # Another training: where there was an update, it plays no part.
    other = {name: value - np.float32(0.02) for name, value in base.items()}
    update = contributor.protect(record, base, other, 10)
    assert kept is None or update.blob == kept.blob
    assert contributor.protect(record, base, base, 10).blob == update.blob
    contributor.submit(record, update)
    blobs = {0: update.blob} | {index: compact.contribute(record, index).blob for index in (1, 2)}
    sealed = compact.seal(record, blobs)
    compact.finalize(sealed, compact.open(sealed), [0, 1, 2])
    assert compact.contract.round(record.number).state is RoundState.FINALIZED


def test_no_two_updates_share_a_masked_secret(compact: SmallFederation) -> None:
    record = compact.coordinator.open_round()
    updates = [compact.contribute(record, index).blob for index in range(3)]
    parsed = [wire.parse(blob, wire.UPDATE) for blob in updates]
    assert len({one.masked.tobytes() for one in parsed}) == 3
    assert len({commitment for one in parsed for commitment in one.commitments}) == 9
    compact.coordinator.cancel(record)
