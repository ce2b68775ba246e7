"""What groups cost on chain: gas and bytes of a round of K groups, and what a day comes to.

    python benchmarks/group_costs.py [--groups 3 10 20] [--json FILE]

Each action's transactions are sent to contracts on a play chain, with digests in the place of
ciphertexts, which cost the same: the second round is measured, since the first also pays for
storage that later ones only change. Bytes are of signed transactions. None of this depends on how
many contributors a group has. `a_day` then reckons; prices are whatever it is given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from rich.console import Console
from rich.table import Table

from ddcai import attestation
from ddcai.attestation import BlsSecretKey, pubkey_to_eip2537, signature_to_eip2537
from ddcai.chain.deploy import deploy_federation
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import Connection, connect, request
from ddcai.chain.node.embedded import EmbeddedChain, dev_accounts
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import Rules
from ddcai.chain.transactions import Receipt, Sender
from ddcai.chain.update_batches import PostedBatch, UpdateBatches
from ddcai.digests import RoundContext, config_digest, head_digest, result_message

RESULTS = Path(__file__).parent / "results" / "group_costs.json"
SPONSOR, COORDINATOR, HOLDER = dev_accounts()[:3]
CONFIG = {"name": "costs"}
DIMENSIONS, CLASSES, WORDS = 16, 2, (1, 2, 3)
# What each group sends a round; the rest is sent once.
EACH = ("submitUpdate", "post", "refund")
ONCE = ("openRound", "sealRound", "finalizeRound")


class Costs:
    """Gas and bytes of each action."""

    def __init__(self, w3: Connection) -> None:
        self._w3 = w3
        self.gas: dict[str, list[int]] = defaultdict(list)
        self.bytes: dict[str, list[int]] = defaultdict(list)

    def count(self, action: str, receipt: Receipt) -> None:
        sent = request(self._w3, "eth_getTransactionByHash", [receipt.tx_hash])
        again = {
            "to": sent["to"],
            "data": sent["input"],
            "type": 2,
            **{
                name: int(sent[name], 16)
                for name in (
                    *("nonce", "gas", "value", "chainId"),
                    *("maxFeePerGas", "maxPriorityFeePerGas"),
                )
            },
        }
        self.gas[action].append(receipt.gas_used)
        self.bytes[action].append(len(HOLDER.sign_transaction(again).raw_transaction))

    def means(self) -> dict[str, dict[str, float]]:
        return {
            action: {
                "gas": sum(self.gas[action]) / len(self.gas[action]),
                "bytes": sum(self.bytes[action]) / len(self.bytes[action]),
            }
            for action in (*ONCE, *EACH)
        }


def measure(groups: int) -> dict[str, dict[str, float]]:
    """Mean gas and bytes of each action in a round of so many groups."""
    with EmbeddedChain() as chain:
        w3 = connect(chain.url)
        accounts: list[LocalAccount] = [Account.create() for _ in range(groups)]
        keys = [BlsSecretKey.generate() for _ in accounts]
        bank = Sender(w3, SPONSOR)
        for account in accounts:
            bank.send(account.address, b"", 10**18)
        rules = Rules(
            coordinator=COORDINATOR.address,
            key_holder=HOLDER.address,
            deposit_wei=10**15,
            config_digest=config_digest(CONFIG),
            encryption_key_digest=os.urandom(32),
        )
        deployed = deploy_federation(
            w3,
            SPONSOR,
            rules,
            DIMENSIONS,
            CLASSES,
            WORDS,
            os.urandom(32),
            [account.address for account in accounts],
            config=CONFIG,
            groups=True,
        )
        assert deployed.update_batches is not None

        def by(account: LocalAccount) -> Federation:
            return Federation.connect(w3, deployed.federation, Sender(w3, account))

        for account, key in zip(accounts, keys, strict=True):
            proof = signature_to_eip2537(key.prove_possession())
            by(account).register(pubkey_to_eip2537(key.pubkey), proof)
        for _ in range(2):
            costs = Costs(w3)
            _round(w3, by, deployed.update_batches, accounts, keys, costs)
        return costs.means()


def _round(
    w3: Connection,
    by: Any,
    batches: str,
    accounts: list[LocalAccount],
    keys: list[BlsSecretKey],
    costs: Costs,
) -> None:
    coordinator: Federation = by(COORDINATOR)
    number, address = coordinator.last_round() + 1, coordinator.address
    costs.count("openRound", coordinator.open_round(number, coordinator.model_digest()))
    for account in accounts:
        total = os.urandom(32)
        costs.count("submitUpdate", by(account).submit_update(number, total))
        posted = PostedBatch(
            group=account.address,
            root=os.urandom(32),
            count=100,
            sum_digest=total,
            list_digest=os.urandom(32),
        )
        own = UpdateBatches(w3, batches, Sender(w3, account))
        costs.count("post", own.post(address, number, posted))
    everybody = range(len(accounts))
    sum_digest, opened, model = os.urandom(32), os.urandom(32), os.urandom(32)
    costs.count("sealRound", coordinator.seal_round(number, sum_digest, everybody))
    context = RoundContext(chain_id=coordinator.chain_id, contract=address, round=number)
    message = result_message(
        context, sum_=sum_digest, opened=opened, model=model, head=head_digest(WORDS)
    )
    signature = attestation.aggregate([key.sign(message) for key in keys])
    finalised = coordinator.finalize_round(
        number,
        opened_digest=opened,
        model_digest=model,
        opening_signature=sign_opening(
            HOLDER, context.chain_id, address, number, sum_digest, opened
        ),
        head_words=WORDS,
        signer_indices=everybody,
        signature=signature_to_eip2537(signature),
    )
    costs.count("finalizeRound", finalised)
    for account in accounts:
        costs.count("refund", by(account).refund([number]))


def of_a_round(
    measured: dict[str, dict[str, float]], groups: int, what: str, *, lists: bool = True
) -> float:
    """Gas, or bytes, of all that a round of so many groups sends; members that are no groups post
    no lists."""
    once = sum(measured[action][what] for action in ONCE)
    each = [action for action in EACH if lists or action != "post"]
    return once + groups * sum(measured[action][what] for action in each)


def a_day(
    measured: dict[str, dict[str, float]],
    groups: int,
    group_size: int,
    *,
    contributors: int = 10**6,
    gas_price_gwei: float,
    byte_price_gwei: float,
) -> dict[str, float]:
    """What so many contributions a day come to.

    Args:
        measured: of a round of ``groups`` groups.
        group_size: contributors of each; 1 for members that are no groups.
        gas_price_gwei: of the chain itself; assumed, not measured, as is the other price.
        byte_price_gwei: what a layer-2 chain asks for each byte of a transaction beside gas, since
            it publishes them on another; 0 on a layer-1 chain.

    Returns:
        rounds, gas, bytes and ether a day; gas a contribution.
    """
    each = groups * group_size
    rounds = contributors / each
    gas, size = (
        of_a_round(measured, groups, what, lists=group_size > 1) for what in ("gas", "bytes")
    )
    return {
        "rounds": rounds,
        "gas": rounds * gas,
        "bytes": rounds * size,
        "gas_per_contribution": gas / each,
        "ether": rounds * (gas * gas_price_gwei + size * byte_price_gwei) / 10**9,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, nargs="+", default=[3, 10, 20])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 50, 100, 1000])
    parser.add_argument("--gas-price-gwei", type=float, default=0.01)
    parser.add_argument("--byte-price-gwei", type=float, default=1.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = {groups: measure(groups) for groups in given.groups}
    table = Table("groups", "action", "gas", "bytes", title="one round, mean of each action")
    for groups, measured in found.items():
        for action, costs in measured.items():
            table.add_row(str(groups), action, f"{costs['gas']:,.0f}", f"{costs['bytes']:,.0f}")
    days = Table("groups", "of", "rounds a day", "gas a contribution", "gas a day", "ether a day")
    for groups, measured in found.items():
        for size in given.sizes:
            day = a_day(
                measured,
                groups,
                size,
                gas_price_gwei=given.gas_price_gwei,
                byte_price_gwei=given.byte_price_gwei,
            )
            days.add_row(
                str(groups),
                str(size),
                f"{day['rounds']:,.0f}",
                f"{day['gas_per_contribution']:,.0f}",
                f"{day['gas']:,.0f}",
                f"{day['ether']:.3f}",
            )
    console = Console()
    console.print(table)
    days.title = (
        f"10^6 contributions a day, at {given.gas_price_gwei} gwei a gas and "
        f"{given.byte_price_gwei} gwei a byte"
    )
    console.print(days)
    document = {
        "benchmark": "group_costs",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "a_round": {str(groups): measured for groups, measured in found.items()},
    }
    given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
