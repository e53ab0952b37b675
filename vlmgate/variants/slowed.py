"""Slow a model down on purpose by busy work, for self-checks: the gate must see it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from vlmgate.spec import VlmgateError


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Change no weight; the slow-down is attached when the artefact is loaded.

    Raises:
        VlmgateError: ``share`` is negative.
    """
    if float(parameters["share"]) < 0:
        raise VlmgateError(f"slowed: share is {parameters['share']}; expected a share of the model's own time, such as 0.1")


def attach(captioner: Any, parameters: Mapping[str, Any]) -> None:
    """Make every ``tokens`` call of the captioner take ``share`` longer by keeping the core busy (no sleep)."""
    plain, share = captioner.tokens, float(parameters["share"])

    def slow(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = plain(*args, **kwargs)
        now = time.perf_counter()
        until, x = now + share * (now - began), 1.0
        while time.perf_counter() < until:
            x = x * 1.0000001 + 1e-9
        return result

    captioner.tokens = slow
