"""A contributor of a group: no member, without a deposit; it gives its update to the group.

Holds its account's key; never a decryption key. What it signs binds the update to one group and
round, and it signs once a round: an update that two groups add would count twice.
"""

from __future__ import annotations

from eth_utils.address import to_checksum_address

from ddcai.chain.records import RoundRecord, RoundState
from ddcai.chain.update_batches import UpdateBatches
from ddcai.errors import ConfigurationError, PolicyError
from ddcai.models import state
from ddcai.models.state import State
from ddcai.rounds.party import Party
from ddcai.rounds.update import Update, UpdateMaker, write_or_read


class GroupContributor(UpdateMaker):
    """One contributor of a group; args as `UpdateMaker`."""

    def check_round(self, round_: int, base: State, group: str) -> RoundRecord:
        """Refuses to train unless the chain says what the group says.

        Args:
            group: the account of the group that is to add the update.

        Raises:
            PolicyError: the round is not open, or has another base model; the group is no active
                member; this account is one, and would be counted beside its group.
            PolicyLimit, PrivacyBudgetSpent: the node's policy does not allow the round.
        """
        federation = self.party.federation
        record = federation.round(round_)
        if record.state is not RoundState.OPEN:
            raise PolicyError(
                f"round {round_} is {record.state.name} on chain, not open: nothing to train for"
            )
        if self.party.guard is not None:
            self.party.guard.check_training(self.party, record)
        if state.digest(base) != record.base_model_digest:
            raise PolicyError(
                f"the base model's digest is {state.digest(base).hex()}, but round {round_} "
                f"started from {record.base_model_digest.hex()}: the group sent another"
            )
        if not is_member(self.party, group):
            raise PolicyError(f"the group {group} is no member: its update would not be taken")
        if is_member(self.party, self.party.address):
            raise PolicyError(
                f"{self.party.address} is a member itself: submit the update, or use another "
                "account for the group"
            )
        return record

    def give(self, record: RoundRecord, update: Update, group: str) -> bytes:
        """The signature that goes with an update to its group; to be sent after `protect` alone.

        Returns:
            65 bytes, under the statement of `UpdateBatches`.

        Raises:
            PolicyError: this round's update was given to another group.
        """
        batches, group = batches_of(self.party), str(to_checksum_address(group))
        known = self.known_update(record)
        if known is None or known.digest != update.digest:
            raise PolicyError(
                f"the update {update.digest.hex()} was not made by this contributor for round "
                f"{record.number}: not signed"
            )
        path = self.folder / f"round-{record.number}.group"
        kept = write_or_read(path, group.encode()).decode()
        if kept != group:
            raise PolicyError(
                f"the update of round {record.number} was given to the group {kept}: a second one "
                "would count it twice"
            )
        context = self.party.context(record.number)
        assert self.party.account is not None
        return batches.sign(self.party.account, context, group, update.digest)


def is_member(party: Party, address: str) -> bool:
    """Whether an account is an active member of the federation."""
    member = party.federation.member(address)
    return member is not None and member.active


def batches_of(party: Party) -> UpdateBatches:
    """The contract that groups post their lists to.

    Raises:
        ConfigurationError: the federation has none.
    """
    if party.update_batches is None:
        raise ConfigurationError(
            "the deployment file names no update_batches: this federation has no groups; deploy "
            "one with encryption.group_size above 1"
        )
    return party.update_batches
