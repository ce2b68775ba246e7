"""Digests: keccak256 under a domain tag, over an unambiguous layout.

Everything that ddcai hashes is hashed here, so that no two kinds of object can share a
digest: each starts with the 32-byte tag ``keccak256("ddcai.v1." + kind)``. Objects that
belong to one round of one federation are bound to (chain id, contract, round) as well,
so that none can be replayed elsewhere. Fields are ABI-encoded (32-byte words), the
layout that ``abi.encode`` gives the contracts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from ddcai.errors import ConfigurationError

DIGEST_BYTES = 32


def tag(kind: str) -> bytes:
    """The 32-byte domain tag of a kind of object."""
    return keccak(b"ddcai.v1." + kind.encode("ascii"))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address_word(address: str) -> bytes:
    return to_canonical_address(address).rjust(32, b"\0")


@dataclass(frozen=True, kw_only=True)
class RoundContext:
    """What binds an object to one round: chain id, federation contract, round (from 1)."""

    chain_id: int
    contract: str
    round: int

    def words(self) -> bytes:
        """The three fields as 96 bytes of ABI words."""
        return _word(self.chain_id) + _address_word(self.contract) + _word(self.round)


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ConfigurationError: for NaN, infinity, or a type that JSON does not have.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")  # half of a surrogate pair has no bytes
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"not a JSON value: {error}") from error


def config_digest(config: Any) -> bytes:
    """Digest of a federation's configuration, given as a JSON value."""
    return config_blob_digest(canonical_json(config))


def config_blob_digest(canonical: bytes) -> bytes:
    """The same, of the canonical JSON's bytes: for a reader that does not trust them yet."""
    return keccak(tag("config") + canonical)


def model_digest(canonical_state: bytes) -> bytes:
    """Digest of a model's canonical state (`ddcai.models.state`)."""
    return keccak(tag("model") + canonical_state)


def public_key_digest(blob: bytes) -> bytes:
    """Digest of the federation's public encryption key in its wire form."""
    return keccak(tag("encryption-key") + blob)


def update_digest(context: RoundContext, contributor: str, blob: bytes) -> bytes:
    """Digest of one encrypted update: bound to its round and its contributor's address."""
    return keccak(tag("update") + context.words() + _address_word(contributor) + keccak(blob))


def share_commitment(context: RoundContext, contributor: str, piece: int, share: bytes) -> bytes:
    """Commitment to one piece of a contributor's secret of a round (the compact scheme).

    Args:
        context: chain, contract and round.
        contributor: its account.
        piece: the piece's number, from 0.
        share: the piece's bytes, with 32 random ones at least, which hide it.
    """
    bound = context.words() + _address_word(contributor) + _word(piece)
    return keccak(tag("share") + bound + keccak(share))


def share_package(context: RoundContext, contributor: str, holder: int) -> bytes:
    """What the box with a key holder's pieces of a contributor's secret is about.

    Args:
        context: chain, contract and round.
        contributor: whose secret it is, its account.
        holder: the key holder's number, from 0.
    """
    bound = context.words() + _address_word(contributor) + _word(holder)
    return keccak(tag("share-package") + bound)


def sum_digest(context: RoundContext, blob: bytes) -> bytes:
    """Digest of a round's encrypted sum."""
    return keccak(tag("sum") + context.words() + keccak(blob))


def opened_digest(context: RoundContext, blob: bytes) -> bytes:
    """Digest of a round's opened sum."""
    return keccak(tag("opened") + context.words() + keccak(blob))


def head_digest(words: Iterable[int]) -> bytes:
    """Digest of a head: its 256-bit storage words, in order."""
    return keccak(tag("head") + b"".join(_word(word) for word in words))


def contribution_digest(class_: int, features: bytes) -> bytes:
    """Digest of one labelled sample that is public on chain.

    Args:
        class_: the label.
        features: as ``IClassifier`` takes them.
    """
    return keccak(tag("contribution") + _word(class_) + keccak(features))


def record_digest(
    *, id_: int, contributor: str, data: bytes, predicted: int, price_wei: int, time: int
) -> bytes:
    """Digest of all that never changes of one contribution.

    Args:
        id_: the contribution's number, from 1.
        contributor: its account.
        data: its `contribution_digest`.
        predicted: what the model said before it learned from it.
        price_wei: what was paid.
        time: of its block, unix seconds.
    """
    if len(data) != DIGEST_BYTES:
        raise ValueError(f"a digest has 32 bytes, not {len(data)}")
    fields = _word(id_) + _address_word(contributor) + data
    return keccak(tag("record") + fields + _word(predicted) + _word(price_wei) + _word(time))


def assessment_digest(settings: Any) -> bytes:
    """Digest of the rule's settings (`ddcai.assessment.configuration`), given as a JSON value."""
    return keccak(tag("assessment") + canonical_json(settings))


def root_sample_digest(sample: bytes, label: int) -> bytes:
    """Digest of one sample of a root set, a leaf of its tree."""
    return keccak(tag("root-sample") + _word(label) + keccak(sample))


def root_node_digest(left: bytes, right: bytes) -> bytes:
    """Digest of an inner node of a root set's tree: no leaf can pass for one."""
    return keccak(tag("root-node") + left + right)


def root_set_digest(samples: int, tree: bytes) -> bytes:
    """Digest of a root set: how many samples it has, and its tree's top node."""
    return keccak(tag("root-set") + _word(samples) + tree)


def batch_leaf_digest(contributor: str, update: bytes) -> bytes:
    """Digest of one contributor's update on a group's list, a leaf of its tree.

    Hashed twice, and of another length than a node's: no node can pass for a leaf.
    """
    if len(update) != DIGEST_BYTES:
        raise ValueError(f"a digest has 32 bytes, not {len(update)}")
    return keccak(tag("batch-leaf") + keccak(_address_word(contributor) + update))


def batch_node_digest(one: bytes, other: bytes) -> bytes:
    """Digest of an inner node of a list's tree; the same whichever child comes first."""
    return keccak(tag("batch-node") + min(one, other) + max(one, other))


def batch_list_digest(context: RoundContext, group: str, document: bytes) -> bytes:
    """Digest of a group's list of a round, with its contributors' signatures.

    Args:
        context: chain, federation and round.
        group: the group's account.
        document: the list's bytes (`ddcai.rounds.batch`).
    """
    bound = context.words() + _address_word(group)
    return keccak(tag("batch-list") + bound + keccak(document))


def verdicts_digest(verdicts: bytes) -> bytes:
    """Digest of a window's verdicts in their canonical bytes (`ddcai.assessment.window`)."""
    return keccak(tag("verdicts") + verdicts)


def scalars_digest(
    context: RoundContext, committed: bytes, opened: Any, *, movement: bool = False
) -> bytes:
    """Digest of the scalars that were opened of a round's updates.

    Args:
        context: chain, contract and round.
        committed: `list_digest` of the updates.
        opened: integers by contributor, as a JSON value.
        movement: whether they are those of the model's later movement, not those of the gate.
    """
    if len(committed) != DIGEST_BYTES:
        raise ValueError(f"a digest has 32 bytes, not {len(committed)}")
    kind = tag("movement-scalars" if movement else "scalars")
    return keccak(kind + context.words() + committed + keccak(canonical_json(opened)))


def scores_digest(context: RoundContext, document: bytes) -> bytes:
    """Digest of what a round's updates were judged by (`ddcai.rounds.judging`)."""
    return keccak(tag("scores") + context.words() + keccak(document))


def root_set_blob_digest(commitment: bytes) -> bytes:
    """Where the store has a root set, by the commitment to it."""
    return keccak(tag("root-set-blob") + commitment)


def list_digest(updates: Iterable[tuple[int, bytes]]) -> bytes:
    """Digest of a committed list: (member index, update digest), ascending.

    From zeros, member by member: keccak256(previous ++ index ++ update).
    """
    digest = bytes(DIGEST_BYTES)
    for index, update in updates:
        if len(update) != DIGEST_BYTES:
            raise ValueError(f"a digest has 32 bytes, not {len(update)}")
        digest = keccak(digest + _word(index) + update)
    return digest


def drawn_randomness(context: RoundContext, committed: bytes, prev_randao: bytes) -> bytes:
    """An assessed round's randomness.

    Args:
        context: chain, contract and round.
        committed: `list_digest` of the updates that are judged, committed before.
        prev_randao: RANDAO value of the draw's block (EIP-4399), which nobody knew then.
    """
    for field in (committed, prev_randao):
        if len(field) != DIGEST_BYTES:
            raise ValueError(f"a digest has 32 bytes, not {len(field)}")
    return keccak(tag("draw") + context.words() + committed + prev_randao)


def window_digest(context: RoundContext, document: bytes) -> bytes:
    """Digest of what a window's verdicts follow from (`ddcai.rounds.verdicts`).

    Args:
        context: chain, federation and the window's last round.
        document: its bytes.
    """
    return keccak(tag("window") + context.words() + keccak(document))


def verdict_message(
    chain_id: int,
    assessment: str,
    window: int,
    attempt: int,
    *,
    scores: bytes,
    agreed: Sequence[int],
    points: Sequence[int],
) -> bytes:
    """The 32 bytes that a quorum signs under a window's verdict.

    Args:
        assessment: the contract that judges.
        window: from 1.
        attempt: 0; 1 to settle a dispute.
        scores: `window_digest`.
        agreed: words of the bitmap of members that agreed.
        points: one for each of them, by member index.
    """
    if len(scores) != DIGEST_BYTES:
        raise ValueError(f"a digest has 32 bytes, not {len(scores)}")
    arrays = b"".join(_word(len(one)) + b"".join(map(_word, one)) for one in (agreed, points))
    # Two dynamic arrays: where each begins, then length and items.
    records = keccak(_word(64) + _word(96 + 32 * len(agreed)) + arrays)
    bound = _word(chain_id) + _address_word(assessment) + _word(window) + _word(attempt)
    return keccak(tag("verdict") + bound + scores + records)


def result_message(
    context: RoundContext, *, sum_: bytes, opened: bytes, model: bytes, head: bytes
) -> bytes:
    """The 32 bytes that contributors sign to attest a round's result.

    Args:
        context: chain, contract and round.
        sum_: the sealed sum's digest.
        opened: the opened sum's digest.
        model: the new model's digest.
        head: the new head's digest.
    """
    fields: Sequence[bytes] = (sum_, opened, model, head)
    for field in fields:
        if len(field) != DIGEST_BYTES:
            raise ValueError(f"a digest has 32 bytes, not {len(field)}")
    return keccak(tag("result") + context.words() + b"".join(fields))
