"""Local training and evaluation of a network on arrays in memory.

Stochastic gradient descent on log loss, for some epochs over one site's data: the local part
of FedAvg (McMahan et al., 2017, algorithm 1, ClientUpdate). Optimiser state is not kept from
round to round: each round starts from the federation's model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from ddcai.configuration import Training
from ddcai.errors import DataError, RoundError
from ddcai.models.encoder import encode, split
from ddcai.models.heads import features_of, head_of_module


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a model does on some examples.

    Attributes:
        accuracy: share of right answers of the integer head on int8 features, which is what
            the chain answers.
        accuracy_float: the same of the float network.
        log_loss: mean of the float network, in nats.
        num_examples: how many.
    """

    accuracy: float
    accuracy_float: float
    log_loss: float
    num_examples: int


def train(
    module: nn.Module,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    training: Training,
    *,
    seed: int,
    head_only: bool = False,
) -> float:
    """Trains ``module`` in place by the recipe.

    Args:
        module: the network (``encoder`` and ``head``), holding the base model.
        x: inputs, float32[n, ...].
        y: class indices, int64[n].
        training: the recipe.
        seed: of the order of examples and of dropout, 0 to 2^63 - 1. The same seed, data and
            machine give the same bits.
        head_only: leaves everything but the head as it is, bit for bit; the head learns on
            what the encoder answers when it is asked, without dropout.

    Returns:
        Mean log loss over the last epoch, in nats, each batch measured before its step.

    Raises:
        DataError: if there is no example, or x and y differ in length.
        RoundError: if the loss becomes NaN or infinite; names training.learning_rate.
    """
    if len(x) == 0 or len(x) != len(y):
        raise DataError(f"{len(x)} inputs and {len(y)} labels: give as many of each, at least one")
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    encoder, head = split(module)
    learning = head if head_only else module
    optimizer = _Sgd(
        [parameter for parameter in learning.parameters() if parameter.requires_grad], training
    )
    module.train()
    if head_only:
        encoder.eval()
    loss_sum = torch.zeros(())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(training.local_epochs):
            loss_sum = torch.zeros(())
            for batch in torch.split(torch.randperm(len(labels)), training.batch_size):
                # head after encoder, whatever the module's forward does: that is what the
                # chain will compute.
                with torch.set_grad_enabled(not head_only):
                    encoding = encoder(inputs[batch])
                loss = functional.cross_entropy(head(encoding), labels[batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                loss_sum += loss.detach() * len(batch)
    module.eval()
    mean = float(loss_sum) / len(labels)
    if not math.isfinite(mean):
        raise RoundError(
            f"the loss is {mean} at training.learning_rate {training.learning_rate}: lower it"
        )
    return mean


class _Sgd:
    """`torch.optim.SGD` to the bit (a test says so); the first step of torch's own loads its
    compiler, a second of every process that trains."""

    def __init__(self, parameters: list[nn.Parameter], training: Training) -> None:
        self._parameters = parameters
        self._training = training
        self._momentum: list[torch.Tensor | None] = [None] * len(parameters)

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        recipe = self._training
        for index, parameter in enumerate(self._parameters):
            change = parameter.grad
            if change is None:
                continue
            if recipe.weight_decay:
                change = change.add(parameter, alpha=recipe.weight_decay)
            if recipe.momentum:
                before = self._momentum[index]
                change = (
                    change.clone() if before is None else before.mul_(recipe.momentum).add_(change)
                )
                self._momentum[index] = change
            parameter.add_(change, alpha=-recipe.learning_rate)


def evaluate(
    module: nn.Module,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    *,
    head_scale: int,
) -> Evaluation:
    """Measures ``module`` on float32[n, ...] and int64[n], as float network and as on chain.

    Raises:
        DataError: if there is no example, or x and y differ in length.
        ConfigurationError: if the encoder leaves [-1, 1] or the head does not fit head_scale.
    """
    if len(x) == 0 or len(x) != len(y):
        raise DataError(f"{len(x)} inputs and {len(y)} labels: give as many of each, at least one")
    encoding = encode(module, x)
    _, head = split(module)
    with torch.inference_mode():
        logits = head(torch.from_numpy(encoding))
        log_loss = float(functional.cross_entropy(logits, torch.from_numpy(y)))
    on_chain = head_of_module(module, head_scale).predict(features_of(encoding))
    return Evaluation(
        accuracy=float((on_chain == y).mean()),
        accuracy_float=float((logits.argmax(dim=1).numpy() == y).mean()),
        log_loss=log_loss,
        num_examples=len(y),
    )
