"""A federation's head with a trainer, on a chain in this thread whose clock the test sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.providers.base import BaseProvider

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import creation
from ddcai.chain.incentive import self_assessment
from ddcai.chain.node.evm import EvmChain
from ddcai.chain.node.methods import Methods
from ddcai.chain.node.rpc_error import RpcError
from ddcai.chain.trainer_deployment import TrainerDeployment, deploy_trainer
from ddcai.chain.transactions import Sender
from ddcai.incentives.self_assessment import Rules
from ddcai.models.heads import Head, TeachableHead

FEATURES, CLASSES, RATE = 2, 3, 1
ENCODER_EVERY = 2  # of two rounds the first moves the head, the second replaces it
STEP = 127**2  # what a lesson moves a bias by, at this rate


def _stand_in() -> bytes:
    """Creation code of what owns the head: it counts rounds, and sends what it is told to.

    A real federation finalises a round by a quorum's signatures, which cost seconds; to the head
    it is `lastRound()` and a call of `write`, and that is all that is here. Called with four
    bytes it returns its count. With a word, an address, and more bytes, it counts and sends these.
    """
    to_write = "600160005401600055"  # sstore(0, sload(0) + 1)
    to_write += "602036036020600037"  # calldatacopy(0, 32, calldatasize - 32)
    # call(gas, calldataload(0), 0, 0, calldatasize - 32, 0, 0)
    to_write += "6000600060203603600060006000355af1"
    start = "3660041460{count:02x}57"  # if calldatasize == 4 goto count
    end = "60{done:02x}5760006000fd" + "5b00"  # if it succeeded goto done; revert; done: stop
    done = (len(start.format(count=0)) + len(to_write) + len(end.format(done=0))) // 2 - 2
    count = done + 2
    run = start.format(count=count) + to_write + end.format(done=done)
    run += "5b60005460005260206000f3"  # count: return sload(0)
    size = f"60{len(run) // 2:02x}"
    return bytes.fromhex(f"{size}600c600039{size}6000f3" + run)


class InProcess(BaseProvider):
    """A node in this thread."""

    def __init__(self, chain: EvmChain) -> None:
        super().__init__()
        self._methods = Methods(chain)

    def make_request(self, method: Any, params: Any) -> Any:
        try:
            return {"result": self._methods.handle(method, params)}
        except RpcError as error:
            told = {"code": error.code, "message": error.message, "data": error.data}
            return {"error": told}


def row(feature: int) -> Any:
    """int8[FEATURES]: this one alone is there."""
    return (np.arange(FEATURES) == feature).astype(np.int8) * np.int8(127)


def head_for(class_: int, lessons: int) -> Head:
    """A round's head: it prefers a class by so many lessons' bias."""
    bias = np.zeros(CLASSES, np.int32)
    bias[class_] = lessons * STEP
    return Head(np.zeros((CLASSES, FEATURES), np.int16), bias)


class TaughtHead:
    """The head on chain, its owner that stands in for a federation, and the trainer."""

    def __init__(self, w3: Web3, founder: LocalAccount, rules: Rules) -> None:
        self._sender = sender = Sender(w3, founder)
        first = head_for(0, 0)
        shape = (FEATURES, CLASSES, RATE, ENCODER_EVERY)
        address = sender.send(None, creation("TeachableHead", shape)).contract_address
        assert address is not None
        self._model = Contract(w3, address, artifact.load("DensePerceptron"))
        self._head = Contract(w3, address, artifact.load("PerceptronHead"))
        for name, given in (("load", [0, first.to_words()]), ("seal", [])):
            sender.send(address, self._model.encode(name, given))
        federation = sender.send(None, _stand_in()).contract_address
        assert federation is not None
        self._federation = federation
        sender.send(address, self._model.encode("transferOwnership", [federation]))
        self.deployment: TrainerDeployment = deploy_trainer(
            w3, founder, address, self_assessment(rules)
        )
        self.twin = TeachableHead(first, RATE, ENCODER_EVERY)

    def write(self, head: Head) -> None:
        """A round ends with this head."""
        data = bytes.fromhex(self._model.address[2:]).rjust(32, b"\0")
        call = self._head.encode("write", [head.to_words()])
        self._sender.send(self._federation, data + bytes(call))

    def state(self) -> tuple[list[int], list[int], int]:
        """The live words, the written ones, and the release, as they stand on chain."""
        live, release = self._model.call_many(
            [("words", [0, self.twin.word_count]), ("release", [])]
        )
        return list(live), list(self._head.call("words")), int(release)
