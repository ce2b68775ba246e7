"""The client mod: whatever an app trains, only a ciphertext, its digest and metrics leave.

It stands between Flower and the app's functions and knows a few kinds of message. Training is
checked against the chain, passed on to the app, and its arrays come back encrypted. The app
never answers anything else than training and evaluation, whatever the server's app asks:
messages of other kinds are refused, and so is a reply that would carry arrays; what the node's
policy (`ddcai.policy.document`) does not let out stays here.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from ddcai.digests import DIGEST_BYTES
from ddcai.errors import (
    DataError,
    DdcaiError,
    MalformedError,
    PlaintextRefused,
    PolicyError,
    PolicyLimit,
)
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.fleet import node_config
from ddcai.models import state
from ddcai.policy.document import Leave, Policy
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.identity import CHALLENGE_BYTES, sign_identity, sign_with_node_key
from ddcai.rounds.keyholder import Opener
from ddcai.rounds.node_key import NodeKey
from ddcai.rounds.opener import opener_of
from ddcai.rounds.party import PATIENCE_S, Party, Settings, attestation_key, state_folder
from ddcai.rounds.shared_opener import MOVEMENT, SCALARS, SUM, Asked, SharedOpener

log = logging.getLogger("ddcai.node")


class SecureMod:
    """The mod; also registers the handlers for the strategy's questions.

    ::

        secure = SecureMod()
        app = ClientApp(mods=[secure])
        secure.register(app)

    Settings come from the node's configuration and environment (`ddcai.rounds.party.Settings`);
    ``policy`` there names the node's policy file.
    """

    def register(self, app: ClientApp) -> None:
        """Lets an app answer the strategy's questions; call it once."""
        for action in messages.QUERIES:
            app.query(action)(_unanswered)

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Handles one message; never raises, since an error's text would reach the server."""
        started, kind = time.perf_counter(), message.metadata.message_type
        whose: dict[str, Any] = {"round_": None, "party": None}
        try:
            answer = Message(self._answer(message, context, call_next, whose), reply_to=message)
        except Exception as error:
            facts = about("refused", **whose, asked=kind)
            if isinstance(error, DdcaiError):
                log.error("refused: %s: %s", type(error).__name__, error, extra=facts)
            else:
                log.exception("failed on a message of type %s", kind, extra=facts)
            return Message(messages.refusal(error), reply_to=message)
        seconds = round(time.perf_counter() - started, 3)
        log.info("done", extra=about("answered", **whose, asked=kind, seconds=seconds))
        return answer

    def _answer(
        self,
        message: Message,
        context: Context,
        call_next: ClientAppCallable,
        whose: dict[str, Any],
    ) -> RecordDict:
        settings = Settings.read(node_config(context.node_config))
        handlers: dict[str, Callable[[], RecordDict]] = {
            messages.TRAIN: lambda: _train(settings, message, context, call_next),
            messages.EVALUATE: lambda: _evaluate(settings, message, context, call_next),
            f"query.{messages.IDENTIFY}": lambda: _identify(settings, message),
            f"query.{messages.OPEN_SUM}": lambda: _open(settings, message, SUM),
            f"query.{messages.OPEN_SCALARS}": lambda: _open(settings, message, SCALARS),
            f"query.{messages.OPEN_MOVEMENT}": lambda: _open(settings, message, MOVEMENT),
            f"query.{messages.ATTEST}": lambda: _attest(settings, message),
            f"query.{messages.ATTEST_VERDICT}": lambda: _attest_verdict(settings, message),
            f"query.{messages.SETTLE}": lambda: _settle(settings),
        }
        kind = message.metadata.message_type
        if kind not in handlers:
            raise PlaintextRefused(
                f"a message of type {kind!r}: only {', '.join(handlers)} are answered"
            )
        whose |= {"round_": _round(message) or None, "party": _party(settings).address}
        _check_federation(settings, message)
        return handlers[kind]()


def _unanswered(message: Message, context: Context) -> Message:
    raise PolicyError("add the mod itself to the ClientApp as well: ClientApp(mods=[secure])")


@lru_cache(maxsize=64)
def _party(settings: Settings) -> Party:
    return Party.connect(settings, patience_s=PATIENCE_S)


@lru_cache(maxsize=64)
def _contributor(settings: Settings) -> Contributor:
    if settings.role != "contributor":
        raise PolicyError("this node is the key holder: it does not train or attest")
    party = _party(settings)
    return Contributor(party, attestation_key(settings, party), state_folder(settings, party))


@lru_cache(maxsize=8)
def _opener(settings: Settings) -> Opener | SharedOpener:
    if settings.role != "keyholder":
        raise PolicyError("this node is a contributor: it holds no decryption key")
    party = _party(settings)
    return opener_of(settings, party, state_folder(settings, party))


def _check_federation(settings: Settings, message: Message) -> None:
    asked = messages.round_context(message.content)
    federation = _party(settings).federation
    own = (federation.chain_id, federation.address.lower())
    if (asked.chain_id, asked.contract.lower()) != own:
        raise PolicyError(
            f"the coordinator runs federation {asked.contract} on chain {asked.chain_id}, this "
            f"node's deployment file is of {own[1]} on chain {own[0]}: one of them is wrong"
        )


def _identify(settings: Settings, message: Message) -> RecordDict:
    challenge = messages.read_reply(message.content, ("challenge",))["challenge"]
    if len(challenge) != CHALLENGE_BYTES:
        raise MalformedError(f"a challenge has {CHALLENGE_BYTES} bytes, not {len(challenge)}")
    party = _party(settings)
    address = party.address  # which needs an account
    assert party.account is not None
    node_id = message.metadata.dst_node_id
    context, role = party.context(0), settings.role
    signature = sign_identity(party.account, context, node_id, role, challenge)
    by_node = b""
    if settings.node_key:
        key = NodeKey.load(Path(settings.node_key))
        by_node = sign_with_node_key(key, context, node_id, role, challenge)
    return messages.reply_record(
        {
            "address": address.encode(),
            "role": role.encode(),
            "signature": signature,
            "node_signature": by_node,
        }
    )


def _train(
    settings: Settings, message: Message, context: Context, call_next: ClientAppCallable
) -> RecordDict:
    contributor = _contributor(settings)
    round_ = _round(message)
    arrays = messages.record_of(message.content, messages.ARRAYS, ArrayRecord)
    if arrays is None:
        raise PolicyError("the message carries no model to train")
    base = messages.from_arrays(arrays)
    record, leave = contributor.check_round(round_, base), _leave(settings)
    update = contributor.known_update(record)
    metrics: dict[str, float] = {}
    if update is None:
        reply = call_next(message, context)
        if reply.has_error():
            raise PolicyError("the app's training function failed: see its own messages")
        trained, num_examples, own = _trained(reply.content)
        metrics = _allowed(own, leave)
        update = contributor.protect(record, base, messages.from_arrays(trained), num_examples)
        # About the work, not the data, and measured here, whatever the app says. The seconds of
        # training are not among them: they follow the number of examples.
        metrics |= update.metrics if leave.work else {}
    contributor.submit(record, update)
    return messages.UpdateReply(
        contributor=contributor.party.address, ciphertext=update.blob, metrics=metrics
    ).to_content()


def _trained(content: RecordDict) -> tuple[ArrayRecord, int, dict[str, object]]:
    arrays = [one for one in content.values() if isinstance(one, ArrayRecord)]
    if len(arrays) != 1:
        raise DataError(
            f"the app's training function returned {len(arrays)} array records: return one"
        )
    metrics: dict[str, object] = {}
    for record in content.values():
        metrics.update(record if isinstance(record, MetricRecord) else {})
    count = metrics.pop("num-examples", None)
    whole = type(count) is int or (isinstance(count, float) and count.is_integer())
    if not isinstance(count, int | float) or not whole or count < 1:
        raise DataError(
            f"the app's training function returned num-examples {count!r}: return how many "
            "examples it trained on, at least 1"
        )
    return arrays[0], int(count), metrics


def _evaluate(
    settings: Settings, message: Message, context: Context, call_next: ClientAppCallable
) -> RecordDict:
    """Metrics that the node allows, of the federation's model alone.

    Of a model of the asker's choice, even an accuracy would tell about single examples.
    """
    leave = _leave(settings)
    if not leave.evaluation:
        raise PolicyLimit("leave.evaluation is false: this node evaluates nothing for others")
    arrays = messages.record_of(message.content, messages.ARRAYS, ArrayRecord)
    federation = _party(settings).federation
    if arrays is None or state.digest(messages.from_arrays(arrays)) != federation.model_digest():
        raise PolicyError("asked to evaluate another model than the federation's current one")
    reply = call_next(message, context)
    if reply.has_error():
        raise PolicyError("the app's evaluation function failed: see its own messages")
    if not all(isinstance(record, MetricRecord) for record in reply.content.values()):
        raise PlaintextRefused("the app's evaluation function returned more than metrics")
    metrics: dict[str, object] = {}
    for record in reply.content.values():
        metrics.update(record)
    return RecordDict({messages.METRICS: MetricRecord(dict(_allowed(metrics, leave)))})


def _leave(settings: Settings) -> Leave:
    guard = _party(settings).guard
    return Policy().leave if guard is None else guard.policy.leave


def _allowed(metrics: dict[str, object], leave: Leave) -> dict[str, float]:
    """The metrics that may leave; the others are left out, and the log says so."""
    kept: dict[str, float] = {}
    for name, value in metrics.items():
        if name not in leave.metrics:
            facts = about("metric_left_out")
            log.warning("metric %r stays here: it is not in leave.metrics", name, extra=facts)
        elif isinstance(value, int | float) and math.isfinite(value):
            kept[name] = float(value)
    return kept


def _open(settings: Settings, message: Message, what: str) -> RecordDict:
    opener, round_ = _opener(settings), _round(message)
    anchor: bytes | None = None
    if what == SCALARS:
        anchor = messages.read_reply(message.content, ("anchor",))["anchor"] or None
    if isinstance(opener, SharedOpener):
        responders, shares = messages.read_holders_question(message.content)
        asked = Asked(what=what, round=round_, responders=responders, anchor=anchor)
        if not shares:
            return messages.reply_record({"share": opener.share(asked)})
        found = opener.combine(asked, shares)
        accused = messages.numbers_to_bytes(found.accused)
        return messages.reply_record(
            {"value": found.value, "signature": found.signature, "accused": accused}
        )
    if what == SUM:
        opening = opener.open(round_)
        return messages.reply_record({"opened": opening.blob, "signature": opening.signature})
    if what == SCALARS:
        scalars = opener.open_scalars(round_, anchor)
    else:
        scalars = opener.open_movement(round_)
    return messages.reply_record({"scalars": scalars.to_blob()})


def _attest_verdict(settings: Settings, message: Message) -> RecordDict:
    fields = messages.read_reply(message.content, ("window", "digest"))
    window, digest = int.from_bytes(fields["window"], "big"), fields["digest"]
    if len(fields["window"]) != 8 or len(digest) != DIGEST_BYTES:
        raise MalformedError("a window has 8 bytes and a digest 32: not a ddcai coordinator")
    signature = _contributor(settings).attest_verdict(window, digest)
    return messages.reply_record({"signature": signature})


def _round(message: Message) -> int:
    return messages.round_context(message.content).round


def _attest(settings: Settings, message: Message) -> RecordDict:
    fields = messages.read_reply(message.content, ("opened", "signature"))
    signature = _contributor(settings).attest(
        _round(message), fields["opened"], fields["signature"]
    )
    return messages.reply_record({"signature": signature})


def _settle(settings: Settings) -> RecordDict:
    _contributor(settings).settle()
    return messages.reply_record({})
