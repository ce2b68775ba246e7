"""Spam or ham in 1,024 hashed words: the second data set, and a model of a user's own kind.

Both functions are entry points (`ddcai.models.entry_points`), as a user would write them:
``task.dataset = "ddcai.data.sms:dataset"`` and ``model.entry_point = "ddcai.data.sms:model"``.
The model is a sparse Perceptron: the encoder passes the words through, so that the whole model
is the head, and it is on chain.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig, Model, Task
from ddcai.errors import DataError

if TYPE_CHECKING:
    from torch import nn

PATH = Path(__file__).parent / "sets" / "sms-spam" / "SMSSpamCollection.txt"
CLASSES = ("ham", "spam")
WIDTH = 1024
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[£$€!]")


def sms_config() -> FederationConfig:
    """A federation that learns to tell spam."""
    return FederationConfig(
        name="sms-spam",
        task=Task(label="label", classes=CLASSES, dataset="ddcai.data.sms:dataset"),
        model=Model(entry_point="ddcai.data.sms:model"),
    )


def hash_features(texts: list[str]) -> npt.NDArray[np.float32]:
    """Which hashed words each text holds: float32[n, 1024] of 0 and 1.

    A word is a run of letters, in lower case; a number stands for its count of digits; ``!``
    and currency signs are words. BLAKE2b, since Python's own hash differs from run to run.
    (Feature hashing: Weinberger et al., 2009, without their sign.)
    """
    x = np.zeros((len(texts), WIDTH), np.float32)
    places: dict[str, int] = {}
    for row, text in enumerate(texts):
        for token in _TOKEN.findall(text.lower()):
            word = f"#{len(token)}" if token[0].isdigit() else token
            if word not in places:
                hashed = hashlib.blake2b(word.encode("utf-8"), digest_size=8).digest()
                places[word] = int.from_bytes(hashed, "big") % WIDTH
            x[row, places[word]] = 1
    return x


def dataset(
    path: str, config: FederationConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Messages, one a line: ``ham`` or ``spam``, a tab, the text; x float32[n, 1024], y int64[n].

    Raises:
        DataError: naming the line, for one of another form.
    """
    labels: list[int] = []
    texts: list[str] = []
    try:
        # Split at line feeds alone: messages hold other characters that Python calls line ends.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, tab, text = line.partition("\t")
        if not tab or label not in config.task.classes:
            raise DataError(
                f"{path} line {number} starts with {label[:20]!r}: give a class "
                f"({', '.join(config.task.classes)}), a tab, and the text"
            )
        labels.append(config.task.classes.index(label))
        texts.append(text)
    return hash_features(texts), np.array(labels, np.int64)


def model(config: FederationConfig) -> nn.Module:
    """The entry point of the sparse Perceptron: a head alone, on the words themselves."""
    from torch import nn  # a second to load, for those who need it

    network = nn.Module()
    network.encoder = nn.Identity()
    network.head = nn.Linear(WIDTH, len(config.task.classes))
    return network
