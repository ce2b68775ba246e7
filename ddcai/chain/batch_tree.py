"""The Merkle tree over a group's list, as the contract ``UpdateBatches`` checks it.

The tree is that of RFC 6962, section 2.1: level by level, two by two, a last odd one goes up as it
is. Children are hashed in ascending order, as OpenZeppelin's ``MerkleProof`` does, so that a path
needs no directions. Leaves and nodes have tags of their own (`ddcai.digests`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_utils.address import to_canonical_address, to_checksum_address

from ddcai.digests import DIGEST_BYTES, batch_leaf_digest, batch_node_digest
from ddcai.errors import MalformedError, RoundError


class BatchTree:
    """One list: each contributor once, by ascending account.

    Args:
        updates: update digest, 32 bytes, by contributor's address; in any order.

    Attributes:
        contributors: checksum addresses, ascending.
        root: 32 bytes, as the contract holds it.

    Raises:
        RoundError: the list is empty.
        MalformedError: an account is there twice, in two spellings.
    """

    def __init__(self, updates: Mapping[str, bytes]) -> None:
        if not updates:
            raise RoundError("a list of no updates has no root: gather at least one")
        by_account = {to_canonical_address(one): one for one in updates}
        if len(by_account) < len(updates):
            raise MalformedError("an account is on the list twice: name it once")
        ordered = sorted(by_account)
        self.contributors = tuple(str(to_checksum_address(one)) for one in ordered)
        leaves = [
            batch_leaf_digest(address, updates[by_account[account]])
            for address, account in zip(self.contributors, ordered, strict=True)
        ]
        self._levels = [leaves]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            level = [batch_node_digest(one, other) for one, other in pairs]
            self._levels.append(level + below[2 * len(level) :])
        self.root = self._levels[-1][0]

    def __len__(self) -> int:
        return len(self.contributors)

    def proof(self, contributor: str) -> tuple[bytes, ...]:
        """The siblings of a contributor's leaf, from the leaf up; at most log2 of the list, rounded
        up.

        Raises:
            RoundError: it is not on the list.
        """
        address = to_checksum_address(contributor)
        if address not in self.contributors:
            raise RoundError(f"{address} is not on this list of {len(self)} contributors")
        index, path = self.contributors.index(address), []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index //= 2
        return tuple(path)


def root_of(contributor: str, update: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that a path leads to; whoever asks compares it with the posted one.

    Args:
        update: the update's digest, 32 bytes.
        proof: siblings, 32 bytes each, from the leaf up.

    Raises:
        MalformedError: a sibling of another length.
    """
    digest = batch_leaf_digest(contributor, update)
    for sibling in proof:
        if len(sibling) != DIGEST_BYTES:
            raise MalformedError(f"a node of the path has {len(sibling)} bytes: it has 32")
        digest = batch_node_digest(digest, sibling)
    return digest
