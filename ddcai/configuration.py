"""A federation's configuration: what every contributor must know to reproduce a round.

One frozen tree of plain values, read from TOML or JSON, checked once when it is built. Its
canonical JSON has a digest (`ddcai.digests.config_digest`) that the contract holds for the
life of the federation, so a coordinator cannot change a rule under way.

Deposits, deadlines and the quorum are rules of the contract, not of this document.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from ddcai.assessment.configuration import Assessment
from ddcai.digests import config_digest
from ddcai.errors import ConfigurationError
from ddcai.privacy.configuration import Privacy

# What the contract takes, and what the largest parameter set adds (`ddcai.encryption.parameters`).
MOST_MEMBERS = 1024
MOST_CONTRIBUTORS = 16384
ENTRY_POINT = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise ConfigurationError(f"{name} is {value!r}: {remedy}")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One input column, with its agreed range: no statistic of any site's data is needed.

    Attributes:
        name: the column's name.
        kind: ``numeric`` (scaled by the range to [-1, 1], clipped to it) or ``categorical``
            (one-hot over ``categories``; any other value counts as missing).
        low, high: the range of a numeric column, in its own unit.
        categories: the values of a categorical column, compared as numbers where both
            are numbers and as text otherwise.
        missing: values that mean "not measured" besides empty, ``?``, ``NA`` and NaN.
    A missing value becomes zeros and a 1 in an indicator of its own.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    low: float = 0.0
    high: float = 1.0
    categories: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(bool(self.name), "feature.name", self.name, "name the column")
        where = f"feature {self.name!r}"
        if self.kind == "numeric":
            good = math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high
            _require(good, f"{where} range", (self.low, self.high), "give finite low < high")
        else:
            good = len(self.categories) >= 1 and len(set(self.categories)) == len(self.categories)
            _require(good, f"{where} categories", self.categories, "list each category once")

    @property
    def width(self) -> int:
        """Number of model inputs that this column becomes, its missing indicator included."""
        return (1 if self.kind == "numeric" else len(self.categories)) + 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is predicted from what.

    Attributes:
        label: name of the label column.
        classes: names of the classes; a label is one of them, or its index.
        positive_above: for two classes, read the label as a number and take class 1 where it
            is above this value (UCI Heart Disease: 0).
        features: the input columns, in order. Empty only with a ``dataset`` entry point.
        dataset: ``module:function``, the user's own loader (`ddcai.data.entry_points`).
    """

    label: str
    classes: tuple[str, ...]
    positive_above: float | None = None
    features: tuple[Feature, ...] = ()
    dataset: str | None = None

    def __post_init__(self) -> None:
        _require(len(self.classes) >= 2, "task.classes", self.classes, "name at least two classes")
        _require(
            len(set(self.classes)) == len(self.classes),
            "task.classes",
            self.classes,
            "name each once",
        )
        _require(
            self.positive_above is None or len(self.classes) == 2,
            "task.positive_above",
            self.positive_above,
            "it needs exactly two classes",
        )
        names = [feature.name for feature in self.features]
        _require(len(set(names)) == len(names), "task.features", names, "name each column once")
        _require(self.label not in names, "task.label", self.label, "the label is no feature")
        if self.dataset is None:
            _require(bool(names), "task.features", names, "list features or give task.dataset")
        else:
            _check_entry_point("task.dataset", self.dataset)

    @property
    def width(self) -> int:
        """Number of model inputs that the listed features become; 0 where none is listed."""
        return sum(feature.width for feature in self.features)


@dataclass(frozen=True, kw_only=True)
class Model:
    """Encoder and head.

    Attributes:
        hidden: widths of the encoder's layers; the last is the head's number of features.
        entry_point: ``module:function`` returning the user's own module instead
            (`ddcai.models.entry_points`).
        head_scale: weights of the on-chain head are integers of 1 / head_scale, a power of two.
        seed: of the initial weights, so that anybody can rebuild the first model.
    """

    hidden: tuple[int, ...] = (32, 16)
    entry_point: str | None = None
    head_scale: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        good = len(self.hidden) >= 1 and all(1 <= width <= 65536 for width in self.hidden)
        _require(good, "model.hidden", self.hidden, "give widths from 1 to 65536")
        good = 1 <= self.head_scale <= 2**14 and self.head_scale & (self.head_scale - 1) == 0
        _require(good, "model.head_scale", self.head_scale, "give a power of two up to 16384")
        _require(0 <= self.seed < 2**63, "model.seed", self.seed, "from 0 to 2**63 - 1")
        if self.entry_point is not None:
            _check_entry_point("model.entry_point", self.entry_point)


@dataclass(frozen=True, kw_only=True)
class Training:
    """The recipe of local training: SGD on log loss.

    Attributes:
        encoder_every: rounds whose number is a multiple of it train encoder and head, all others
            the head alone; 0: no round trains the encoder.
    """

    local_epochs: int = 1
    batch_size: int = 16
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    encoder_every: int = 1

    def __post_init__(self) -> None:
        _require(self.local_epochs >= 1, "training.local_epochs", self.local_epochs, "at least 1")
        _require(self.batch_size >= 1, "training.batch_size", self.batch_size, "at least 1")
        good = math.isfinite(self.learning_rate) and self.learning_rate > 0
        _require(good, "training.learning_rate", self.learning_rate, "give a positive number")
        _require(0 <= self.momentum < 1, "training.momentum", self.momentum, "from 0 to below 1")
        _require(0 <= self.weight_decay < 1, "training.weight_decay", self.weight_decay, "0 to 1")
        good = 0 <= self.encoder_every < 2**32
        _require(good, "training.encoder_every", self.encoder_every, "from 0 to 4294967295")

    def trains_encoder(self, round_: int) -> bool:
        """Whether a round, numbered from 1, trains the encoder as well as the head."""
        return self.encoder_every > 0 and round_ % self.encoder_every == 0


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """How deltas become bounded integers, and their sum a model (`ddcai.quantise`).

    Attributes:
        weighting: ``examples`` (weighted by capped example counts, which travel encrypted)
            or ``uniform``.
        clip_norm: largest L2 norm of a delta; a longer one is scaled down to it.
        value_range: a coordinate of +-value_range becomes the largest lane value.
        max_examples: counts are capped here.
        clamped_share_limit: a contributor refuses to send an update of which a larger share
            of coordinates is outside the range.
    """

    weighting: Literal["examples", "uniform"] = "examples"
    clip_norm: float = 5.0
    value_range: float = 0.5
    max_examples: int = 1000
    clamped_share_limit: float = 0.01

    def __post_init__(self) -> None:
        for name in ("clip_norm", "value_range"):
            value = getattr(self, name)
            good = math.isfinite(value) and value > 0
            _require(good, f"aggregation.{name}", value, "give a positive number")
        good = 1 <= self.max_examples <= 2**24 - 1
        _require(good, "aggregation.max_examples", self.max_examples, "from 1 to 16777215")
        good = 0 <= self.clamped_share_limit <= 1
        _require(good, "aggregation.clamped_share_limit", self.clamped_share_limit, "0 to 1")


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """Which scheme and parameter set (`ddcai.encryption`) and how many contributors at most.

    Attributes:
        max_contributors: most contributors in a sum, those of groups counted one by one: lanes
            and noise are reckoned for so many.
        group_size: most contributors that one update may be the sum of; 1 where every member
            sends its own (`ddcai.rounds.group`).
    """

    parameter_set: str = "bfv-8192-3x20"
    max_contributors: int = 64
    group_size: int = 1

    def __post_init__(self) -> None:
        good = 2 <= self.max_contributors <= MOST_CONTRIBUTORS
        remedy = f"from 2 to {MOST_CONTRIBUTORS}"
        _require(good, "encryption.max_contributors", self.max_contributors, remedy)
        # Any member may be a group: a sum has at least two updates, each as large as it may be.
        good = 1 <= self.group_size <= self.max_contributors // 2
        _require(
            good,
            "encryption.group_size",
            self.group_size,
            "from 1 to half of encryption.max_contributors, which counts the contributors of all "
            f"groups and is {self.max_contributors}",
        )

    @property
    def max_updates(self) -> int:
        """Most updates in a sum, whoever of the members is a group."""
        return min(self.max_contributors // self.group_size, MOST_MEMBERS)


@dataclass(frozen=True, kw_only=True)
class FederationConfig:
    """The whole document. `digest()` is what the contract holds.

    Attributes:
        assessment: the rule that judges updates; None where none does.
        privacy: the noise on updates; None where there is none.
    """

    name: str
    task: Task
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    aggregation: Aggregation = field(default_factory=Aggregation)
    encryption: Encryption = field(default_factory=Encryption)
    assessment: Assessment | None = None
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        good = re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", self.name) is not None
        _require(good, "name", self.name, "use lower-case letters, digits and dashes")
        if self.assessment is not None:
            # Deposits are equal, and weight is to be linear in them: more examples would be more
            # weight for the same stake, and nobody can check their number.
            weighting = self.aggregation.weighting
            _require(
                weighting == "uniform",
                "aggregation.weighting",
                weighting,
                "a federation with an assessment needs uniform",
            )
        if self.privacy is not None:
            self._check_privacy()
        if self.encryption.group_size > 1:
            # What a group's sum says of any one contributor was never worked out for either.
            both = self.assessment is None and self.privacy is None
            remedy = "groups do not go with [assessment] or [privacy]; leave it out"
            _require(both, "encryption.group_size", self.encryption.group_size, remedy)

    def _check_privacy(self) -> None:
        # Scalars of single updates carry one contributor's noise alone, and are not accounted for;
        # how the rule judges updates with noise was never measured.
        _require(self.assessment is None, "privacy", "set", "it does not go with an assessment")
        weighting = self.aggregation.weighting
        _require(
            weighting == "uniform",
            "aggregation.weighting",
            weighting,
            "privacy needs uniform: a count tells of the data, and gets no noise",
        )
        limit = self.aggregation.clamped_share_limit
        _require(
            limit == 1,
            "aggregation.clamped_share_limit",
            limit,
            "privacy needs 1: an update that is not sent tells of the data",
        )

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values: the same for equal documents (1 becomes 1.0)."""
        as_read = type(self).from_json(_plain(dataclasses.asdict(self)))
        document: dict[str, Any] = _plain(dataclasses.asdict(as_read))
        # These came later: documents without them keep the digest that contracts hold.
        if self.training.encoder_every == 1:
            del document["training"]["encoder_every"]
        if self.encryption.group_size == 1:
            del document["encryption"]["group_size"]
        if self.assessment is None:
            del document["assessment"]
        if self.privacy is None:
            del document["privacy"]
        return document

    def digest(self) -> bytes:
        """32 bytes, the digest of the canonical JSON."""
        return config_digest(self.to_json())

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Reads the document from JSON or TOML values.

        Raises:
            ConfigurationError: naming the setting, for unknown or missing names, values of
                a wrong type, and values out of range.
        """
        return _build(cls, value, "")  # type: ignore[no-any-return]

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Reads the document from a TOML file."""
        try:
            with Path(path).open("rb") as file:
                return cls.from_json(tomllib.load(file))
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is not TOML: {error}") from error


def _check_entry_point(name: str, value: str) -> None:
    _require(ENTRY_POINT.fullmatch(value) is not None, name, value, "write module:function")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value  # -0.0 equals 0.0, so be one


def _build(kind: Any, value: Any, where: str) -> Any:
    """Builds ``kind`` from plain values, strictly; ``where`` names the setting in errors."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise ConfigurationError(f"{where or 'the document'} is {value!r}: give a table")
        hints = get_type_hints(kind)
        unknown = sorted(set(value) - set(hints))
        if unknown:
            raise ConfigurationError(
                f"{where}{unknown[0]} is no setting: known are {', '.join(sorted(hints))}"
            )
        built = {key: _build(hints[key], item, f"{where}{key}.") for key, item in value.items()}
        try:
            return kind(**built)
        except TypeError as error:
            raise ConfigurationError(f"{where or 'the document'}: {error}") from error
    name = where.rstrip(".")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        _require(value in arguments, name, value, f"give one of {', '.join(arguments)}")
        return value
    if origin is UnionType:
        return None if value is None else _build(arguments[0], value, where)
    if origin is tuple:
        _require(isinstance(value, list | tuple), name, value, "give a list")
        return tuple(_build(arguments[0], item, f"{where}{i}.") for i, item in enumerate(value))
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        _require(abs(value) < 2**1023, name, value, "give a number that a float64 holds")
        value = float(value)
    good = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    _require(good, name, value, f"give a value of type {kind.__name__}")
    return value
