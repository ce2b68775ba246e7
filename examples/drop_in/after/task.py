"""The model and data of an ordinary Flower app."""

import csv

import torch
from torch import nn

COLUMNS = ("age", "sex", "trestbps", "thalach", "exang", "oldpeak")
RANGES = ((20, 90), (0, 1), (80, 220), (60, 210), (0, 1), (-2, 7))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(len(COLUMNS), 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.tanh(self.fc1(x)))


def load_data(path: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows, labels = [], []
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            values = [row[name] for name in COLUMNS]
            if any(value in ("", "?") for value in values):
                continue
            rows.append(
                [(float(v) - a) / (b - a) for v, (a, b) in zip(values, RANGES, strict=True)]
            )
            labels.append(int(float(row["target"]) > 0))
    return torch.tensor(rows), torch.tensor(labels)


def fit(net: Net, x: torch.Tensor, y: torch.Tensor, epochs: int = 2, lr: float = 0.1) -> float:
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    loss = torch.zeros(())
    for _ in range(epochs):
        for batch in torch.randperm(len(y)).split(16):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
    return loss.item()
