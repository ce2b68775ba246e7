"""How ``ddcai audit`` answers questions: from an index that it first brings up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from ddcai.cli.options import DEFAULT_RPC_URL, RpcUrlOption
from ddcai.cli.output import emit, emit_one, fields
from ddcai.cli.progress import Progress
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.audit.index.contracts import Beside
    from ddcai.audit.index.sync import Sync, Synced
    from ddcai.audit.ledger import Ledger
    from ddcai.chain.deploy import Deployment
    from ddcai.configuration import FederationConfig

AnswerFormat = Literal["table", "json", "csv", "parquet"]

ContractOption = Annotated[
    str | None,
    typer.Option("--contract", help="The federation's address; needs no deployment file."),
]
OptionalDeploymentOption = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        envvar="DDCAI_DEPLOYMENT",
        help="The federation's deployment file, in place of --contract.",
    ),
]
IndexOption = Annotated[
    Path,
    typer.Option("--index", envvar="DDCAI_INDEX", help="File that keeps events between questions."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Answer from the index as it is, and ask no chain.")
]
AnswerFormatOption = Annotated[
    AnswerFormat, typer.Option("--format", help="How to give the answer; parquet needs --out.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="File for csv or parquet, in place of stdout.")
]
TrainerOption = Annotated[
    list[str] | None,
    typer.Option("--trainer", help="A trainer whose contributions belong to it, too; repeatable."),
]
DEFAULT_INDEX = Path("ddcai-audit.sqlite")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options that every question has: of which federation, from where, and in which form."""

    contract: ContractOption = None
    deployment: OptionalDeploymentOption = None
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL
    index: IndexOption = DEFAULT_INDEX
    offline: OfflineOption = False
    format_: AnswerFormatOption = "table"
    out: OutOption = None

    def ledger(self) -> AbstractContextManager[Ledger]:
        """What answers: see `answering`."""
        return answering(self.contract, self.deployment, self.rpc_url, self.index, self.offline)


def question(function: Callable[..., None]) -> Callable[..., None]:
    """A command with the function's own parameters, and after them a parameter a field of `Asked`.

    The function takes an `Asked` first. typer makes a command's options of its signature, which
    therefore says them all.
    """
    shared = _parameters(Asked)
    _, *own = _parameters(function)

    @wraps(function)
    def command(**given: Any) -> None:
        asked = Asked(**{one.name: given.pop(one.name) for one in shared})
        function(asked, **given)

    every = [*own, *shared]
    command.__signature__ = Signature(every, return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in every}
    return command


def _parameters(of: Callable[..., Any]) -> list[Parameter]:
    """By name alone, with the types that their annotations stand for."""
    hints = get_type_hints(of, include_extras=True)
    return [
        one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[one.name])
        for one in signature(of).parameters.values()
    ]


@contextmanager
def answering(
    contract: str | None, deployment: Path | None, rpc_url: str, index: Path, offline: bool
) -> Iterator[Ledger]:
    """The ledger of a federation, up to date unless it is to be offline.

    Offline, no federation need be named where the index has only one.
    """
    from ddcai.audit.ledger import Ledger

    config, chain_id = None, None
    if contract is None and deployment is not None:
        contract, chain_id, config = _deployed(deployment)
    if not offline:
        chain_id = _sync(contract, deployment, rpc_url, index)
    with Ledger.open(index, contract, chain_id=chain_id, config=config) as ledger:
        yield ledger


def _deployed(path: Path) -> tuple[str, int, FederationConfig]:
    from ddcai.chain.deploy import Deployment
    from ddcai.configuration import FederationConfig

    found = Deployment.load(path)
    return found.federation, found.chain_id, FederationConfig.from_json(found.config)


def _sync(contract: str | None, deployment: Path | None, rpc_url: str, index: Path) -> int:
    """Brings the index up to date; the chain's id."""
    from ddcai.audit.index.database import Index
    from ddcai.audit.index.sync import Sync
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.node.connection import connect

    if contract is None and deployment is None:
        raise ConfigurationError("no federation is named: give --contract or --deployment")
    found = None if deployment is None else Deployment.load(deployment)
    named = found is not None and contract in (None, found.federation)
    w3 = connect(rpc_url, chain_id=found.chain_id if found is not None and named else None)
    address = contract if contract is not None else (found.federation if found else "")
    first = found.deployed_block if found is not None and named else 0
    with Index(index, writable=True) as writer:
        job = Sync(writer, w3, address, from_block=first, beside=beside(found if named else None))
        return run_shown(job).chain_id


def beside(deployment: Deployment | None, trainers: Sequence[str] = ()) -> Beside:
    """What a deployment file says of contracts that no contract names."""
    from ddcai.audit.index.contracts import Beside

    return Beside(
        trainers=tuple(trainers),
        node_registry=None if deployment is None else deployment.node_registry,
        update_batches=None if deployment is None else deployment.update_batches,
    )


def run_shown(job: Sync) -> Synced:
    """Brings an index up to date; tells on stderr how many of the blocks that it lacked are in."""
    first = job.next_block
    with Progress("reading the chain", None, "blocks") as shown:

        def tell(one: Synced) -> None:
            # Blocks that a reorganisation removed may bring it before where it began.
            here = first if one.synced_block is None else one.synced_block + 1
            shown.reach(max(0, here - first), max(0, one.last_block + 1 - first))

        return job.run(tell)


def give(
    asked: Asked,
    rows: Sequence[Any],
    row_type: type | None = None,
    *,
    title: str = "",
    empty: str = "nothing",
) -> None:
    """Prints or writes rows, all with the same fields.

    Raises:
        ConfigurationError: the format and --out do not fit together, or the file cannot be written.
    """
    from ddcai.audit.ledger.files import csv_text

    format_, out = asked.format_, asked.out
    if format_ in ("table", "json"):
        if out is not None:
            raise ConfigurationError(f"--out is for csv and parquet, not {format_}")
        emit(rows, format_, title=title, empty=empty)
    elif format_ == "parquet":
        from ddcai.audit.ledger.parquet import write_parquet

        if out is None:
            raise ConfigurationError("parquet is no text: give --out FILE")
        write_parquet(out, rows, row_type)
    elif out is None:
        typer.echo(csv_text(rows, row_type), nl=False)
    else:
        try:
            out.write_text(csv_text(rows, row_type), encoding="utf-8", newline="")
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error}") from error


def give_nested(asked: Asked, report: Any, parts: Sequence[str], *, title: str) -> None:
    """A report that has rows of its own: one JSON object, or a table of it and one a part.

    As csv and parquet, the rows of the first part.
    """
    format_, out = asked.format_, asked.out
    if format_ == "json" and out is None:
        emit_one(report, format_)
        return
    values = fields(report)
    nested = {part: values.pop(part) for part in parts}
    if format_ in ("csv", "parquet"):
        give(asked, nested[parts[0]])
        return
    if out is not None:
        raise ConfigurationError(f"--out is for csv and parquet, not {format_}")
    emit_one(values, "table")
    for part, rows in nested.items():
        emit(rows, "table", title=title if part == parts[0] else part, empty=f"no {part}")


def as_mappings(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows of SQL by name; a name that comes twice is numbered."""
    names: list[str] = []
    for column in columns:
        number, name = 1, column
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return [dict(zip(names, row, strict=True)) for row in rows]
