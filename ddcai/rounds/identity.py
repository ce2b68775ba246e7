"""Who a node is: its account's signature under the coordinator's challenge.

Without it a node could give itself out as another member and keep that one out of the rounds.
A personal message (EIP-191), so that it can be neither a transaction nor typed data. Where the
account bound a node key on chain, that key signs the same statement: the node id in it is the one
whose messages Flower's SuperLink takes from that key alone.
"""

from __future__ import annotations

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct
from eth_account.signers.local import LocalAccount

from ddcai.chain.account_signatures import signed_hash
from ddcai.digests import RoundContext
from ddcai.errors import MalformedError, VerificationError
from ddcai.rounds import node_key
from ddcai.rounds.node_key import NodeKey

CHALLENGE_BYTES = 32


def _statement(context: RoundContext, node_id: int, role: str, challenge: bytes) -> SignableMessage:
    return encode_defunct(
        text=f"ddcai node {node_id} is mine, as {role} of federation {context.contract.lower()} "
        f"on chain {context.chain_id}. Challenge: {challenge.hex()}"
    )


def sign_identity(
    account: LocalAccount, context: RoundContext, node_id: int, role: str, challenge: bytes
) -> bytes:
    """The 65-byte signature by which a node shows its account.

    Args:
        account: the node's.
        context: chain and contract; the round does not matter.
        node_id: the node's id in Flower, so that nobody can pass the signature off as its own.
        role: ``contributor`` or ``keyholder``.
        challenge: `CHALLENGE_BYTES` from the coordinator.
    """
    statement = _statement(context, node_id, role, challenge)
    return bytes(account.sign_message(statement).signature)


def verify_identity(
    address: str,
    signature: bytes,
    context: RoundContext,
    node_id: int,
    role: str,
    challenge: bytes,
) -> None:
    """Raises VerificationError unless the account of ``address`` made the signature."""
    statement = _statement(context, node_id, role, challenge)
    try:
        signer = str(Account.recover_message(statement, signature=signature))
    except Exception as error:  # eth-account raises its own kinds for malformed signatures
        raise VerificationError(f"node {node_id} says it is {address}: no signature") from error
    if signer != address:
        raise VerificationError(f"node {node_id} says it is {address}, but signed as {signer}")


def sign_with_node_key(
    key: NodeKey, context: RoundContext, node_id: int, role: str, challenge: bytes
) -> bytes:
    """The node key's signature (DER) under what the account signs by `sign_identity`."""
    return key.sign(signed_hash(_statement(context, node_id, role, challenge)))


def verify_node_key(
    public_key: bytes,
    signature: bytes,
    context: RoundContext,
    node_id: int,
    role: str,
    challenge: bytes,
) -> None:
    """Raises VerificationError unless a node has the key that its account bound on chain.

    Args:
        public_key: what the registry has, a compressed point of P-384.
    """
    statement = signed_hash(_statement(context, node_id, role, challenge))
    try:
        node_key.verify(public_key, statement, signature)
    except (MalformedError, VerificationError) as error:
        raise VerificationError(
            f"node {node_id} does not have the node key that its account bound on chain: {error}"
        ) from error
