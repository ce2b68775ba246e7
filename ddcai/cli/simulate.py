"""``ddcai simulate``: what becomes of agents and a model, before anybody's money is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import FormatOption
from ddcai.cli.output import emit, say
from ddcai.cli.simulate_federation import federation
from ddcai.errors import ConfigurationError

group = typer.Typer(no_args_is_help=True, help="Simulate agents before anybody's money is in it.")

START_TIME = 1_700_000_000


@group.callback()
def _group() -> None:
    """Simulate agents before anybody's money is in it."""


group.command("federation")(federation)


@group.command("incentive")
def incentive(
    data: Annotated[
        str, typer.Option("--data", help="sms (sparse Perceptron) or heart (nearest centroids).")
    ] = "sms",
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            help="Who takes part, once for each: honest, flipper, random, farmer, copycat, "
            "sybil:N (N accounts), sniper. By default honest and flipper.",
        ),
    ] = None,
    days: Annotated[
        float, typer.Option("--days", min=0.04, max=365, help="Days of contributing.")
    ] = 7,
    seed: Annotated[int, typer.Option("--seed", min=0, help="To repeat a run.")] = 0,
    twins: Annotated[
        bool,
        typer.Option(
            "--twins", help="Integer twins alone, without contracts: the same, in seconds."
        ),
    ] = False,
    repeats_earn: Annotated[
        bool,
        typer.Option(
            "--repeats-earn",
            help="With --twins: points for repeating what the model says, as in the first system.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for hours.csv, agents.csv, plot.png and plot.html."),
    ] = None,
    format_: FormatOption = "table",
) -> None:
    """Let agents teach a model for deposits, in simulated time, against the real contracts.

    On an embedded chain with a clock of its own: classifier, trainer and self-assessment, each
    step also done by their integer twins and compared. Gas is counted apart from balances.
    """
    from ddcai.cli.progress import Progress
    from ddcai.incentives.ledger import SelfAssessmentLedger
    from ddcai.simulation import report
    from ddcai.simulation.agents import make_agents
    from ddcai.simulation.contract_world import ContractWorld, account
    from ddcai.simulation.incentive import default_rules, simulate, start_wallets_wei
    from ddcai.simulation.task import task
    from ddcai.simulation.world import FirstSystemLedger, World

    if repeats_earn and not twins:
        raise ConfigurationError(
            "--repeats-earn goes with --twins: no contract of ours has the first system's rule"
        )
    wanted = agent or ["honest", "flipper"]
    chosen = task(data, seed)
    agents = make_agents(wanted, chosen, seed)
    wallets = start_wallets_wei(agents)
    rules = default_rules(account(len(wallets)).address)
    with Progress(f"{days:g} days") as progress:
        if twins:
            ledger = FirstSystemLedger if repeats_earn else SelfAssessmentLedger
            addresses = [account(number).address for number in range(len(wallets))]
            world = World(chosen.model(), ledger(rules, START_TIME), addresses, wallets, START_TIME)
            outcome = simulate(world, agents, chosen, days=days, advance=progress.reach)
        else:
            with ContractWorld(chosen.model(), rules, wallets, START_TIME) as contracts:
                outcome = simulate(contracts, agents, chosen, days=days, advance=progress.reach)
    emit(outcome.summaries, format_, title=f"{chosen.name}, {days:g} days, seed {seed}")
    say(
        f"accuracy {outcome.accuracy_start:.3f} at the start, {outcome.accuracy_end:.3f} at the "
        f"end, {outcome.accuracy_least:.3f} at worst"
    )
    if not twins:
        say("contracts and twins agree on every price, payment, point, balance and weight")
        for kind, count in sorted(contracts.counts.items()):
            say(f"{kind}: {count} transactions, {contracts.gas[kind] // count} gas each")
    if out is not None:
        title = f"{chosen.name}: {', '.join(wanted)}, {days:g} days, seed {seed}"
        for path in report.write(outcome, out, title).values():
            say(f"written: {path}")
