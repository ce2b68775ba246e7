"""`ddcai keys sign-rekey` and `ddcai federation rekey`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.node.connection import connect
from ddcai.chain.rekey_file import RekeyFile
from ddcai.configuration import Encryption
from ddcai.encryption import bfv
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.rounds.ceremony import CeremonyRecord
from ddcai.store import Store
from tests.chain.holders import FIRST, OUTSIDER, SECOND, facade, group, stage_holders
from tests.chain.support import COORDINATOR, STRANGER, Scene, digest
from tests.cli.conftest import Answer, Ddcai, assert_refused
from tests.encryption.threshold.rings import plan_of
from tests.federation import SmallFederation, small_config

CONFIG = small_config(encryption=Encryption(max_contributors=8, parameter_set="bfv-8192-3x20"))
PUBLIC = bfv.generate(PARAMETER_SETS["bfv-8192-3x20"])[1]
KEY, CEREMONY = "0x" + PUBLIC.digest().hex(), "0x" + digest().hex()
NEXT = {"--key-digest": KEY, "--ceremony-digest": CEREMONY, "--threshold": 3}
Command = Callable[..., Answer]


@pytest.fixture
def scene(chain_url: str) -> Scene:
    """A federation of 2 of 3 key holders."""
    return stage_holders(connect(chain_url), config=CONFIG.to_json())


@pytest.fixture
def acting(scene: Scene, chain_url: str, password: Path, tmp_path: Path) -> Callable[..., Any]:
    """Options of a command that an account runs on the federation."""
    path = scene.deployment.save(tmp_path)

    def options(account: LocalAccount) -> list[object]:
        keystore = tmp_path / account.address
        made = Account.encrypt(account.key, "open sesame", iterations=2**10)
        keystore.write_text(json.dumps(made))
        return [
            "--deployment", path, "--rpc-url", chain_url, "--keystore", keystore,
            "--password-file", password, "--format", "json",
        ]  # fmt: skip

    return options


@pytest.fixture
def sign(ddcai: Ddcai, acting: Callable[..., Any]) -> Command:
    """A holder signs; by default the second group as 3 of 4."""

    def run(
        file: Path,
        account: LocalAccount,
        holders: tuple[LocalAccount, ...] = SECOND,
        **changes: Any,
    ) -> Answer:
        options = NEXT | {"--" + name.replace("_", "-"): one for name, one in changes.items()}
        given = [part for pair in options.items() if pair[1] is not None for part in pair]
        for one in holders:
            given += ["--holder", one.address]
        return ddcai("keys", "sign-rekey", file, *given, *acting(account))

    return run


@pytest.fixture
def rekey(ddcai: Ddcai, acting: Callable[..., Any], tmp_path: Path) -> Command:
    """Somebody who is no holder sends it."""

    def run(*files: Path, public: bfv.PublicKey = PUBLIC) -> Answer:
        public.save(tmp_path / "public.json")
        key = ["--public-key", tmp_path / "public.json", "--store", tmp_path / "blobs"]
        return ddcai("federation", "rekey", *files, *key, *acting(STRANGER))

    return run


def _current(scene: Scene) -> KeyEpoch:
    return facade(scene).current()


def test_holders_sign_one_file_after_the_other_and_anybody_sends_it(
    scene: Scene, sign: Command, rekey: Command, tmp_path: Path
) -> None:
    file = tmp_path / "rekey.json"
    first = sign(file, FIRST[2], SECOND[::-1])
    assert first.code == 0, first.stderr
    assert (first.json["signed"], first.json["needed"], first.json["epoch"]) == (1, 2, 2)
    # What is signed is shown.
    for part in (KEY, CEREMONY, "3 of 4", "key epoch 2", *(one.address for one in SECOND)):
        assert part in first.stderr
    assert_refused(rekey(file), "1 signed epoch 2", "2 of 3 holders of epoch 1")
    assert _current(scene).number == 1
    second = sign(file, FIRST[0], (), ceremony_digest=None, threshold=None)
    assert second.json["signed"] == 2, second.stderr
    other = bfv.generate(PUBLIC.parameters)[1]
    assert_refused(rekey(file, public=other), "not the one that was signed")
    answer = rekey(file)
    assert answer.code == 0, answer.stderr
    assert Store(str(tmp_path / "blobs")).get(PUBLIC.digest()) == PUBLIC.to_blob()
    current = _current(scene)
    assert (current.number, current.threshold) == (2, 3)
    assert current.holders == tuple(one.address for one in SECOND)
    assert "0x" + current.key_digest.hex() == answer.json["key_digest"] == KEY
    assert "0x" + current.ceremony_digest.hex() == CEREMONY
    assert_refused(rekey(file), "the next one is epoch 3")


def test_files_that_were_signed_apart_serve_together(
    scene: Scene, sign: Command, rekey: Command, tmp_path: Path
) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    sign(one, FIRST[0])
    sign(two, FIRST[1])
    sign(other, FIRST[1], threshold=4)
    assert_refused(rekey(one, other), "threshold differ")
    assert rekey(one, two).code == 0
    assert _current(scene).number == 2


def test_the_record_of_ones_own_ceremony_says_it_all(
    scene: Scene, ddcai: Ddcai, acting: Callable[..., Any], tmp_path: Path
) -> None:
    plan = plan_of(3, 2)
    record = CeremonyRecord(plan=plan, public_key_digest=PUBLIC.digest(), ceremony_digest=digest())
    path, file = tmp_path / "ceremony.json", tmp_path / "rekey.json"
    path.write_text(json.dumps(record.to_json()))
    options = acting(FIRST[0])
    answer = ddcai("keys", "sign-rekey", file, "--ceremony", path, *options)
    assert answer.code == 0, answer.stderr
    signed = RekeyFile.load(file).rekey
    assert (signed.holders, signed.threshold) == (plan.holders, 2)
    assert (signed.key_digest, signed.ceremony_digest) == (
        record.public_key_digest,
        record.ceremony_digest,
    )
    false = ["--ceremony", path, "--threshold", 3]
    assert_refused(ddcai("keys", "sign-rekey", file, *false, *options), "another threshold")
    assert_refused(ddcai("keys", "sign-rekey", file, *options), "your own word")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key_digest": "0x" + "12" * 32}, "another key_digest"),
        ({"ceremony_digest": "0x" + "12" * 32}, "another ceremony_digest"),
        ({"threshold": 4}, "another threshold"),
        ({"holders": SECOND[:3]}, "another holders"),
        ({"key_digest": "0x12"}, "key-digest is '0x12'"),
    ],
)
def test_a_file_that_says_something_else_is_not_signed(
    sign: Command, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "rekey.json"
    assert sign(file, FIRST[0]).code == 0
    before = file.read_bytes()
    assert_refused(sign(file, FIRST[1], **change), message)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("signer", "change", "message"),
    [
        (OUTSIDER, {}, "none of the 3 current key holders"),
        (SECOND[0], {}, "none of the 3 current key holders"),
        (FIRST[0], {"threshold": None}, "give --threshold too"),
        (FIRST[0], {"threshold": 2}, "threshold is 2 of 4"),
        (FIRST[0], {"holders": (*SECOND, COORDINATOR)}, "the coordinator"),
        (FIRST[0], {"key_digest": "0x" + "00" * 32}, "key_digest must be"),
    ],
    ids=["outsider", "next holder", "no threshold", "half", "coordinator", "zero"],
)
def test_what_cannot_be_signed_makes_no_file(
    sign: Command, tmp_path: Path, signer: LocalAccount, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "rekey.json"
    assert_refused(sign(file, signer, **change), message)
    assert not file.exists()


def test_the_current_key_is_not_signed_again(scene: Scene, sign: Command, tmp_path: Path) -> None:
    digest_ = "0x" + _current(scene).key_digest.hex()
    assert_refused(sign(tmp_path / "file", FIRST[0], key_digest=digest_), "is epoch 1's")


def test_an_outsiders_signature_in_the_file_is_not_sent(
    scene: Scene, sign: Command, rekey: Command, tmp_path: Path
) -> None:
    file = tmp_path / "rekey.json"
    sign(file, FIRST[0])
    RekeyFile.load(file).signed_by(OUTSIDER).save(file)
    assert_refused(rekey(file), OUTSIDER.address, "none of the 3 holders of epoch 1")
    assert _current(scene).number == 1


def test_a_single_key_holder_has_no_next_key(
    ddcai: Ddcai, federation: SmallFederation, sign: Command, tmp_path: Path
) -> None:
    file = tmp_path / "rekey.json"
    sign(file, FIRST[0])
    settings = federation.trial.coordinator
    answer = ddcai(
        "federation", "rekey", file, "--deployment", federation.deployment_path,
        "--rpc-url", federation.url, "--keystore", settings.keystore,
        "--password-file", settings.password_file, "--public-key", tmp_path / "public.json",
    )  # fmt: skip
    assert_refused(answer, federation.contract.rules().key_holder, "its key stays")


def test_more_holders_than_can_share_a_key_are_refused(
    scene: Scene, sign: Command, tmp_path: Path
) -> None:
    """The contract would take them, and no round could be opened under such a key."""
    file = tmp_path / "rekey.json"
    assert_refused(sign(file, FIRST[0], group("many", 15), threshold=8), "6435 pieces")
    assert not file.exists()


def test_a_key_of_another_parameter_set_is_not_registered(
    scene: Scene, sign: Command, rekey: Command, tmp_path: Path
) -> None:
    file = tmp_path / "rekey.json"
    other = bfv.generate(PARAMETER_SETS["bfv-8192-2x30"])[1]
    for one in FIRST[:2]:
        assert sign(file, one, key_digest="0x" + other.digest().hex()).code == 0
    assert_refused(rekey(file, public=other), "a key of bfv-8192-2x30", "parameter_set is bfv-8192")
    assert _current(scene).number == 1
    assert not Store(str(tmp_path / "blobs")).has(other.digest())
