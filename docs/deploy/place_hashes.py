"""Prints the bill of materials with each hash at its component; `make sbom` calls it.

cyclonedx-py puts hashes under the address of a package index, which is not where everybody
installs from: addresses are left out.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def without_addresses(value: Any) -> Any:
    """A part of the bill, hashes kept."""
    if isinstance(value, list):
        return [without_addresses(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: without_addresses(one)
        for name, one in value.items()
        if name not in ("externalReferences", "description")
    }
    hashes = [one for link in value.get("externalReferences", []) for one in link.get("hashes", [])]
    return kept | ({"hashes": hashes} if hashes else {})


if __name__ == "__main__":
    print(json.dumps(without_addresses(json.load(sys.stdin)), indent=2))
