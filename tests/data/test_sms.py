"""The SMS data and its model, through the same entry points that a user has."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ddcai.configuration import Training
from ddcai.data import sms
from ddcai.data.loading import load
from ddcai.data.partition import stratified_split
from ddcai.errors import DataError
from ddcai.models import encoder, heads
from ddcai.models.training import evaluate, train


def test_the_file_holds_what_the_notice_says() -> None:
    x, y = load(sms.PATH, sms.sms_config())
    assert x.shape == (5549, 1024)
    assert set(np.unique(x)) == {0, 1}
    assert y.sum() == SPAM
    notice = (sms.PATH.parent / "LICENCE.md").read_text(encoding="utf-8")
    for part in ("10.24432/C5CC84", "CC BY 4.0", "Almeida", "5,549"):
        assert part in notice


SPAM = 725


def test_words_are_hashed_the_same_everywhere() -> None:
    x = sms.hash_features(["Free FREE free!", "07 99"])
    free, mark, two = (
        int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "big") % 1024
        for word in (b"free", b"!", b"#2")
    )
    assert np.flatnonzero(x[0]).tolist() == sorted({free, mark})
    assert np.flatnonzero(x[1]).tolist() == [two]
    assert free == FREE


FREE = 979


def test_a_perceptron_tells_spam_and_all_of_it_is_the_head() -> None:
    config = sms.sms_config()
    x, y = load(sms.PATH, config)
    rows, test = stratified_split(y, test_share=0.3, seed=0)
    module = encoder.build(config)
    train(module, x[rows], y[rows], Training(local_epochs=3), seed=0)
    found = evaluate(module, x[test], y[test], head_scale=config.model.head_scale)
    assert found.accuracy > 0.97
    state = encoder.state_of(module)
    assert list(state) == ["head.weight", "head.bias"]
    assert heads.head_of(state, config).dimensions == 1024


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ham\thello\nspam hello\n", "line 2 starts with 'spam hello'"),
        (b"egg\thello\n", "line 1 starts with 'egg'.*ham, spam"),
        (b"ham\t\xff\n", "not UTF-8"),
        (b"", "no rows"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "site.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        load(path, sms.sms_config())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        load(tmp_path / "none.txt", sms.sms_config())
