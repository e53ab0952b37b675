"""Run in another floating-point type: bfloat16 or float16 weights and activations."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Cast the whole model in place.

    Raises:
        VlmgateError: the type is not one of DTYPES, or the model already has it (the step would do nothing).
    """
    dtype = DTYPES.get(parameters["dtype"])
    if dtype is None:
        raise VlmgateError(f"cast: unknown dtype {parameters['dtype']!r}; known: {', '.join(DTYPES)}")
    if all(value.dtype == dtype for value in model.parameters()):
        raise VlmgateError(f"cast: every weight is {parameters['dtype']} already, so the step changed nothing")
    model.to(dtype)
