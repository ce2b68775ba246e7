"""The anchor: the update that the federation's own recipe makes on the root set.

Everybody can make it, once the root set is shown. Training in float32 gives other last bits on
another machine, so one party publishes its update and the others compare (`check_anchor`).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError, MalformedError, VerificationError
from ddcai.models import state as states
from ddcai.models.state import State
from ddcai.models.trained import trained_part

# Two machines differ in the last bits of float32, which training multiplies a little.
LEAST_COSINE = 0.999
_INPUTS, _LABELS = "x", "y"


def anchor_update(
    config: FederationConfig,
    base: State,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    round_: int,
    randomness: bytes,
) -> State:
    """Trains the round's base model on the root set; returns the difference.

    Args:
        config: the federation's configuration.
        base: the model that the round started from.
        x, y: the root set, float32[n, ...] and class indices int64[n].
        round_: its number, which says what is trained.
        randomness: 32 bytes, the round's: of the order of samples.

    Returns:
        The arrays that the round trains, float32, in the model's order.

    Raises:
        DataError, RoundError: as `ddcai.models.training.train`.
    """
    # Only here, since torch takes a second and a half to load and few messages need it.
    from ddcai.models.encoder import build, load_state, state_of
    from ddcai.models.training import train

    module = build(config)
    load_state(module, base)
    train(
        module,
        x,
        y,
        config.training,
        seed=int.from_bytes(randomness[:8], "big") >> 1,
        head_only=not config.training.trains_encoder(round_),
    )
    before, after = (trained_part(config, one, round_) for one in (base, state_of(module)))
    return {name: after[name] - before[name] for name in before}


def check_anchor(published: State, own: State) -> None:
    """Compares a published anchor with one's own.

    Raises:
        VerificationError: other arrays, values that are not finite, or a cosine below 0.999.
    """
    if [(n, a.shape) for n, a in published.items()] != [(n, a.shape) for n, a in own.items()]:
        raise VerificationError("the published anchor has other arrays than the round trains")
    one, two = (states.flatten(each).astype(np.float64) for each in (published, own))
    if not np.isfinite(one).all():
        raise VerificationError("the published anchor has values that are not finite")
    lengths = math.sqrt(float(one @ one) * float(two @ two))
    cosine = float(one @ two) / lengths if lengths else float(not one.any() and not two.any())
    if cosine < LEAST_COSINE:
        raise VerificationError(
            f"the published anchor has a cosine of {cosine:.6f} with the one that the root set "
            f"and the recipe make; at least {LEAST_COSINE} is needed"
        )


def root_set_to_blob(x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> bytes:
    """The root set's canonical form: a state of two arrays, classes as whole float32."""
    return states.to_canonical({_INPUTS: x, _LABELS: y.astype(np.float32)})


def root_set_from_blob(blob: bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Reads what `root_set_to_blob` wrote.

    Raises:
        MalformedError: another form, or labels that are no class indices.
    """
    arrays = states.from_canonical(blob)
    if list(arrays) != [_INPUTS, _LABELS]:
        raise MalformedError(f"a root set has the arrays x and y, not {', '.join(arrays)}")
    x, y = arrays[_INPUTS], arrays[_LABELS]
    labels = y.astype(np.int64) if np.isfinite(y).all() else y
    if y.ndim != 1 or len(x) != len(y) or (labels != y).any() or (y < 0).any() or (y > 2**24).any():
        raise MalformedError("the root set's labels are no class indices, one a sample")
    return x, labels.astype(np.int64)


def read_root_set(path: Path | str) -> bytes:
    """The file that `root_set_to_blob` made.

    Raises:
        ConfigurationError: it cannot be read, or is no root set.
    """
    try:
        blob = Path(path).read_bytes()
        root_set_from_blob(blob)
    except OSError as error:
        raise ConfigurationError(f"cannot read the root set {path}: {error.strerror}") from error
    except MalformedError as error:
        raise ConfigurationError(
            f"{path} is no root set ({error}): give the file of `ddcai federation root-set`"
        ) from error
    return blob
