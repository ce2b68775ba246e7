"""What a federation's size costs and whether its sums can be exact, before round 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet, parameter_set
from ddcai.encryption.wire import HEADER_BYTES
from ddcai.errors import PlanError
from ddcai.quantise import COUNT_DIGITS

# A Gaussian is beyond 10 sigma once in 2**75 draws, and there is one draw a coefficient: sums
# stay exact for the life of a federation.
LEAST_MARGIN_SIGMA = 10.0
# One update is one message and one blob, and a reader holds the sum in memory.
MOST_UPDATE_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a federation's size comes to.

    Attributes:
        parameters: the parameter set.
        num_parameters: the model's parameters.
        max_contributors: most updates in a sum.
        num_values: what is encrypted: the parameters and the count's digits.
        ciphertexts: per update.
        bytes_per_update: of the blob that a contributor sends; a sum has as many.
        bytes_per_parameter: of it (float32 has 4).
        value_limit: largest magnitude of a contributor's integer.
        effective_bits: log2 of the number of values that a coordinate can take.
        noise_margin_sigma: distance from a wrong decryption at max_contributors, in standard
            deviations of the noise of honest ciphertexts.
    """

    parameters: ParameterSet
    num_parameters: int
    max_contributors: int
    num_values: int
    ciphertexts: int
    bytes_per_update: int
    bytes_per_parameter: float
    value_limit: int
    effective_bits: float
    noise_margin_sigma: float


def plan(num_parameters: int, max_contributors: int, parameter_set_id: str) -> Plan:
    """Plans a federation.

    Args:
        num_parameters: of the model, without the count's digits.
        max_contributors: ``encryption.max_contributors``.
        parameter_set_id: ``encryption.parameter_set``.

    Raises:
        PlanError: naming the setting to change, if a sum could not be exact, or an update
            would be too large.
    """
    parameters = parameter_set(parameter_set_id)
    if num_parameters < 1:
        raise PlanError(f"the model has {num_parameters} parameters: it needs at least one")
    limit = parameters.value_limit(max_contributors)
    margin = parameters.noise_margin_sigma(max_contributors)
    if margin < LEAST_MARGIN_SIGMA:
        raise PlanError(
            f"encryption.max_contributors is {max_contributors}: the noise of so many leaves "
            f"{margin:.1f} sigma in {parameters.id}; {LEAST_MARGIN_SIGMA} are needed"
        )
    num_values = num_parameters + COUNT_DIGITS
    ciphertexts = parameters.ciphertexts(num_values)
    size = HEADER_BYTES + ciphertexts * parameters.bytes_per_ciphertext
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
    )


def choose(max_contributors: int, *, assessable: bool = False) -> ParameterSet:
    """The parameter set with the fewest bytes a parameter that adds so many.

    Args:
        assessable: whether scalars of single updates are to be opened.

    Raises:
        PlanError: if none does.
    """
    able = [
        p
        for p in PARAMETER_SETS.values()
        if 1 <= max_contributors <= p.max_contributors and p.assessable >= assessable
    ]
    if not able:
        most = max(p.max_contributors for p in PARAMETER_SETS.values())
        raise PlanError(
            f"encryption.max_contributors is {max_contributors}: from 1 to {most} are possible"
        )
    return min(able, key=lambda p: p.bytes_per_ciphertext / p.values_per_ciphertext)
