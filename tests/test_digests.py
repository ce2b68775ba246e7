"""Digests: stable by committed vectors, different for every field, and the contracts' own bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ddcai import digests
from ddcai.digests import RoundContext, canonical_json, tag
from ddcai.errors import ConfigurationError

ADDRESS = "0x" + "ab" * 20
CONTEXT = RoundContext(chain_id=31337, contract="0x" + "c0" * 20, round=3)

# Computed with ddcai 0.1.0. What is on a chain was made with these: a change is a new version
# of the tags, never a new value here.
VECTORS = {
    "config": "c1fec3b113e71e88e9b375ce28aabea747c2e21f4cd2a2dd09dc5df1077d538f",
    "model": "a6c33c1a85f66bc5d0634fe60057d20c3f634a4fadc9997b8f0794e4d8eb3e76",
    "key": "f2e55053b8304b4f9d832eeb9015d838a3677b14d68e086b2074a6e7c1b9359a",
    "update": "a151c0abd7d51a0d2135b651789413e4d8aec40888121963439a8d3f141352d7",
    "sum": "269e6233d3b04dc130f5ef5e2cf5d13e2ed0866475efae8780f11b1116bc54d1",
    "opened": "e855b8767e4fa0efcdf47d8c29059884d96d6be7a65b037958d88ade5944ae6b",
    "head": "c6bc5e4ba03f0f93654eddb7e1e83a749a8b9dfed0ec0cc46cc9720ccff10299",
    "result": "e47195bb4cb5896046fba3349672b55bed22d6e4dade735818ac691637f48a7d",
    "draw": "ade376fc7f6c1c89f0dc47c1b92420be69e7e29ec2f4dfa46c7a604aff8c0245",
    "config of a document": "6000fe9b92ed341838dc2736957d237d57fb9248ac4af6940195f6439594f3f7",
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
contexts = st.builds(
    RoundContext,
    chain_id=st.integers(0, 2**256 - 1),
    contract=st.binary(min_size=20, max_size=20).map(to_checksum_address),
    round=st.integers(0, 2**64 - 1),
)
words = st.binary(min_size=32, max_size=32)


def _all(context: RoundContext, address: str, blob: bytes) -> dict[str, bytes]:
    """Every kind of digest of the same bytes."""
    digest = keccak(blob)
    return {
        "config": digests.config_blob_digest(blob),
        "model": digests.model_digest(blob),
        "key": digests.public_key_digest(blob),
        "update": digests.update_digest(context, address, blob),
        "sum": digests.sum_digest(context, blob),
        "opened": digests.opened_digest(context, blob),
        "head": digests.head_digest([int.from_bytes(digest, "big")]),
        "result": digests.result_message(
            context, sum_=digest, opened=digest, model=digest, head=digest
        ),
        "draw": digests.drawn_randomness(context, digest, digest),
    }


def test_digests_are_those_of_the_first_release() -> None:
    found = {name: value.hex() for name, value in _all(CONTEXT, ADDRESS, b"ddcai").items()}
    found["config of a document"] = digests.config_digest({"b": [1, 0.5], "a": "é"}).hex()
    assert found == VECTORS


@given(contexts, st.binary())
def test_each_kind_has_a_domain_of_its_own(context: RoundContext, blob: bytes) -> None:
    found = _all(context, ADDRESS, blob)
    assert len(set(found.values())) == len(found)
    assert {len(value) for value in found.values()} == {digests.DIGEST_BYTES}


@given(contexts, contexts, st.binary())
def test_what_belongs_to_a_round_serves_in_no_other(
    one: RoundContext, other: RoundContext, blob: bytes
) -> None:
    for name in ("update", "sum", "opened", "result", "draw"):
        equal = _all(one, ADDRESS, blob)[name] == _all(other, ADDRESS, blob)[name]
        assert equal == (one == other)


@given(contexts, st.binary(min_size=1), st.integers(0, 2**64))
def test_a_flipped_bit_is_another_digest(context: RoundContext, blob: bytes, bit: int) -> None:
    flipped = bytearray(blob)
    flipped[bit // 8 % len(blob)] ^= 1 << bit % 8
    before, after = _all(context, ADDRESS, blob), _all(context, ADDRESS, bytes(flipped))
    assert all(before[name] != after[name] for name in before)


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_an_update_is_its_contributor_s(one: bytes, other: bytes) -> None:
    found = [digests.update_digest(CONTEXT, to_checksum_address(a), b"x") for a in (one, other)]
    assert (found[0] == found[1]) == (one == other)


@given(contexts)
def test_the_case_of_an_address_does_not_matter(context: RoundContext) -> None:
    lower = RoundContext(
        chain_id=context.chain_id, contract=context.contract.lower(), round=context.round
    )
    assert lower.words() == context.words()
    digest = digests.update_digest(context, ADDRESS.lower(), b"x")
    assert digest == digests.update_digest(lower, to_checksum_address(ADDRESS), b"x")


@given(contexts, st.binary(), words, words, words, words)
def test_the_layout_is_what_abi_encode_gives(
    context: RoundContext, blob: bytes, sum_: bytes, opened: bytes, model: bytes, head: bytes
) -> None:
    def expected(kind: str, types: list[str], values: list[Any]) -> bytes:
        bound = [tag(kind), context.chain_id, context.contract, context.round]
        return keccak(encode(["bytes32", "uint256", "address", "uint64", *types], bound + values))

    content = keccak(blob)
    update = digests.update_digest(context, ADDRESS, blob)
    assert update == expected("update", ["address", "bytes32"], [ADDRESS, content])
    assert digests.sum_digest(context, blob) == expected("sum", ["bytes32"], [content])
    assert digests.opened_digest(context, blob) == expected("opened", ["bytes32"], [content])
    found = digests.result_message(context, sum_=sum_, opened=opened, model=model, head=head)
    assert found == expected("result", ["bytes32"] * 4, [sum_, opened, model, head])


@given(contexts, st.lists(st.tuples(st.integers(0, 1023), words), max_size=5), words)
def test_a_draw_is_bound_to_its_list(
    context: RoundContext, updates: list[tuple[int, bytes]], randao: bytes
) -> None:
    expected = bytes(32)
    for index, update in updates:
        expected = keccak(encode(["bytes32", "uint256", "bytes32"], [expected, index, update]))
    assert digests.list_digest(updates) == expected
    bound = [tag("draw"), context.chain_id, context.contract, context.round, expected, randao]
    types = ["bytes32", "uint256", "address", "uint64", "bytes32", "bytes32"]
    assert digests.drawn_randomness(context, expected, randao) == keccak(encode(types, bound))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_draw_of_something_else_than_digests_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"not {length}"):
        digests.list_digest([(0, bytes(length))])
    for given_ in ((bytes(length), bytes(32)), (bytes(32), bytes(length))):
        with pytest.raises(ValueError, match=f"not {length}"):
            digests.drawn_randomness(CONTEXT, *given_)


@given(st.lists(st.integers(0, 2**256 - 1), max_size=8))
def test_the_head_is_its_words_in_order(values: list[int]) -> None:
    packed = b"".join(encode(["uint256"], [value]) for value in values)
    assert digests.head_digest(values) == keccak(tag("head") + packed)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_result_of_something_else_than_digests_is_refused(length: int) -> None:
    good = {"sum_": bytes(32), "opened": bytes(32), "model": bytes(32), "head": bytes(32)}
    for name in good:
        with pytest.raises(ValueError, match=f"not {length}"):
            digests.result_message(CONTEXT, **(good | {name: bytes(length)}))


@pytest.mark.parametrize(
    "context",
    [
        {"chain_id": -1},
        {"chain_id": 2**256},
        {"round": -1},
        {"contract": "0x12"},
        {"contract": "no address"},
    ],
)
def test_a_context_that_does_not_fit_its_words_is_refused(context: dict[str, Any]) -> None:
    good = {"chain_id": 1, "contract": ADDRESS, "round": 1}
    with pytest.raises((OverflowError, ValueError)):
        RoundContext(**(good | context)).words()


@given(json_values)
def test_canonical_json_is_json_and_does_not_change(value: Any) -> None:
    text = canonical_json(value)
    again = json.loads(text)
    assert again == value
    assert canonical_json(again) == text


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=5))
def test_the_order_of_names_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert digests.config_digest(turned) == digests.config_digest(value)
    assert digests.config_digest(value) == digests.config_blob_digest(canonical_json(value))


@pytest.mark.parametrize(
    "make",
    [lambda: math.nan, lambda: math.inf, lambda: {"a": [-math.inf]}, lambda: b"", lambda: {1, 2}],
)
def test_what_json_does_not_have_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match="not a JSON value"):
        canonical_json(make())


def test_tags_are_those_of_the_contracts() -> None:
    assert tag("result") == keccak(text="ddcai.v1.result")
    assert tag("head") == keccak(text="ddcai.v1.head")


def test_the_digests_of_contributions_are_the_contract_s_layout() -> None:
    """abi.encode of the tag and the fields; tests/chain/test_trainer.py holds the records of a
    deployed contract against them."""
    data = digests.contribution_digest(2, b"\x00\x01")
    types = ["bytes32", "uint256", "bytes32"]
    assert data == keccak(encode(types, [tag("contribution"), 2, keccak(b"\x00\x01")]))
    fields = {"id_": 1, "contributor": ADDRESS, "data": data, "predicted": 0}
    record = digests.record_digest(**fields, price_wei=7, time=9)  # type: ignore[arg-type]
    types = ["bytes32", "uint256", "address", "bytes32", "uint256", "uint256", "uint256"]
    assert record == keccak(encode(types, [tag("record"), 1, ADDRESS, data, 0, 7, 9]))
    with pytest.raises(ValueError, match="32 bytes"):
        digests.record_digest(**fields | {"data": b""}, price_wei=7, time=9)  # type: ignore[arg-type]


@given(
    st.integers(0, 2**256 - 1),
    st.binary(min_size=20, max_size=20).map(to_checksum_address),
    st.integers(0, 2**64 - 1),
    st.integers(0, 1),
    words,
    st.lists(st.integers(0, 2**256 - 1), max_size=4),
    st.lists(st.integers(0, 2**32 - 1), max_size=5),
)
def test_a_verdict_s_message_is_what_solidity_encodes(
    chain_id: int,
    assessment: str,
    window: int,
    attempt: int,
    scores: bytes,
    agreed: list[int],
    points: list[int],
) -> None:
    records = keccak(encode(["uint256[]", "uint32[]"], [agreed, points]))
    types = ["bytes32", "uint256", "address", "uint64", "uint256", "bytes32", "bytes32"]
    bound = [digests.tag("verdict"), chain_id, assessment, window, attempt, scores, records]
    assert digests.verdict_message(
        chain_id, assessment, window, attempt, scores=scores, agreed=agreed, points=points
    ) == keccak(encode(types, bound))


def test_scalars_of_one_purpose_serve_in_no_other() -> None:
    committed = bytes(32)
    found = {
        digests.scalars_digest(CONTEXT, committed, {"a": [1]}, movement=movement)
        for movement in (False, True)
    }
    assert len(found) == 2
