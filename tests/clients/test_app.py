"""The shipped ClientApp on a site's own file, good and bad."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clients.app import app
from ddcai.flower import messages
from tests.federation import COLUMNS, SmallFederation, make_federation, play_chain, small_data
from tests.flower.support import Nodes


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    """Three contributors with a round under way."""
    with (
        play_chain() as chain,
        make_federation(tmp_path_factory.mktemp("clients"), url=chain.url) as made,
    ):
        made.coordinator.open_round()
        yield made


def site(path: Path, *, label: str = "ill", only: int | None = None, rows: int = 48) -> Path:
    """A site's CSV file."""
    x, y = small_data(0)
    lines = [",".join((*COLUMNS, label))]
    for inputs, target in list(zip(x[:, ::2], y, strict=True))[:rows]:
        answer = target if only is None else only
        lines.append(",".join([*(f"{value:.6f}" for value in inputs), ("no", "yes")[answer]]))
    path.write_text("\n".join(lines) + "\n")
    return path


def ask(federation: SmallFederation, index: int, **settings: object):  # type: ignore[no-untyped-def]
    nodes = Nodes(federation, {index: app}, {index: settings})  # type: ignore[dict-item]
    return nodes.ask(index + 1, "train")


def test_a_label_in_another_column_is_found(federation: SmallFederation, tmp_path: Path) -> None:
    data = site(tmp_path / "site.csv", label="diagnosis")
    reply = ask(federation, 0, data=str(data), label="diagnosis", **{"training-seed": 3})
    update = messages.UpdateReply.from_content(reply.content)
    assert update.contributor == federation.addresses[0]
    assert federation.contract.update_digest(1, federation.addresses[0]) is not None


@pytest.mark.parametrize(
    ("make", "settings", "kind", "remedy"),
    [
        (lambda p: site(p, label="diagnosis"), {}, "DataError", "ill"),
        (lambda p: site(p), {"label": "verdict"}, "DataError", "verdict"),
        (lambda p: site(p, rows=0), {}, "DataError", "site.csv"),
        (lambda p: site(p, only=1), {}, "DataError", "class"),
        (lambda p: p, {}, "ConfigurationError", "site.csv"),
        (lambda p: "", {}, "ConfigurationError", "--data"),
    ],
)
def test_data_that_cannot_be_used_is_refused_and_the_log_says_why(
    federation: SmallFederation,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make,  # type: ignore[no-untyped-def]
    settings: dict[str, str],
    kind: str,
    remedy: str,
) -> None:
    balance = federation.contract.balance(federation.addresses[1])
    path = make(tmp_path / "site.csv")
    said = messages.refused(ask(federation, 1, data=str(path), **settings))
    assert said is not None
    assert said.kind == kind
    assert str(tmp_path) not in said.why
    assert remedy in caplog.text
    assert federation.contract.balance(federation.addresses[1]) == balance


def test_a_training_seed_makes_runs_repeat(federation: SmallFederation, tmp_path: Path) -> None:
    from clients.app import _seed

    class Asked:
        """A message with a round number."""

        def __init__(self, number: int) -> None:
            from flwr.app import ConfigRecord, RecordDict

            self.content = RecordDict({"config": ConfigRecord({"server-round": number})})

    seeds = {_seed(Asked(number), 7) for number in (1, 2, 3)}  # type: ignore[arg-type]
    assert len(seeds) == 3
    assert seeds == {_seed(Asked(number), "7") for number in (1, 2, 3)}  # type: ignore[arg-type]
    assert _seed(Asked(1), None) != _seed(Asked(1), None)  # type: ignore[arg-type]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert np.random.default_rng(min(seeds)) is not None


def test_what_trains_nothing_loads_neither_torch_nor_pandas() -> None:
    """Flower starts a process for each message, and most only sign, open or settle."""
    code = (
        "import sys, clients.app, coordinator.app, ddcai.chain.classifier; "
        "import ddcai.data.sms, ddcai.rounds.founding; "
        "print([name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"
