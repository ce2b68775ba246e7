"""Every exception that ddcai raises on purpose.

DdcaiError
├── ConfigurationError          a setting, file or flag that cannot work
│   ├── DataError               a data file or column that cannot be used
│   └── PlanError               a federation too large for its parameter set
├── KeyfileError                a key file that cannot be read
│   └── WrongPassword
├── CeremonyFailed              a key that its holders could not make together
├── CeremonyPaused              a ceremony that waits for somebody: it can be taken up again
├── MalformedError              bytes that a strict parser refuses
├── OpeningRefused              a key holder will not open
│   ├── NotSealed               the chain does not say that this round is sealed
│   ├── WrongEncryptionKey      the round, or the federation, is not this key's
│   ├── TooManyContributors     more updates than the parameter set can add
│   ├── TooFewContributors      fewer updates than the federation's minimum
│   ├── AlreadyOpened           this round was opened before with another list
│   ├── UpdateMismatch          an update is not the one that the chain names
│   │   └── UpdateMissing       it is not there at all
│   ├── DuplicateUpdate         one ciphertext stands for two contributors
│   ├── SumMismatch             the sealed sum is not the sum of the sealed updates
│   ├── ScalarBudget            more scalars of single updates than may ever be opened
│   ├── KeyExhausted            more openings than the key's noise hides
│   ├── NotDrawn                a round whose randomness is not drawn yet
│   └── ForgedUpdate            the opened sum is none that honest updates add up to
├── PolicyError                 a node refuses what it was asked to do
│   ├── NotOpen                 the chain does not say that this round takes updates
│   ├── PlaintextRefused        somebody asked for, or sent, readable values
│   ├── PolicyLimit             the node's own policy file does not allow it
│   ├── PrivacyBudgetSpent      one more round would tell more than the federation agreed to
│   └── AttestationRefused      a result that this contributor cannot sign
├── ChainError
│   ├── ChainUnreachable
│   ├── WrongChain
│   ├── NotAFederation
│   ├── NotATrainer
│   ├── InsufficientBalance
│   ├── ContractReverted        a contract's custom error, decoded
│   └── TransactionPending      sent, but not mined within the deadline
├── IncentiveRefused            what an incentive's rules do not allow, as its contract says it
├── StoreError
│   └── BlobMissing
├── IndexRefused                an index of events that is missing, foreign, newer or busy
├── RoundError                  a round that cannot go on: it is cancelled
├── Reorganised                 what a round rests on is not on chain any more: it goes on
├── RoundPaused                 a round that waits for somebody: it can be taken up again
└── VerificationError           a signature or proof that does not hold

Each message names the value at fault and the remedy. None carries a secret.
"""

from __future__ import annotations


class DdcaiError(Exception):
    """Base of all errors that ddcai raises on purpose."""


class ConfigurationError(DdcaiError):
    """A setting, file or flag that cannot work."""


class DataError(ConfigurationError):
    """A data file, column or value that cannot be used for training or prediction."""


class PlanError(ConfigurationError):
    """A federation too large for its parameter set, refused before the first round."""


class DiskError(DdcaiError, OSError):
    """A file of this machine that cannot be written: it holds what it held before."""

    def __str__(self) -> str:
        return (
            f"cannot write {self.filename}: {self.strerror}. It is as it was; make room or mend "
            "its folder, and try again"
        )


class KeyfileError(DdcaiError):
    """A key file that is missing, damaged or holds another kind of key."""


class WrongPassword(KeyfileError):
    """The password does not open the key file."""


class CeremonyFailed(DdcaiError):
    """A key that its holders could not make together: one of them is at fault."""


class CeremonyPaused(DdcaiError):
    """A key ceremony that waits for other holders; started again, it goes on."""


class MalformedError(DdcaiError):
    """Bytes that a strict parser refuses."""


class OpeningRefused(DdcaiError):
    """A key holder will not open what it was asked to open."""


class NotSealed(OpeningRefused):
    """The chain does not say that this round is sealed."""


class WrongEncryptionKey(OpeningRefused):
    """The round is encrypted under another key, or the key serves another federation."""


class TooManyContributors(OpeningRefused):
    """More updates on the list than the parameter set can add."""


class TooFewContributors(OpeningRefused):
    """Fewer updates on the list than the federation's minimum."""


class AlreadyOpened(OpeningRefused):
    """This round was opened before, with another list."""


class UpdateMismatch(OpeningRefused):
    """An update is malformed, or not the one that the chain names."""


class UpdateMissing(UpdateMismatch):
    """The store does not hold an update that the chain names."""


class DuplicateUpdate(OpeningRefused):
    """One ciphertext stands for two contributors."""


class SumMismatch(OpeningRefused):
    """The sealed sum is not the sum of the sealed updates."""


class ForgedUpdate(OpeningRefused):
    """The opened sum is none that honest updates add up to: not given out."""


class ScalarBudget(OpeningRefused):
    """More scalars of single updates than may ever be opened."""


class KeyExhausted(OpeningRefused):
    """This key opened as much as its noise hides: the holders make another one."""


class NotDrawn(OpeningRefused):
    """A round whose randomness is not drawn yet, so that nobody knows what to look at."""


class PolicyError(DdcaiError):
    """A node refuses what it was asked to do."""


class NotOpen(PolicyError):
    """The chain does not say that this round takes updates."""


class PlaintextRefused(PolicyError):
    """Somebody asked for, or sent, values that would be readable."""


class PolicyLimit(PolicyError):
    """The node's own policy file does not allow it."""


class PrivacyBudgetSpent(PolicyError):
    """One more round would bring epsilon above a budget, the federation's or the node's own."""


class AttestationRefused(PolicyError):
    """A result that this contributor cannot sign."""


class ChainError(DdcaiError):
    """Something on or about the chain."""


class ChainUnreachable(ChainError):
    """No answer from the JSON-RPC endpoint."""


class WrongChain(ChainError):
    """The endpoint serves another chain than the one expected."""


class NotAFederation(ChainError):
    """The address holds no contract, or one that is not a ddcai federation."""


class NotATrainer(ChainError):
    """The address holds no contract, or one that is not a trainer."""


class InsufficientBalance(ChainError):
    """The account cannot pay the deposit and the gas."""


class ContractReverted(ChainError):
    """A contract refused a call.

    Attributes:
        name: the custom error's name, such as ``AlreadySubmitted``; ``Error`` for a
            plain reason string; ``Unknown`` where the data fits no known error.
        arguments: the error's arguments by name.
    """

    def __init__(self, name: str, arguments: dict[str, object], message: str = "") -> None:
        self.name = name
        self.arguments = arguments
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items())
        super().__init__(message or f"the contract refused: {name}({shown})")


class TransactionPending(ChainError):
    """A transaction was sent but not mined within the deadline."""


class IncentiveRefused(DdcaiError):
    """What an incentive's rules do not allow.

    Attributes:
        name: of the error that the contract reverts with, such as ``TooEarly``.
        arguments: the error's arguments by name.
    """

    def __init__(self, name: str, **arguments: object) -> None:
        self.name = name
        self.arguments = arguments
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items())
        super().__init__(f"the rules refuse: {name}({shown})")


class StoreError(DdcaiError):
    """The blob store cannot be read or written."""


class BlobMissing(StoreError):
    """The blob store does not hold a blob of this digest."""


class IndexRefused(DdcaiError):
    """An index of events that is missing, another chain's, of another version, or busy."""


class RoundError(DdcaiError):
    """A round that cannot go on."""


class Reorganised(DdcaiError):
    """The chain took back what a round rests on: it goes on from what the chain has now."""


class TooFewAccepted(RoundError):
    """A round of which fewer updates passed the gate than a round must have: others may do."""


class RoundPaused(DdcaiError):
    """A round that stands as it is on chain, and can be taken up again before its deadline."""


class VerificationError(DdcaiError):
    """A signature or proof that does not hold."""
