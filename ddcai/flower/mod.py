"""The client mod: whatever an app trains, only a ciphertext, its digest and metrics leave.

It stands between Flower and the app's functions and knows a few kinds of message. Training is
checked against the chain, passed on to the app, and its arrays come back encrypted. The app
never answers anything else than training and evaluation, whatever the server's app asks:
messages of other kinds are refused, and so is a reply that would carry arrays; metrics that
the node did not allow are left out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import lru_cache

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from ddcai.digests import DIGEST_BYTES
from ddcai.encryption.bfv import SecretKey
from ddcai.errors import (
    ConfigurationError,
    DataError,
    DdcaiError,
    MalformedError,
    PlaintextRefused,
    PolicyError,
)
from ddcai.flower import messages
from ddcai.models import state
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.identity import CHALLENGE_BYTES, sign_identity
from ddcai.rounds.keyholder import Opener
from ddcai.rounds.party import Party, Settings, attestation_key, state_folder

log = logging.getLogger("ddcai.node")


class SecureMod:
    """The mod; also registers the handlers for the strategy's questions.

    ::

        secure = SecureMod()
        app = ClientApp(mods=[secure])
        secure.register(app)

    Settings come from the node's configuration and environment (`ddcai.rounds.party.Settings`);
    ``allowed-metrics`` there adds names, separated by commas, that the app's own replies may
    carry.
    """

    def register(self, app: ClientApp) -> None:
        """Lets an app answer the strategy's questions; call it once."""
        for action in messages.QUERIES:
            app.query(action)(_unanswered)

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Handles one message; never raises, since an error's text would reach the server."""
        try:
            return Message(self._answer(message, context, call_next), reply_to=message)
        except Exception as error:
            if isinstance(error, DdcaiError):
                log.error("refused: %s: %s", type(error).__name__, error)
            else:
                log.exception("failed on a message of type %s", message.metadata.message_type)
            return Message(messages.refusal(error), reply_to=message)

    def _answer(
        self, message: Message, context: Context, call_next: ClientAppCallable
    ) -> RecordDict:
        settings = Settings.read(context.node_config)
        handlers: dict[str, Callable[[], RecordDict]] = {
            messages.TRAIN: lambda: _train(settings, message, context, call_next),
            messages.EVALUATE: lambda: _evaluate(settings, message, context, call_next),
            f"query.{messages.IDENTIFY}": lambda: _identify(settings, message),
            f"query.{messages.OPEN_SUM}": lambda: _open_sum(settings, message),
            f"query.{messages.OPEN_SCALARS}": lambda: _open_scalars(settings, message),
            f"query.{messages.OPEN_MOVEMENT}": lambda: _open_movement(settings, message),
            f"query.{messages.ATTEST}": lambda: _attest(settings, message),
            f"query.{messages.ATTEST_VERDICT}": lambda: _attest_verdict(settings, message),
            f"query.{messages.SETTLE}": lambda: _settle(settings),
        }
        kind = message.metadata.message_type
        if kind not in handlers:
            raise PlaintextRefused(
                f"a message of type {kind!r}: only {', '.join(handlers)} are answered"
            )
        _check_federation(settings, message)
        return handlers[kind]()


def _unanswered(message: Message, context: Context) -> Message:
    raise PolicyError("add the mod itself to the ClientApp as well: ClientApp(mods=[secure])")


@lru_cache(maxsize=64)
def _party(settings: Settings) -> Party:
    return Party.connect(settings)


@lru_cache(maxsize=64)
def _contributor(settings: Settings) -> Contributor:
    if settings.role != "contributor":
        raise PolicyError("this node is the key holder: it does not train or attest")
    party = _party(settings)
    return Contributor(party, attestation_key(settings, party), state_folder(settings, party))


@lru_cache(maxsize=8)
def _opener(settings: Settings) -> Opener:
    if settings.role != "keyholder":
        raise PolicyError("this node is a contributor: it holds no decryption key")
    if not settings.encryption_key:
        raise ConfigurationError("encryption-key is not set: give it, or set DDCAI_ENCRYPTION_KEY")
    party = _party(settings)
    secret = SecretKey.load(settings.encryption_key, settings.password())
    folder, budget = state_folder(settings, party), int(settings.scalar_budget)
    return Opener(party, secret, folder, scalar_budget=budget)


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
    signature = sign_identity(party.account, party.context(0), node_id, settings.role, challenge)
    return messages.reply_record(
        {"address": address.encode(), "role": settings.role.encode(), "signature": signature}
    )


def _train(
    settings: Settings, message: Message, context: Context, call_next: ClientAppCallable
) -> RecordDict:
    contributor = _contributor(settings)
    round_ = _round(message)
    arrays = message.content.array_records.get(messages.ARRAYS)
    if arrays is None:
        raise PolicyError("the message carries no model to train")
    base = messages.from_arrays(arrays)
    record = contributor.check_round(round_, base)
    update = contributor.known_update(record)
    metrics: dict[str, float] = {}
    if update is None:
        reply = call_next(message, context)
        if reply.has_error():
            raise PolicyError("the app's training function failed: see its own messages")
        trained, num_examples, own = _trained(reply.content)
        metrics = _allowed(own, _listed(context))
        update = contributor.protect(record, base, messages.from_arrays(trained), num_examples)
        # About the work, not the data, and measured here, whatever the app says. The seconds of
        # training are not among them: they follow the number of examples.
        metrics |= update.metrics
    contributor.submit(record, update)
    return messages.UpdateReply(
        contributor=contributor.party.address, ciphertext=update.blob, metrics=metrics
    ).to_content()


def _trained(content: RecordDict) -> tuple[ArrayRecord, int, dict[str, object]]:
    arrays = list(content.array_records.values())
    if len(arrays) != 1:
        raise DataError(
            f"the app's training function returned {len(arrays)} array records: return one"
        )
    metrics: dict[str, object] = {}
    for record in content.metric_records.values():
        metrics.update(record)
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
    listed = _listed(context)
    if not listed:
        raise PolicyError("this node lets no metric out: list some in allowed-metrics")
    arrays = message.content.array_records.get(messages.ARRAYS)
    federation = _party(settings).federation
    if arrays is None or state.digest(messages.from_arrays(arrays)) != federation.model_digest():
        raise PolicyError("asked to evaluate another model than the federation's current one")
    reply = call_next(message, context)
    if reply.has_error():
        raise PolicyError("the app's evaluation function failed: see its own messages")
    if reply.content.array_records or reply.content.config_records:
        raise PlaintextRefused("the app's evaluation function returned more than metrics")
    metrics: dict[str, object] = {}
    for record in reply.content.metric_records.values():
        metrics.update(record)
    return RecordDict({messages.METRICS: MetricRecord(dict(_allowed(metrics, listed)))})


def _listed(context: Context) -> set[str]:
    """The names that the node allows besides our own."""
    listed = str(context.node_config.get("allowed-metrics", ""))
    return {name.strip() for name in listed.split(",")} - {""}


def _allowed(metrics: dict[str, object], names: set[str]) -> dict[str, float]:
    """The metrics that may leave; the others are left out, and the log says so."""
    kept: dict[str, float] = {}
    for name, value in metrics.items():
        if name not in names:
            log.warning("metric %r stays here: add it to allowed-metrics to send it", name)
        elif isinstance(value, int | float) and math.isfinite(value):
            kept[name] = float(value)
    return kept


def _open_sum(settings: Settings, message: Message) -> RecordDict:
    opening = _opener(settings).open(_round(message))
    return messages.reply_record({"opened": opening.blob, "signature": opening.signature})


def _open_scalars(settings: Settings, message: Message) -> RecordDict:
    anchor = messages.read_reply(message.content, ("anchor",))["anchor"]
    scalars = _opener(settings).open_scalars(_round(message), anchor or None)
    return messages.reply_record({"scalars": scalars.to_blob()})


def _open_movement(settings: Settings, message: Message) -> RecordDict:
    return messages.reply_record(
        {"scalars": _opener(settings).open_movement(_round(message)).to_blob()}
    )


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
