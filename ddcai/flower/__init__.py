"""What any Flower app can take: one mod for its ClientApp, one strategy for its ServerApp.

`SecureMod` turns a client's trained arrays into a ciphertext, a digest on chain and a
deposit; `EncryptedFedAvg` runs the rounds; `InProcessGrid` runs both in one process.
"""

from ddcai.flower.grid import InProcessGrid
from ddcai.flower.mod import SecureMod
from ddcai.flower.report import RoundReport
from ddcai.flower.strategy import EncryptedFedAvg

__all__ = ["EncryptedFedAvg", "InProcessGrid", "RoundReport", "SecureMod"]
