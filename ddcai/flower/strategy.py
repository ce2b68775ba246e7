"""The strategy: FedAvg over ciphertexts, each round opened, sealed and finalised on chain.

Its loop follows the contract, not a counter of its own: started again after a crash, it goes
on with the round that is under way, on any machine that has the coordinator's account. It
never holds a readable update, and drops a reply that would carry one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, UserConfig
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from ddcai.chain.records import RoundRecord, RoundState
from ddcai.digests import RoundContext
from ddcai.errors import (
    ConfigurationError,
    ContractReverted,
    DdcaiError,
    MalformedError,
    Reorganised,
    RoundError,
    RoundPaused,
    TooFewAccepted,
    UpdateMismatch,
    VerificationError,
)
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.asking import Asking, Patience
from ddcai.flower.closing import attest, open_sum
from ddcai.flower.judging import draw, judge_windows, open_scalars
from ddcai.flower.report import Progress, RoundReport, Timer, mean_metrics
from ddcai.flower.roster import Roster, gather, look
from ddcai.flower.training import UpdatesAsked
from ddcai.flower.waiting import Waiting, receive, utc
from ddcai.models import state
from ddcai.models.state import State
from ddcai.rounds.collection import Collection
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party, Settings
from ddcai.rounds.privacy import require_budget

log = logging.getLogger("ddcai.coordinator")

_POLL_S = 1.0
_SETTLE_S = 300.0
# A verdict can wait for the next round; a round should not wait for a verdict.
_VERDICT_S = 60.0
# So often in a row a round goes on from what the chain took back, or an endpoint does not show.
_TAKEN_BACK = 20


def _may_go_on(error: DdcaiError) -> bool:
    return not isinstance(error, ContractReverted) or error.name == "WrongState"


class EncryptedFedAvg(Strategy):
    """Federated averaging of encrypted updates.

    Args:
        coordinator: the coordinator's side of the federation.
        join_timeout_s: how long to wait for all members before the first round starts with
            those present; later rounds wait only for as many as a round needs.
        leave_out: accounts of key holders that are not asked.
        require_node_keys: leave out accounts that bound no node key on chain.
        report: called with a `RoundReport` after each round.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        *,
        join_timeout_s: float = 300.0,
        leave_out: frozenset[str] = frozenset(),
        require_node_keys: bool = False,
        report: Callable[[RoundReport], None] | None = None,
    ) -> None:
        self.coordinator = coordinator
        self.join_timeout_s = join_timeout_s
        self._report = report
        self._roster = Roster(left_out=leave_out, require_node_keys=require_node_keys)
        self._waited = False
        self._collection: Collection | None = None
        self._progress = Progress()

    @classmethod
    def from_config(cls, run_config: UserConfig) -> Self:
        """A strategy from Flower's run config and the environment (`Settings`)."""
        return cls(Coordinator(Party.connect(Settings.read(run_config))))

    def summary(self) -> None:
        """Logs the federation and its rules."""
        federation = self.coordinator.party.federation
        rules = federation.rules()
        log.info(
            "federation %s on chain %d: at least %d contributors, quorum %d/%d, deposit %d wei",
            federation.address,
            federation.chain_id,
            rules.min_contributors,
            rules.quorum_numerator,
            rules.quorum_denominator,
            rules.deposit_wei,
            extra=about("federation"),
        )
        if federation.key_holders() is None:
            log.warning(
                "a single key holder, %s, has this federation's key, and could read every update: "
                "for trials only",
                rules.key_holder,
                extra=about("single_key_holder", party=rules.key_holder),
            )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """A training message to every contributor that is there, or to as many as fit a sum.

        Its configuration has ``train-encoder``: whether the round trains more than the head.
        """
        make = self._training_message(server_round, arrays, config)
        most = self.coordinator.party.config.encryption.max_updates
        return [make(node) for node in list(self._roster.contributors.values())[:most]]

    def _training_message(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord
    ) -> Callable[[int], Message]:
        config["server-round"] = server_round
        training = self.coordinator.party.config.training
        config["train-encoder"] = training.trains_encoder(server_round)
        content = messages.instruction(self._context(server_round), config=config, arrays=arrays)
        group = str(server_round)
        return lambda node: Message(content, node, messages.TRAIN, group_id=group)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Adds ciphertexts; there are no arrays to return, since nothing here can be read.

        A reply that is malformed, or not what its contributor committed on chain, is dropped
        and logged: its deposit is forfeited unless the right bytes are in the blob store.
        """
        if self._collection is None:
            raise RoundError("no round is open: use `start`, which opens one on chain")
        for reply in replies:
            why = messages.refused(reply)
            if why is not None:
                node = self._roster.account_of(reply.metadata.src_node_id)
                facts = about("update_missing", server_round, node)
                log.warning("a contributor sent no update: %s", why, extra=facts)
                continue
            try:
                update = messages.UpdateReply.from_content(reply.content)
                self._collection.add(update.contributor, update.ciphertext)
            except (MalformedError, UpdateMismatch) as error:
                node = self._roster.account_of(reply.metadata.src_node_id)
                facts = about("update_dropped", server_round, node)
                log.warning("an update is dropped: %s", error, extra=facts)
                continue
            self._progress.update_bytes = len(update.ciphertext)
            self._progress.metrics.append(update.metrics)
        self._collection.add_from_store()
        return None, MetricRecord(dict(mean_metrics(self._progress.metrics)))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """None: what a model reaches on a site's data says something about that data."""
        return []

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """None, as there is nothing to evaluate."""
        return None

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord | None = None,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """Runs rounds until the federation has had ``num_rounds`` of them, then settles.

        Args:
            grid: Flower's grid.
            initial_arrays: the first model; its digest must be the one on chain. Where the
                federation has gone further, its current model is used.
            num_rounds: the number of the last round to run, those of earlier starts counted.
            timeout: seconds to wait for replies; the chain's deadlines bound it further.
            train_config: sent to the contributors' training functions.
            evaluate_config: not used.
            evaluate_fn: called with round number and model, first with round 0.

        Raises:
            ConfigurationError: ``initial_arrays`` are not the federation's first model.
            PrivacyBudgetSpent: so many rounds would bring epsilon above the budget; none is run.
            RoundError: a round could not be finalised; it was cancelled and settled. Or too
                few are there to open one. Not where too few updates passed the gate: that round
                is cancelled, and the next one opened.
            RoundPaused, ChainError, StoreError: the round stands as it is on chain; started
                again, the strategy goes on with it.
        """
        self.summary()
        self.coordinator.party.wait_for_pending()
        left = frozenset(range(self._last_finished() + 1, num_rounds + 1))
        if left:
            require_budget(self.coordinator.party, num_rounds, left)
            self._warn_of_the_key()
        result = Result()
        model = self._first_model(initial_arrays)
        self._evaluate(evaluate_fn, self._last_finished(), model, result)
        taken_back = 0
        try:
            self._end_expired()
            while self._unfinished(num_rounds):
                if self.coordinator.party.config.assessment is not None:
                    self.coordinator.require_root_set()
                try:
                    done = self._round(grid, train_config or ConfigRecord(), timeout)
                except TooFewAccepted as error:  # it is cancelled: the next one's may pass
                    log.warning("%s", error)
                    continue
                except (ContractReverted, Reorganised) as error:
                    # The chain is not where it was, or the endpoint shows it as it was: go on.
                    taken_back += 1
                    if not _may_go_on(error) or taken_back > _TAKEN_BACK:
                        raise
                    log.warning("%s", error)
                    continue
                (number, model, metrics), taken_back = done, 0
                result.train_metrics_clientapp[number] = metrics
                self._evaluate(evaluate_fn, number, model, result)
                self._judge_windows(grid, timeout)
            self._judge_windows(grid, timeout, last_call=True)
        except RoundError:
            self._settle(grid, min(timeout, _SETTLE_S))
            raise
        self._settle(grid, min(timeout, _SETTLE_S))
        result.arrays = messages.to_arrays(model)
        return result

    def _warn_of_the_key(self) -> None:
        use = self.coordinator.key_use()
        if use is not None and use.scarce:
            log.warning(
                "the key of epoch %d opens %d more rounds, of %d in all: have its holders make the "
                "next one with `ddcai keys ceremony`",
                use.epoch,
                use.rounds_left,
                use.rounds,
                extra=about("key_scarce", rounds_left=use.rounds_left),
            )

    def _first_model(self, initial: ArrayRecord | None) -> State:
        federation = self.coordinator.party.federation
        model = self.coordinator.current_model()
        if initial is not None and federation.last_round() == 0:
            digest = state.digest(messages.from_arrays(initial))
            if digest != federation.model_digest():
                raise ConfigurationError(
                    f"the initial model's digest is {digest.hex()}, but the federation starts "
                    f"from {federation.model_digest().hex()}: deploy with this model, or start "
                    "from the deployed one"
                )
        return model

    def _end_expired(self) -> None:
        """Cancels a round that an earlier start left behind, if its deadline has passed."""
        federation = self.coordinator.party.federation
        last = federation.last_round()
        if not last:
            return
        record = federation.round(last)
        if not record.settled and self.coordinator.now() > record.finalize_deadline:
            facts = about("round_cancelled", last)
            log.warning("round %d missed its deadline: it is cancelled", last, extra=facts)
            self.coordinator.cancel(record)

    def _unfinished(self, num_rounds: int) -> bool:
        federation = self.coordinator.party.federation
        last = federation.last_round()
        under_way = last > 0 and federation.round(last).state in (
            RoundState.OPEN,
            RoundState.COMMITTED,
            RoundState.SEALED,
        )
        return under_way or last < num_rounds

    def _last_finished(self) -> int:
        federation = self.coordinator.party.federation
        last = federation.last_round()
        return last - 1 if self._unfinished(last) else last

    def _round(
        self, grid: Grid, config: ConfigRecord, timeout: float
    ) -> tuple[int, State, MetricRecord]:
        """One round, from wherever it stands."""
        coordinator = self.coordinator
        self._progress = Progress()
        gather(
            grid,
            self._roster,
            self._context(0),
            coordinator.party,
            self.join_timeout_s,
            0.0 if self._waited else None,
        )
        self._waited = True
        with self._step("open"):
            record = coordinator.open_round()
            self._progress.round = record.number
            base = coordinator.party.model(record.base_model_digest)
        try:
            if record.state is RoundState.OPEN:
                record = self._train(grid, record, base, config, timeout)
                self._collection = None  # its sum is in the store
            if record.state is RoundState.COMMITTED:
                record = self._judge(grid, record, timeout)
            with self._step("open_sum"):
                opening, result = open_sum(self._asking(grid, record, timeout), coordinator, record)
            with self._step("attest"):
                asking = self._asking(grid, record, timeout)
                signatures = attest(asking, coordinator, record, opening, result)
            with self._step("finalize"):
                coordinator.finalize(record, opening, result, signatures)
        except RoundError as error:
            self.coordinator.require_there(record)
            self._cancel(record, error)
            raise
        except RoundPaused as error:
            self.coordinator.require_there(record)
            if coordinator.now() <= record.finalize_deadline:
                raise
            self._cancel(record, error)
            raise RoundError(f"{error}: too late, it was cancelled") from error
        except ContractReverted as error:
            self.coordinator.require_there(record)
            if error.name != "DeadlinePassed":
                raise
            self._cancel(record, error)
            raise RoundError(f"round {record.number} missed its deadline: {error}") from error
        report = RoundReport.of(record, result.model_digest, self._progress)
        if self._report is not None:
            self._report(report)
        return record.number, result.model, MetricRecord(dict(report.metrics))

    def _train(
        self, grid: Grid, record: RoundRecord, base: State, config: ConfigRecord, timeout: float
    ) -> RoundRecord:
        party = self.coordinator.party
        self._collection = self.coordinator.collect(record, base)
        with self._step("train"):
            make = self._training_message(record.number, messages.to_arrays(base), config)
            most, there = party.config.encryption.max_updates, len(self._roster.contributors)
            rules = party.federation.rules()
            if there > most:
                facts = about("contributors_left_out", record.number)
                log.warning("%d of %d contributors fit", most, there, extra=facts)
            look_again, least = partial(self._look, grid, record), rules.min_contributors
            stored, size = self._collection.add_from_store, self._collection.update_bytes
            asked = UpdatesAsked(grid, self._roster, look_again, make, stored, least, most, size)
            wait_s = self._left_s(record.submit_deadline, timeout)
            until, number = time.time() + wait_s, record.number
            waiting = Waiting(f"round {number}: an update", until, round_=number)
            self.aggregate_train(number, asked.replies(wait_s, waiting))
        with self._step("seal"):
            # Leaving somebody out costs its deposit, so it has until the deadline to deliver.
            until, number = record.submit_deadline, record.number
            waiting = Waiting(f"round {number}: a committed update", until, round_=number)
            while True:
                over = self.coordinator.now() > record.submit_deadline
                if over or self.coordinator.everybody_delivered(record, self._collection):
                    try:
                        if self.coordinator.party.config.assessment is not None:
                            return self.coordinator.commit(record, self._collection)
                        return self.coordinator.seal(record, self._collection)
                    except ContractReverted as error:
                        # The chain's clock is behind ours, or somebody submitted just now.
                        if error.name != "DeadlineNotReached":
                            raise
                committed = [one.address for one in party.federation.round(number).submissions]
                accepted = set(self._collection.accepted)
                waiting.tell(f"contributor {one}" for one in committed if one not in accepted)
                time.sleep(_POLL_S)
                self._collection.add_from_store()

    def _judge(self, grid: Grid, record: RoundRecord, timeout: float) -> RoundRecord:
        """Looks at the committed updates, and seals the sum of those that pass."""
        with self._step("draw"):
            record = draw(self.coordinator, record)
        with self._step("judge"):
            anchor = self.coordinator.publish_anchor(record)
            scalars = open_scalars(
                self.coordinator.party, self._asking(grid, record, timeout), record, anchor
            )
            try:
                return self.coordinator.seal_judged(record, anchor, scalars)
            except VerificationError as error:
                raise RoundError(f"round {record.number} cannot be judged: {error}") from error

    def _judge_windows(self, grid: Grid, timeout: float, *, last_call: bool = False) -> None:
        if self.coordinator.party.config.assessment is None:
            return
        record = self.coordinator.party.federation.round

        def about(subject: str, number: int) -> Asking:
            patience = Patience(min(timeout, _VERDICT_S))
            return self._asking(grid, record(number), timeout, subject, patience)

        with self._step("verdict"):
            judge_windows(self.coordinator, about, last_call=last_call)

    def _asking(
        self,
        grid: Grid,
        record: RoundRecord,
        timeout: float,
        subject: str = "",
        patience: Patience | None = None,
    ) -> Asking:
        what = subject or f"round {record.number}"
        patience = patience or Patience(self._left_s(record.finalize_deadline, timeout))
        return Asking(
            grid=grid,
            roster=self._roster,
            look_again=partial(self._look, grid, record),
            context=self._context(record.number),
            subject=what,
            patience=patience,
            before=utc(record.finalize_deadline),
            holder=self.coordinator.party.federation.rules().key_holder,
            waiting=Waiting(what, time.time() + patience.left_s, round_=record.number),
        )

    def _look(self, grid: Grid, record: RoundRecord | None = None) -> None:
        if record is not None:
            self.coordinator.require_there(record)
        look(grid, self._roster, self._context(0), self.coordinator.party)

    def _cancel(self, record: RoundRecord, why: Exception) -> None:
        """Cancels a round because of an error, which is not to be lost if that fails too."""
        facts = about("round_cancelled", record.number)
        log.error("round %d is cancelled: %s", record.number, why, extra=facts)
        try:
            self.coordinator.cancel(record)
        except DdcaiError as error:
            log.error(
                "round %d could not be cancelled; after its deadline anybody can: %s",
                record.number,
                error,
                extra=about("cancel_failed", record.number),
            )

    def _settle(self, grid: Grid, timeout: float) -> None:
        """Asks every contributor to take back what is its own. Each can do so later as well."""
        try:
            self.coordinator.settle_bonds()
            if not self._roster.contributors:  # started again when all was done but this
                self._look(grid)
            content = messages.instruction(self._context(0))
            kind = f"query.{messages.SETTLE}"
            sent = [Message(content, n, kind) for n in self._roster.contributors.values()]
            for reply in receive(grid, sent, timeout):
                why = messages.refused(reply)
                if why is not None:
                    log.warning("a contributor could not settle: %s", why, extra=about("settle"))
        except Exception:  # no reason to lose a result, or to hide another error
            log.exception("not everybody took back what is its own: each can do so itself")

    def _evaluate(
        self,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None,
        number: int,
        model: State,
        result: Result,
    ) -> None:
        if evaluate_fn is not None:
            metrics = evaluate_fn(number, messages.to_arrays(model))
            if metrics is not None:
                result.evaluate_metrics_serverapp[number] = metrics

    def _context(self, number: int) -> RoundContext:
        return self.coordinator.party.context(number)

    def _left_s(self, deadline: int, timeout: float) -> float:
        return max(1.0, min(timeout, deadline - self.coordinator.now()))

    def _step(self, name: str) -> Timer:
        return Timer(self._progress, name)
