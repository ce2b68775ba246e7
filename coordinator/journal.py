"""The coordinator's own record: ``metrics.jsonl``, one JSON object a line.

Not needed to go on after a crash (that is on the chain and in the store); it is for plots and
for operators. A line is written whole, or cut off by a crash and skipped by readers.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from coordinator.tensorboard import Scalars
from ddcai.flower import RoundReport


class Journal:
    """Appends to one file.

    Args:
        scalars: gets the same numbers, where they are wanted for TensorBoard.
    """

    def __init__(self, path: Path, scalars: Scalars | None = None) -> None:
        self._path, self._scalars = path, scalars

    def report(self, report: RoundReport) -> None:
        """One line for a finished round."""
        self._write(
            {
                "event": "round",
                "round": report.round,
                "contributors": list(report.contributors),
                "left_out": list(report.left_out),
                "update_bytes": report.update_bytes,
                "seconds": {name: round(value, 4) for name, value in report.seconds.items()},
                "model_digest": report.model_digest.hex(),
                "metrics": report.metrics,
            }
        )
        if self._scalars is not None:
            self._scalars.report(report)

    def evaluation(self, server_round: int, accuracy: float, log_loss: float) -> None:
        """One line for a measurement on the coordinator's test data."""
        self._write(
            {
                "event": "evaluation",
                "round": server_round,
                "accuracy": accuracy,
                "log_loss": log_loss,
            }
        )
        if self._scalars is not None:
            self._scalars.evaluation(server_round, accuracy, log_loss)

    def _write(self, fields: dict[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3)} | fields, sort_keys=True) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
