"""What reads bytes of others: every parser must take them, or refuse them by an error of ours.

`test_targets.py` mutates real inputs for a few seconds; ``make fuzz`` lets atheris do so, guided
by coverage, for as long as wanted.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from eth_account import Account
from flwr.app import Message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.task_identity import TaskIdentity

from ddcai.attestation import BlsSecretKey
from ddcai.audit.report.group_receipt import GroupReceipt
from ddcai.audit.report.signed import Block, Report
from ddcai.chain import artifact
from ddcai.chain.accounts import load_account
from ddcai.chain.deploy import Deployment
from ddcai.chain.invitation import Invitation
from ddcai.chain.log_decoder import LogDecoder
from ddcai.cli.certificates import own_certificates
from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import FOLDER, site_path
from ddcai.data.loading import load
from ddcai.data.tables import read_npz
from ddcai.digests import RoundContext
from ddcai.encryption import bfv, updates
from ddcai.encryption.opening import opened_from_blob, opened_to_blob
from ddcai.encryption.parameters import parameter_set
from ddcai.encryption.public import key_from_blob
from ddcai.errors import DdcaiError
from ddcai.flower import messages
from ddcai.flower.waiting import UNREADABLE
from ddcai.keyfile import read_public
from ddcai.models import state
from ddcai.models.heads import model_file
from ddcai.policy.document import Policy
from ddcai.rounds.batch import BatchList, Given

PARAMETERS, VALUES = parameter_set("bfv-4096-3x19"), 20
PASSWORD = "known to everybody"
MODEL = {"head.weight": np.ones((2, 3), np.float32), "head.bias": np.zeros(2, np.float32)}
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@dataclass(frozen=True)
class Target:
    """A parser of bytes.

    Attributes:
        parse: raises a `DdcaiError` for what it refuses.
        seeds: inputs that it takes; or refuses late, if not ``taken``.
    """

    parse: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    taken: bool = True


def run(target: Target, data: bytes) -> bool:
    """Whether the parser takes an input; fails by whatever it raises that is no error of ours."""
    try:
        target.parse(data)
    except DdcaiError:
        return False
    return True


def _by_path(read: Callable[[Path], object], suffix: str) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        descriptor, name = tempfile.mkstemp(suffix=suffix, dir=_memory())
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            return read(Path(name))
        finally:
            Path(name).unlink()

    return parse


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _file_of(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        save(path)
        return path.read_bytes()


@cache
def _config() -> FederationConfig:
    return FederationConfig.from_toml(FOLDER / "federation.toml")


@cache
def _key() -> bfv.PublicKey:
    return bfv.generate(PARAMETERS)[1]


def _update(data: bytes) -> None:
    updates.check(data, PARAMETERS, VALUES)
    updates.marks(data, PARAMETERS)
    updates.accumulator(PARAMETERS, VALUES).add(data)


def _message(data: bytes) -> None:
    try:
        content = message_from_proto(ProtoMessage.FromString(data)).content
    except UNREADABLE:
        return  # Flower's own reading, before a message is ours: `ddcai.flower.waiting.pull`
    for read in (
        messages.UpdateReply.from_content,
        messages.read_holders_question,
        messages.reply_bytes,
        lambda one: messages.read_reply(one, ("address", "role", "signature")),
        lambda one: [messages.from_arrays(record) for record in one.array_records.values()],
    ):
        try:
            read(content)
        except DdcaiError:
            continue


def _messages() -> list[bytes]:
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0
    contents = (
        messages.UpdateReply(
            contributor=ADDRESS, ciphertext=b"ciphertext", metrics={"encrypt_s": 0.5}
        ).to_content(),
        messages.reply_record({"address": ADDRESS.encode(), "role": b"contributor"}),
        messages.reply_record(messages.holders_question({}, [0, 1], {0: b"a", 1: b"b"})),
    )
    made = (Message(one, 1, "train") for one in contents)
    return [message_to_proto(one).SerializeToString() for one in made]


@cache
def _decoder() -> LogDecoder:
    return LogDecoder(artifact.load(name) for name in ("Federation", "KeyHolders"))


def _event(data: bytes) -> None:
    topics = [data[at : at + 32] for at in range(0, min(len(data) // 32, 4) * 32, 32)]
    body = data[32 * len(topics) :]
    if len(data) % 3:  # mostly events that it knows
        topic = _decoder().topic("RoundOpened")
        topics[:1] = [bytes.fromhex(topic[2:])]
    log = {"topics": ["0x" + one.hex() for one in topics], "data": "0x" + body.hex()}
    _decoder().decode(log | {"address": ADDRESS})


def _report() -> bytes:
    report = Report(
        chain_id=1,
        contract=ADDRESS,
        round=None,
        block=Block(number=1, hash=bytes(32), time=1),
        software="ddcai",
        auditor=ADDRESS,
        claims=(),
        signature=bytes(65),
    )
    return json.dumps(report.to_json()).encode()


def _keystore() -> bytes:
    return json.dumps(Account.create().encrypt(PASSWORD, kdf="scrypt", iterations=2)).encode()


def _policy() -> list[bytes]:
    return [
        b"[leave]\nmetrics = ['encrypt_s']\nevaluation = false\n[rounds]\nhours = '08:00-18:00'\n",
        b"[money]\nmax_deposit_wei = 10\n[privacy]\nrequire = true\n",
    ]


def _invitation() -> bytes:
    deployment = Deployment(
        chain_id=1,
        name="fuzzed",
        deployed_block=1,
        gas_used=1,
        federation=ADDRESS,
        head=ADDRESS,
        quorum=ADDRESS,
        config={"task": {"label": "target"}},
        encryption_key_digest="0x" + "12" * 32,
        initial_model_digest="0x" + "34" * 32,
    )
    with tempfile.TemporaryDirectory() as folder:
        authority = own_certificates(Path(folder)).authority.read_text()
    made = Invitation(
        deployment=deployment,
        account=ADDRESS,
        expires=1_800_000_000,
        rpc_url="https://rpc.example.org",
        store="s3://bucket",
        superlink="fl.example.org:9191",
        ca_certificate=authority,
    )
    return made.signed_by(Account.create()).encode()


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.ones((2, 3)), y=np.zeros(2, np.int64))


def _group_list() -> BatchList:
    one = Given(contributor=ADDRESS, update=bytes(range(32)), signature=bytes(65))
    return BatchList.of([one, replace(one, contributor=Account.create().address)])


def _group_receipt() -> bytes:
    made = GroupReceipt.of(
        _group_list(),
        ADDRESS,
        context=RoundContext(chain_id=1, contract=ADDRESS, round=1),
        group=ADDRESS,
        update_batches=ADDRESS,
    )
    return _file_of(made.save)


TARGETS: dict[str, Target] = {
    "update": Target(_update, lambda: [_key().encrypt(np.arange(VALUES, dtype=np.int64))]),
    "message": Target(_message, _messages),
    "opened-sum": Target(
        opened_from_blob, lambda: [opened_to_blob(np.arange(VALUES, dtype=np.int64))]
    ),
    "public-key": Target(key_from_blob, lambda: [_key().to_blob()]),
    "model": Target(state.from_canonical, lambda: [state.to_canonical(MODEL)]),
    "model-file": Target(
        _by_path(state.load, ".safetensors"),
        lambda: [_file_of(lambda path: state.save(path, MODEL, {"federation": ADDRESS}))],
    ),
    "head-file": Target(
        _by_path(model_file.load, ".safetensors"),
        lambda: [_file_of(lambda path: state.save(path, MODEL, {"ddcai": "{}"}))],
        taken=False,
    ),
    "key-file": Target(
        _by_path(lambda path: read_public(path, holds="bls-secret-key"), ".json"),
        lambda: [_file_of(lambda path: BlsSecretKey.generate().save(path, PASSWORD, light=True))],
    ),
    "keystore": Target(
        _by_path(lambda path: load_account(path, PASSWORD), ".json"), lambda: [_keystore()]
    ),
    "event": Target(_event, lambda: [bytes(range(200))], taken=False),
    "policy": Target(_by_path(Policy.load, ".toml"), _policy),
    "configuration": Target(
        _by_path(FederationConfig.from_toml, ".toml"),
        lambda: [(FOLDER / "federation.toml").read_bytes()],
    ),
    "deployment": Target(
        _by_path(Deployment.load, ".json"), lambda: [b'{"chain_id": 1}'], taken=False
    ),
    "invitation": Target(_by_path(Invitation.load, ".toml"), lambda: [_invitation()]),
    "group-list": Target(BatchList.from_blob, lambda: [_group_list().to_blob()]),
    "group-receipt": Target(_by_path(GroupReceipt.load, ".json"), lambda: [_group_receipt()]),
    "report": Target(_by_path(Report.load, ".json"), lambda: [_report()], taken=False),
    "csv": Target(
        _by_path(lambda path: load(path, _config(), label="target", for_training=False), ".csv"),
        lambda: [b"\n".join(site_path("hungary").read_bytes().splitlines()[:6])],
    ),
    "npz": Target(_by_path(read_npz, ".npz"), lambda: [_file_of(_npz)]),
}
