"""Where a model, or an update, comes from, and what came of it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from ddcai.audit.ledger.asking import Asking
from ddcai.audit.ledger.rows import AncestorRow, DescendantRow, Lineage
from ddcai.errors import ConfigurationError
from ddcai.models import state

_NO_ROUND = 2**62


def lineage(asking: Asking, given: str | Path | None) -> Lineage:
    """Which rounds and updates a model descends from, and which rounds went on from it.

    Args:
        given: a model file (safetensors, as ddcai saves it), a digest of a model or an update in
            hex, or None for the current model.

    Raises:
        ConfigurationError: the file cannot be read, or the federation never had this.
    """
    initial, current = _ends(asking)
    digest = current if given is None else _digest_of(given)
    kind, last, first_after = "model", 0, 1
    if digest != initial:
        # A round may leave the model as it was: its earliest making is its origin.
        [made] = asking.one(
            "SELECT min(number) FROM rounds WHERE federation_id = :id AND model_digest = :digest",
            digest=digest,
        )
        if made is not None:
            last, first_after = made, made + 1
        else:
            kind = "update"
            last, first_after = _update(asking, digest)
    return Lineage(
        kind=kind,
        digest=digest,
        initial_model_digest=initial,
        current=digest == current,
        rounds=_ancestors(asking, last),
        descendants=_descendants(asking, first_after),
    )


def _ends(asking: Asking) -> tuple[str, str]:
    first = next(
        asking.rows(
            "SELECT base_model_digest FROM rounds WHERE federation_id = :id ORDER BY number LIMIT 1"
        ),
        None,
    )
    initial = asking.federation.facts["initial_model_digest"] if first is None else first[0]
    last = next(
        asking.rows(
            "SELECT model_digest FROM rounds WHERE federation_id = :id AND state = 'finalized' "
            "ORDER BY number DESC LIMIT 1"
        ),
        None,
    )
    return str(initial), str(initial if last is None else last[0])


def _update(asking: Asking, digest: str) -> tuple[int, int]:
    """The last round before an update's own, and the first that it is part of."""
    found = next(
        asking.rows(
            "SELECT round, listed AND outcome IN ('agreed', 'assessed') FROM submissions "
            "WHERE digest = :digest AND federation_id = :id ORDER BY round LIMIT 1",
            digest=digest,
        ),
        None,
    )
    if found is None:
        raise ConfigurationError(
            f"no round of {asking.federation.address} ended in the model {digest}, and no update "
            "has this digest: it is another federation's, or was changed after it was saved"
        )
    number, used = found
    return number - 1, number if used else _NO_ROUND


def _updates(asking: Asking, first: int, last: int) -> dict[int, list[tuple[str, str]]]:
    """(contributor, digest) of each update in a sum, by round, of rounds first to last."""
    updates: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for number, account, digest in asking.rows(
        "SELECT round, account, digest FROM submissions WHERE federation_id = :id "
        "AND round BETWEEN :first AND :last AND listed ORDER BY round, member_index",
        first=first,
        last=last,
    ):
        updates[number].append((account, digest))
    return updates


def _ancestors(asking: Asking, last: int) -> tuple[AncestorRow, ...]:
    updates = _updates(asking, 1, last)
    found = asking.rows(
        "SELECT number, base_model_digest, model_digest FROM rounds WHERE federation_id = :id "
        "AND number <= :last AND state = 'finalized' ORDER BY number",
        last=last,
    )
    return tuple(
        AncestorRow(
            round=number, base_model_digest=base, model_digest=model, updates=tuple(updates[number])
        )
        for number, base, model in found
    )


def _descendants(asking: Asking, first: int) -> tuple[DescendantRow, ...]:
    releases, updates = {}, _updates(asking, first, _NO_ROUND)
    for number, args in asking.rows(
        "SELECT round, args FROM events INDEXED BY events_by_name WHERE federation_id = :id "
        "AND kind = 'head' AND name = 'HeadMerged'"
    ):
        releases[number] = int(json.loads(args)["release"])
    found = asking.rows(
        "SELECT number, model_digest, head_digest FROM rounds WHERE federation_id = :id "
        "AND number >= :first AND state = 'finalized' ORDER BY number",
        first=first,
    )
    return tuple(
        DescendantRow(
            round=number,
            model_digest=model,
            head_digest=head,
            release=releases.get(number),
            updates=tuple(updates[number]),
        )
        for number, model, head in found
    )


def _digest_of(given: str | Path) -> str:
    text = str(given)
    digits = text.removeprefix("0x")
    if isinstance(given, str) and len(digits) == 64:
        try:
            return "0x" + bytes.fromhex(digits).hex()
        except ValueError:
            pass  # a file with a name of 64 characters
    model, _ = state.load(text)
    return "0x" + state.digest(model).hex()
