"""Semi-structured 2:4 pruning: of every four weights in a row of a Linear matrix the two smallest become zero.

The pattern that NVIDIA's sparse tensor cores take; stored and multiplied like any other matrix on a CPU, where it buys
nothing. Source: https://arxiv.org/abs/2104.08378
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import chosen


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Prune the Linear matrices under ``prefixes`` in place; one that the embedding shares, or whose rows are no multiple of
    four long, stays as it is.

    Raises:
        VlmgateError: no such matrix was found, so the step would have done nothing.
    """
    tied = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    layers = [m for _, m in chosen(model, prefixes, nn.Linear) if id(m.weight) not in tied and not m.in_features % 4]
    if not layers:
        raise VlmgateError("two_of_four: no Linear layer in the chosen parts, so the step changed nothing")
    with torch.no_grad():
        for layer in layers:
            layer.weight.masked_fill_(smallest_two(layer.weight), 0.0)


def smallest_two(weight: Tensor) -> Tensor:
    """True for the two smallest magnitudes of every four neighbours of a row (rows × columns, as ``weight``)."""
    fours = weight.detach().abs().reshape(len(weight), -1, 4)
    gone = torch.zeros_like(fours, dtype=torch.bool)
    gone.scatter_(2, torch.topk(fours, 2, dim=2, largest=False).indices, value=True)
    return gone.reshape(weight.shape)


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Nothing changes: zeros are stored like other values."""
