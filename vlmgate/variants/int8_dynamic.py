"""Dynamic INT8 by torch.ao.quantization.quantize_dynamic: INT8 weights, activations quantized at run time.

Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.quantize_dynamic.html (deprecated, present
through torch 2.15). The LM head is quantized and thereby untied from the embedding, unless ``tied`` is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import RowsOf, Shape, chosen, packing, put, tied_heads

LOW_PRECISION_KERNELS = True  # Linear layers are multiplied in INT8, which is checked on the artefact


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    if not engines:
        return "no INT8 engine (torch.backends.quantized.supported_engines is empty on this machine)"
    wanted = parameters.get("engine") or engines[0]
    return "" if wanted in engines else f"torch has no INT8 engine {wanted!r} on this machine; it has {', '.join(engines)}"


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Quantize the Linear layers under ``prefixes`` in place, one scale a matrix or a row; embeddings too if asked.

    With ``tied``, an embedding whose matrix a chosen Linear layer shares reads the rows of that layer's INT8 matrix; where none
    does, nothing is tied, and each matrix is quantized by itself.
    ``engine`` packs the weights: x86, onednn, fbgemm or qnnpack; without one, torch's own choice.

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
    shared = tied_heads(model, prefixes) if parameters.get("tied") else {}
    if parameters["embeddings"]:
        configs |= {
            name: float_qparams_weight_only_qconfig for name, _ in chosen(model, prefixes, nn.Embedding) if name not in shared
        }
    configs |= dict.fromkeys(shared.values(), per_channel_dynamic_qconfig)  # an embedding needs a scale of its own for each row
    with packing(parameters.get("engine", "")):
        quantize_dynamic(model, configs, dtype=torch.qint8, inplace=True)
    for embedding, head in shared.items():
        put(model, embedding, RowsOf.packed(head, model.get_submodule(head)))


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """What `apply` leaves, as shapes only: one byte a weight; a scale (8 bytes, with a zero point of 8) a matrix or (4 bytes) a
    row, for embeddings with a zero point of 4; biases as they are; a tied embedding without tensors of its own."""
    shared = tied_heads(model, prefixes) if parameters.get("tied") else {}
    heads, rows = set(shared.values()), parameters["per_channel"]
    new: dict[str, nn.Module] = {}
    for name, layer in chosen(model, prefixes, nn.Linear):
        per_row = rows or name in heads
        new[name] = Shape(layer, per_row, zero_points=not per_row)
    if parameters["embeddings"]:
        tables = [(name, table) for name, table in chosen(model, prefixes, nn.Embedding) if name not in shared]
        new |= {name: Shape(table, True, zero_points=True) for name, table in tables}
    for name, module in {**new, **{name: nn.Module() for name in shared}}.items():
        put(model, name, module)
