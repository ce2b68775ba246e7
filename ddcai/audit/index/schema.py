"""The tables of the index.

Amounts are decimals of wei as text (SQLite's integers have 64 bits), digests and hashes ``0x`` and
lower-case hex, addresses checksum strings, times unix seconds. ``rounds``, ``submissions`` and
``members`` follow from the events, and are computed again whenever those of a round change.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# Changed with every change of the tables: SQLite's user_version, and what marks a file as ours.
VERSION = 3
APPLICATION_ID = 0x64646361  # "ddca"

metadata = MetaData()

chains = Table(
    "chains",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("genesis_hash", Text, nullable=False),
)

# contracts: a list of {address, kind}; facts: what was read from the contracts once.
federations = Table(
    "federations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain_id", Integer, ForeignKey("chains.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("from_block", Integer, nullable=False),
    Column("confirmations", Integer, nullable=False),
    Column("synced_block", Integer),
    Column("synced_hash", Text),
    Column("synced_time", Integer),
    Column("contracts", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    UniqueConstraint("chain_id", "address"),
)

# Those with events, and the last one of each range that was synced.
blocks = Table(
    "blocks",
    metadata,
    Column("chain_id", Integer, ForeignKey("chains.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("time", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# action: the function's name; its selector where the ABI is not known; deploy.
transactions = Table(
    "transactions",
    metadata,
    Column("chain_id", Integer, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("block_number", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text),
    Column("action", Text, nullable=False),
    Column("value_wei", Text, nullable=False),
    Column("gas_used", Integer, nullable=False),
    Column("gas_price_wei", Text, nullable=False),
    Column("input", LargeBinary, nullable=False),
    ForeignKeyConstraint(["chain_id", "block_number"], ["blocks.chain_id", "blocks.number"]),
)
Index("transactions_by_block", transactions.c.chain_id, transactions.c.block_number)
# All that the gas of an action is made of, without the calls' data.
Index(
    "transactions_by_action",
    transactions.c.chain_id,
    transactions.c.action,
    transactions.c.gas_used,
    transactions.c.gas_price_wei,
)

# kind: of the contract, see `contracts`; account, amount_wei, digest: the argument that an event
# is mostly about, all of them are in args.
events = Table(
    "events",
    metadata,
    Column("federation_id", Integer, ForeignKey("federations.id"), primary_key=True),
    Column("block_number", Integer, primary_key=True),
    Column("log_index", Integer, primary_key=True),
    Column("chain_id", Integer, nullable=False),
    Column("time", Integer, nullable=False),
    Column("tx_hash", Text, nullable=False),
    Column("contract", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("round", Integer),
    Column("window", Integer),
    Column("account", Text),
    Column("amount_wei", Text),
    Column("digest", Text),
    Column("args", Text, nullable=False),
    ForeignKeyConstraint(["chain_id", "block_number"], ["blocks.chain_id", "blocks.number"]),
    ForeignKeyConstraint(["chain_id", "tx_hash"], ["transactions.chain_id", "transactions.hash"]),
    sqlite_with_rowid=False,
)
Index("events_by_round", events.c.federation_id, events.c.round)
Index("events_by_account", events.c.federation_id, events.c.account)
Index("events_by_name", events.c.federation_id, events.c.kind, events.c.name)
Index("events_by_digest", events.c.digest)
Index("events_by_transaction", events.c.chain_id, events.c.tx_hash)

# opened, sealed_at, ended: times; ended: finalised or cancelled. contributors, sealed, signers:
# how many. gas: of all its transactions, settling included.
rounds = Table(
    "rounds",
    metadata,
    Column("federation_id", Integer, ForeignKey("federations.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("submit_deadline", Integer, nullable=False),
    Column("finalize_deadline", Integer, nullable=False),
    Column("sealed_at", Integer),
    Column("ended", Integer),
    Column("base_model_digest", Text, nullable=False),
    Column("sum_digest", Text),
    Column("model_digest", Text),
    Column("opened_digest", Text),
    Column("head_digest", Text),
    Column("contributors", Integer, nullable=False),
    Column("sealed", Integer, nullable=False),
    Column("signers", Integer, nullable=False),
    Column("deposits_wei", Text, nullable=False),
    Column("gas", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("rounds_by_model", rounds.c.federation_id, rounds.c.model_digest)

# refund_due_wei, take_due_wei: what the settled round owes in all, had it been claimed or not.
submissions = Table(
    "submissions",
    metadata,
    Column("federation_id", Integer, ForeignKey("federations.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("member_index", Integer, primary_key=True),
    Column("account", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("deposit_wei", Text, nullable=False),
    Column("refunded_wei", Text, nullable=False),
    Column("taken_wei", Text, nullable=False),
    Column("refund_due_wei", Text, nullable=False),
    Column("take_due_wei", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("judged", Boolean, nullable=False),
    Column("attested", Boolean, nullable=False),
    Column("gas", Integer, nullable=False),
    Column("time", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("submissions_by_account", submissions.c.federation_id, submissions.c.account)
Index("submissions_by_digest", submissions.c.digest)

# joined, left: times; the transactions are in the events.
members = Table(
    "members",
    metadata,
    Column("federation_id", Integer, ForeignKey("federations.id"), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("member_index", Integer, nullable=False),
    Column("joined", Integer, nullable=False),
    Column("left", Integer),
    sqlite_with_rowid=False,
)
