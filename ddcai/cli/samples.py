"""Labelled samples from files and flags, in the bytes that a model on chain takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddcai.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from ddcai.models.heads.classifier import Row


@dataclass(frozen=True, kw_only=True)
class Target:
    """The model that samples are for.

    Attributes:
        kind: of `ddcai.models.heads.TWINS`.
        features: its width.
        classes: names of its classes, in order; empty where they have none.
    """

    kind: str
    features: int
    classes: Sequence[str]


def labelled_samples(
    target: Target,
    data: Path | None,
    features: Path | None,
    texts: list[str],
    label: list[str] | None,
) -> tuple[list[bytes], list[int]]:
    """Features in the model's byte form, and class numbers.

    Raises:
        ConfigurationError, DataError: naming the flag, file or line at fault.
    """
    from ddcai.data import rows, sms
    from ddcai.models.heads import TWINS

    twin, width = TWINS[target.kind], target.features
    given = [name for name, one in (("data", data), ("features", features), ("text", texts)) if one]
    if len(given) != 1:
        raise ConfigurationError("give samples by --data, by --features or by --text; one of them")
    needs_words = bool(texts) or (data is not None and data.suffix != ".npz")
    if needs_words and (twin.dense or width != sms.WIDTH):
        raise ConfigurationError(
            f"texts hash to {sms.WIDTH} sparse features, but this {target.kind} has {width}: "
            "give --features, or .npz as --data"
        )
    if data is not None:
        if label:
            raise ConfigurationError("--label goes with --features or --text: --data has labels")
        found_rows, labels = _labelled(target, data)
    else:
        found_rows = list(
            rows.load_rows(features, dense=twin.dense, features=width)
            if features is not None
            else rows.rows_of(sms.hash_features(texts), "text")
        )
        labels = _labels(target, label or [], len(found_rows))
    return [twin.bytes_of(row, width) for row in found_rows], labels


def _labelled(target: Target, data: Path) -> tuple[list[Row], list[int]]:
    from ddcai.data import rows, sms
    from ddcai.data.tables import read_npz
    from ddcai.models.heads import TWINS

    if data.suffix == ".npz":
        arrays = read_npz(data)
        if "y" not in arrays or arrays["y"].dtype.kind not in "iu" or arrays["y"].ndim != 1:
            raise DataError(f"{data} has no labels y: give integers, int64[n]")
        x = rows.load_rows(data, dense=TWINS[target.kind].dense, features=target.features)
        labels = [int(one) for one in arrays["y"]]
        if len(labels) != len(x):
            raise DataError(f"{data} has {len(x)} rows x and {len(labels)} labels y: give as many")
        return list(x), _labels(target, [str(one) for one in labels], len(x))
    try:
        lines = [one for one in data.read_text(encoding="utf-8").split("\n") if one.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {data}: {error}") from error
    split = [line.partition("\t") for line in lines]
    for number, (_, tab, _text) in enumerate(split, 1):
        if not tab:
            raise DataError(f"{data} line {number} has no tab: give a class, a tab, and the text")
    texts = [one for _, _, one in split]
    if not texts:
        raise DataError(f"{data} has no rows: there is nothing to contribute")
    labels = _labels(target, [one for one, _, _ in split], len(texts))
    return list(rows.rows_of(np.asarray(sms.hash_features(texts)), str(data))), labels


def _labels(target: Target, given: list[str], count: int) -> list[int]:
    if len(given) == 1:
        given = given * count
    if len(given) != count:
        raise ConfigurationError(f"{len(given)} labels for {count} samples: give one, or one each")
    numbers = []
    for one in given:
        if one in target.classes:
            numbers.append(target.classes.index(one))
        elif one.isdecimal() and (not target.classes or int(one) < len(target.classes)):
            numbers.append(int(one))
        else:
            classes = ", ".join(target.classes) or "a number"
            raise ConfigurationError(f"label is {one!r}: give a class of the model ({classes})")
    return numbers


def encoded_samples(
    target: Target, federation: Path, head: str, data: Path, rpc_url: str, store: str
) -> tuple[list[bytes], list[int]]:
    """What a federation's encoder makes of labelled rows, and class numbers.

    Args:
        federation: the federation's deployment file.
        head: address of the model that the samples are for: the federation's head.
        data: rows as a member's `ddcai client` takes them, the label column included.
        store: where the current model is published.

    Raises:
        ConfigurationError: the trainer's model is another one than that federation's head.
        DataError: naming the file, column and row at fault.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.cli.published import current_digest, published_model
    from ddcai.configuration import FederationConfig
    from ddcai.data.loading import load
    from ddcai.models import heads
    from ddcai.models.encoder import build, load_state

    found = Deployment.load(federation)
    if found.head != head:
        raise ConfigurationError(
            f"{federation} is of a federation whose head is {found.head}, but the trainer teaches "
            f"{head}: give the federation of that head"
        )
    config = FederationConfig.from_json(found.config)
    x, y = load(data, config, for_training=False)
    digest = current_digest(found.federation, found.chain_id, rpc_url)
    module = build(config)
    load_state(module, published_model(None, digest, store))
    twin = heads.TWINS[target.kind]
    rows = heads.features(module, x)
    return [twin.bytes_of(row, target.features) for row in rows], [int(one) for one in y]
