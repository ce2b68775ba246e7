"""The coordinator's record for TensorBoard: event files beside ``metrics.jsonl``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ddcai.errors import ConfigurationError
from ddcai.flower import RoundReport

FOLDER = "tensorboard"


def require_tensorboard() -> None:
    """Checks that it is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigurationError(
            "tensorboard is not installed: python -m pip install 'ddcai[tensorboard]'"
        )


class Scalars:
    """Writes numbers of rounds; each is on disk when its call returns.

    Args:
        output: the coordinator's folder; the files go to ``tensorboard`` in it.

    Raises:
        ConfigurationError: tensorboard is not installed.
    """

    def __init__(self, output: Path) -> None:
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(output / FOLDER))

    def report(self, report: RoundReport) -> None:
        """A finished round: seconds by step, how many are in the sum, the averaged metrics."""
        found = {f"seconds/{step}": value for step, value in report.seconds.items()}
        found |= {f"metrics/{name}": value for name, value in report.metrics.items()}
        found["round/contributors"] = len(report.contributors)
        found["round/left_out"] = len(report.left_out)
        found["round/update_bytes"] = report.update_bytes
        self._write(report.round, found)

    def evaluation(self, server_round: int, accuracy: float, log_loss: float) -> None:
        """A measurement on the coordinator's test data."""
        self._write(
            server_round, {"evaluation/accuracy": accuracy, "evaluation/log_loss": log_loss}
        )

    def _write(self, number: int, found: dict[str, float]) -> None:
        for name, value in found.items():
            self._writer.add_scalar(name, value, number)
        self._writer.flush()
