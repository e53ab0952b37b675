"""4-bit weights of bitsandbytes, NF4 or FP4, in blocks of 64 that share a scale; products run in floats.

Source: QLoRA, https://arxiv.org/abs/2305.14314. ``double_quant`` stores the scales in 8 bits, in blocks of 256 of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown
from vlmgate.variants.bnb import TYPES, four_bit, lacks, replace, stored_4bit, targets, versions
from vlmgate.variants.cast import DTYPES

__all__ = ["apply", "missing", "shapes", "versions"]


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return lacks()


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Store the Linear layers under ``prefixes`` in 4 bits, in place; they multiply in ``compute_dtype``. The output layer stays
    as it is unless ``head`` is set, as transformers leaves it.

    Raises:
        VlmgateError: an unknown ``quant_type`` or ``compute_dtype``, or no layer was found, so the step would have done nothing.
    """
    quant_type, compute = parameters["quant_type"], DTYPES.get(parameters["compute_dtype"])
    if quant_type not in TYPES:
        raise VlmgateError(f"bnb_4bit: {unknown('quant_type', quant_type, TYPES)}")
    if compute is None:
        raise VlmgateError(f"bnb_4bit: {unknown('compute_dtype', parameters['compute_dtype'], DTYPES)}")
    layers = list(targets(model, prefixes, parameters["head"]))
    if not layers:
        raise VlmgateError("bnb_4bit: no Linear layer in the chosen parts, so the step changed nothing")
    for name, layer in layers:
        replace(model, name, four_bit(layer, quant_type, bool(parameters["double_quant"]), compute))


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """What `apply` leaves, as shapes only: half a byte a weight, and for 64 of them 4 bytes or, double quantized, about 1."""
    for name, layer in list(targets(model, prefixes, parameters["head"])):
        replace(model, name, stored_4bit(layer, bool(parameters["double_quant"])))
