"""Making an inclusion receipt from a chain; comparing one with a chain, a model, an update."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

from ddcai.audit.report.inclusion import Inclusion, InclusionReceipt
from ddcai.chain.events import Event, events
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import Connection, request, request_many
from ddcai.chain.receipt_proof import prove_log
from ddcai.digests import RoundContext, update_digest
from ddcai.errors import ConfigurationError, VerificationError, WrongChain
from ddcai.models import state


def make_receipt(
    w3: Connection, contract: str, round_: int, contributor: str, from_block: int = 0
) -> InclusionReceipt:
    """A receipt for one contributor's update of a finalised round; it was checked.

    Args:
        contract: the federation's address.
        from_block: a block at or before the deployment.

    Raises:
        NotAFederation, ChainUnreachable: about the endpoint and the address.
        ConfigurationError: the contributor's update is part of no model of that round; why.
        ChainError: the chain's receipts cannot be proven.
    """
    if not is_address(contributor):
        raise ConfigurationError(f"{contributor!r} is not an address: give 0x and 40 hex digits")
    federation, account = Federation.connect(w3, contract), to_checksum_address(contributor)
    found = _Found(events(w3, federation.address, from_block), round_, account)
    chosen = found.four()
    submitted, finalised = chosen[1], chosen[3]
    receipt = InclusionReceipt(
        chain_id=federation.chain_id,
        contract=federation.address,
        round=round_,
        contributor=account,
        update_digest=submitted.args["updateDigest"],
        model_digest=finalised.args["modelDigest"],
        proofs={one.name: prove_log(w3, one.tx_hash, one.log_index) for one in chosen},
    )
    try:
        receipt.check()
    except VerificationError as error:
        raise ConfigurationError(str(error)) from error
    return receipt


class _Found:
    """The events that a receipt is made of."""

    def __init__(self, found: Iterable[Event], round_: int, account: str) -> None:
        self._events, self._round, self._account = list(found), round_, account

    def four(self) -> tuple[Event, Event, Event, Event]:
        """They, or the reason why one is not there."""
        number, account = self._round, self._account
        if self._of_round("RoundOpened") is None:
            raise ConfigurationError(f"round {number} was never opened: give another --round")
        joined = self._first("MemberRegistered", member=account)
        if joined is None:
            raise ConfigurationError(f"{account} never joined this federation: give a member's")
        submitted = self._of_round("UpdateSubmitted", contributor=account)
        if submitted is None:
            raise ConfigurationError(f"{account} submitted nothing in round {number}")
        if self._of_round("RoundCancelled") is not None:
            raise ConfigurationError(f"round {number} was cancelled: it led to no model")
        sealed, finalised = self._of_round("RoundSealed"), self._of_round("RoundFinalized")
        if sealed is None or finalised is None:
            raise ConfigurationError(f"round {number} is not finalised yet: it led to no model")
        return joined, submitted, sealed, finalised

    def _of_round(self, name: str, **arguments: object) -> Event | None:
        return self._first(name, round=self._round, **arguments)

    def _first(self, name: str, **arguments: object) -> Event | None:
        return next(
            (
                one
                for one in self._events
                if one.name == name and arguments.items() <= one.args.items()
            ),
            None,
        )


def check_blocks(w3: Connection, inclusion: Inclusion) -> int:
    """Whether a chain has the blocks that a receipt rests on, and the federation.

    Returns:
        How many blocks came after the newest of them.

    Raises:
        WrongChain: the endpoint is of another chain.
        NotAFederation: the contract is none.
        VerificationError: a block that the chain does not have.
    """
    chain_id = int(request(w3, "eth_chainId", []), 16)
    if chain_id != inclusion.chain_id:
        raise WrongChain(
            f"the receipt is of chain {inclusion.chain_id}, the endpoint of {chain_id}: give one "
            "of that chain (--rpc-url)"
        )
    asked = [("eth_getBlockByNumber", [hex(number), False]) for number, _ in inclusion.blocks]
    for (number, expected), block in zip(inclusion.blocks, request_many(w3, asked), strict=True):
        found = "no such block" if block is None else str(block["hash"])
        if found != "0x" + expected.hex():
            raise VerificationError(
                f"the receipt rests on block {number} with hash 0x{expected.hex()}; the chain has "
                f"{found}"
            )
    Federation.connect(w3, inclusion.contract)
    return int(request(w3, "eth_blockNumber", []), 16) - inclusion.blocks[-1][0]


def check_model(inclusion: Inclusion, path: Path) -> None:
    """Raises VerificationError unless a file holds the model that a receipt is of."""
    found, _ = state.load(path)
    _compare(str(path), "model", inclusion.model_digest, state.digest(found))


def check_update(inclusion: Inclusion, path: Path) -> None:
    """Raises VerificationError unless a file holds the encrypted update that a receipt is of.

    Its digest is bound to chain, contract, round and contributor.
    """
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    context = RoundContext(
        chain_id=inclusion.chain_id, contract=inclusion.contract, round=inclusion.round
    )
    found = update_digest(context, inclusion.contributor, blob)
    _compare(str(path), "update", inclusion.update_digest, found)


def _compare(path: str, what: str, proven: bytes, found: bytes) -> None:
    if proven != found:
        raise VerificationError(
            f"the receipt is of {what} 0x{proven.hex()}, and {path} has digest 0x{found.hex()}"
        )
