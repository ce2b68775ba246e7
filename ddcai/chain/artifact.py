"""The compiled contracts, as package data: ABI and bytecode, made by ``contracts/build.mjs``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ddcai.errors import ChainError

NAMES = (
    "Federation",
    "KeyHolders",
    "NodeRegistry",
    "BlsQuorum",
    "EcdsaQuorum",
    "PerceptronHead",
    "SubmissionReader",
    "TeachableHead",
    "UpdateBatches",
    "CollaborativeTrainer",
    "PredictionMarket",
    "SelfAssessment",
    "Points",
    "Bounty",
    "WindowAssessment",
    "DensePerceptron",
    "NaiveBayes",
    "NearestCentroid",
    "SparseNearestCentroid",
    "SparsePerceptron",
)


@dataclass(frozen=True)
class Artifact:
    """One contract: its ABI and the bytecode that creates it."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes


@cache
def load(name: str) -> Artifact:
    """One of `NAMES`, read once a process.

    Raises:
        ChainError: the package lacks it.
    """
    resource = files("ddcai.chain").joinpath("artifacts", f"{name}.json")
    try:
        content = json.loads(resource.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ChainError(
            f"the compiled contract {name} is not in this package: run contracts/build.mjs, or "
            "install ddcai from a wheel"
        ) from error
    return Artifact(
        name=name,
        abi=tuple(content["abi"]),
        bytecode=bytes.fromhex(content["bytecode"].removeprefix("0x")),
    )
