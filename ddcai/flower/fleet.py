"""Nodes of Flower's simulation: many on one machine, with no configuration of their own.

Flower tells a simulated node its number, ``partition-id``, and nothing else. So the variable
``DDCAI_FLEET`` names a file with the configurations of all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from ddcai.errors import ConfigurationError
from ddcai.strict_json import loads

VARIABLE = "DDCAI_FLEET"
_NUMBER = "partition-id"

NodeConfig = Mapping[str, object]


def save_fleet(path: Path, nodes: Iterable[NodeConfig]) -> None:
    """Writes the configurations of nodes 0, 1, 2, ...: names and values as a SuperNode takes them
    (`ddcai.rounds.party.Settings.to_mapping`, and what the app itself reads)."""
    path.write_text(json.dumps([dict(one) for one in nodes]), encoding="utf-8")


def node_config(own: NodeConfig) -> NodeConfig:
    """A node's configuration: its own, or a simulated node's from the fleet's file.

    Raises:
        ConfigurationError: the file has none for this node.
    """
    path, number = os.environ.get(VARIABLE), own.get(_NUMBER)
    if not path or not isinstance(number, int):
        return own
    nodes = _read(path)
    if not 0 <= number < len(nodes):
        raise ConfigurationError(
            f"{path} has the configurations of {len(nodes)} nodes, but this is number {number}: "
            "simulate as many nodes as it has"
        )
    return nodes[number]


@lru_cache(maxsize=4)
def _read(path: str) -> tuple[NodeConfig, ...]:
    try:
        found = loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {VARIABLE} {path}: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ConfigurationError(f"{VARIABLE} {path} is no list of nodes' configurations")
    return tuple(found)
