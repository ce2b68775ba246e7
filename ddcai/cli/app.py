"""The tree of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from ddcai.cli import (
    account,
    audit,
    bounty,
    chain,
    claims,
    client,
    contribute,
    coordinator,
    data,
    demo_command,
    federation,
    head,
    keys,
    market,
    predict,
    simulate,
    trainer,
    window,
)
from ddcai.cli.output import say_error
from ddcai.errors import DdcaiError

REFUSED = 2


class ErrorsInOneLine(TyperGroup):
    """Turns errors that ddcai raises on purpose into one line on stderr and exit code 2.

    All others keep their traceback: they are faults of ours, and worth a report.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DdcaiError as error:
            say_error(str(error))
            raise typer.Exit(REFUSED) from error


app = typer.Typer(
    name="ddcai",
    cls=ErrorsInOneLine,
    help=(
        "Federated learning in which nobody sees an update, everybody can check the sum, and "
        "deposits come back. Unaudited software: use play money."
    ),
    no_args_is_help=True,
    add_completion=False,
    # Rich tracebacks show local variables, which may be secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(version("ddcai"))
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Options of the command as a whole."""


app.command("chain")(chain.chain)
app.add_typer(account.group, name="account")
app.add_typer(keys.group, name="keys")
app.add_typer(federation.group, name="federation")
app.command("coordinator")(coordinator.coordinator)
app.command("client")(client.client)
app.add_typer(audit.group, name="audit")
app.add_typer(window.group, name="window")
app.add_typer(head.group, name="head")
app.add_typer(trainer.group, name="trainer")
app.add_typer(market.group, name="market")
app.add_typer(bounty.group, name="bounty")
app.command("contribute")(contribute.contribute)
app.command("refund")(claims.refund)
app.command("report")(claims.report)
app.command("claims")(claims.claims)
app.add_typer(data.group, name="data")
app.command("predict")(predict.predict)
app.add_typer(simulate.group, name="simulate")
app.command("demo")(demo_command.demo)
