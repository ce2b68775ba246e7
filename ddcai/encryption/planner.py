"""What a federation's size costs and whether its sums can be exact, before round 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.compact.wire import update_bytes
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.encryption.updates import AnySet, any_set
from ddcai.encryption.wire import HEADER_BYTES
from ddcai.errors import PlanError
from ddcai.quantise import COUNT_DIGITS

# A Gaussian is beyond 10 sigma once in 2**75 draws, and there is one draw a coefficient: sums
# stay exact for the life of a federation.
LEAST_MARGIN_SIGMA = 10.0
# One update is one message and one blob, and a reader holds the sum in memory.
MOST_UPDATE_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class ThresholdPlan:
    """What it comes to that key holders open sums together.

    Attributes:
        smudging_bits: of the noise on each piece's part of an opening.
        most_openings: ciphertexts that one key may open.
        most_rounds: rounds that those are, of sums alone; then the key is made anew.
        statistical_bits: left after ``most_rounds`` rounds
            (`ddcai.encryption.threshold.smudging`).
    """

    smudging_bits: int
    most_openings: int
    most_rounds: int
    statistical_bits: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a federation's size comes to.

    Attributes:
        parameters: the parameter set.
        num_parameters: the model's parameters.
        max_contributors: most contributors in a sum.
        num_values: what is encrypted: the parameters and the count's digits.
        ciphertexts: per update; of the compact scheme polynomials.
        bytes_per_update: of the blob that a contributor sends; a sum has as many.
        bytes_per_parameter: of it (float32 has 4).
        value_limit: largest magnitude of a contributor's integer.
        effective_bits: log2 of the number of values that a coordinate can take.
        noise_margin_sigma: distance from a wrong decryption at max_contributors, in standard
            deviations of the noise of honest ciphertexts.
        threshold: where key holders open together with a key that lasts.
    """

    parameters: AnySet
    num_parameters: int
    max_contributors: int
    num_values: int
    ciphertexts: int
    bytes_per_update: int
    bytes_per_parameter: float
    value_limit: int
    effective_bits: float
    noise_margin_sigma: float
    threshold: ThresholdPlan | None = None


def plan(
    num_parameters: int,
    max_contributors: int,
    parameter_set_id: str,
    sharing: Sharing | None = None,
    group_size: int = 1,
) -> Plan:
    """Plans a federation.

    Args:
        num_parameters: of the model, without the count's digits.
        max_contributors: ``encryption.max_contributors``, those of groups counted one by one.
        parameter_set_id: ``encryption.parameter_set``.
        sharing: of the key holders, where they open together.
        group_size: ``encryption.group_size``.

    Raises:
        PlanError: naming the setting to change, if a sum could not be exact, an update would
            be too large, or if a key could not open one sum behind enough noise.
    """
    parameters = any_set(parameter_set_id)
    if num_parameters < 1:
        raise PlanError(f"the model has {num_parameters} parameters: it needs at least one")
    if group_size > 1 and isinstance(parameters, CompactShape):
        # Its updates carry boxes for the key holders, which do not add up.
        raise PlanError(
            f"encryption.group_size is {group_size}, and a sum of {parameters.id} is no update: "
            "choose a set of BFV"
        )
    limit = parameters.value_limit(max_contributors)
    margin = parameters.noise_margin_sigma(max_contributors)
    if margin < LEAST_MARGIN_SIGMA:
        raise PlanError(
            f"encryption.max_contributors is {max_contributors}: the noise of so many leaves "
            f"{margin:.1f} sigma in {parameters.id}; {LEAST_MARGIN_SIGMA} are needed"
        )
    num_values = num_parameters + COUNT_DIGITS
    ciphertexts, size = _size(num_values, parameters, sharing)
    if size > MOST_UPDATE_BYTES:
        raise PlanError(
            f"an update of {num_parameters} parameters takes {size} bytes, at most "
            f"{MOST_UPDATE_BYTES} are sent: choose a smaller model (model.hidden)"
        )
    return Plan(
        parameters=parameters,
        num_parameters=num_parameters,
        max_contributors=max_contributors,
        num_values=num_values,
        ciphertexts=ciphertexts,
        bytes_per_update=size,
        bytes_per_parameter=size / num_parameters,
        value_limit=limit,
        effective_bits=math.log2(2 * limit + 1),
        noise_margin_sigma=margin,
        threshold=None
        if sharing is None or isinstance(parameters, CompactShape)
        else _opened_by(sharing, parameters, max_contributors, ciphertexts),
    )


def _size(values: int, parameters: AnySet, sharing: Sharing | None) -> tuple[int, int]:
    """Ciphertexts, or polynomials, and bytes of an update."""
    if not isinstance(parameters, CompactShape):
        ciphertexts = parameters.ciphertexts(values)
        return ciphertexts, HEADER_BYTES + ciphertexts * parameters.bytes_per_ciphertext
    if sharing is None:
        raise PlanError(
            f"encryption.parameter_set is {parameters.id}: only several key holders open it; let "
            "them hold a ceremony, or choose a set of BFV"
        )
    return parameters.blocks(values), update_bytes(values, parameters, sharing)


def _opened_by(
    sharing: Sharing, parameters: ParameterSet, max_contributors: int, ciphertexts: int
) -> ThresholdPlan:
    pieces = len(sharing.pieces)
    most = smudging.most_openings(parameters, pieces, max_contributors)
    rounds = most // ciphertexts
    if not rounds:
        raise PlanError(
            f"a sum has {ciphertexts} ciphertexts, and a key of {pieces} pieces opens {most} "
            f"with {smudging.LEAST_STATISTICAL_BITS} bits of statistical security: choose fewer "
            "key holders, a smaller model (model.hidden) or a lower encryption.max_contributors"
        )
    return ThresholdPlan(
        smudging_bits=smudging.smudging_bits(parameters, pieces, max_contributors),
        most_openings=most,
        most_rounds=rounds,
        statistical_bits=smudging.statistical_security(
            parameters, pieces, max_contributors, rounds * ciphertexts
        ),
    )


def choose(
    num_parameters: int,
    max_contributors: int,
    sharing: Sharing | None = None,
    *,
    assessable: bool = False,
    group_size: int = 1,
) -> Plan:
    """The plan with the smallest update, of all parameter sets of either scheme.

    Args:
        num_parameters: of the model.
        max_contributors: most updates in a sum.
        sharing: of the key holders; None for a single one, whom the compact scheme does not have.
        assessable: whether scalars of single updates are to be opened.
        group_size: as `plan`.

    Raises:
        PlanError: if none fits; what stands in the way of the last one.
    """
    plans: list[Plan] = []
    why: PlanError | None = None
    every: list[AnySet] = [*PARAMETER_SETS.values(), *COMPACT_SHAPES.values()]
    for parameters in every:
        if parameters.assessable < assessable:
            continue
        try:
            one = plan(num_parameters, max_contributors, parameters.id, sharing, group_size)
            plans.append(one)
        except PlanError as error:
            why = error
    if not plans:
        assert why is not None  # there are assessable sets
        raise why
    return min(plans, key=lambda one: one.bytes_per_update)
