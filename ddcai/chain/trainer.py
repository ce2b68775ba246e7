"""A trainer's contract: anyone teaches its model, for a deposit.

Typed reads, and writes that raise what the contract says. Amounts are wei, times unix seconds,
features the bytes that ``IClassifier`` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeVar

from eth_utils.address import is_address, to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.contributions import Contributed, TrainerEvent, typed
from ddcai.chain.events import Event, events
from ddcai.chain.head import teaching
from ddcai.chain.incentive import Incentive, SelfAssessment
from ddcai.chain.kinds import kind_of
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError, ChainUnreachable, NotATrainer

CONTRACT = "CollaborativeTrainer"
# Any classifier's ABI has what all of them share.
CLASSIFIER = "SparsePerceptron"

_Event = TypeVar("_Event")


class Trainer:
    """One release of a model that anyone may teach.

    Attributes:
        address: its contract.
        model_address: the classifier that it owns.
        incentive: what contributions cost and bring.
        sender: who pays for writes; None for a facade that only reads.
        from_block: no event is older.
    """

    def __init__(
        self,
        w3: Web3,
        address: str,
        model_address: str,
        incentive: Incentive,
        sender: Sender | None = None,
        *,
        from_block: int = 0,
    ) -> None:
        """A facade on an address that is known to be a trainer; else use `connect`."""
        self.address: str = to_checksum_address(address)
        self.model_address: str = to_checksum_address(model_address)
        self.incentive = incentive
        self.sender = sender
        self.from_block = from_block
        self._w3 = w3
        self._contract = Contract(w3, self.address, artifact.load(CONTRACT))
        self._model = Contract(w3, self.model_address, artifact.load(CLASSIFIER))

    @classmethod
    def connect(
        cls,
        w3: Web3,
        address: str,
        sender: Sender | None = None,
        *,
        incentive_kind: str = SelfAssessment.kind,
        from_block: int = 0,
    ) -> Self:
        """A facade on an address that proves to be a trainer with an incentive of its own.

        Args:
            incentive_kind: of `ddcai.chain.kinds.KINDS`; the chain does not say it.

        Raises:
            NotATrainer: no contract there, or another one.
        """
        remedy = "give the address in the trainer's deployment file, and the endpoint of its chain"
        if not is_address(address):
            raise NotATrainer(f"{address!r} is not an address: give 0x and 40 hex digits")
        address = to_checksum_address(address)
        if request(w3, "eth_getCode", [address, "latest"]) in ("0x", None, ""):
            raise NotATrainer(f"no contract at {address}: {remedy}")
        contract = Contract(w3, address, artifact.load(CONTRACT))
        try:
            model, incentive_address = contract.call_many([("model", []), ("incentive", [])])
            incentive = kind_of(incentive_kind)(w3, incentive_address, sender)
            its_trainer = incentive.trainer_address()
        except ChainUnreachable:
            raise
        except ChainError as error:  # reverted, ran out of gas, answered something else
            raise NotATrainer(f"the contract at {address} is no trainer: {remedy} ({error})") from (
                error
            )
        if its_trainer != address:
            raise NotATrainer(
                f"the incentive {incentive.address} of the contract at {address} belongs to "
                f"{its_trainer}: {remedy}"
            )
        return cls(w3, address, model, incentive, sender, from_block=from_block)

    def __repr__(self) -> str:
        return f"Trainer({self.address})"

    # Reads.

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(request(self._w3, "eth_chainId", []), 16)

    def owner(self) -> str:
        """Who may close it, and gets the model then."""
        return str(to_checksum_address(self._contract.call("owner")))

    def model_owner(self) -> str:
        """Who can teach the model: this contract, from its deployment until it is closed.

        Of a federation's head without a teacher it is the founder, who may choose one.
        """
        head = teaching(self._w3, self.model_address)
        if head is not None:
            return head.teacher or head.founder
        return str(to_checksum_address(self._model.call("owner")))

    def block_time(self) -> int:
        """The time of the latest block, in unix seconds."""
        return int(request(self._w3, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)

    def held_wei(self) -> int:
        """All the money that its incentive holds."""
        return int(request(self._w3, "eth_getBalance", [self.incentive.address, "latest"]), 16)

    def model_features(self) -> int:
        """The model's number of features."""
        return int(self._model.call("featureLimit"))

    def model_words(self) -> int:
        """How many words of storage the model has."""
        return int(self._model.call("wordCount"))

    def model_release(self) -> int:
        """How many times the model was replaced as a whole; contributions name it."""
        return int(self._model.call("release"))

    def predict_many(self, samples: Sequence[bytes]) -> list[int]:
        """What the model says to each sample now.

        Raises:
            ContractReverted: the model does not take a sample.
        """
        calls: list[tuple[str, Sequence[Any]]] = [("predict", [sample]) for sample in samples]
        return [int(class_) for class_, _ in self._model.call_many(calls)]

    def history(self, to_block: int | None = None) -> list[TrainerEvent]:
        """All that happened with this trainer and its incentive, in order.

        Args:
            to_block: the last block that is read; None for the latest.
        """
        return self._between(self.from_block, to_block)

    def contributions(self, to_block: int | None = None) -> list[Contributed]:
        """All contributions, by id.

        Raises:
            ChainError: some are missing: the node does not show the whole chain.
        """
        found = [one for one in self.history(to_block) if isinstance(one, Contributed)]
        ids = [one.id for one in found]
        if ids != list(range(1, len(ids) + 1)):
            raise ChainError(
                f"the node shows {len(ids)} contributions of {self.address}, and not from 1 on "
                f"without gaps, from block {self.from_block}: use a node with the whole history"
            )
        return found

    def contributed_in(self, receipt: Receipt) -> list[Contributed]:
        """The contributions that a transaction made."""
        return self._in(receipt, Contributed)

    def events_in(self, receipt: Receipt) -> list[TrainerEvent]:
        """All that a transaction did with this trainer and its incentive."""
        block = receipt.block_number
        return [one for one in self._between(block, block) if one.tx_hash == receipt.tx_hash]

    def _in(self, receipt: Receipt, kind: type[_Event]) -> list[_Event]:
        return [one for one in self.events_in(receipt) if isinstance(one, kind)]

    def _between(self, first: int, last: int | None) -> list[TrainerEvent]:
        if last is None:
            last = int(request(self._w3, "eth_blockNumber", []), 16)
        found: list[Event] = []
        for address, name in (
            (self.address, CONTRACT),
            (self.incentive.address, self.incentive.contract_name),
        ):
            found += events(self._w3, address, first, last, contract_name=name)
        return typed(found)

    # Writes. Each raises ContractReverted with the contract's own error.

    def _send(self, name: str, arguments: Sequence[Any], value_wei: int = 0) -> Receipt:
        if self.sender is None:
            raise ChainError(f"no account to send {name} from: give --keystore")
        return self.sender.send(self.address, self._contract.encode(name, arguments), value_wei)

    def contribute(
        self,
        features: bytes,
        label: int,
        *,
        release: int,
        maximum_wei: int,
        deadline: int,
        value_wei: int,
    ) -> Receipt:
        """Teaches the model one sample. Warning: it is public from then on, for ever.

        Args:
            release: of the model that the features are for (`model_release`).
            maximum_wei: the most that the sender will pay.
            deadline: the last second at which this may happen, unix time.
            value_wei: sent along; what it is above the price stays on the sender's account with
                the incentive, and what is there pays where it is below.

        Raises:
            ContractReverted: ``DeadlinePassed``, ``WrongRelease``, ``PriceTooHigh``,
                ``DepositTooSmall``, ``ReleaseClosed``, or what the model says to the sample.
        """
        return self._send(
            "contribute", [features, label, release, maximum_wei, deadline], value_wei
        )

    def contribute_many(
        self,
        features: Sequence[bytes],
        labels: Sequence[int],
        *,
        release: int,
        maximum_wei: int,
        deadline: int,
        value_wei: int,
    ) -> Receipt:
        """The same for several samples, in order, all or none; `maximum_wei` is for all."""
        arguments = [list(features), list(labels), release, maximum_wei, deadline]
        return self._send("contributeMany", arguments, value_wei)

    def teach(
        self,
        features: Sequence[bytes],
        labels: Sequence[int],
        *,
        release: int,
        maximum_wei: int,
        deadline: int,
        value_wei: int,
    ) -> Receipt:
        """`contribute` for one sample, `contribute_many` for more."""
        name, arguments = _lesson(features, labels, release, maximum_wei, deadline)
        return self._send(name, arguments, value_wei)

    def estimate(
        self,
        features: Sequence[bytes],
        labels: Sequence[int],
        *,
        release: int,
        maximum_wei: int,
        deadline: int,
        value_wei: int,
    ) -> int:
        """Gas that `teach` would take now; sends nothing.

        Raises:
            ContractReverted, InsufficientBalance: as `teach` would.
        """
        if self.sender is None:
            raise ChainError("no account to estimate for: give --keystore")
        name, arguments = _lesson(features, labels, release, maximum_wei, deadline)
        return self.sender.estimate(self.address, self._contract.encode(name, arguments), value_wei)

    def refund(self, contribution: Contributed) -> Receipt:
        """Puts the sender's own deposit on its account, if the model agrees with the label now.

        Raises:
            ContractReverted: ``NoClaim``, ``NotAllowed``, ``TooEarly`` or ``WrongPrediction``.
        """
        return self._send("refund", [contribution.to_abi(), contribution.features])

    def report(self, contribution: Contributed) -> Receipt:
        """Puts what the sender may have of a deposit on its account, if the model disagrees now.

        Raises:
            ContractReverted: as `refund`, ``AlreadyReported`` or ``ReleaseClosed``.
        """
        return self._send("report", [contribution.to_abi(), contribution.features])

    def claim(
        self, refunds: Sequence[Contributed] = (), reports: Sequence[Contributed] = ()
    ) -> Receipt:
        """Several refunds and reports in one transaction, all or none."""
        calls = [
            self._contract.encode(name, [one.to_abi(), one.features])
            for name, some in (("refund", refunds), ("report", reports))
            for one in some
        ]
        return self._send("multicall", [calls])

    def close(self) -> Receipt:
        """Ends the trainer, for ever; owner only. Every open deposit is its contributor's."""
        return self._send("close", [])


def _lesson(
    features: Sequence[bytes], labels: Sequence[int], release: int, maximum_wei: int, deadline: int
) -> tuple[str, list[Any]]:
    if len(features) == len(labels) == 1:
        return "contribute", [features[0], labels[0], release, maximum_wei, deadline]
    return "contributeMany", [list(features), list(labels), release, maximum_wei, deadline]
