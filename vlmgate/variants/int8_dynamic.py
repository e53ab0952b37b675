"""Dynamic INT8 by torch.ao.quantization.quantize_dynamic: INT8 weights, activations quantized at run time.

Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.quantize_dynamic.html (deprecated, present
through torch 2.15). The LM head is quantized and thereby untied from the embedding.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import chosen


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    engines = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    return "" if engines else "no INT8 engine (torch.backends.quantized.supported_engines is empty on this machine)"


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Quantize the Linear layers under ``prefixes`` in place, one scale a matrix or a row; embeddings too if asked.

    Raises:
        VlmgateError: no layer was found, so the step would have done nothing.
    """
    from torch.ao.quantization import (
        default_dynamic_qconfig,
        float_qparams_weight_only_qconfig,
        per_channel_dynamic_qconfig,
        quantize_dynamic,
    )

    linear = per_channel_dynamic_qconfig if parameters["per_channel"] else default_dynamic_qconfig
    configs = {name: linear for name, _ in chosen(model, prefixes, nn.Linear)}
    if not configs:
        raise VlmgateError("int8_dynamic: no Linear layer in the chosen parts, so the step changed nothing")
    mapping = None
    if parameters["embeddings"]:
        configs |= {name: float_qparams_weight_only_qconfig for name, _ in chosen(model, prefixes, nn.Embedding)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the deprecation is recorded in docs/decisions.md
        quantize_dynamic(model, configs, dtype=torch.qint8, mapping=mapping, inplace=True)
