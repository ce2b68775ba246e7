"""A federation's next key: another ceremony, signed by its holders and registered."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from ddcai.chain.accounts import load_account, new_account
from ddcai.chain.holder_rules import Rekey
from ddcai.chain.key_holders import KeyEpoch
from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.rounds.ceremony import PUBLIC_NAME, CeremonyRecord, hold
from ddcai.rounds.opener import opener_of
from ddcai.rounds.party import Party, Settings, state_folder
from ddcai.rounds.shared_opener import SharedOpener
from ddcai.store import Files
from tests.federation import SmallFederation

NEW_NAME = "new-key-holder"


@dataclass(frozen=True, kw_only=True)
class Rekeyed:
    """A federation with its second epoch.

    Attributes:
        made: its openers are the second epoch's, and give the files of all epochs that they have;
            the one that left still has its settings there.
        left: the name of the holder that left; the last one of the first epoch.
    """

    made: SmallFederation
    left: str

    @property
    def epochs(self) -> tuple[KeyEpoch, ...]:
        holders = self.made.contract.key_holders()
        assert holders is not None
        return holders.epochs()

    def number(self, name: str, epoch: int = 2) -> int:
        """A holder's number in an epoch."""
        address = Party.connect(self.made.trial.key_holders[name]).address
        return self.epochs[epoch - 1].holders.index(address)


def opener(settings: Settings) -> SharedOpener:
    party = Party.connect(settings)
    found = opener_of(settings, party, state_folder(settings, party))
    assert isinstance(found, SharedOpener)
    return found


def rekey(made: SmallFederation) -> Rekeyed:
    """The holders replace the last of them by a new account, and register the key of all."""
    trial, (*staying, left) = made.trial, made.trial.key_holders
    settings = {name: trial.key_holders[name] for name in staying}
    password = settings[staying[0]].password()
    _, keystore = new_account(trial.folder / NEW_NAME, password, light=True)
    settings[NEW_NAME] = replace(settings[staying[0]], keystore=str(keystore))
    settings[NEW_NAME] = replace(settings[NEW_NAME], state=str(trial.folder / NEW_NAME / "state"))
    settings = {
        name: replace(one, encryption_key=str(trial.folder / name))
        for name, one in settings.items()
    }
    accounts = {name: load_account(one.keystore, password) for name, one in settings.items()}
    record = _ceremony(made, accounts, password)
    holders = made.coordinator.party.federation.key_holders()
    assert holders is not None
    next_ = Rekey(
        chain_id=holders.chain_id,
        contract=holders.address,
        epoch=holders.current().number + 1,
        key_digest=record.public_key_digest,
        ceremony_digest=record.ceremony_digest,
        holders=record.plan.holders,
        threshold=record.plan.threshold,
    )
    public = PublicKey.load(trial.folder / NEW_NAME / "epoch-2" / PUBLIC_NAME)
    made.store.put(public.digest(), public.to_blob())
    holders.rekey(next_, {accounts[n].address: next_.sign(accounts[n]) for n in staying})
    openers = sorted(
        (opener(one) for one in settings.values()), key=lambda one: one.party.address.lower()
    )
    now = replace(
        made,
        trial=replace(trial, key_holders=settings | {left: trial.key_holders[left]}),
        opener=openers[0],
        openers=tuple(openers),
    )
    return Rekeyed(made=now, left=left)


def _ceremony(
    made: SmallFederation, accounts: dict[str, LocalAccount], password: str
) -> CeremonyRecord:
    plan = KeyPlan(
        label="epoch-2",
        parameters=made.config.encryption.parameter_set,
        threshold=len(accounts) // 2 + 1,
        holders=tuple(sorted((one.address for one in accounts.values()), key=str.lower)),
    )
    exchange = Files(str(made.trial.folder / "ceremony"))

    def one(name: str) -> CeremonyRecord:
        folder = made.trial.folder / name / "epoch-2"
        return hold(plan, accounts[name], exchange, folder, password, timeout_s=60, light=True)

    with ThreadPoolExecutor(len(accounts)) as pool:
        return next(iter(pool.map(one, accounts)))


def copied(folder: Path, made: SmallFederation) -> Path:
    """A copy of the blob store, to be damaged."""
    return Path(shutil.copytree(made.store.url, folder / "blobs"))
