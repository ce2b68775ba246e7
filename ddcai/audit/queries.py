"""The audit's questions, answered in rows (`ddcai.audit.rows`).

Everything comes from a `History`; nothing here asks a chain or opens a blob.
"""

from __future__ import annotations

from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

from ddcai.audit.history import (
    Commitment,
    History,
    Payment,
    RoundHistory,
    Step,
    dues,
    paid,
    total,
)
from ddcai.audit.money import held_wei
from ddcai.audit.rows import (
    AncestorRow,
    ContributionRow,
    ContributorReport,
    Lineage,
    MoneyRow,
    RoundRow,
    StepRow,
)
from ddcai.chain.records import RoundState
from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError
from ddcai.models import state
from ddcai.rounds.privacy import epsilon


class Queries:
    """Answers about one federation."""

    def __init__(self, history: History, config: FederationConfig | None = None) -> None:
        """Questions about a history; epsilon needs the configuration that its rules name.

        Raises:
            ConfigurationError: the configuration is another federation's.
        """
        if config is not None and config.digest() != history.rules.config_digest:
            raise ConfigurationError(
                f"the configuration's digest is {_hex(config.digest())}, and {history.contract} "
                f"names {_hex(history.rules.config_digest)}: give this federation's deployment file"
            )
        self._history, self._config = history, config

    def rounds(self) -> tuple[RoundRow, ...]:
        """All rounds, by number."""
        rows, opened = [], 0
        for round_ in self._history.rounds:
            opened += bool(round_.sealed)
            rows.append(_round_row(round_, self._epsilon(opened)))
        return tuple(rows)

    def _epsilon(self, opened: int) -> float | None:
        if self._config is None or self._config.privacy is None:
            return None
        return epsilon(self._config, opened)

    def round_(self, number: int) -> tuple[StepRow, ...]:
        """Each party's steps in one round, in order of time.

        Raises:
            ConfigurationError: there is no such round.
        """
        round_ = self._history.round(number)
        if round_ is None:
            last = self._history.last_round
            known = f"rounds 1 to {last}" if last else "no round yet"
            raise ConfigurationError(f"no round {number}: this federation has {known}")
        return _steps(round_)

    def contributor(self, address: str) -> ContributorReport:
        """One contributor's rounds and money.

        Raises:
            ConfigurationError: not an address, or not of a member.
        """
        if not is_address(address):
            raise ConfigurationError(f"{address!r} is not an address: give 0x and 40 hex digits")
        wanted = to_checksum_address(address)
        member = next((one for one in self._history.members if one.address == wanted), None)
        if member is None:
            raise ConfigurationError(
                f"{wanted} never joined the federation {self._history.contract}: its "
                f"{len(self._history.members)} members are in the registration events"
            )
        rows = tuple(
            _contribution(round_, one)
            for round_ in self._history.rounds
            for one in round_.commitments
            if one.address == wanted
        )
        money = _sums(wanted, rows)
        windows = _from_windows(self._history, wanted)
        left = 0 if member.left is None else member.left.gas_used
        return ContributorReport(
            address=wanted,
            index=member.index,
            active=member.left is None,
            rounds=rows,
            deposited_wei=money.deposited_wei,
            refunded_wei=money.refunded_wei,
            taken_wei=money.taken_wei,
            forfeited_wei=money.forfeited_wei,
            assessed_wei=money.assessed_wei,
            held_wei=money.held_wei,
            windows_wei=windows,
            net_wei=money.refunded_wei + money.taken_wei + windows - money.deposited_wei,
            gas=sum(row.gas for row in rows) + member.step.gas_used + left,
        )

    def model(self, given: str | Path) -> Lineage:
        """Which rounds and updates a model descends from.

        Args:
            given: a model file (safetensors, as ddcai saves it), or a digest in hex.

        Raises:
            ConfigurationError: the file cannot be read, or the federation never had this model.
        """
        digest = _digest_of(given)
        history, rounds = self._history, self._history.finalised()
        if digest != history.initial_model_digest:
            ends = [one.number for one in rounds if _model_of(one) == _hex(digest)]
            if not ends:
                raise ConfigurationError(
                    f"no round of {history.contract} ended in the model {_hex(digest)}: it is "
                    "another federation's, or was changed after it was saved"
                )
            # A round may leave the model as it was: its earliest making is its origin.
            rounds = tuple(one for one in rounds if one.number <= ends[0])
        else:
            rounds = ()
        return Lineage(
            model_digest=_hex(digest),
            initial_model_digest=_hex(history.initial_model_digest),
            current=digest == history.model_digest,
            rounds=tuple(
                AncestorRow(
                    round=one.number,
                    base_model_digest=_hex(one.base_model_digest),
                    model_digest=_model_of(one) or "",
                    updates=tuple((item.address, _hex(item.digest)) for item in one.sealed),
                )
                for one in rounds
            ),
        )

    def money(self) -> tuple[MoneyRow, ...]:
        """Every contributor's money by member index, then a row for all together.

        A contributor's ``held_wei`` is what it can still claim, or has in a running round.
        """
        rows: dict[str, list[ContributionRow]] = {one.address: [] for one in self._history.members}
        for round_ in self._history.rounds:
            for one in round_.commitments:
                rows[one.address].append(_contribution(round_, one))
        each = tuple(_sums(address, tuple(found)) for address, found in rows.items())
        everybody = MoneyRow(
            address="all",
            deposited_wei=sum(row.deposited_wei for row in each),
            refunded_wei=sum(row.refunded_wei for row in each),
            taken_wei=sum(row.taken_wei for row in each),
            forfeited_wei=sum(row.forfeited_wei for row in each),
            assessed_wei=sum(row.assessed_wei for row in each),
            held_wei=sum(held_wei(round_) for round_ in self._history.rounds),
        )
        return (*each, everybody)


def _round_row(round_: RoundHistory, epsilon: float | None) -> RoundRow:
    return RoundRow(
        number=round_.number,
        state=round_.state.name.lower(),
        opened=round_.opened.time,
        base_model_digest=_hex(round_.base_model_digest),
        model_digest=_model_of(round_),
        contributors=len(round_.commitments),
        sealed=len(round_.sealed),
        gas=sum(step.gas for step in _steps(round_)),
        deposits_wei=total(round_.commitments),
        epsilon=epsilon,
    )


def _steps(round_: RoundHistory) -> tuple[StepRow, ...]:
    rows = [_step("open", round_.opened, round_.base_model_digest)]
    by_time = sorted(round_.commitments, key=lambda one: one.step.block_number)
    rows += [_step("submit", one.step, one.digest, one.deposit_wei) for one in by_time]
    if round_.judging is not None:
        judging = round_.judging
        rows.append(_step("commit", judging.committed, judging.list_digest))
        if judging.drawn is not None:
            rows.append(_step("draw", judging.drawn, judging.randomness))
    if round_.sealing is not None:
        rows.append(_step("seal", round_.sealing.step, round_.sealing.sum_digest))
    if round_.finalisation is not None:
        final = round_.finalisation
        rows.append(_step("finalize", final.step, final.model_digest))
    if round_.cancelled is not None:
        rows.append(_step("cancel", round_.cancelled, None))
    payments: list[tuple[str, Payment]] = [("refund", one) for one in round_.refunds]
    payments += [("take", one) for one in round_.takes]
    payments.sort(key=lambda pair: pair[1].step.block_number)
    rows += [_step(what, one.step, None, one.amount_wei) for what, one in payments]
    return tuple(rows)


def _step(action: str, step: Step, digest: bytes | None, amount_wei: int = 0) -> StepRow:
    return StepRow(
        time=step.time,
        action=action,
        party=step.by,
        digest=None if digest is None else _hex(digest),
        amount_wei=amount_wei,
        gas=step.gas_used,
        tx_hash=step.tx_hash,
    )


def _contribution(round_: RoundHistory, one: Commitment) -> ContributionRow:
    listed = any(item.address == one.address for item in round_.sealed)
    refunds = tuple(payment for payment in round_.refunds if payment.address == one.address)
    takes = tuple(payment for payment in round_.takes if payment.address == one.address)
    refunded, taken = paid(refunds), paid(takes)
    due = one.deposit_wei if round_.running else sum(dues(round_).get(one.address, (0, 0)))
    judged = one in round_.judged
    kept = listed or judged
    forfeited = round_.state is RoundState.FINALIZED and not kept
    final = round_.finalisation
    steps = [one.step, *(payment.step for payment in (*refunds, *takes))]
    return ContributionRow(
        round=round_.number,
        outcome=_outcome(round_.state, listed, judged),
        update_digest=_hex(one.digest),
        deposit_wei=one.deposit_wei,
        refunded_wei=refunded,
        taken_wei=taken,
        forfeited_wei=one.deposit_wei if forfeited else 0,
        assessed_wei=one.deposit_wei if one in round_.assessed else 0,
        held_wei=due - refunded - taken,
        attested=final is not None and one.index in final.signers,
        gas=sum(step.gas_used for step in steps),
    )


def _outcome(state_: RoundState, listed: bool, judged: bool) -> str:
    if state_ is RoundState.CANCELLED:
        return "returned"
    if state_ is RoundState.FINALIZED:
        return "assessed" if judged else "agreed" if listed else "forfeited"
    return "sealed" if listed else "committed" if judged else "submitted"


def _sums(address: str, rows: tuple[ContributionRow, ...]) -> MoneyRow:
    return MoneyRow(
        address=address,
        deposited_wei=sum(row.deposit_wei for row in rows),
        refunded_wei=sum(row.refunded_wei for row in rows),
        taken_wei=sum(row.taken_wei for row in rows),
        forfeited_wei=sum(row.forfeited_wei for row in rows),
        assessed_wei=sum(row.assessed_wei for row in rows),
        held_wei=sum(row.held_wei for row in rows),
    )


def _from_windows(history: History, account: str) -> int:
    """Deposits, shares and rests of pots that windows paid an account."""
    entries = () if history.assessment is None else history.assessment.entries
    paid_out = ("Refunded", "Taken", "Swept")
    return sum(e.amount_wei for e in entries if e.account == account and e.name in paid_out)


def _digest_of(given: str | Path) -> bytes:
    text = str(given)
    digits = text.removeprefix("0x")
    if isinstance(given, str) and len(digits) == 64:
        try:
            return bytes.fromhex(digits)
        except ValueError:
            pass  # a file with a name of 64 characters
    model, _ = state.load(text)
    return state.digest(model)


def _model_of(round_: RoundHistory) -> str | None:
    return None if round_.finalisation is None else _hex(round_.finalisation.model_digest)


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
