"""A federation's contract: typed reads, and writes that raise what the contract says.

No caller needs web3: addresses are checksum strings, digests 32 bytes, amounts wei, indices
and times plain integers. What can never change is asked for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from eth_utils.address import is_address, to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.assessment import Assessment
from ddcai.chain.block_header import block_header
from ddcai.chain.contract import Contract
from ddcai.chain.events import events
from ddcai.chain.key_holders import KeyEpoch, KeyHolders, find_key_holders
from ddcai.chain.node.connection import mines_on_request, request
from ddcai.chain.quorum import Quorum
from ddcai.chain.records import (
    INVITED_AT_ONCE,
    Commitment,
    Member,
    RoundRecord,
    RoundState,
    Rules,
    Submission,
    UpdateState,
    bitmap,
    bitmap_indices,
)
from ddcai.chain.submissions import read_submissions
from ddcai.chain.transactions import Receipt, Sender, ether
from ddcai.errors import (
    ChainError,
    ChainUnreachable,
    ConfigurationError,
    InsufficientBalance,
    NotAFederation,
)

ZERO_DIGEST = bytes(32)
# submitUpdate, refund and take: 75k, 60k and 60k gas.
GAS_PER_ROUND = 200_000
# type(IFederation).interfaceId; a test recomputes it from the interface's functions.
INTERFACE_ID = bytes.fromhex("3dc82459")


class Federation:
    """One federation.

    Attributes:
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(
        self, w3: Web3, address: str, sender: Sender | None = None, *, from_block: int = 0
    ) -> None:
        """A facade on an address that is known to be a federation; else use `connect`.

        Args:
            from_block: the block that deployed it, if known: events are looked for from there.
        """
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self.from_block = from_block
        self._w3 = w3
        self._contract = Contract(w3, self.address, artifact.load("Federation"))
        self._fixed: dict[str, Any] = {}
        self._addresses: list[str] = []
        self._keys: dict[int, bytes] = {}
        self._settled: dict[int, RoundRecord] = {}
        self._opened: dict[int, int] = {}

    @classmethod
    def connect(
        cls, w3: Web3, address: str, sender: Sender | None = None, *, from_block: int = 0
    ) -> Self:
        """A facade on an address that proves to be a federation (ERC-165).

        Raises:
            NotAFederation: no contract there, or another one.
        """
        if not is_address(address):
            raise NotAFederation(f"{address!r} is not an address: give 0x and 40 hex digits")
        federation = cls(w3, address, sender, from_block=from_block)
        remedy = "give the address in the federation's deployment file"
        if request(w3, "eth_getCode", [federation.address, "latest"]) in ("0x", None, ""):
            raise NotAFederation(
                f"no contract at {federation.address} on chain {federation.chain_id}: {remedy}, "
                "and the endpoint of its chain"
            )
        said = ""
        try:
            supported = federation._contract.call("supportsInterface", INTERFACE_ID)
        except ChainUnreachable:
            raise
        except ChainError as error:  # reverted, ran out of gas, answered something else
            supported, said = False, f" ({error})"
        if supported is not True:
            raise NotAFederation(
                f"the contract at {federation.address} is not a ddcai federation: {remedy}{said}"
            )
        return federation

    def __repr__(self) -> str:
        return f"Federation({self.address})"

    # What never changes.

    def _once(self, name: str) -> Any:
        if name not in self._fixed:
            self._fixed[name] = self._contract.call(name)
        return self._fixed[name]

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        if "chain_id" not in self._fixed:
            self._fixed["chain_id"] = int(request(self._w3, "eth_chainId", []), 16)
        return int(self._fixed["chain_id"])

    def rules(self) -> Rules:
        """The rules that the contract was made with."""
        return Rules.from_abi(self._once("rules"))

    def sponsor(self) -> str:
        """Who deployed it and invites members."""
        return str(to_checksum_address(self._once("sponsor")))

    def quorum_address(self) -> str:
        """The contract that holds the members' keys."""
        return str(to_checksum_address(self._once("quorum")))

    def quorum(self) -> Quorum:
        """That contract; packs from this federation's sender."""
        return Quorum(self._w3, self.quorum_address(), self.sender)

    def quorum_scheme(self) -> str:
        """How its members attest: ``bls`` or ``ecdsa``."""
        if "scheme" not in self._fixed:
            self._fixed["scheme"] = self.quorum().scheme()
        return str(self._fixed["scheme"])

    def assessment(self) -> Assessment:
        """The contract that judges updates; sends from this federation's sender.

        Raises:
            ConfigurationError: updates of this federation are not judged.
        """
        rules = self.rules()
        if not rules.assessed:
            raise ConfigurationError(f"the updates of federation {self.address} are not judged")
        return Assessment(self._w3, rules.assessment, self.sender)

    def key_holders(self) -> KeyHolders | None:
        """T of N accounts that stand as the key holder, as their contract has them; None where
        the key holder is an account, or a contract of another kind."""
        if "key_holders" not in self._fixed:
            found = find_key_holders(self._w3, self.rules().key_holder, self.sender)
            if found is None:  # there may be code tomorrow
                return None
            self._fixed["key_holders"] = found
        holders: KeyHolders = self._fixed["key_holders"]
        return holders

    def key_holder_of(self, number: int) -> str | KeyEpoch:
        """Who signs what is opened of a round: the key holder's account, or the epoch of its
        holders that was registered last when the round was opened.

        Raises:
            ChainError: the round was never opened.
        """
        holders = self.key_holders()
        if holders is None:
            return self.rules().key_holder
        return holders.epoch_at(self.opened_block(number))

    def head_address(self) -> str:
        """The contract that holds the model's last layer."""
        return str(to_checksum_address(self._once("head")))

    # Members.

    def members(self) -> tuple[Member, ...]:
        """All members there ever were, by index; those that left are not active."""
        addresses = self._member_addresses()
        standing = self._contract.call_many([("memberOf", [address]) for address in addresses])
        return tuple(
            Member(address=address, index=index, active=active)
            for address, (active, index) in zip(addresses, standing, strict=True)
        )

    def _member_addresses(self, count: int | None = None) -> list[str]:
        """Addresses by index. They are only ever added, so only new ones are asked for."""
        if count is None:
            count = int(self._contract.call("memberCount"))
        known = len(self._addresses)
        if count > known:
            calls: list[tuple[str, list[Any]]] = [("memberAt", [i]) for i in range(known, count)]
            found = [str(to_checksum_address(one)) for one in self._contract.call_many(calls)]
            # Another thread may have added them meanwhile; the values are the same.
            self._addresses[known:count] = found
        return self._addresses[:count]

    def member(self, address: str) -> Member | None:
        """The member with this account; None for an account that never joined."""
        address = to_checksum_address(address)
        active, index = self._contract.call("memberOf", address)
        if not active:  # the contract says index 0 for strangers, too; who left keeps its place
            count = int(self._contract.call("memberCount"))
            if address not in self._member_addresses(min(index + 1, count))[index:]:
                return None
        return Member(address=address, index=index, active=active)

    def is_invited(self, address: str) -> bool:
        """Whether the sponsor invited this account."""
        return bool(self._contract.call("invited", to_checksum_address(address)))

    def pubkey(self, index: int) -> bytes:
        """The attestation key of a member, as `Quorum.key` says.

        Raises:
            ContractReverted: there is no member of this index.
        """
        if index not in self._keys:
            self._keys[index] = self.quorum().key(index)
        return self._keys[index]

    # Rounds.

    def model_digest(self) -> bytes:
        """The current model's digest."""
        return bytes(self._contract.call("modelDigest"))

    def last_round(self) -> int:
        """The number of the last round opened; 0 before the first."""
        return int(self._contract.call("lastRound"))

    def round(self, number: int) -> RoundRecord:
        """A round with its lists.

        Two round trips where the node takes batches; none for a settled round seen before.
        """
        if number in self._settled:
            return self._settled[number]
        raw, sealed_words, count, commitment, committed_words = self._contract.call_many(
            [
                ("getRound", [number]),
                ("sealedMembers", [number]),
                ("memberCount", []),
                ("commitmentOf", [number]),
                ("committedMembers", [number]),
            ]
        )
        state, submit_deadline, finalize_deadline, submitted, _, base, sum_digest = raw
        submissions: tuple[Submission, ...] = ()
        if submitted:
            submissions = read_submissions(self._w3, self.address, number, int(count))
        sealed = frozenset(bitmap_indices(sealed_words))
        committed = frozenset(bitmap_indices(committed_words))
        record = RoundRecord(
            number=number,
            state=RoundState(state),
            base_model_digest=base,
            sum_digest=sum_digest,
            submit_deadline=submit_deadline,
            finalize_deadline=finalize_deadline,
            submissions=submissions,
            sealed=tuple(one for one in submissions if one.index in sealed),
            commitment=Commitment(
                draw_block=commitment[0],
                list_digest=commitment[2],
                randomness=commitment[3],
                scores_digest=commitment[4],
                committed=tuple(one for one in submissions if one.index in committed),
            )
            if committed
            else None,
        )
        if len(record.sealed) != len(sealed):
            raise ChainError(
                f"round {number}: the node names {len(sealed)} sealed members but shows updates "
                f"of {len(record.sealed)}: it is behind, or not to be trusted; use another"
            )
        if record.settled:
            self._settled[number] = record
        return record

    def opened_block(self, number: int) -> int:
        """The block that opened a round.

        Raises:
            ChainError: no event shows that it was opened.
        """
        if number not in self._opened:
            found = self._contract.block_of("RoundOpened", self.from_block, f"0x{number:064x}")
            self._opened[number] = found
        return self._opened[number]

    def update_digest(self, number: int, address: str) -> bytes | None:
        """The digest that this account committed in a round; None if it did not."""
        member = self.member(address)
        if member is None:
            return None
        digest = bytes(self._contract.call("updateDigest", number, member.index))
        return None if digest == ZERO_DIGEST else digest

    def submission_order(self, number: int) -> list[str]:
        """The accounts that committed an update in a round, first come first.

        From the events, as the contract's storage does not hold the order.
        """
        found = events(self._w3, self.address, self.from_block)
        return [
            event.args["contributor"]
            for event in found
            if event.name == "UpdateSubmitted" and event.args["round"] == number
        ]

    def update_state(self, number: int, index: int) -> UpdateState:
        """Where the update of a member stands."""
        return UpdateState(self._contract.call("updateState", number, index))

    def claimable(self, number: int, address: str) -> tuple[int, int]:
        """What `refund` and `take` would pay this account for a round now, in wei."""
        refund, take = self._contract.call("claimable", number, to_checksum_address(address))
        return int(refund), int(take)

    def opening_message(self, number: int, sum_digest: bytes, opened_digest: bytes) -> bytes:
        """The 32 bytes that the key holder signs (EIP-712)."""
        return bytes(self._contract.call("openingMessage", number, sum_digest, opened_digest))

    def result_message(
        self, number: int, *, sum_: bytes, opened: bytes, model: bytes, head: bytes
    ) -> bytes:
        """The 32 bytes that contributors sign; equals `ddcai.digests.result_message`."""
        return bytes(self._contract.call("resultMessage", number, sum_, opened, model, head))

    def balance(self, address: str | None = None) -> int:
        """Wei at an account, or at the federation itself."""
        account = self.address if address is None else to_checksum_address(address)
        return int(request(self._w3, "eth_getBalance", [account, "latest"]), 16)

    def require_funds(self, rounds: int = 1) -> None:
        """Checks, before any training, that the sender can pay for contributing to rounds.

        Raises:
            InsufficientBalance: too little for the deposits and the gas of that many rounds.
        """
        sender = self._writer("contribute")
        deposits = rounds * self.rules().deposit_wei
        gas = rounds * GAS_PER_ROUND * sender.gas_price()
        have = self.balance(sender.address)
        if have < deposits + gas:
            raise InsufficientBalance(
                f"account {sender.address} has {ether(have)} ({have} wei); {rounds} round(s) take "
                f"{ether(deposits + gas)} ({deposits + gas} wei): {ether(deposits)} of deposits, "
                f"which come back, and about {ether(gas)} for gas. Send ether to it first"
            )

    def block_time(self) -> int:
        """The time of the latest block, in unix seconds; deadlines are measured by it."""
        return int(request(self._w3, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)

    # Writes. Each raises ContractReverted with the contract's own error.

    def _writer(self, what: str) -> Sender:
        if self.sender is None:
            raise ChainError(f"no account to {what} from: give --keystore")
        return self.sender

    def _send(self, name: str, *arguments: Any, value_wei: int = 0) -> Receipt:
        data = self._contract.encode(name, arguments)
        return self._writer(f"send {name}").send(self.address, data, value_wei)

    def invite(self, addresses: Sequence[str]) -> Receipt:
        """Invites accounts, at least one; sponsor only. The receipt of the last transaction."""
        invited, most = [to_checksum_address(one) for one in addresses], INVITED_AT_ONCE
        batches = [invited[at : at + most] for at in range(0, len(invited), most)]
        return [self._send("invite", batch) for batch in batches][-1]

    def register(self, key: bytes, proof: bytes, stake_wei: int | None = None) -> Receipt:
        """Joins with an attestation key and its proof of possession.

        Args:
            key: BLS: 128 bytes, a G1 point in EIP-2537 form; ECDSA: 20 bytes, an address.
            proof: BLS: 256 bytes, a G2 point in EIP-2537 form; ECDSA: 65 bytes.
            stake_wei: sent along; None for what the rules ask.
        """
        stake = self.rules().registration_stake_wei if stake_wei is None else stake_wei
        return self._send("register", key, proof, value_wei=stake)

    def leave(self) -> Receipt:
        """Leaves for good and takes the stake back."""
        return self._send("leave")

    def open_round(self, number: int, base_model_digest: bytes) -> Receipt:
        """Opens the next round; coordinator only."""
        return self._send("openRound", number, base_model_digest)

    def submit_update(self, number: int, update_digest: bytes) -> Receipt:
        """Commits the sender's update, and pays the deposit of the rules."""
        deposit = self.rules().deposit_wei
        return self._send("submitUpdate", number, update_digest, value_wei=deposit)

    def seal_round(self, number: int, sum_digest: bytes, indices: Sequence[int]) -> Receipt:
        """Fixes the sum and the members that it is the sum of; coordinator only."""
        return self._send("sealRound", number, sum_digest, bitmap(indices))

    def commit_round(self, number: int, indices: Sequence[int]) -> Receipt:
        """Fixes whose updates are judged; coordinator of an assessed federation only."""
        return self._send("commitRound", number, bitmap(indices))

    def list_digest(self, number: int) -> bytes:
        """Digest of an assessed round's committed list, 32 bytes; zeros before there is one."""
        return bytes(self._contract.call("commitmentOf", number)[2])

    def draw_ready(self, number: int) -> bool:
        """Whether the block that a committed round's draw waits for is buried by another.

        A trial chain mines for transactions alone: it is asked for the blocks.
        """
        draw_block = int(self._contract.call("commitmentOf", number)[0])
        if mines_on_request(self._w3):
            while int(request(self._w3, "eth_blockNumber", []), 16) <= draw_block:
                request(self._w3, "evm_mine", [])
        return int(request(self._w3, "eth_blockNumber", []), 16) > draw_block

    def draw_round(self, number: int) -> Receipt:
        """Draws the randomness of a committed round, by its draw block's header; anyone.

        Raises:
            ContractReverted: ``DrawTooEarly``, ``DrawLapsed``, ``AlreadyDrawn``, ``WrongState``.
            ChainError: the block is not there yet.
        """
        draw_block = int(self._contract.call("commitmentOf", number)[0])
        return self._send("drawRound", number, block_header(self._w3, draw_block))

    def seal_assessed_round(
        self, number: int, sum_digest: bytes, indices: Sequence[int], scores_digest: bytes
    ) -> Receipt:
        """`seal_round` of accepted updates, with the digest of what they were judged by."""
        return self._send("sealAssessedRound", number, sum_digest, bitmap(indices), scores_digest)

    def finalize_round(
        self,
        number: int,
        *,
        opened_digest: bytes,
        model_digest: bytes,
        opening_signature: bytes,
        head_words: Sequence[int],
        signer_indices: Sequence[int],
        signature: bytes,
    ) -> Receipt:
        """Makes the result the federation's model.

        Args:
            opened_digest, model_digest: of the opened sum and the new model.
            opening_signature: the key holder's (`ddcai.chain.opening.sign_opening`).
            head_words: the new head, as ``IHead.write`` takes it.
            signer_indices: the members whose signatures are in `signature`.
            signature: the quorum's (`ddcai.quorum.Scheme.combine`).
        """
        return self._send(
            "finalizeRound",
            number,
            (opened_digest, model_digest),
            opening_signature,
            list(head_words),
            bitmap(signer_indices),
            signature,
        )

    def cancel_round(self, number: int) -> Receipt:
        """Ends a round without a result: the coordinator, or anyone after the last deadline."""
        return self._send("cancelRound", number)

    def refund(self, numbers: Sequence[int]) -> Receipt:
        """Takes back the sender's deposits of these rounds."""
        return self._send("refund", list(numbers))

    def take(self, numbers: Sequence[int]) -> Receipt:
        """Takes the sender's shares of the deposits forfeited in these rounds."""
        return self._send("take", list(numbers))
