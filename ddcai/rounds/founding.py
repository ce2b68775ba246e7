"""Founding a federation: plan it, publish what its digests name, deploy its contracts, join it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from ddcai import digests
from ddcai.chain.deploy import Deployment, deploy_federation
from ddcai.chain.holder_rules import HolderRules
from ddcai.chain.node.connection import connect
from ddcai.chain.records import NOBODY, Rules, WindowRules
from ddcai.chain.transactions import Receipt
from ddcai.configuration import FederationConfig
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.planner import Plan, plan
from ddcai.encryption.public import AnyKey
from ddcai.encryption.updates import any_set
from ddcai.errors import ConfigurationError, PolicyError
from ddcai.models import state
from ddcai.models.heads import head_of
from ddcai.models.state import State
from ddcai.models.trained import largest_round, trained_part
from ddcai.quorum import AttestationKey
from ddcai.rounds.ceremony import CeremonyRecord
from ddcai.rounds.party import Party, require_contributors
from ddcai.rounds.privacy import mechanism
from ddcai.rounds.result import Result, result_of
from ddcai.store import Store

# A new key's holders and the old one's are both taken for so long: longer than rounds are.
GRACE_SECONDS = 7 * 86_400


@dataclass(frozen=True, kw_only=True)
class Founding:
    """A federation that can be deployed: everything checked, nothing sent.

    Attributes:
        config: its configuration.
        public_key: its encryption key.
        first: its first model, with digest and head.
        plan: what a round will cost; one that trains the encoder, where there are such rounds.
        ceremony: how its key holders made the key together; None where a single one has it.
    """

    config: FederationConfig
    public_key: AnyKey
    first: Result
    plan: Plan
    ceremony: CeremonyRecord | None = None

    @classmethod
    def prepare(
        cls,
        config: FederationConfig,
        public_key: AnyKey,
        model: State | None = None,
        ceremony: CeremonyRecord | None = None,
    ) -> Founding:
        """Plans a federation.

        Args:
            config: its configuration.
            public_key: its encryption key.
            model: the first model; by default the configuration's own, from its seed. An app
                of one's own may leave its network out of the configuration, and give it here.
            ceremony: of the key, where several hold it.

        Raises:
            PlanError: the model, the number of contributors or the noise is too large; or a key
                of so many pieces opens no sum of it behind enough noise.
            ConfigurationError: the key is of another ceremony or parameter set; the model is not
                of the network that the configuration describes, or has no layer to go on chain.
        """
        # Only here: who joins a federation need not wait for torch to load.
        from ddcai.models import encoder

        parameter_set = config.encryption.parameter_set
        if public_key.set_id != parameter_set:
            raise ConfigurationError(
                f"the encryption key is of parameter set {public_key.set_id}, but "
                f"encryption.parameter_set is {parameter_set}: make a key for that set"
            )
        if isinstance(public_key, HolderKeys) and ceremony is None:
            raise ConfigurationError(
                f"encryption.parameter_set is {parameter_set}: only several key holders open it; "
                "give the record of their ceremony"
            )
        if config.assessment is not None and not any_set(parameter_set).assessable:
            raise ConfigurationError(
                f"encryption.parameter_set is {parameter_set}: an assessment opens scalars of "
                "single updates, which takes bfv-8192-2x30 or compact-128-3x36"
            )
        if ceremony is not None and ceremony.public_key_digest != public_key.digest():
            raise ConfigurationError(
                f"the ceremony made the key 0x{ceremony.public_key_digest.hex()}, not the public "
                f"key 0x{public_key.digest().hex()}: give the files of one ceremony"
            )
        rule = config.assessment
        if rule is not None and rule.anchor == "root_set" and not rule.root_set:
            raise ConfigurationError(
                "assessment.root_set is empty: give the commitment that `ddcai federation "
                'root-set` prints, or the anchor "movement"'
            )
        most, group = config.encryption.max_contributors, config.encryption.group_size
        sharing = None if ceremony is None else ceremony.plan.sharing
        built_in = config.model.entry_point is None and config.task.features
        if built_in and config.training.encoder_every:
            # Too large a one cannot be built.
            plan(encoder.parameter_count(config), most, parameter_set, sharing, group)
        if model is None:
            model = encoder.initial_state(config)
        elif encoder.described(config):
            try:
                encoder.load_state(encoder.build(config), model)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"the first model is not of the configuration's network: {error}"
                ) from error
        first = result_of(config, model)
        largest = trained_part(config, first.model, largest_round(config))
        planned = plan(state.count(largest), most, parameter_set, sharing, group)
        noise = mechanism(config)
        if noise is not None:
            noise.require_resolution(planned.num_parameters)
            planned = replace(
                planned,
                value_limit=noise.signal_limit,
                effective_bits=math.log2(2 * noise.signal_limit + 1),
            )
        return cls(
            config=config, public_key=public_key, first=first, plan=planned, ceremony=ceremony
        )

    def deploy(
        self,
        *,
        rpc_url: str,
        sponsor: LocalAccount,
        store: Store,
        coordinator: str,
        key_holder: str = NOBODY,
        grace_seconds: int = GRACE_SECONDS,
        invited: Sequence[str] = (),
        min_contributors: int = 3,
        quorum: tuple[int, int] = (2, 3),
        deposit_wei: int = 10**16,
        open_membership: bool = False,
        registration_stake_wei: int = 0,
        submit_period_s: int = 3600,
        finalize_period_s: int = 3600,
        quorum_scheme: str = "bls",
        learning_rate: int | None = None,
        windows: WindowRules | None = None,
    ) -> Deployment:
        """Puts configuration, key and first model into the store, then deploys.

        Args:
            key_holder: the account of a single one, which could read every update; none where
                there was a ceremony.
            grace_seconds: for how long the holders of a key still sign after the next one is
                registered: as long as a round lasts, at least.

        The others are those of `ddcai.chain.records.Rules`; ``quorum_scheme`` is ``bls`` or
        ``ecdsa``; with a ``learning_rate``, 1 to 255, contributions of data teach the head between
        rounds.
        Where the configuration has an assessment, deposits are held and judged by windows of
        rounds, by default with the rules of `WindowRules`.
        Publishing first is harmless if the
        deployment fails: nothing refers to the blobs yet.
        """
        several = None
        if self.ceremony is not None:
            several = HolderRules(
                holders=self.ceremony.plan.holders,
                threshold=self.ceremony.plan.threshold,
                key_digest=self.ceremony.public_key_digest,
                ceremony_digest=self.ceremony.ceremony_digest,
                grace_seconds=grace_seconds,
            )
            if grace_seconds < submit_period_s + finalize_period_s:
                raise ConfigurationError(
                    f"the grace period is {grace_seconds} s, and a round lasts up to "
                    f"{submit_period_s + finalize_period_s}: one that is under way when a new "
                    "key is registered could not be finalised"
                )
        rules = Rules(
            coordinator=coordinator,
            key_holder=key_holder,
            min_contributors=min_contributors,
            quorum_numerator=quorum[0],
            quorum_denominator=quorum[1],
            open_membership=open_membership,
            submit_period_s=submit_period_s,
            finalize_period_s=finalize_period_s,
            deposit_wei=deposit_wei,
            registration_stake_wei=registration_stake_wei,
            config_digest=self.config.digest(),
            encryption_key_digest=self.public_key.digest(),
        )
        require_contributors(self.config, min_contributors)
        assessment = self.config.assessment
        if assessment is not None and windows is None:
            windows = WindowRules(window_rounds=assessment.window)
        judged = None if windows is None else windows.window_rounds
        if judged != (None if assessment is None else assessment.window):
            raise ConfigurationError(
                f"windows of {judged} rounds, but the configuration's assessment is {assessment}: "
                "give assessment.window rounds, and windows only with an assessment"
            )
        store.put(rules.config_digest, digests.canonical_json(self.config.to_json()))
        store.put(rules.encryption_key_digest, self.public_key.to_blob())
        store.put(self.first.model_digest, state.to_canonical(self.first.model))
        head = head_of(self.first.model, self.config)
        return deploy_federation(
            connect(rpc_url),
            sponsor,
            rules,
            head.dimensions,
            head.classes,
            self.first.head_words,
            self.first.model_digest,
            invited,
            config=self.config.to_json(),
            name=self.config.name,
            quorum_scheme=quorum_scheme,
            windows=windows,
            key_holders=several,
            groups=self.config.encryption.group_size > 1,
            teaching=(
                None
                if learning_rate is None
                else (learning_rate, self.config.training.encoder_every)
            ),
        )


def require_admission(party: Party, address: str) -> None:
    """Raises PolicyError unless the contract would take an account for a new member.

    It is a member already, was not invited to a closed federation, or the federation has as many
    members as its encryption can add.
    """
    federation = party.federation
    if federation.member(address) is not None:
        raise PolicyError(f"{address} is a member already: use another account for another site")
    if not federation.rules().open_membership and not federation.is_invited(address):
        raise PolicyError(
            f"{address} was not invited: ask the sponsor {federation.sponsor()} to run "
            f"`ddcai federation invite {address}`"
        )
    most = party.config.encryption.max_updates
    if sum(member.active for member in federation.members()) >= most:
        raise PolicyError(
            f"the federation has {most} members, and encryption.max_contributors and group_size "
            "allow no more: a larger one needs a configuration of its own"
        )


def join(party: Party, key: AttestationKey) -> Receipt:
    """Registers a party's account with its attestation key and proof of possession.

    Raises:
        PolicyError: as `require_admission`.
        InsufficientBalance: it cannot pay gas and stake.
    """
    federation, address = party.federation, party.address
    require_admission(party, address)
    stake_wei = federation.rules().registration_stake_wei
    return federation.register(key.registered, key.prove(address), stake_wei)


def register_once(party: Party, key: AttestationKey, file: Path) -> Receipt | None:
    """As `join`; None, and nothing is sent, if the account has joined with this key already.

    What a process sent that died is waited for, so that nothing is paid twice.

    Args:
        file: where the key is, for messages.

    Raises:
        ConfigurationError: it joined with another key.
        PolicyError, InsufficientBalance: as `join`.
        TransactionPending: what was sent is not mined.
    """
    party.wait_for_pending()
    federation, address = party.federation, party.address
    member = federation.member(address)
    if member is None or not member.active:
        return join(party, key)
    if federation.pubkey(member.index) != key.registered:
        raise ConfigurationError(
            f"{address} has joined with another attestation key than {key.public} in {file}: give "
            "that one as --bls-key"
        )
    return None
