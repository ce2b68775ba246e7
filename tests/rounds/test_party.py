"""Settings, identity, and what a party refuses to connect to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ddcai.attestation import BlsSecretKey
from ddcai.digests import RoundContext
from ddcai.errors import ConfigurationError, PolicyError, StoreError, VerificationError
from ddcai.rounds.founding import join
from ddcai.rounds.identity import sign_identity, verify_identity
from ddcai.rounds.party import Party, Settings, state_folder
from tests.federation import SmallFederation

VARIABLES = {
    "deployment": "DDCAI_DEPLOYMENT",
    "rpc-url": "ETH_RPC_URL",
    "store": "DDCAI_STORE",
    "keystore": "ETH_KEYSTORE",
    "password-file": "ETH_PASSWORD",
    "bls-key": "DDCAI_BLS_KEY",
    "encryption-key": "DDCAI_ENCRYPTION_KEY",
    "state": "DDCAI_STATE",
    "role": "DDCAI_ROLE",
    "scalar-budget": "DDCAI_SCALAR_BUDGET",
}


def test_settings_come_from_kebab_names_then_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    given_names = {name: f"value of {name}" for name in VARIABLES} | {
        "role": "keyholder",
        "scalar-budget": "7",
    }
    settings = Settings.read(given_names | {"learning-rate": 0.1, "data": "x.csv"})
    assert settings.to_mapping() == given_names
    assert Settings.read(settings.to_mapping()) == settings
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(variable, given_names[name])
    assert Settings.read({}) == settings
    assert Settings.read({"store": "mine"}).store == "mine"
    for name in ("deployment", "rpc-url", "store"):
        monkeypatch.delenv(VARIABLES[name])
        with pytest.raises(ConfigurationError, match=f"{name} is not set.*{VARIABLES[name]}"):
            Settings.read({})
        monkeypatch.setenv(VARIABLES[name], given_names[name])
    with pytest.raises(ConfigurationError, match="role is 'boss'"):
        Settings.read({"role": "boss"})
    with pytest.raises(ConfigurationError, match="scalar-budget is '-1'"):
        Settings.read({"scalar-budget": "-1"})


def test_settings_without_keys_read_only(federation: SmallFederation) -> None:
    settings = replace(federation.trial.coordinator, keystore="", password_file="")
    party = Party.connect(settings)
    assert party.federation.last_round() >= 0
    with pytest.raises(ConfigurationError, match="keystore is not set"):
        _ = party.address
    with pytest.raises(ConfigurationError, match="password-file is not set"):
        settings.password()


def test_another_configuration_than_the_contracts_is_refused(federation: SmallFederation) -> None:
    party = federation.coordinator.party
    with pytest.raises(ConfigurationError, match="take the deployment file"):
        Party(party.federation, replace(party.config, name="other"), party.store)


def test_blobs_are_checked_against_the_chain(federation: SmallFederation) -> None:
    party = Party.connect(federation.trial.contributors[federation.names[0]])
    for digest, read in (
        (party.federation.model_digest(), lambda: party.model(party.federation.model_digest())),
        (party.federation.rules().encryption_key_digest, lambda: party.encryption_key()),
    ):
        path = Path(party.store.url, digest.hex())
        right = path.read_bytes()
        path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        with pytest.raises(StoreError, match=digest.hex()):
            read()
        path.write_bytes(right)
        read()


def test_state_is_private_and_of_one_federation(federation: SmallFederation) -> None:
    settings = federation.trial.contributors[federation.names[0]]
    folder = state_folder(settings, Party.connect(settings))
    assert federation.contract.address.lower() in folder.name
    assert folder.stat().st_mode & 0o077 == 0


def test_joining_twice_or_uninvited_is_refused(federation: SmallFederation) -> None:
    key = BlsSecretKey.generate()
    with pytest.raises(PolicyError, match="member already"):
        join(federation.contributors[0].party, key)
    with pytest.raises(PolicyError, match="not invited"):
        join(federation.opener.party, key)


def test_a_full_federation_takes_no_more_members(federation: SmallFederation) -> None:
    party = federation.coordinator.party
    party.federation.invite([party.address])
    wide = party.config
    party.config = replace(wide, encryption=replace(wide.encryption, max_contributors=3))
    try:
        with pytest.raises(PolicyError, match="max_contributors and group_size allow no more"):
            join(party, BlsSecretKey.generate())
    finally:
        party.config = wide


CONTEXT = RoundContext(chain_id=1, contract="0x" + "11" * 20, round=0)
ME = Account.from_key(bytes(31) + b"\1")


@given(st.binary(max_size=70))
def test_no_bytes_but_the_signature_show_who_a_node_is(signature: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_identity(ME.address, signature, CONTEXT, 5, "contributor", bytes(32))


def test_an_identity_is_of_one_node_role_federation_and_challenge() -> None:
    signature = sign_identity(ME, CONTEXT, 5, "contributor", bytes(32))
    verify_identity(ME.address, signature, CONTEXT, 5, "contributor", bytes(32))
    other = replace(CONTEXT, chain_id=2)
    for context, node, role, challenge in (
        (other, 5, "contributor", bytes(32)),
        (replace(CONTEXT, contract="0x" + "12" * 20), 5, "contributor", bytes(32)),
        (CONTEXT, 6, "contributor", bytes(32)),
        (CONTEXT, 5, "keyholder", bytes(32)),
        (CONTEXT, 5, "contributor", bytes(31) + b"\1"),
    ):
        with pytest.raises(VerificationError):
            verify_identity(ME.address, signature, context, node, role, challenge)
