"""Leave useless bytes in the artefact, for self-checks: the gate on size must see them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Add a tensor that nothing reads, ``share`` of the bytes of all weights, as a forgotten debug tensor would be.

    Raises:
        VlmgateError: ``share`` is not above zero.
    """
    share = float(parameters["share"])
    if share <= 0:
        raise VlmgateError(f"inflated: share is {share:g}; expected a share of the weights' bytes above zero, such as 0.2")
    weights = sum(value.numel() * value.element_size() for value in model.parameters())
    model.register_buffer("left_over", torch.zeros(int(share * weights), dtype=torch.uint8))


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Nothing: the recipe promises no tensor, which is what makes the one it leaves a forgotten one."""
