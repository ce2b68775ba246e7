"""The binding of a node's key to its account, on chain, by the node itself.

The node makes its key where it keeps it, signs with its account that the key is its own, and sends
that to the federation's `NodeRegistry`. It pays the gas, since every party that runs a node has an
account with ether, and needs nobody for it.
"""

from __future__ import annotations

from ddcai.chain.transactions import Receipt
from ddcai.errors import ConfigurationError
from ddcai.rounds.node_key import NodeKey
from ddcai.rounds.party import Party


def is_bound(party: Party, key: NodeKey) -> bool:
    """Whether the party's account has bound this key, and no other since."""
    registry = party.node_registry
    return registry is not None and registry.keys([party.address]).get(party.address) == key.public


def bind(party: Party, key: NodeKey) -> Receipt | None:
    """Binds the key to the party's account, in place of one that it bound before.

    Sends one transaction, of about 86,000 gas for a first key; None, and nothing is sent, if the
    key is bound already.

    Raises:
        ConfigurationError: the deployment has no registry.
        InsufficientBalance, PolicyLimit: the account, or its policy, cannot pay the gas.
        ContractReverted: the account is neither an active member nor a key holder of the current
            key.
    """
    if party.node_registry is None:
        raise ConfigurationError(
            "the deployment file names no node_registry, so that no node key can be bound: deploy "
            "the federation anew, or take part without by --insecure"
        )
    if is_bound(party, key):
        return None
    address = party.address  # which needs an account
    assert party.account is not None
    signature = party.node_registry.sign(party.account, key.public)
    return party.node_registry.bind(address, key.public, signature)
