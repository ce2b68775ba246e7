"""A user's own code by name: ``module:function``.

The configuration may name two functions, each imported from the Python path of the process
that needs it (the contributor's, the coordinator's, the auditor's):

- ``model.entry_point``: ``function(config: FederationConfig) -> torch.nn.Module`` with two
  attributes: ``encoder``, a module whose outputs are float[n, d] in [-1, 1] (end it in
  ``Tanh``), and ``head``, an ``nn.Linear(d, number of classes)``, the layer that goes on chain.
- ``task.dataset``: ``function(path: str, config: FederationConfig) -> (x, y)`` with x
  float32[n, ...], the encoder's inputs, and y int64[n], class indices.

A federation that names one asks its members to install that module; nothing is downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ddcai.configuration import ENTRY_POINT
from ddcai.errors import ConfigurationError


def resolve(entry_point: str) -> Callable[..., Any]:
    """Imports ``module:function``.

    Raises:
        ConfigurationError: for another form, a module that is not on the path or fails while
            it is imported, or a name that it does not have or that cannot be called.
    """
    if ENTRY_POINT.fullmatch(entry_point) is None:
        raise ConfigurationError(f"entry point {entry_point!r}: write module:function")
    module_name, function_name = entry_point.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            remedy = "install it, or put its folder on PYTHONPATH"
        else:
            remedy = f"it imports {error.name!r}, which is not installed"
        raise ConfigurationError(
            f"entry point {entry_point!r}: cannot import {module_name!r}: {remedy}"
        ) from error
    except Exception as error:  # a user's module may raise anything while it is imported
        raise ConfigurationError(
            f"entry point {entry_point!r}: importing {module_name!r} failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    function = getattr(module, function_name, None)
    if function is None:
        raise ConfigurationError(
            f"entry point {entry_point!r}: {module_name!r} has no {function_name!r}: check the name"
        )
    if not callable(function):
        raise ConfigurationError(
            f"entry point {entry_point!r} is a {type(function).__name__}: name a function"
        )
    return function  # type: ignore[no-any-return]
