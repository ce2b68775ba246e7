"""The views that questions in SQL are asked of: names that stay, whatever the tables become.

docs/audit.md describes them. Amounts are decimal digits (SQLite's integers have 64 bits): add them
with ``wei_sum``. Times are unix seconds: ``datetime(time, 'unixepoch')`` shows them.
"""

from __future__ import annotations

from typing import Final

VIEWS: Final = {
    "federations": """
        SELECT address AS federation, chain_id, from_block, confirmations, synced_block,
            synced_hash, synced_time
        FROM main.federations""",
    "contracts": """
        SELECT f.address AS federation, json_extract(c.value, '$.address') AS contract,
            json_extract(c.value, '$.kind') AS kind
        FROM main.federations f, json_each(f.contracts) c""",
    "blocks": "SELECT chain_id, number, hash, time FROM main.blocks",
    "transactions": """
        SELECT t.chain_id, t.hash, t.block_number AS block, b.time, t.sender, t.recipient,
            t.action, t.value_wei, t.gas_used, t.gas_price_wei
        FROM main.transactions t
        JOIN main.blocks b ON b.chain_id = t.chain_id AND b.number = t.block_number""",
    "events": """
        SELECT f.address AS federation, e.block_number AS block, e.log_index, e.time, e.tx_hash,
            e.contract, e.kind, e.name, e.round, e.window, e.account, e.amount_wei, e.digest, e.args
        FROM main.events e JOIN main.federations f ON f.id = e.federation_id""",
    "rounds": """
        SELECT f.address AS federation, r.number AS round, r.state, r.opened, r.submit_deadline,
            r.finalize_deadline, r.sealed_at, r.ended, r.base_model_digest, r.sum_digest,
            r.model_digest, r.opened_digest, r.head_digest, r.contributors, r.sealed, r.signers,
            r.deposits_wei, r.gas
        FROM main.rounds r JOIN main.federations f ON f.id = r.federation_id""",
    "submissions": """
        SELECT f.address AS federation, s.round, s.account, s.member_index, s.digest,
            s.deposit_wei, s.refunded_wei, s.taken_wei, s.refund_due_wei, s.take_due_wei, s.outcome,
            s.listed, s.judged, s.attested, s.gas, s.time
        FROM main.submissions s JOIN main.federations f ON f.id = s.federation_id""",
    "members": """
        SELECT f.address AS federation, m.account, m.member_index, m.joined, m."left"
        FROM main.members m JOIN main.federations f ON f.id = m.federation_id""",
}
