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
    RoundError,
    RoundPaused,
    TooFewAccepted,
    UpdateMismatch,
    VerificationError,
)
from ddcai.flower import messages
from ddcai.flower.asking import Asking, Patience, utc
from ddcai.flower.closing import attest, open_sum
from ddcai.flower.judging import draw, judge_windows, open_scalars
from ddcai.flower.report import Progress, RoundReport, mean_metrics
from ddcai.flower.roster import Roster, gather, look
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


class EncryptedFedAvg(Strategy):
    """Federated averaging of encrypted updates.

    Args:
        coordinator: the coordinator's side of the federation.
        join_timeout_s: how long to wait for all members before the first round starts with
            those present; later rounds wait only for as many as a round needs.
        report: called with a `RoundReport` after each round.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        *,
        join_timeout_s: float = 300.0,
        report: Callable[[RoundReport], None] | None = None,
    ) -> None:
        self.coordinator = coordinator
        self.join_timeout_s = join_timeout_s
        self._report = report
        self._roster = Roster()
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
        )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """A training message to every contributor that is there, or to as many as fit a sum.

        Its configuration has ``train-encoder``: whether the round trains more than the head.
        """
        config["server-round"] = server_round
        training = self.coordinator.party.config.training
        config["train-encoder"] = training.trains_encoder(server_round)
        content = messages.instruction(self._context(server_round), config=config, arrays=arrays)
        nodes = list(self._roster.contributors.values())
        most = self.coordinator.party.config.encryption.max_contributors
        if len(nodes) > most:
            log.warning("round %d: %d of %d contributors fit", server_round, most, len(nodes))
        return [
            Message(content, node, messages.TRAIN, group_id=str(server_round))
            for node in nodes[:most]
        ]

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
                log.warning("round %d: a contributor sent no update: %s", server_round, why)
                continue
            try:
                update = messages.UpdateReply.from_content(reply.content)
                self._collection.add(update.contributor, update.ciphertext)
            except (MalformedError, UpdateMismatch) as error:
                log.warning("round %d: an update is dropped: %s", server_round, error)
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
        left = frozenset(range(self._last_finished() + 1, num_rounds + 1))
        if left:
            require_budget(self.coordinator.party, num_rounds, left)
        result = Result()
        model = self._first_model(initial_arrays)
        self._evaluate(evaluate_fn, self._last_finished(), model, result)
        try:
            self._end_expired()
            while self._unfinished(num_rounds):
                if self.coordinator.party.config.assessment is not None:
                    self.coordinator.require_root_set()
                try:
                    done = self._round(grid, train_config or ConfigRecord(), timeout)
                except TooFewAccepted:
                    continue  # it is cancelled; of the next round's updates more may pass
                number, model, metrics = done
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
            log.warning("round %d missed its deadline: it is cancelled", last)
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
            base = coordinator.party.model(record.base_model_digest)
        try:
            if record.state is RoundState.OPEN:
                record = self._train(grid, record, base, config, timeout)
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
            self._cancel(record, error)
            raise
        except RoundPaused as error:
            if coordinator.now() <= record.finalize_deadline:
                raise
            self._cancel(record, error)
            raise RoundError(f"{error}: too late, it was cancelled") from error
        except ContractReverted as error:
            if error.name != "DeadlinePassed":
                raise
            self._cancel(record, error)
            raise RoundError(f"round {record.number} missed its deadline: {error}") from error
        metrics = mean_metrics(self._progress.metrics)
        if self._report is not None:
            listed = {item.address for item in record.sealed}
            self._report(
                RoundReport(
                    round=record.number,
                    contributors=tuple(item.address for item in record.sealed),
                    left_out=tuple(
                        item.address for item in record.submissions if item.address not in listed
                    ),
                    update_bytes=self._progress.update_bytes,
                    seconds=self._progress.seconds,
                    model_digest=result.model_digest,
                    metrics=metrics,
                )
            )
        return record.number, result.model, MetricRecord(dict(metrics))

    def _train(
        self, grid: Grid, record: RoundRecord, base: State, config: ConfigRecord, timeout: float
    ) -> RoundRecord:
        self._collection = self.coordinator.collect(record, base)
        with self._step("train"):
            sent = self.configure_train(record.number, messages.to_arrays(base), config, grid)
            wait_s = self._left_s(record.submit_deadline, timeout)
            self.aggregate_train(record.number, grid.send_and_receive(sent, timeout=wait_s))
        with self._step("seal"):
            # Leaving somebody out costs its deposit, so it has until the deadline to deliver.
            said = False
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
                if not said:
                    log.info(
                        "round %d: waiting for a committed update until %s UTC",
                        record.number,
                        time.strftime("%H:%M:%S", time.gmtime(record.submit_deadline)),
                    )
                    said = True
                time.sleep(_POLL_S)
                self._collection.add_from_store()

    def _judge(self, grid: Grid, record: RoundRecord, timeout: float) -> RoundRecord:
        """Looks at the committed updates, and seals the sum of those that pass."""
        with self._step("draw"):
            record = draw(self.coordinator, record)
        with self._step("judge"):
            anchor = self.coordinator.publish_anchor(record)
            scalars = open_scalars(self._asking(grid, record, timeout), record, anchor)
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
        return Asking(
            grid=grid,
            roster=self._roster,
            look_again=partial(self._look, grid),
            context=self._context(record.number),
            subject=subject or f"round {record.number}",
            patience=patience or Patience(self._left_s(record.finalize_deadline, timeout)),
            before=utc(record.finalize_deadline),
        )

    def _look(self, grid: Grid) -> None:
        federation = self.coordinator.party.federation
        members = {item.address for item in federation.members() if item.active}
        look(grid, self._roster, self._context(0), members, federation.rules().key_holder)

    def _cancel(self, record: RoundRecord, why: Exception) -> None:
        """Cancels a round because of an error, which is not to be lost if that fails too."""
        log.error("round %d is cancelled: %s", record.number, why)
        try:
            self.coordinator.cancel(record)
        except DdcaiError as error:
            log.error(
                "round %d could not be cancelled; after its deadline anybody can: %s",
                record.number,
                error,
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
            for reply in grid.send_and_receive(sent, timeout=timeout) if sent else ():
                why = messages.refused(reply)
                if why is not None:
                    log.warning("a contributor could not settle: %s", why)
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

    def _step(self, name: str) -> _Timer:
        return _Timer(self._progress.seconds, name)


class _Timer:
    """Adds the time of a ``with`` block to a table."""

    def __init__(self, table: dict[str, float], name: str) -> None:
        self._table, self._name = table, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._started
        self._table[self._name] = self._table.get(self._name, 0.0) + spent
