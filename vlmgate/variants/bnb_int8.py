"""LLM.int8 of bitsandbytes: INT8 weights and activations, one scale a row of each, outliers of the activations in floats.

Source: https://arxiv.org/abs/2208.07339. On a CPU bitsandbytes multiplies by ``torch._int_mm`` where there is AVX-512, and
elsewhere in float32, which is no INT8 at all; such processors are skipped unless ``emulate`` is set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.bnb import eight_bit, lacks, replace, stored_int8, targets, versions

__all__ = ["LOW_PRECISION_KERNELS", "apply", "missing", "shapes", "versions"]


def LOW_PRECISION_KERNELS(parameters: Mapping[str, Any]) -> bool:  # noqa: N802 (a constant in other recipes)
    """Products in INT8 are promised, but not where ``emulate`` lets them run in float32."""
    return not parameters.get("emulate")


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string. ``device`` is the variant's; ``emulate`` measures it all the same."""
    if why := lacks():
        return why
    if parameters.get("emulate") or not str(parameters.get("device", "cpu")).startswith("cpu") or multiplies_int8():
        return ""
    return (
        "this processor has no AVX-512, so bitsandbytes would multiply INT8 matrices in float32; "
        "set emulate: true for its step in suite.yaml to measure that"
    )


def multiplies_int8() -> bool:
    """Whether bitsandbytes takes an INT8 kernel on this CPU (the condition of its backends/cpu/ops.py)."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Quantize the Linear layers under ``prefixes`` in place; columns of activations that reach ``threshold`` stay in floats
    (0: none). The output layer stays as it is unless ``head`` is set, as transformers leaves it.

    Raises:
        VlmgateError: ``threshold`` is negative, or no layer was found, so the step would have done nothing.
    """
    threshold = float(parameters["threshold"])
    if not threshold >= 0:
        raise VlmgateError(f"bnb_int8: threshold is {threshold:g}; expected 0 (no outliers) or more")
    layers = list(targets(model, prefixes, parameters["head"]))
    if not layers:
        raise VlmgateError("bnb_int8: no Linear layer in the chosen parts, so the step changed nothing")
    for name, layer in layers:
        replace(model, name, eight_bit(layer, threshold))


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """What `apply` leaves, as shapes only: a byte a weight and a scale of 4 bytes a row."""
    for name, layer in list(targets(model, prefixes, parameters["head"])):
        replace(model, name, stored_int8(layer))
