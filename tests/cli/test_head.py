"""`ddcai head`: a trained model to a contract, asked for free, and taken home again."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import MultinomialNB

from ddcai.chain.accounts import load_account
from ddcai.chain.classifier import Classifier
from ddcai.chain.classifier_deployment import ClassifierDeployment
from ddcai.chain.node.connection import connect, request
from ddcai.chain.transactions import Sender
from ddcai.data import sms
from ddcai.data.loading import load
from ddcai.models import state
from ddcai.models.heads import model_file
from tests.cli.conftest import Answer, Ddcai, assert_refused

JSON = ("--format", "json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
LINEAR = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import nn

def fit():
    x = np.array([[1.0, -1], [-1, 1], [0.5, -1], [-0.5, 1]])
    return LogisticRegression().fit(x, ["yes", "no", "yes", "no"])

def torch_module():
    return nn.Linear(1024, 3)

def fail():
    raise RuntimeError("no data here")

def other():
    return "a string"
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module that docs/cli.md shows, as it is shown, and one with other models."""
    [shown] = re.findall(
        r"^```python\n(# spam\.py\n.*?)^```$",
        DOCUMENT.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (tmp_path / "spam.py").write_text(shown)
    (tmp_path / "models_of_ours.py").write_text(LINEAR)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    for name in ("spam", "models_of_ours"):
        sys.modules.pop(name, None)


@pytest.fixture
def payer(ddcai: Ddcai, chain_url: str, password: Path) -> list[object]:
    """Options of a funded account, on the chain."""
    made = ddcai(
        "account", "new", "--out", "keys", "--password-file", password, "--light-kdf", *JSON
    ).json
    ddcai("account", "fund", made["address"], "--rpc-url", chain_url)
    return [
        "--keystore", made["keystore"], "--password-file", password, "--rpc-url", chain_url,
    ]  # fmt: skip


def _sender(payer: list[Any], url: str) -> Sender:
    account = load_account(Path(payer[1]), "open sesame")
    return Sender(connect(url), account)


def test_the_documents_model_goes_on_chain_and_answers_as_scikit_learn(
    ddcai: Ddcai, modules: None, payer: list[object], chain_url: str, tmp_path: Path
) -> None:
    deployed = ddcai("head", "deploy", "--from", "spam:fit", "--name", "spam", *payer, *JSON)
    assert deployed.code == 0, deployed.stderr
    assert "planned: a NaiveBayes of 257 words" in deployed.stderr
    assert "loaded 257 of 257 words" in deployed.stderr
    row = deployed.json
    assert row["gas_used"] <= row["gas_at_most"]
    assert row["largest_rounding_error"] == 0
    given = ["--deployment", row["deployment"], "--rpc-url", chain_url]

    x, y = load(sms.PATH, sms.sms_config())
    fitted = MultinomialNB().fit(x, y)
    lines = [" ".join(map(str, np.flatnonzero(one))) for one in x[:120]]
    (tmp_path / "rows.txt").write_text("\n".join(lines) + "\n")
    on_chain = ddcai("head", "predict", *given, "--features", "rows.txt", *JSON)
    local = ddcai("head", "predict", *given, "--features", "rows.txt", "--local", *JSON)
    assert on_chain.code == 0, on_chain.stderr
    assert on_chain.json == local.json
    assert [one["class"] for one in on_chain.json] == [
        sms.CLASSES[chosen] for chosen in fitted.predict(x[:120])
    ]
    assert {one["class"] for one in on_chain.json} == set(sms.CLASSES)

    texts = ("WINNER!! Claim your FREE prize now, call 09061701461", "see you at lunch then")
    said = ddcai("head", "predict", *given, "--text", texts[0], "--text", texts[1], *JSON)
    assert [one["class"] for one in said.json] == ["spam", "ham"]

    shown = ddcai("head", "show", *given, *JSON).json
    assert (shown["sealed"], shown["words_loaded"], shown["digest_now"]) == (
        True,
        257,
        row["digest"],
    )
    # The owner teaches it; what is exported is what stands on chain.
    contract = Classifier(connect(chain_url), row["address"], _sender(payer, chain_url))
    contract.update(np.flatnonzero(x[0]), 1)
    exported = ddcai("head", "export", *given, "--out", "now.safetensors", *JSON)
    assert exported.json["digest"] == ddcai("head", "show", *given, *JSON).json["digest_now"]
    assert exported.json["digest"] != row["digest"]
    twin = model_file.load("now.safetensors").twin
    assert twin.to_words() == contract.words()
    # And goes on chain again, elsewhere, as it is.
    again = ddcai(
        "head", "deploy", "--from", "now.safetensors", "--name", "again", "--dry-run", *JSON
    )
    assert again.json["digest"] == exported.json["digest"]
    assert again.json["classes"] == ["ham", "spam"]


def test_a_dry_run_needs_no_account_and_sends_nothing(
    ddcai: Ddcai, modules: None, tmp_path: Path
) -> None:
    answer = ddcai("head", "deploy", "--from", "models_of_ours:fit", "--dry-run", *JSON)
    assert answer.code == 0, answer.stderr
    assert "dry run: nothing was sent or written" in answer.stderr
    row = answer.json
    assert (row["kind"], row["features"], row["classes"]) == ("DensePerceptron", 2, ["no", "yes"])
    assert (row["words"], row["transactions"]) == (3, 3)
    assert 0 < row["largest_rounding_error"] < 1e-3
    assert not (tmp_path / "deployments").exists()
    other = ddcai(
        "head", "deploy", "--from", "models_of_ours:torch_module", "--kind", "SparsePerceptron",
        "--class", "a", "--class", "b", "--class", "c", "--learning-rate", "0.01", "--dry-run",
        *JSON,
    )  # fmt: skip
    assert (other.json["kind"], other.json["classes"]) == ("SparsePerceptron", ["a", "b", "c"])
    assert other.json["learning_rate"] == pytest.approx(0.01, rel=0.01)


def test_dense_rows_by_csv_and_a_state_file(
    ddcai: Ddcai, payer: list[object], chain_url: str, tmp_path: Path
) -> None:
    weight, bias = np.array([[1.0, -1], [-1, 1]], np.float32), np.array([0.5, 0], np.float32)
    state.save(tmp_path / "m.safetensors", {"head.weight": weight, "head.bias": bias})
    row = ddcai("head", "deploy", "--from", "m.safetensors", *payer, *JSON).json
    assert row["deployment"].endswith("deployments/31337-head.json")
    (tmp_path / "rows.csv").write_text("a,b\n1,-1\n-1,1\n0,0\n")
    given = ["--deployment", row["deployment"], "--rpc-url", chain_url]
    answer = ddcai("head", "predict", *given, "--features", "rows.csv", *JSON)
    assert [one["class"] for one in answer.json] == ["0", "1", "0"]
    logits = [one["score 0"] / row["scale"] for one in answer.json]
    np.testing.assert_allclose(logits, [2.5, -1.5, 0.5], atol=1e-3)
    assert f"divided by {row['scale']:.15g}" in answer.stderr
    assert_refused(ddcai("head", "predict", *given, "--text", "hello"), "1024", "--features")
    assert_refused(ddcai("head", "predict", *given), "one of the two")
    table = ddcai("head", "show", *given)
    assert "DensePerceptron" in table.stdout


def test_the_same_command_again_sends_nothing(
    ddcai: Ddcai, modules: None, payer: list[Any], chain_url: str
) -> None:
    def run() -> Answer:
        return ddcai("head", "deploy", "--from", "models_of_ours:fit", *payer, *JSON)

    first = run()
    sender = _sender(payer, chain_url)
    asked = ["eth_getTransactionCount", [sender.address, "latest"]]
    count = request(connect(chain_url), *asked)
    assert run().json == first.json
    assert request(connect(chain_url), *asked) == count
    other = ddcai("head", "deploy", "--from", "models_of_ours:fit", "--scale", "16", *payer, *JSON)
    assert_refused(other, "31337-head.json", "another name")
    assert request(connect(chain_url), *asked) == count


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from", "model.pkl"], ["'model.pkl'", "a pickle is never loaded"]),
        (["--from", "none.safetensors"], ["none.safetensors"]),
        (["--from", "no_such_module:fit"], ["no_such_module", "PYTHONPATH"]),
        (["--from", "models_of_ours:fail"], ["RuntimeError: no data here"]),
        (["--from", "models_of_ours:other"], ["a str has neither coef_"]),
        (["--from", "models_of_ours:fit", "--kind", "NaiveBayes"], ["DensePerceptron or"]),
        (["--from", "models_of_ours:fit", "--kind", "Forest"], ["'Forest'"]),
        (["--from", "models_of_ours:fit", "--examples", "1,x"], ["'1,x'"]),
        (["--from", "models_of_ours:fit", "--examples", "1,2"], ["examples is [1, 2]"]),
        (["--from", "models_of_ours:fit", "--class", "one"], ["give 2"]),
        (["--from", "models_of_ours:fit", "--scale", "3"], ["power of two"]),
        (["--from", "models_of_ours:fit", "--name", "No Name"], ["'No Name'"]),
        (["--from", "models_of_ours:fit"], ["keystore is not set"]),
    ],
)
def test_what_cannot_be_deployed_is_refused(
    ddcai: Ddcai, modules: None, options: list[str], says: list[str]
) -> None:
    answer = ddcai("head", "deploy", *options)
    assert_refused(answer, *says)


def test_files_that_do_not_fit_are_refused(
    ddcai: Ddcai, modules: None, payer: list[object], chain_url: str, tmp_path: Path
) -> None:
    row = ddcai("head", "deploy", "--from", "models_of_ours:fit", *payer, *JSON).json
    path = Path(row["deployment"])
    url = ["--rpc-url", chain_url]
    good = json.loads(path.read_text())
    ClassifierDeployment(**good)
    path.write_text(json.dumps(good | {"features": 3}))
    for command in (
        ["show"],
        ["predict", "--features", "x.csv"],
        ["export", "--out", "x.safetensors"],
    ):
        assert_refused(ddcai("head", *command, "--deployment", path, *url), "does not fit")
    path.write_text(json.dumps(good))
    out = tmp_path / "there.safetensors"
    out.write_text("kept")
    for name in (out, "model.bin"):
        answer = ddcai("head", "export", "--deployment", path, "--out", name, *url)
        assert_refused(answer, str(name), "new file")
    assert out.read_text() == "kept"
    assert ddcai("head", "export", "--deployment", path, "--out", "e.safetensors", *url).code == 0
    answer = ddcai("head", "deploy", "--from", "e.safetensors", "--scale", "2")
    assert_refused(answer, "scale", "leave these options out")
