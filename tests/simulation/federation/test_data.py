from __future__ import annotations

import numpy as np
import pytest

from ddcai.errors import ConfigurationError, DataError
from ddcai.simulation.federation.data import deal, load
from tests.simulation.federation.support import blobs


@pytest.mark.parametrize("alpha", [0.05, 1.0])
def test_every_sample_is_dealt_once(alpha):
    data = blobs(600)
    split = deal(data, clients=8, alpha=alpha, root_set=30, seed=4)
    parts = [*split.clients, split.root, split.test]
    joined = np.concatenate([x for x, _ in parts])
    assert sorted(map(tuple, joined.tolist())) == sorted(map(tuple, data.x.tolist()))
    assert len(split.test[1]) == 120
    assert np.bincount(split.root[1]).tolist() == [10, 10, 10]
    assert min(len(y) for _, y in split.clients) >= 16
    again = deal(data, clients=8, alpha=alpha, root_set=30, seed=4)
    assert all((a[0] == b[0]).all() for a, b in zip(split.clients, again.clients, strict=True))


def test_hospitals_stay_apart():
    data = load("heart")
    split = deal(data, clients=12, alpha=1, root_set=50, seed=0)
    assert (data.classes, len(split.clients)) == (2, 12)
    home = {tuple(row): site for row, site in zip(data.x.tolist(), data.sites, strict=True)}
    for place, (x, _) in enumerate(split.clients):
        assert {home[tuple(row)] for row in x.tolist()} <= {place // 3}
    with pytest.raises(ConfigurationError, match="4 natural sites must divide"):
        deal(data, clients=10, alpha=1, root_set=50, seed=0)


def test_files_are_read(tmp_path):
    x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 1])
    np.savez(tmp_path / "a.npz", x=x, y=y)
    lines = [
        "p,q,r,s,label",
        *(",".join(map(str, [*row, label])) for row, label in zip(x, y, strict=True)),
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    for name in ("a.npz", "a.csv"):
        data = load(str(tmp_path / name))
        assert (data.x == x).all()
        assert (data.y == y).all()
        assert data.classes == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,x\n", "numbers alone"),
        ("a\n1\n", "numbers alone"),
        ("a,b\n1,0.5\n1,1\n", "a whole number"),
        ("a,b\n1,0\n", "at least two classes"),
        ("a,b\n1,-1\n1,1\n", "class indices go from 0"),
    ],
)
def test_tables_that_cannot_be_learned_from_are_refused(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load(str(path))


def test_what_cannot_be_dealt_is_refused(tmp_path):
    data = blobs(100)
    with pytest.raises(ConfigurationError, match="give heart, sms"):
        load("imdb")
    np.savez(tmp_path / "a.npz", z=np.eye(2))
    with pytest.raises(DataError, match="give x and y"):
        load(str(tmp_path / "a.npz"))
    with pytest.raises(ConfigurationError, match="at most half may be public"):
        deal(data, clients=4, alpha=1, root_set=90, seed=0)
    with pytest.raises(ConfigurationError, match="60 clients share"):
        deal(data, clients=60, alpha=1, root_set=0, seed=0)
