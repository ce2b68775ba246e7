"""What an audit hands to somebody else: signed reports and inclusion receipts, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from ddcai.cli.answers import (
    DEFAULT_INDEX,
    ContractOption,
    IndexOption,
    OfflineOption,
    OptionalDeploymentOption,
    answering,
)
from ddcai.cli.audit import CLAIM_FAILED, place
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    FormatOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, emit_one, fields, say, say_error
from ddcai.errors import ConfigurationError, VerificationError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from ddcai.audit.claims import Claim
    from ddcai.audit.history import History
    from ddcai.audit.report.checking import Difference
    from ddcai.audit.report.signed import Block, Report
    from ddcai.chain.node.connection import Connection

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Also write the report as a page to read and to print."),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--rpc-url",
        envvar="ETH_RPC_URL",
        help="JSON-RPC endpoint to ask about the chain; without one nothing is asked.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """Where `audit verify` writes its report, and the account that signs it."""

    json: Path | None
    html: Path | None
    account: LocalAccount

    @classmethod
    def of(
        cls,
        json: Path | None,
        html: Path | None,
        keystore: Path | None,
        account: str | None,
        password_file: Path | None,
    ) -> Self | None:
        """From options; None where no report is asked for.

        Raises:
            ConfigurationError, KeyfileError: no account that could sign it.
        """
        from ddcai.cli.parties import keystore_file, open_account, password

        if json is None and html is None:
            return None
        for path in (json, html):
            if path is not None and not path.parent.is_dir():
                raise ConfigurationError(f"there is no folder {path.parent} for {path.name}")
        opened = open_account(keystore_file(keystore, account), password(password_file), account)
        return cls(json=json, html=html, account=opened)

    def write(self, history: History, block: Block, claims: Iterable[Claim]) -> None:
        """Signs the report and writes the files."""
        from ddcai.audit.report import strict
        from ddcai.audit.report.page import as_html
        from ddcai.audit.report.signed import sign_report

        signed = sign_report(
            self.account,
            claims,
            chain_id=history.chain_id,
            contract=history.contract,
            block=block,
        )
        if self.json is not None:
            signed.save(self.json)
        if self.html is not None:
            strict.write(self.html, as_html(signed).encode())
        for path in filter(None, (self.json, self.html)):
            say(f"wrote {path}, signed by {signed.auditor}")


def check_report(
    file: Annotated[Path, typer.Argument(help="A file of `audit verify --report`.")],
    auditor: Annotated[
        str | None, typer.Option("--auditor", help="The account that must have signed it.")
    ] = None,
    contract: Annotated[
        str | None, typer.Option("--contract", help="The federation that it must be of.")
    ] = None,
    rpc_url: EndpointOption = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Verify again, and compare claim by claim."),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    html: HtmlOption = None,
    format_: FormatOption = "table",
) -> None:
    """Check a signed report; exit code 1 if it does not hold.

    Without an endpoint: its form and its signature. With one, also that its block is the
    chain's. A report that holds may still tell of claims that failed: it prints how many.
    Anybody can sign a report: compare the auditor with the one that you know, or give
    --auditor.
    """
    from eth_utils.address import is_same_address

    from ddcai.audit.report import strict
    from ddcai.audit.report.checking import check_block
    from ddcai.audit.report.page import as_html
    from ddcai.audit.report.signed import Report
    from ddcai.chain.node.connection import connect

    if again and rpc_url is None:
        raise ConfigurationError("--again asks the chain: give --rpc-url")
    report = Report.load(file)
    try:
        for name, wanted, told in (
            ("auditor", auditor, report.auditor),
            ("contract", contract, report.contract),
        ):
            if wanted is not None and not is_same_address(wanted, told):
                raise VerificationError(f"its {name} is {told}, not {wanted}")
        report.check()
        w3 = None if rpc_url is None else connect(rpc_url)
        if w3 is not None:
            check_block(w3, report)
    except VerificationError as error:
        say_error(f"{file} does not hold: {error}")
        raise typer.Exit(CLAIM_FAILED) from error
    values = {
        name: getattr(report, name)
        for name in ("chain_id", "contract", "round", "time", "auditor", "software", "counts")
    }
    values |= {"block": report.block.number, "block_hash": report.block.hash}
    odd = _verified_again(w3, report, store) if again and w3 is not None else []
    if format_ == "json":
        emit_one({**values, "differences": odd}, format_)
    else:
        emit_one(values, format_)
        if odd:
            emit(odd, format_, title="came out otherwise")
    if html is not None:
        strict.write(html, as_html(report).encode())
    found = "the chain has its block"
    said = [
        "the auditor signed it",
        "its block is not checked: give --rpc-url" if w3 is None else found,
    ]
    if again:
        said.append(f"{len(odd)} of {len(report.claims)} claims came out otherwise")
    say("; ".join(said))
    if odd:
        raise typer.Exit(CLAIM_FAILED)


def _verified_again(w3: Connection, report: Report, store: str) -> list[Difference]:
    from ddcai.audit.indexed import stored_history
    from ddcai.audit.report.checking import differences, had_events
    from ddcai.audit.verify import verify
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    with stored_history(w3, report.contract) as (history, _):
        moved_on = had_events(w3, history, report.block.number)
        if moved_on:
            say(
                f"the federation went on since block {report.block.number}: claims are compared by "
                "how they turned out, and new ones left out"
            )
        again = verify(history, Store(store_url(store)))
        return differences(report.claims, again, moved_on=moved_on)


def receipt(
    number: Annotated[int, typer.Option("--round", min=1, help="A finalised round.")],
    contributor: Annotated[str, typer.Option("--contributor", help="Whose update; an address.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, JSON.")],
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
) -> None:
    """Prove to an outsider that one contributor's update is part of a round's model.

    Merkle proofs from the hashes of blocks to four events; `check-receipt` checks them without
    a node. Nothing in the file is secret.
    """
    from ddcai.audit.report.proving import make_receipt

    w3, address, from_block = place(contract, deployment, rpc_url)
    made = make_receipt(w3, address, number, contributor, from_block)
    made.save(out)
    say(f"wrote {out}: {made.contributor}'s update is part of round {number}'s model")


def check_receipt(
    file: Annotated[Path, typer.Argument(help="A file of `audit receipt`.")],
    contract: Annotated[
        str | None, typer.Option("--contract", help="The federation that it must be of.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="The model that it must be of, a safetensors file."),
    ] = None,
    update: Annotated[
        Path | None,
        typer.Option("--update", help="The encrypted update that it must be of, a stored blob."),
    ] = None,
    rpc_url: EndpointOption = None,
    format_: FormatOption = "table",
) -> None:
    """Check an inclusion receipt; exit code 1 if it does not hold.

    Without an endpoint it holds if the blocks that it names are of the chain, which you may
    compare with any explorer; with one, the endpoint is asked. Compare the contract's address
    with the federation's that you mean, or give --contract.
    """
    from eth_utils.address import is_same_address

    from ddcai.audit.report.inclusion import InclusionReceipt
    from ddcai.audit.report.proving import check_blocks, check_model, check_update
    from ddcai.chain.node.connection import connect

    read = InclusionReceipt.load(file)
    try:
        if contract is not None and not is_same_address(contract, read.contract):
            raise VerificationError(f"the receipt is of contract {read.contract}, not {contract}")
        shown = read.check()
        if model is not None:
            check_model(shown, model)
        if update is not None:
            check_update(shown, update)
        depth = None if rpc_url is None else check_blocks(connect(rpc_url), shown)
    except VerificationError as error:
        say_error(f"{file} does not hold: {error}")
        raise typer.Exit(CLAIM_FAILED) from error
    values = fields(shown)
    blocks = values.pop("blocks")
    values["blocks"] = {str(number): hash_ for number, hash_ in blocks}
    emit_one(values, format_)
    if depth is None:
        say(
            f"true if chain {shown.chain_id} has these {len(blocks)} blocks: compare their hashes, "
            "or give --rpc-url"
        )
    else:
        say(f"chain {shown.chain_id} has these {len(blocks)} blocks; {depth} came after the newest")


def export(
    ro_crate: Annotated[
        Path, typer.Option("--ro-crate", help="A new folder, or a file that ends with .zip.")
    ],
    licence: Annotated[
        str, typer.Option("--licence", help="Of what is in it: SPDX identifier, or a URL.")
    ],
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="'Name' or 'Name <https://orcid.org/...>'; repeatable."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Of the crate.")] = "",
    description: Annotated[str, typer.Option("--description", help="Of the crate.")] = "",
    report: Annotated[
        Path | None, typer.Option("--report", help="A signed report, to go with it.")
    ] = None,
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    index: IndexOption = DEFAULT_INDEX,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Export a federation as an RO-Crate 1.2, for research archives.

    Models (safetensors), configuration, events (CSV and Parquet), and who made which model out
    of which, when. Models that the store lacks are left out, and the crate says so.
    """
    from ddcai.audit.report import crate
    from ddcai.audit.report.crate_graph import Author, Described
    from ddcai.audit.report.signed import Report
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    described = Described(
        name=name,
        description=description,
        licence=licence,
        authors=tuple(Author.parse(one) for one in author or []),
    )
    signed = None if report is None else Report.load(report)
    blobs = Store(store_url(store))
    with answering(contract, deployment, rpc_url, index, offline) as ledger:
        archive = ledger.archive()
    exported = crate.export(archive, blobs, ro_crate, described, signed)
    if exported.absent:
        absent = ", ".join(map(str, exported.absent))
        say(f"the store lacks models, which were left out: of rounds {absent} (0 is the initial)")
    say(f"wrote {len(exported.files)} files to {ro_crate}, up to block {archive.synced_block}")
