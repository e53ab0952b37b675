"""Whether a step of a recipe happened: a model whose weights are what they were was not transformed."""

from typing import Any

import torch
from torch import nn

State = dict[str, tuple[Any, ...]]


def keeps_weights(recipe: Any) -> bool:
    """Whether a recipe's ``apply`` leaves all weights as they are: ``KEEPS_WEIGHTS`` says so; without a word, one that only
    attaches something to the loaded model does."""
    return bool(getattr(recipe, "KEEPS_WEIGHTS", hasattr(recipe, "attach")))


def state_of(model: nn.Module) -> State:
    """Name → (shape, type, sum) of every parameter and buffer. A tensor of another library's counts by its class alone; what is
    packed in torch's own modules has no name any more."""
    both = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: (tuple(value.shape), str(value.dtype), _sum(value.data)) for name, value in both}


def _sum(value: torch.Tensor) -> float | str:
    return float(value.sum(dtype=torch.float64)) if type(value) is torch.Tensor else type(value).__name__
