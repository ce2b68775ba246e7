"""``ddcai federation plan``: what each parameter set would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit, say


def plan_sets(
    config: Annotated[
        Path, typer.Option("--config", help="The federation's configuration, federation.toml.")
    ],
    holders: Annotated[int, typer.Option("--holders", help="How many key holders there are.")] = 3,
    threshold: Annotated[
        int, typer.Option("--threshold", help="How many of them open together.")
    ] = 2,
    format_: FormatOption = "table",
) -> None:
    """Compare the parameter sets for a configuration; sends and writes nothing.

    An update's size, the values that a coordinate can take, and how many rounds one key opens.
    Names the set with the smallest update. The compact scheme's are newer and less examined
    than BFV. Where updates are judged, only the sets that open scalars of them are compared.
    """
    from ddcai.configuration import FederationConfig
    from ddcai.encryption.planner import choose, plan
    from ddcai.encryption.threshold.sharing import Sharing
    from ddcai.encryption.updates import set_names
    from ddcai.errors import PlanError
    from ddcai.models import encoder, state
    from ddcai.models.trained import largest_round, trained_part

    document = FederationConfig.from_toml(config)
    sharing = Sharing(holders, threshold)
    largest = trained_part(document, encoder.initial_state(document), largest_round(document))
    size, most = state.count(largest), document.encryption.max_contributors
    group = document.encryption.group_size
    judged = document.assessment is not None
    rows = []
    for name in set_names():
        try:
            one = plan(size, most, name, sharing, group)
        except PlanError as error:
            say(f"{name}: {error}")
            continue
        if judged and not one.parameters.assessable:
            say(f"{name}: opens no scalars of single updates, which [assessment] asks for")
            continue
        rows.append(
            {
                "parameter_set": name,
                "bytes_per_update": one.bytes_per_update,
                "bytes_per_parameter": one.bytes_per_parameter,
                "effective_bits": one.effective_bits,
                "rounds_per_key": None if one.threshold is None else one.threshold.most_rounds,
            }
        )
    emit(rows, format_, title="parameter sets")
    chosen = choose(size, most, sharing, assessable=judged, group_size=group).parameters.id
    say(f"smallest update: {chosen}; {config} has {document.encryption.parameter_set}")
