"""A prediction market's contract: typed reads, and each step of its life by anyone who may.

Deadlines, money and the order of steps: ``IPredictionMarket``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_utils.address import to_checksum_address

from ddcai.chain import abi_errors
from ddcai.chain.block_header import block_header
from ddcai.chain.contributions import Contributed
from ddcai.chain.incentive import Incentive
from ddcai.chain.node.connection import RpcFailure, request
from ddcai.chain.transactions import Receipt
from ddcai.errors import ChainError
from ddcai.incentives.prediction_market import Rules

# EIP-7825 caps a transaction at 2^24 gas. `Sender` offers a fifth more than it estimates.
STEP_GAS = 13_000_000
FIRST_STEP_SAMPLES = 64
MAX_STEP_CONTRIBUTIONS = 64
# Comparing a word reads a cold slot of both models.
MATCH_WORDS = 1500


class Phase(IntEnum):
    """``IPredictionMarket.Phase``."""

    COMMITTED = 0
    DRAWN = 1
    OPEN = 2
    REVEALING = 3
    EVALUATING = 4
    FINISHED = 5
    FORFEITED = 6


@dataclass(frozen=True)
class Progress:
    """``IPredictionMarket.Progress``: how far revealing and evaluation are."""

    revealed: int
    samples: int
    errors: int
    evaluated: int
    trial_piece: int
    trial_offset: int
    trial_errors: int


class PredictionMarket(Incentive):
    """A contribution earns what it takes off the errors on a hidden test set."""

    kind = "prediction-market"
    contract_name = "PredictionMarket"

    def rules(self) -> Rules:
        """The rules that it was deployed with; they never change."""
        return Rules.from_abi(self._contract.call("rules"))

    def phase(self) -> Phase:
        """Where it stands, as of the latest block's time."""
        return Phase(self._contract.call("phase"))

    def progress(self) -> Progress:
        """How far revealing and evaluation are."""
        return Progress(*self._contract.call("progress"))

    def bounty_wei(self) -> int:
        """What the sponsor put in."""
        return int(self._contract.call("bountyWei"))

    def forfeited_share_wei(self) -> int:
        """Of a forfeited bounty: what each contribution gets beside its stake.

        An equal part of half of it, rounded down; 0 where nobody contributed.
        """
        count = self.last_id()
        return self.bounty_wei() // 2 // count if count else 0

    def replica_address(self) -> str:
        """The model that is evaluated."""
        return str(to_checksum_address(self._contract.call("replica")))

    def draw_block(self) -> int:
        """The block whose randomness draws."""
        return int(self._contract.call("drawBlock"))

    def drawn(self) -> int | None:
        """The drawn piece; None before the draw."""
        is_drawn, index = self._contract.call("drawn")
        return int(index) if is_drawn else None

    def matched_words(self) -> int:
        """Words of replica and model that are found to be the same."""
        return int(self._contract.call("matchedWords"))

    def piece_digests(self) -> list[bytes]:
        """What the sponsor committed to, by piece."""
        count = int(self._contract.call("pieceCount"))
        calls: list[tuple[str, Sequence[Any]]] = [("pieceDigest", [i]) for i in range(count)]
        return [bytes(one) for one in self._contract.call_many(calls)]

    def piece_data(self, index: int) -> bytes:
        """A revealed piece's bytes; empty before."""
        return bytes(self._contract.call("pieceData", index))

    def draw(self) -> Receipt:
        """Draws a piece by the header of the draw's block.

        Raises:
            ContractReverted: ``WrongPhase``, ``DrawTooEarly`` or ``DrawLapsed``.
            ChainError: the block is not there yet.
        """
        return self._send("draw", [block_header(self._contract.w3, self.draw_block())])

    def match_models(self, words: int) -> list[Receipt]:
        """Compares what is left of `words` words, in transactions that fit a block.

        Raises:
            ContractReverted: ``ModelsDiffer`` or ``WrongPhase``.
        """
        receipts = []
        for start in range(self.matched_words(), words, MATCH_WORDS):
            receipts.append(self._send("matchModels", [min(MATCH_WORDS, words - start)]))
        return receipts

    def reveal(self, index: int, salt: bytes, data: bytes) -> Receipt:
        """Shows a piece; the drawn one first, the others when contributions have ended.

        Raises:
            ContractReverted: ``WrongPhase``, ``WrongPiece``, ``NotMatched``, ``WrongPieceData``,
                ``WrongSample``, or what the model says to a sample.
        """
        return self._send("reveal", [index, salt, data])

    def collect(self) -> Receipt:
        """Ends a market that is finished or forfeited."""
        return self._send("collect", [])

    def evaluate(
        self,
        contributions: Sequence[Contributed],
        *,
        step_gas: int = STEP_GAS,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> list[Receipt]:
        """Evaluates all that is left, in transactions of at most `step_gas`.

        Reads where the market stands before each step: it goes on where another run, or another
        evaluator, stopped.

        Args:
            contributions: all of the trainer's, by id.
            report: called with the progress after each step.

        Raises:
            ContractReverted: ``WrongPhase``; ``NoClaim`` if a contribution is not as recorded.
            ChainError: a single sample costs more than `step_gas`.
        """
        receipts: list[Receipt] = []
        samples = FIRST_STEP_SAMPLES
        while self.phase() == Phase.EVALUATING:
            done = self.progress().evaluated
            batch = contributions[done : done + MAX_STEP_CONTRIBUTIONS]
            batch, samples, arguments = self._fit(batch, samples, step_gas)
            receipts.append(self._send("evaluate", arguments))
            report(self.progress())
            if receipts[-1].gas_used < step_gas // 2:
                samples *= 2
        return receipts

    def _fit(
        self, batch: Sequence[Contributed], samples: int, step_gas: int
    ) -> tuple[Sequence[Contributed], int, list[Any]]:
        """The largest halving of a step that is estimated within `step_gas`."""
        while True:
            arguments = [[one.to_abi() for one in batch], [one.features for one in batch], samples]
            call = {
                "to": self.address,
                "data": "0x" + self._contract.encode("evaluate", arguments).hex(),
            }
            if self.sender is not None:
                call["from"] = self.sender.address
            try:
                gas = int(request(self._contract.w3, "eth_estimateGas", [call]), 16)
            except RpcFailure as failure:
                decoded = abi_errors.decode(failure)
                if decoded is not None:
                    raise decoded from failure
                gas = step_gas + 1  # more than the node tries
            if gas <= step_gas:
                return batch, samples, arguments
            if samples == 1 and len(batch) == 1:
                raise ChainError(
                    f"a step of one sample costs {gas} gas, above {step_gas}: the model is too "
                    "large to be evaluated on this chain"
                )
            samples = max(1, samples // 2)
            batch = batch[: max(1, len(batch) // 2)]

    def _send(self, name: str, arguments: Sequence[Any]) -> Receipt:
        if self.sender is None:
            raise ChainError(f"no account to send {name} from: give --keystore")
        return self.sender.send(self.address, self._contract.encode(name, arguments))
