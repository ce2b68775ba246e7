"""A signed report of the federation of `tests/audit/conftest.py`."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai.audit.indexed import stored_history
from ddcai.audit.report.signed import Report, sign_report
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import Connection, connect
from tests.federation import SmallFederation


@pytest.fixture(scope="session")
def w3(audited: SmallFederation) -> Connection:
    return connect(audited.url)


@pytest.fixture(scope="session")
def auditor() -> LocalAccount:
    account: LocalAccount = Account.create()
    return account


@pytest.fixture(scope="session")
def report(audited: SmallFederation, w3: Connection, auditor: LocalAccount) -> Report:
    """Of the whole federation, in which every claim passes."""
    with stored_history(w3, audited.deployment.federation) as (history, block):
        return sign_report(
            auditor,
            verify(history, audited.store),
            chain_id=history.chain_id,
            contract=history.contract,
            block=block,
        )
