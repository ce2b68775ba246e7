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
    audit_groups,
    audit_report,
    audit_sync,
    bounty,
    chain,
    claims,
    client,
    config,
    config_file,
    contribute,
    coordinator,
    dashboard,
    data,
    demo_command,
    doctor,
    federation,
    head,
    join,
    keys,
    market,
    predict,
    simulate,
    trainer,
    watch,
    window,
)
from ddcai.cli.output import say_error
from ddcai.cli.variables import name_variables
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


class Commands(ErrorsInOneLine):
    """The tree: every option has its variable, and two commands can be set by a file."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for name in config_file.SECTIONS:
            config_file.add_option(self.commands[name])
        name_variables(self)


app = typer.Typer(
    name="ddcai",
    cls=Commands,
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
app.add_typer(config.group, name="config")
app.command("coordinator")(coordinator.coordinator)
app.command("client")(client.client)
app.command("doctor")(doctor.doctor)
app.command("join")(join.join)
audit.group.command("check-report")(audit_report.check_report)
audit.group.command("receipt")(audit_report.receipt)
audit.group.command("check-receipt")(audit_report.check_receipt)
audit.group.command("groups")(audit_groups.groups)
audit.group.command("group-receipt")(audit_groups.group_receipt)
audit.group.command("check-group-receipt")(audit_groups.check_group_receipt)
audit.group.command("sync")(audit_sync.sync)
audit.group.command("export")(audit_report.export)
app.add_typer(audit.group, name="audit")
app.command("watch")(watch.watch)
app.command("dashboard")(dashboard.dashboard)
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
