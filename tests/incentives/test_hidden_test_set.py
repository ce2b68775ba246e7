"""The sponsor's file comes back whole, nobody else reads it, and it says nothing by accident."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ddcai.errors import ConfigurationError
from ddcai.incentives.hidden_test_set import HiddenTestSet
from ddcai.incentives.prediction_market import Sample, decode_piece, piece_digest

SAMPLES = [Sample(bytes([i]), i % 2) for i in range(7)]


def test_it_comes_back_whole(tmp_path: Path) -> None:
    made = HiddenTestSet.commit(SAMPLES, 3)
    assert [decode_piece(one) for one in made.pieces] == [SAMPLES[i::3] for i in range(3)]
    assert len(set(made.salts)) == 3
    made.save(tmp_path / "set.json")
    found = HiddenTestSet.load(tmp_path / "set.json")
    assert (found.pieces, found.salts) == (made.pieces, made.salts)
    assert found.digests() == [piece_digest(i, made.salts[i], made.pieces[i]) for i in range(3)]


def test_nobody_else_reads_it_and_nothing_overwrites_it(tmp_path: Path) -> None:
    made = HiddenTestSet.commit(SAMPLES, 2)
    made.save(tmp_path / "set.json")
    assert stat.S_IMODE((tmp_path / "set.json").stat().st_mode) == 0o600
    before = (tmp_path / "set.json").read_bytes()
    with pytest.raises(ConfigurationError, match="exists"):
        HiddenTestSet.commit(SAMPLES, 2).save(tmp_path / "set.json")
    assert (tmp_path / "set.json").read_bytes() == before
    assert made.salts[0].hex() not in repr(made)
    assert str(made.salts[0]) not in repr(made)


@pytest.mark.parametrize("pieces", [0, 1, 8, 257])
def test_a_number_of_pieces_out_of_range_is_refused(pieces: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{pieces} pieces of 7 samples"):
        HiddenTestSet.commit(SAMPLES, pieces)


def test_other_files_are_refused_without_telling_what_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    with pytest.raises(ConfigurationError, match="cannot read"):
        HiddenTestSet.load(path)
    HiddenTestSet.commit(SAMPLES, 2).save(path)
    good = path.read_text()
    for text in (
        "{}",
        "secret",
        good.replace("test set 1", "test set 2"),
        good.replace('"salts": [', '"salts": ["00",'),
        good.replace('"pieces": [', '"pieces": ["0100",'),
        good.replace('"pieces": [\n  "', '"pieces": [\n  "zz'),
        good.replace('"pieces": [', '"pieces": [1,'),
    ):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="is not a test set") as caught:
            HiddenTestSet.load(path)
        assert "secret" not in str(caught.value)


def test_salts_of_another_length_are_refused() -> None:
    made = HiddenTestSet.commit(SAMPLES, 2)
    with pytest.raises(ConfigurationError, match="32 bytes"):
        HiddenTestSet(made.pieces, [bytes(31), bytes(32)])
