from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.chain.holder_rules import Rekey
from ddcai.chain.rekey_file import RekeyFile
from ddcai.errors import ConfigurationError
from tests.chain.holders import BY_ADDRESS, FIRST, OUTSIDER, SECOND, malleated
from tests.chain.support import STRANGER, digest

ADDRESSES = sorted(BY_ADDRESS, key=str.lower)
digests = st.binary(min_size=32, max_size=32).filter(any)


@st.composite
def rekeys(draw: st.DrawFn) -> Rekey:
    count = draw(st.integers(2, len(ADDRESSES)))
    return Rekey(
        chain_id=draw(st.integers(1, 2**64 - 1)),
        contract=STRANGER.address,
        epoch=draw(st.integers(2, 2**64 - 1)),
        key_digest=draw(digests),
        ceremony_digest=draw(digests),
        holders=tuple(ADDRESSES[:count]),
        threshold=draw(st.integers(count // 2 + 1, count)),
    )


@pytest.fixture
def signed() -> RekeyFile:
    rekey = Rekey(
        chain_id=31337,
        contract=STRANGER.address,
        epoch=2,
        key_digest=digest(),
        ceremony_digest=digest(),
        holders=tuple(one.address for one in SECOND),
        threshold=3,
    )
    return RekeyFile(rekey=rekey).signed_by(FIRST[1]).signed_by(FIRST[0])


@settings(max_examples=20)
@given(rekey=rekeys(), signers=st.sets(st.sampled_from(ADDRESSES), max_size=3))
def test_what_was_written_is_read(
    rekey: Rekey, signers: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = RekeyFile(rekey=rekey)
    for address in sorted(signers):
        file = file.signed_by(BY_ADDRESS[address])
    path = tmp_path_factory.mktemp("file") / "rekey.json"
    file.save(path)
    assert RekeyFile.load(path) == file
    assert file.signatures.keys() == signers


def test_copies_that_were_signed_apart_are_put_together(signed: RekeyFile) -> None:
    apart = [RekeyFile(rekey=signed.rekey).signed_by(one) for one in (FIRST[0], FIRST[1])]
    assert apart[0].with_signatures_of(apart[1]) == signed
    other = RekeyFile(rekey=replace(signed.rekey, threshold=4, epoch=3))
    with pytest.raises(ConfigurationError, match="epoch, threshold differ"):
        signed.with_signatures_of(other)


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(values)


def _signature(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        signatures, first = content["signatures"], FIRST[0].address
        signatures[first] = "0x" + change(bytes.fromhex(signatures[first][2:])).hex()

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(format="ddcai-rekey-2"), "format is"),
        (_set(more=1), "it has"),
        (lambda content: content.pop("threshold"), "it has"),
        (_set(holders="0x12"), "holders is"),
        (_set(holders=[1, 2]), "holder 1 is not"),
        (_set(holders=[one.address for one in SECOND][::-1]), "ascending"),
        (_set(threshold="3"), "threshold is '3'"),
        (_set(threshold=2), "threshold is 2 of 4"),
        (_set(threshold=3.0), "threshold is 3.0"),
        (_set(chain_id=True), "chain_id is True"),
        (_set(epoch=1), "epoch is 1"),
        (_set(contract=STRANGER.address.lower()), "contract is"),
        (_set(key_digest="0x12"), "key_digest"),
        (_set(key_digest="12" * 32), "key_digest is"),
        (_set(ceremony_digest="0x" + "AB" * 32), "ceremony_digest is"),
        (_set(ceremony_digest=None), "ceremony_digest is None"),
        (_set(signatures=[]), "signatures is"),
        (_set(signatures={FIRST[0].address: 5}), "is 5"),
        (_set(threshold=4), "is not under this epoch"),
        (_signature(malleated), "higher s"),
        (_signature(lambda one: one[:-1]), "64 bytes"),
        (_signature(lambda one: one + b"\0"), "66 bytes"),
        (_signature(lambda one: bytes(65)), "outside the group's order"),
    ],
)
def test_anything_else_is_refused(
    signed: RekeyFile, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = signed.to_json()
    change(content)
    path = tmp_path / "rekey.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=message):
        RekeyFile.load(path)


def test_a_signature_under_another_name_is_refused(signed: RekeyFile) -> None:
    signature = signed.signatures[FIRST[0].address]
    with pytest.raises(ConfigurationError, match="is not under this epoch"):
        RekeyFile(rekey=signed.rekey, signatures={OUTSIDER.address: signature})


@pytest.mark.parametrize("text", ["", "[]", "5", "{}", "[" * 10_000, "\xff", " " * 70_000])
def test_what_is_no_such_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rekey.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"is not a file of `keys sign-rekey`"):
        RekeyFile.load(path)


def test_a_missing_file(tmp_path: Path, signed: RekeyFile) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        RekeyFile.load(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="cannot write"):
        signed.save(tmp_path / "none" / "rekey.json")
