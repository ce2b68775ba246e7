"""Founding a federation: plan it, publish what its digests name, deploy its contracts, join it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_account.signers.local import LocalAccount

from ddcai import digests
from ddcai.chain.deploy import Deployment, deploy_federation
from ddcai.chain.node.connection import connect
from ddcai.chain.records import Rules, WindowRules
from ddcai.chain.transactions import Receipt
from ddcai.configuration import FederationConfig
from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.planner import Plan, plan
from ddcai.errors import ConfigurationError, PolicyError
from ddcai.models import state
from ddcai.models.heads import head_of
from ddcai.models.state import State
from ddcai.models.trained import largest_round, trained_part
from ddcai.quorum import AttestationKey
from ddcai.rounds.party import Party, require_contributors
from ddcai.rounds.privacy import mechanism
from ddcai.rounds.result import Result, result_of
from ddcai.store import Store


@dataclass(frozen=True, kw_only=True)
class Founding:
    """A federation that can be deployed: everything checked, nothing sent.

    Attributes:
        config: its configuration.
        public_key: its encryption key.
        first: its first model, with digest and head.
        plan: what a round will cost; one that trains the encoder, where there are such rounds.
    """

    config: FederationConfig
    public_key: PublicKey
    first: Result
    plan: Plan

    @classmethod
    def prepare(
        cls, config: FederationConfig, public_key: PublicKey, model: State | None = None
    ) -> Founding:
        """Plans a federation.

        Args:
            config: its configuration.
            public_key: its encryption key.
            model: the first model; by default the configuration's own, from its seed. An app
                of one's own may leave its network out of the configuration, and give it here.

        Raises:
            PlanError: the model, the number of contributors or the noise is too large.
            ConfigurationError: the key is of another parameter set; the model is not of the
                network that the configuration describes, or has no layer to go on chain.
        """
        # Only here: who joins a federation need not wait for torch to load.
        from ddcai.models import encoder

        parameter_set = config.encryption.parameter_set
        if public_key.parameters.id != parameter_set:
            raise ConfigurationError(
                f"the encryption key is of parameter set {public_key.parameters.id}, but "
                f"encryption.parameter_set is {parameter_set}: make a key for that set"
            )
        if config.assessment is not None and not public_key.parameters.assessable:
            raise ConfigurationError(
                f"encryption.parameter_set is {parameter_set}: an assessment opens scalars of "
                "single updates, which takes bfv-8192-2x30"
            )
        rule = config.assessment
        if rule is not None and rule.anchor == "root_set" and not rule.root_set:
            raise ConfigurationError(
                "assessment.root_set is empty: give the commitment that `ddcai federation "
                'root-set` prints, or the anchor "movement"'
            )
        most = config.encryption.max_contributors
        built_in = config.model.entry_point is None and config.task.features
        if built_in and config.training.encoder_every:
            # Too large a one cannot be built.
            plan(encoder.parameter_count(config), most, parameter_set)
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
        planned = plan(state.count(largest), most, parameter_set)
        noise = mechanism(config)
        if noise is not None:
            noise.require_resolution(planned.num_parameters)
            planned = replace(
                planned,
                value_limit=noise.signal_limit,
                effective_bits=math.log2(2 * noise.signal_limit + 1),
            )
        return cls(config=config, public_key=public_key, first=first, plan=planned)

    def deploy(
        self,
        *,
        rpc_url: str,
        sponsor: LocalAccount,
        store: Store,
        coordinator: str,
        key_holder: str,
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

        Args are those of `ddcai.chain.records.Rules`; ``quorum_scheme`` is ``bls`` or ``ecdsa``;
        with a ``learning_rate``, 1 to 255, contributions of data teach the head between rounds.
        Where the configuration has an assessment, deposits are held and judged by windows of
        rounds, by default with the rules of `WindowRules`.
        Publishing first is harmless if the
        deployment fails: nothing refers to the blobs yet.
        """
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
            teaching=(
                None
                if learning_rate is None
                else (learning_rate, self.config.training.encoder_every)
            ),
        )


def join(party: Party, key: AttestationKey) -> Receipt:
    """Registers a party's account with its attestation key and proof of possession.

    Raises:
        PolicyError: it is a member already, was not invited to a closed federation, or the
            federation has as many members as its encryption can add.
        InsufficientBalance: it cannot pay gas and stake.
    """
    federation, address = party.federation, party.address
    if federation.member(address) is not None:
        raise PolicyError(f"{address} is a member already: use another account for another site")
    rules = federation.rules()
    if not rules.open_membership and not federation.is_invited(address):
        raise PolicyError(
            f"{address} was not invited: ask the sponsor {federation.sponsor()} to run "
            "`ddcai federation invite`"
        )
    most = party.config.encryption.max_contributors
    if sum(member.active for member in federation.members()) >= most:
        raise PolicyError(
            f"the federation has {most} members, and encryption.max_contributors allows no more: "
            "a larger one needs a configuration of its own"
        )
    return federation.register(key.registered, key.prove(address), rules.registration_stake_wei)
