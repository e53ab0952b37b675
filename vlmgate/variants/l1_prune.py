"""L1 unstructured pruning: set the smallest weights of every Linear layer to zero.

Zeros are stored and multiplied like any other value, so this alone makes nothing smaller or faster; the suite shows it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.utils import prune

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import chosen


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Prune the share ``amount`` of each Linear matrix under ``prefixes`` in place (torch.nn.utils.prune.l1_unstructured).

    A matrix that the embedding shares stays as it is: half of a tied pair cannot be pruned alone.

    Raises:
        VlmgateError: ``amount`` is not between 0 and 1 or less than one weight, or no layer was found.
    """
    amount = float(parameters["amount"])
    if not 0 < amount < 1:
        raise VlmgateError(f"l1_prune: amount is {amount:g}; expected a share between 0 and 1")
    tied = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    layers = [m for _, m in chosen(model, prefixes, nn.Linear) if id(m.weight) not in tied]
    if not layers:
        raise VlmgateError("l1_prune: no Linear layer in the chosen parts, so the step changed nothing")
    if not any(round(amount * layer.weight.numel()) for layer in layers):
        raise VlmgateError(f"l1_prune: amount {amount:g} is less than one weight of every matrix, so the step changed nothing")
    for layer in layers:
        prune.l1_unstructured(layer, "weight", amount=amount)
        prune.remove(layer, "weight")


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Nothing changes: zeros are stored like other values."""
