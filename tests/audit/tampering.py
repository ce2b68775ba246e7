"""Manipulations of blobs and of what the chain says, for `tests/audit/test_tampering.py`.

Each changes a copy of a store, a history as a lying node would tell it, or both, as parties that
collude would have committed it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddcai import digests
from ddcai.audit.history import Finalisation, History, RoundHistory, Sealing
from ddcai.chain.opening import sign_opening
from ddcai.encryption.opening import opened_from_blob, opened_to_blob
from ddcai.encryption.updates import accumulator, set_of
from tests.audit.test_verify import (
    digest_of,
    final_with,
    flip,
    flipped,
    rounds_with,
)
from tests.audit.test_verify import of as round_of
from tests.federation import SmallFederation

# The contributors, by member index.
NORTH, SOUTH, EAST = range(3)
OTHER_CHAIN, OTHER_CONTRACT = 1, "0x000000000000000000000000000000000000dEaD"


@dataclass
class Scene:
    """What the auditor will be told; a manipulation changes it.

    Attributes:
        folder: the auditor's copy of the store.
        made: the federation, with everybody's keys.
    """

    history: History
    folder: Path
    made: SmallFederation

    def round(self, number: int) -> RoundHistory:
        return round_of(self.history, number)

    def sealing(self, number: int) -> Sealing:
        found = self.round(number).sealing
        assert found is not None
        return found

    def final(self, number: int) -> Finalisation:
        found = self.round(number).finalisation
        assert found is not None
        return found

    def update(self, number: int, index: int) -> bytes:
        """The digest of a contributor's update."""
        [found] = [c.digest for c in self.round(number).commitments if c.index == index]
        return found

    def blob(self, digest: bytes) -> bytes:
        return (self.folder / digest.hex()).read_bytes()

    def write(self, digest: bytes, blob: bytes) -> bytes:
        (self.folder / digest.hex()).write_bytes(blob)
        return digest

    def change(self, number: int, **changes: object) -> None:
        self.history = rounds_with(self.history, number, **changes)

    def change_final(self, number: int, **changes: object) -> None:
        self.history = final_with(self.history, number, **changes)

    def change_payment(self, number: int, place: int, **changes: object) -> None:
        paid = list(self.round(number).refunds)
        paid[place] = dataclasses.replace(paid[place], **changes)  # type: ignore[arg-type]
        self.change(number, refunds=tuple(paid))

    def change_commitment(self, number: int, index: int, **changes: object) -> None:
        commitments = tuple(
            dataclasses.replace(c, **changes) if c.index == index else c  # type: ignore[arg-type]
            for c in self.round(number).commitments
        )
        self.change(number, commitments=commitments)

    def commit(self, index: int, blob: bytes, context: digests.RoundContext | None = None) -> None:
        """A contributor commits something else to round 4, and delivers it.

        Args:
            context: that its digest is made for; by default the round's.
        """
        own = self.history.context(4) if context is None else context
        digest = digests.update_digest(own, self.made.addresses[index], blob)
        self.write(digest, blob)
        self.change_commitment(4, index, digest=digest)

    def add_again(self) -> None:
        """The coordinator seals the sum of what was committed to round 4."""
        blobs = [self.blob(c.digest) for c in self.round(4).sealed]
        total = accumulator(set_of(blobs[0]))
        for blob in blobs:
            total.add(blob)
        self.reseal(4, total.to_blob())

    def reseal(self, number: int, blob: bytes) -> None:
        digest = digests.sum_digest(self.history.context(number), blob)
        self.write(digest, blob)
        sealing = dataclasses.replace(self.sealing(number), sum_digest=digest)
        self.change(number, sealing=sealing)

    def sign(self, context: digests.RoundContext, opened: bytes) -> bytes:
        """The key holder's signature under an opened sum's digest."""
        sender = self.made.opener.party.federation.sender
        assert sender is not None
        sum_digest = self.sealing(context.round).sum_digest
        return sign_opening(
            sender._account, context.chain_id, context.contract, context.round, sum_digest, opened
        )

    def attest(self, context: digests.RoundContext) -> bytes:
        """The signature of the first two contributors under a round's result."""
        final = self.final(context.round)
        message = digests.result_message(
            context,
            sum_=self.sealing(context.round).sum_digest,
            opened=final.opened_digest,
            model=final.model_digest,
            head=final.head_digest,
        )
        scheme = self.made.contributors[0].party.scheme
        signed = {i: self.made.contributors[i]._key.sign(message) for i in (NORTH, SOUTH)}
        return scheme.combine(signed)


Plant = Callable[[Scene], object]


# Blobs, in the auditor's store.


def swap(scene: Scene, one: bytes, two: bytes) -> None:
    """Each blob under the other's digest."""
    first, second = scene.blob(one), scene.blob(two)
    scene.write(one, second)
    scene.write(two, first)


def bit_flip(artefact: str, number: int) -> Plant:
    return lambda scene: flip(scene.folder, digest_of(scene.history, artefact, number), 0.5)


def removal(artefact: str, number: int) -> Plant:
    return lambda scene: (scene.folder / digest_of(scene.history, artefact, number).hex()).unlink()


def flip_update(scene: Scene) -> None:
    flip(scene.folder, scene.update(4, SOUTH), 0.7)


def remove_update(scene: Scene) -> None:
    (scene.folder / scene.update(4, SOUTH).hex()).unlink()


def remove_and_flip(scene: Scene) -> None:
    (scene.folder / scene.update(4, SOUTH).hex()).unlink()
    flip(scene.folder, scene.update(4, EAST), 0.7)


def truncate_in_store(scene: Scene) -> None:
    digest = scene.update(4, SOUTH)
    scene.write(digest, scene.blob(digest)[:-1])


def pad_in_store(scene: Scene) -> None:
    digest = scene.update(4, SOUTH)
    scene.write(digest, scene.blob(digest) + b"\0")


def empty_in_store(scene: Scene) -> None:
    scene.write(scene.update(4, SOUTH), b"")


def swap_contributors(scene: Scene) -> None:
    swap(scene, scene.update(4, NORTH), scene.update(4, SOUTH))


def swap_updates_of_rounds(scene: Scene) -> None:
    swap(scene, scene.update(1, NORTH), scene.update(4, NORTH))


def swap_models(scene: Scene) -> None:
    swap(scene, scene.final(1).model_digest, scene.final(2).model_digest)


def swap_opened_sums(scene: Scene) -> None:
    swap(scene, scene.final(1).opened_digest, scene.final(2).opened_digest)


def swap_sums(scene: Scene) -> None:
    swap(scene, scene.sealing(1).sum_digest, scene.sealing(2).sum_digest)


def other_configuration(scene: Scene) -> None:
    digest = scene.history.rules.config_digest
    scene.write(digest, scene.blob(digest).replace(b'"batch_size":16', b'"batch_size":17'))


# Updates, as contributors commit them and a coordinator adds them.


def committed(change: Callable[[bytes], bytes]) -> Plant:
    def plant(scene: Scene) -> None:
        scene.commit(SOUTH, change(scene.blob(scene.update(4, SOUTH))))

    return plant


def garbage(blob: bytes) -> bytes:
    return os.urandom(len(blob))


def double_update(scene: Scene) -> None:
    """South commits what north sent, and the coordinator adds both."""
    scene.commit(SOUTH, scene.blob(scene.update(4, NORTH)))
    scene.add_again()


def update_of_an_earlier_round(scene: Scene) -> None:
    scene.commit(SOUTH, scene.blob(scene.update(1, EAST)))
    scene.add_again()


def own_update_again(scene: Scene) -> None:
    scene.commit(SOUTH, scene.blob(scene.update(1, SOUTH)))
    scene.add_again()


def replayed_update(**other: object) -> Plant:
    """South's update, under the digest that it has elsewhere."""

    def plant(scene: Scene) -> None:
        context = dataclasses.replace(scene.history.context(4), **other)  # type: ignore[arg-type]
        scene.commit(SOUTH, scene.blob(scene.update(4, SOUTH)), context)

    return plant


def left_out_of_the_sum(scene: Scene) -> None:
    """The sealed sum is of two updates, the list of three."""
    blobs = [scene.blob(scene.update(4, index)) for index in (NORTH, EAST)]
    total = accumulator(set_of(blobs[0]))
    for blob in blobs:
        total.add(blob)
    scene.reseal(4, total.to_blob())


def added_twice(scene: Scene) -> None:
    blobs = [scene.blob(scene.update(4, index)) for index in (NORTH, SOUTH, EAST, EAST)]
    total = accumulator(set_of(blobs[0]))
    for blob in blobs:
        total.add(blob)
    scene.reseal(4, total.to_blob())


def sum_of_an_earlier_round(scene: Scene) -> None:
    scene.reseal(4, scene.blob(scene.sealing(1).sum_digest))


# Results: opened sums, models, heads and who signed them.


def false_opened_sum(signed: bool) -> Plant:
    """One value more than there was; with the key holder's signature, or the old one."""

    def plant(scene: Scene) -> None:
        values = opened_from_blob(scene.blob(scene.final(1).opened_digest)).copy()
        values[-1] += 1
        context, blob = scene.history.context(1), opened_to_blob(values)
        digest = scene.write(digests.opened_digest(context, blob), blob)
        scene.change_final(1, opened_digest=digest)
        if signed:
            scene.change_final(1, opening_signature=scene.sign(context, digest))

    return plant


def false_model(scene: Scene) -> None:
    """Round 2 ends with the model of round 1, and the quorum signs it."""
    model = scene.final(1)
    scene.change_final(2, model_digest=model.model_digest, head_digest=model.head_digest)
    scene.history = dataclasses.replace(scene.history, model_digest=model.model_digest)
    scene.change(3, base_model_digest=model.model_digest)
    scene.change(4, base_model_digest=model.model_digest)


def false_head(scene: Scene) -> None:
    words = (scene.history.head_words[0] ^ 1, *scene.history.head_words[1:])
    scene.history = dataclasses.replace(scene.history, head_words=words)


def false_head_digest(scene: Scene) -> None:
    """Of a round, signed by the quorum."""
    scene.change_final(1, head_digest=flipped(scene.final(1).head_digest))
    scene.change_final(1, signature=scene.attest(scene.history.context(1)))


def older_head(scene: Scene) -> None:
    """Round 2 is said to have put round 1's head on chain, with nobody's signature for it."""
    scene.change_final(2, head_digest=scene.final(1).head_digest)


def signers(*indices: int) -> Plant:
    return lambda scene: scene.change_final(1, signers=indices)


def signer_of_another_round(scene: Scene) -> None:
    scene.change_final(2, signers=(NORTH, SOUTH, EAST))


def quorum_signature_elsewhere(**other: object) -> Plant:
    """The contributors' true signatures under the same result of another federation."""

    def plant(scene: Scene) -> None:
        context = dataclasses.replace(scene.history.context(1), **other)  # type: ignore[arg-type]
        scene.change_final(1, signature=scene.attest(context))

    return plant


def quorum_signature_of_another_round(scene: Scene) -> None:
    scene.change_final(1, signature=scene.final(2).signature)


def flipped_quorum_signature(scene: Scene) -> None:
    scene.change_final(1, signature=flipped(scene.final(1).signature, 100))


def opening_signature_elsewhere(**other: object) -> Plant:
    def plant(scene: Scene) -> None:
        context = dataclasses.replace(scene.history.context(1), **other)  # type: ignore[arg-type]
        forged = scene.sign(context, scene.final(1).opened_digest)
        scene.change_final(1, opening_signature=forged)

    return plant


def opening_signature_of_another_round(scene: Scene) -> None:
    scene.change_final(1, opening_signature=scene.final(2).opening_signature)


def flipped_opening_signature(scene: Scene) -> None:
    scene.change_final(1, opening_signature=flipped(scene.final(1).opening_signature, 40))


# What the chain says of members, rounds and money.


def change_member(scene: Scene, **changes: object) -> None:
    first, *others = scene.history.members
    changed = dataclasses.replace(first, **changes)  # type: ignore[arg-type]
    scene.history = dataclasses.replace(scene.history, members=(changed, *others))


def proof_of_another_member(scene: Scene) -> None:
    change_member(scene, proof=scene.history.members[1].proof)


def rounds_in_another_order(scene: Scene) -> None:
    first, second, *others = scene.history.rounds
    scene.history = dataclasses.replace(scene.history, rounds=(second, first, *others))


def round_left_out(scene: Scene) -> None:
    kept = tuple(one for one in scene.history.rounds if one.number != 3)
    scene.history = dataclasses.replace(scene.history, rounds=kept)


def older_base_model(scene: Scene) -> None:
    scene.change(2, base_model_digest=scene.history.initial_model_digest)


def other_current_model(scene: Scene) -> None:
    digest = flipped(scene.history.model_digest)
    scene.history = dataclasses.replace(scene.history, model_digest=digest)


def smaller_deposit(scene: Scene) -> None:
    wei = scene.round(4).commitments[SOUTH].deposit_wei
    scene.change_commitment(4, SOUTH, deposit_wei=wei - 1)


def larger_refund(scene: Scene) -> None:
    scene.change_payment(1, 0, amount_wei=scene.round(1).refunds[0].amount_wei + 1)


def refund_to_another(scene: Scene) -> None:
    scene.change_payment(1, 0, address=scene.made.addresses[SOUTH])


def refund_left_out(scene: Scene) -> None:
    scene.change(1, refunds=scene.round(1).refunds[1:])


def refund_twice(scene: Scene) -> None:
    paid = scene.round(1).refunds
    scene.change(1, refunds=(*paid, paid[0]))


def withdrawn_wei(scene: Scene) -> None:
    held = scene.history.balance_wei
    scene.history = dataclasses.replace(scene.history, balance_wei=held - 1)


def sealed_below_the_minimum(scene: Scene) -> None:
    sealing = dataclasses.replace(scene.sealing(4), indices=(SOUTH,))
    scene.change(4, sealing=sealing)


def sealed_without_an_update(scene: Scene) -> None:
    sealing = dataclasses.replace(scene.sealing(4), indices=(NORTH, SOUTH, EAST, 7))
    scene.change(4, sealing=sealing)


def other_update_digest(scene: Scene) -> None:
    scene.change_commitment(4, SOUTH, digest=flipped(scene.update(4, SOUTH)))
