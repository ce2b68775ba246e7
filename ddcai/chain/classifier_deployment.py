"""Deploying a classifier: created, loaded in chunks that fit a transaction, sealed, verified.

Each step is remembered in the deployment file, so that what a crash broke off is taken up where
it ended: what is loaded already is compared, and no chunk is written twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.classifier import Classifier
from ddcai.chain.deploy import creation
from ddcai.chain.deployment_file import DeploymentFile, check_address, check_name, check_number
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ConfigurationError
from ddcai.models.heads import TWINS
from ddcai.models.heads import Classifier as Twin

# EIP-7825 caps a transaction at 2^24 gas. `Sender` offers a fifth more than it estimates.
CHUNK_GAS = 12_000_000
# At most, measured: a fresh storage slot is 22,100, its calldata 512, and checks and sums of
# eight numbers a word the rest. A word of zeros writes nothing.
WORD_GAS, ZERO_WORD_GAS = 32_000, 12_000
CALL_GAS = 150_000
# A contract's creation: 32,000, the transaction's 21,000, 200 a byte of code and 16 of calldata.
_CREATE_GAS, _BYTE_GAS = 80_000, 216


@dataclass(frozen=True, kw_only=True)
class ClassifierDeployment(DeploymentFile):
    """Where a classifier is, and what its integers mean.

    Attributes:
        address: the contract.
        kind: its name, of `ddcai.models.heads.TWINS`.
        features, parameter: as `ddcai.models.heads.Classifier` has them.
        class_names: in order.
        scale: scores divided by this are the scores of the model it was made from.
        digest: 0x-prefixed hex, of what was loaded.
    """

    address: str
    kind: str
    features: int
    parameter: int
    class_names: list[str]
    scale: float
    digest: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_address("address", self.address)
        check_number("features", self.features, 1)
        check_number("parameter", self.parameter, 0)
        if self.kind not in TWINS:
            raise ConfigurationError(
                f"kind is {self.kind!r}: this release knows {', '.join(sorted(TWINS))}"
            )
        names = self.class_names
        good = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
        if not good or len(set(names)) != len(names) or len(names) < 2:
            raise ConfigurationError(f"class_names is {names!r}: give two names or more, each once")
        scale = self.scale
        if type(scale) not in (int, float) or not math.isfinite(scale) or scale <= 0:
            raise ConfigurationError(f"scale is {scale!r}: give a number above 0")
        digest = self.digest
        digits = digest[2:] if isinstance(digest, str) and digest.startswith("0x") else ""
        if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
            raise ConfigurationError(f"digest is {digest!r}: give 0x and 64 hex digits")

    @property
    def main_address(self) -> str:
        return self.address


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What deploying costs, before anything is sent.

    Attributes:
        words: 256-bit words to load.
        chunks: transactions that load them.
        gas: at most, in all.
    """

    words: int
    chunks: int
    gas: int


def plan_classifier(twin: Twin) -> Plan:
    """Words, transactions and gas of deploying a model."""
    words = twin.to_words()
    code = len(artifact.load(twin.kind).bytecode)
    loading = sum(map(_word_gas, words))
    chunks = len(list(_chunks(words, 0)))
    gas = _CREATE_GAS + _BYTE_GAS * code + loading + CALL_GAS * (chunks + 1)
    return Plan(words=len(words), chunks=chunks, gas=gas)


def deploy_classifier(
    w3: Web3,
    sender: Sender,
    twin: Twin,
    *,
    name: str,
    class_names: Sequence[str],
    scale: float = 1.0,
    folder: Path | str = "deployments",
    progress: Callable[[int, int], None] = lambda loaded, count: None,
) -> ClassifierDeployment:
    """Deploys a model, or goes on with a deployment of it that was broken off.

    Args:
        sender: pays, and owns the contract.
        twin: the model.
        name: of the file ``<chainId>-<name>.json`` in the folder.
        class_names: one a class.
        scale: scores divided by this are those of the model that the twin was made from.
        progress: called with the words loaded so far, and all of them.

    Raises:
        ConfigurationError: another model has that file; wrong class names.
        InsufficientBalance: not enough for all of it; nothing was sent.
        ChainError: the contract holds, or emitted, something else than the model.
    """
    check_name(name)
    if len(class_names) != twin.class_limit:
        raise ConfigurationError(
            f"{len(class_names)} class names for {twin.class_limit} classes: give one a class"
        )
    digest = "0x" + twin.digest().hex()
    chain_id = int(request(w3, "eth_chainId", []), 16)
    path = Path(folder) / f"{chain_id}-{name}.json"
    if path.exists():
        deployment = ClassifierDeployment.load(path)
        if (deployment.kind, deployment.digest) != (twin.kind, digest):
            raise ConfigurationError(
                f"{path} is a {deployment.kind} of digest {deployment.digest}, not this "
                f"{twin.kind} of digest {digest}: choose another name, or move that file away"
            )
    else:
        sender.require(0, plan_classifier(twin).gas)
        deployment = _create(w3, sender, twin, chain_id, name, list(class_names), scale, digest)
        deployment.save(folder)
    contract = Classifier(w3, deployment.address, sender)
    _check_contract(contract, deployment, twin)
    is_sealed, loaded, count, owner = contract.state()
    if is_sealed:
        _check_digest(contract.sealed_digest(deployment.deployed_block), deployment)
        return deployment
    if owner != sender.address:
        raise ConfigurationError(
            f"{deployment.address} belongs to {owner}, not to {sender.address}: give the keystore "
            "that began this deployment"
        )
    words = twin.to_words()
    if contract.words(loaded) != words[:loaded]:
        raise ChainError(
            f"the first {loaded} words of {deployment.address} are not this model's: move {path} "
            "away, and deploy again"
        )
    for start, end in _chunks(words, loaded):
        receipt = contract.load(start, words[start:end])
        deployment = replace(deployment, gas_used=deployment.gas_used + receipt.gas_used)
        deployment.save(folder)
        progress(end, count)
    receipt = contract.seal()
    deployment = replace(deployment, gas_used=deployment.gas_used + receipt.gas_used)
    deployment.save(folder)
    emitted = contract.sealed_digest(receipt.block_number, receipt.block_number)
    _check_digest(emitted, deployment)
    return deployment


def _create(
    w3: Web3,
    sender: Sender,
    twin: Twin,
    chain_id: int,
    name: str,
    class_names: list[str],
    scale: float,
    digest: str,
) -> ClassifierDeployment:
    arguments = [twin.feature_limit, twin.class_limit]
    if twin.max_parameter:
        arguments.append(twin.parameter)
    before = int(request(w3, "eth_blockNumber", []), 16)
    receipt = sender.send(None, creation(twin.kind, arguments))
    if receipt.contract_address is None:
        raise ChainError(f"{receipt.tx_hash} created no {twin.kind}: is this an Ethereum node?")
    return ClassifierDeployment(
        chain_id=chain_id,
        name=name,
        deployed_block=before,
        gas_used=receipt.gas_used,
        address=receipt.contract_address,
        kind=twin.kind,
        features=twin.feature_limit,
        parameter=twin.parameter,
        class_names=class_names,
        scale=scale,
        digest=digest,
    )


def _check_contract(contract: Classifier, deployment: ClassifierDeployment, twin: Twin) -> None:
    shape = contract.shape
    found = (shape.kind, shape.features, shape.classes, shape.parameter)
    wanted = (twin.kind, twin.feature_limit, twin.class_limit, twin.parameter)
    if found != wanted:
        raise ChainError(f"{deployment.address} is {found}, not {wanted}: is this its chain?")


def _check_digest(emitted: bytes | None, deployment: ClassifierDeployment) -> None:
    if emitted is None or "0x" + emitted.hex() != deployment.digest:
        found = "none" if emitted is None else "0x" + emitted.hex()
        raise ChainError(
            f"{deployment.address} was sealed with digest {found}, not {deployment.digest}: it is "
            "not this model; deploy it again under another name"
        )


def _word_gas(word: int) -> int:
    return WORD_GAS if word else ZERO_WORD_GAS


def _chunks(words: Sequence[int], first: int) -> Iterator[tuple[int, int]]:
    """Parts [start, end) from `first` on, each within `CHUNK_GAS`."""
    start, gas = first, 0
    for place in range(first, len(words)):
        cost = _word_gas(words[place])
        if gas + cost > CHUNK_GAS:
            yield start, place
            start, gas = place, 0
        gas += cost
    if start < len(words):
        yield start, len(words)
