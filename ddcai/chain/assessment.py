"""The contract that judges updates: windows of rounds, verdicts, disputes, and their money.

It holds the deposits of finalised rounds and the bonds. Everybody pulls what is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.records import WindowRules, bitmap
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError

CONTRACT = "WindowAssessment"


class WindowState(IntEnum):
    """As in ``IAssessment.State``."""

    NONE = 0
    FILLING = 1
    FULL = 2
    LAPSED = 3
    JUDGED = 4
    DISPUTED = 5
    FALLEN = 6
    STANDING = 7


@dataclass(frozen=True, kw_only=True)
class WindowRecord:
    """One window as the contract has it.

    Attributes:
        number: from 1.
        state: where it stands by the time of the last block.
        rounds: the finalised rounds in it, ascending.
        last_at: when the last of them was finalised, unix seconds.
        judged_at: when the verdict came; 0 before.
        disputes: how many members disputed it.
        pot_wei: forfeited deposits and bounty.
        points: of all together.
        updates: deposits in it.
        poster: who posted the verdict.
        bond_released: whether its bond is on somebody's account already.
        scores_digest: 32 bytes, `ddcai.digests.window_digest`; zeros before a verdict.
    """

    number: int
    state: WindowState
    rounds: tuple[int, ...]
    last_at: int
    judged_at: int
    disputes: int
    pot_wei: int
    points: int
    updates: int
    poster: str
    bond_released: bool
    scores_digest: bytes


@dataclass(frozen=True)
class MemberVerdict:
    """What a verdict says of one member: whether its deposits come back, and its points."""

    agreed: bool
    points: int


class Assessment:
    """The facade of one ``WindowAssessment``.

    Attributes:
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._contract = Contract(w3, self.address, artifact.load(CONTRACT))

    def __repr__(self) -> str:
        return f"Assessment({self.address})"

    def rules(self) -> WindowRules:
        """The rules that it was made with; the deposit is the federation's."""
        return WindowRules.from_abi(self._contract.call("rules"))

    def window_count(self) -> int:
        """The number of the last window; 0 before the first round was finalised."""
        return int(self._contract.call("windowCount"))

    def window(self, number: int) -> WindowRecord:
        """One window."""
        raw, state, rounds = self._contract.call_many(
            [("getWindow", [number]), ("stateOf", [number]), ("roundsOf", [number])]
        )
        return WindowRecord(
            number=number,
            state=WindowState(state),
            rounds=tuple(int(one) for one in rounds),
            last_at=int(raw[1]),
            judged_at=int(raw[2]),
            disputes=int(raw[4]),
            pot_wei=int(raw[8]),
            points=int(raw[9]),
            updates=int(raw[10]),
            poster=str(to_checksum_address(raw[12])),
            bond_released=bool(raw[7]),
            scores_digest=bytes(raw[14]),
        )

    def updates_of(self, number: int, indices: Sequence[int]) -> dict[int, int]:
        """How many updates each of these members has in a window."""
        counts = self._contract.call_many([("updatesOf", [number, index]) for index in indices])
        return {index: int(count) for index, count in zip(indices, counts, strict=True)}

    def verdicts(self, number: int, indices: Sequence[int]) -> dict[int, MemberVerdict]:
        """What the verdict of a window says of these members."""
        found = self._contract.call_many([("verdictOn", [number, index]) for index in indices])
        return {
            index: MemberVerdict(bool(agreed), int(points))
            for index, (agreed, points) in zip(indices, found, strict=True)
        }

    def verdict_message(
        self,
        number: int,
        attempt: int,
        scores_digest: bytes,
        agreed: Sequence[int],
        points: Sequence[int],
    ) -> bytes:
        """The 32 bytes that a quorum signs; equals `ddcai.digests.verdict_message`."""
        return bytes(
            self._contract.call(
                "verdictMessage", number, attempt, scores_digest, list(agreed), list(points)
            )
        )

    def claimable(self, number: int, address: str) -> tuple[int, int]:
        """What `claim` would pay a member for a window now: (own deposits, share) in wei.

        Raises:
            ContractReverted: ``NotAMember``.
        """
        own, share = self._contract.call("claimable", number, to_checksum_address(address))
        return int(own), int(share)

    def claimable_by(self, number: int, addresses: Sequence[str]) -> list[tuple[int, int]]:
        """As `claimable`, of several members, in their order.

        Raises:
            ContractReverted: ``NotAMember``, of any of them.
        """
        calls = [("claimable", [number, to_checksum_address(one)]) for one in addresses]
        return [(int(own), int(share)) for own, share in self._contract.call_many(calls)]

    def owed_wei(self, address: str) -> int:
        """What `withdraw` would pay: bonds that came back or were won."""
        return int(self._contract.call("owedWei", to_checksum_address(address)))

    def pool_wei(self) -> int:
        """What is left of the bounty pool."""
        return int(self._contract.call("poolWei"))

    # Writes. Each raises ContractReverted with the contract's own error.

    def _send(self, name: str, *arguments: Any, value_wei: int = 0) -> Receipt:
        if self.sender is None:
            raise ChainError(f"no account to send {name} from: give --keystore")
        return self.sender.send(self.address, self._contract.encode(name, arguments), value_wei)

    def post_verdict(
        self,
        number: int,
        agreed: Sequence[int],
        points: Sequence[int],
        scores_digest: bytes,
        signer_indices: Sequence[int],
        signature: bytes,
    ) -> Receipt:
        """Posts a window's verdict, with the bond; anyone who has a quorum's signature.

        Args:
            agreed: indices of the members whose deposits come back, ascending.
            points: one for each.
            scores_digest: of what the verdict follows from.
            signer_indices: the members whose signatures are in `signature`.
            signature: the quorum's (`ddcai.quorum.Scheme.combine`).
        """
        signers = bitmap(signer_indices)
        words = (bitmap(agreed), list(points), scores_digest, signers, signature)
        return self._send("postVerdict", number, *words, value_wei=self.rules().bond_wei)

    def resolve(
        self,
        number: int,
        agreed: Sequence[int],
        points: Sequence[int],
        scores_digest: bytes,
        signer_indices: Sequence[int],
        signature: bytes,
    ) -> Receipt:
        """Replaces a disputed verdict; arguments as `post_verdict`, signed for attempt 1."""
        signers = bitmap(signer_indices)
        words = (bitmap(agreed), list(points), scores_digest, signers, signature)
        return self._send("resolve", number, *words)

    def dispute(self, number: int) -> Receipt:
        """Disputes a verdict, with the bond; a member with an update in the window."""
        return self._send("dispute", number, value_wei=self.rules().bond_wei)

    def close_dispute(self, number: int) -> Receipt:
        """Ends a dispute that nobody resolved in time; anyone."""
        return self._send("closeDispute", number)

    def claim(self, numbers: Sequence[int]) -> Receipt:
        """Takes all that is the sender's own of these windows now."""
        return self._send("claim", list(numbers))

    def release_bond(self, number: int) -> Receipt:
        """Puts the bond of a verdict that stands, undisputed, on its poster's account; anyone."""
        return self._send("releaseBond", number)

    def withdraw(self) -> Receipt:
        """Takes what bonds brought the sender."""
        return self._send("withdraw")

    def sweep(self, number: int) -> Receipt:
        """Takes what nobody took of a window in time; a pot without points goes to the pool."""
        return self._send("sweep", number)

    def fund(self, amount_wei: int) -> Receipt:
        """Adds to the bounty pool; anyone."""
        return self._send("fund", value_wei=amount_wei)

    def reclaim(self) -> Receipt:
        """Takes back what is left of the pool, after the last window; the sponsor."""
        return self._send("reclaim")
