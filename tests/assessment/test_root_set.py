from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.assessment import root_set
from ddcai.assessment.configuration import Assessment
from ddcai.digests import root_node_digest, root_sample_digest, root_set_digest
from ddcai.errors import ConfigurationError, DataError, VerificationError


def samples(count):
    x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    return x, np.arange(count, dtype=np.int64) % 4


def test_the_tree_is_shaped_as_in_rfc_6962():
    x, y = samples(7)
    leaves = [
        root_sample_digest(row.astype("<f4").tobytes(), int(label))
        for row, label in zip(x, y, strict=True)
    ]
    node = root_node_digest
    left = node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3]))
    right = node(node(leaves[4], leaves[5]), leaves[6])
    assert root_set.commitment(x, y) == root_set_digest(7, node(left, right))
    assert root_set.commitment(x[:1], y[:1]) == root_set_digest(1, leaves[0])


@given(st.integers(1, 70), st.data())
def test_every_sample_is_proven_and_nothing_else(count, data):
    x, y = samples(count)
    committed = root_set.commitment(x, y)
    place = data.draw(st.integers(0, count - 1))
    proof = root_set.prove(x, y, place)
    root_set.verify_sample(committed, x[place], int(y[place]), proof)
    other = x[place].copy()
    other[0] += 1
    planted = [
        (committed, other, int(y[place]), proof),
        (committed, x[place], int(y[place]) + 1, proof),
        (bytes(32), x[place], int(y[place]), proof),
        (committed, x[place], int(y[place]), dataclasses.replace(proof, samples=count + 1)),
        (committed, x[place], int(y[place]), dataclasses.replace(proof, place=count)),
        (committed, x[place], int(y[place]), dataclasses.replace(proof, place=-1)),
        (
            committed,
            x[place],
            int(y[place]),
            dataclasses.replace(proof, path=(*proof.path, bytes(32))),
        ),
    ]
    if count > 1:
        flipped = bytes([proof.path[0][0] ^ 1]) + proof.path[0][1:]
        path = (flipped, *proof.path[1:])
        planted.append((committed, x[place], int(y[place]), dataclasses.replace(proof, path=path)))
        elsewhere = dataclasses.replace(proof, place=(place + 1) % count)
        planted.append((committed, x[place], int(y[place]), elsewhere))
    for arguments in planted:
        with pytest.raises(VerificationError):
            root_set.verify_sample(*arguments)


def test_order_and_number_are_committed():
    x, y = samples(6)
    made = {
        root_set.commitment(x, y),
        root_set.commitment(x[::-1], y[::-1]),
        root_set.commitment(x[:5], y[:5]),
        root_set.commitment(np.concatenate([x, x[-1:]]), np.concatenate([y, y[-1:]])),
    }
    assert len(made) == 4


@pytest.mark.parametrize(
    ("counts", "good"),
    [
        ([25, 25], True),
        ([30, 20], True),
        ([31, 20], False),
        ([24, 25], False),
        ([50, 0], False),
        ([17, 17, 16], True),
    ],
)
def test_balance(counts, good):
    y = np.repeat(np.arange(len(counts)), counts)
    if good:
        root_set.check_balanced(y, len(counts), Assessment())
    else:
        with pytest.raises(ConfigurationError, match="the root set has"):
            root_set.check_balanced(y, len(counts), Assessment())


def test_bad_input_is_refused():
    x, y = samples(60)
    with pytest.raises(ConfigurationError, match="labels from 0 to 3 of 3"):
        root_set.check_balanced(y, 3, Assessment())
    for bad in (x.astype(np.float64), np.full_like(x, np.nan), x[:0], x[:5]):
        with pytest.raises(DataError):
            root_set.commitment(bad, y)
    with pytest.raises(DataError, match="place 60"):
        root_set.prove(x, y, 60)
