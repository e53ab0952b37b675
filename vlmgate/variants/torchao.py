"""torchao's INT8 and INT4: dynamic INT8, INT8 weights or INT4 weights of Linear layers.

Source: https://docs.pytorch.org/ao/stable/workflows/inference.html. Run eagerly, each product is several operators, so these pay
under ``torch.compile`` (add the step ``compiled``) or for their size.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import RowsOf, Stored, chosen, put, tied_heads
from vlmgate.variants.torchao_linear import DYNAMIC, INT4, INT8, TorchaoLinear, quantized

SCHEMES = (DYNAMIC, INT8, INT4)
GROUP_SIZES = (32, 64, 128)  # which the CPU's INT4 kernel takes
FAST = ("AVX2", "AVX512")  # elsewhere it multiplies one value after the other


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    if find_spec("torchao") is None:
        return "needs torchao: pip install 'vlmgate[torchao]'"
    if parameters.get("scheme") != INT4:
        return ""
    if not str(device := parameters.get("device", "cpu")).startswith("cpu"):
        return f"torchao's INT4 weights for a CPU do not run on {device}; leave the variant on the CPU"
    level = torch.backends.cpu.get_cpu_capability()
    return "" if level in FAST else f"torch's INT4 kernel is written for {' and '.join(FAST)}; this processor has {level}"


def versions() -> dict[str, str]:
    """What an artefact depends on besides torch."""
    return {"torchao": metadata.version("torchao")}


def LOW_PRECISION_KERNELS(parameters: Mapping[str, Any]) -> bool:  # noqa: N802 (a constant of other recipes)
    """INT8 weights alone are turned into floats before they are multiplied; the other two have kernels of their own."""
    return bool(parameters["scheme"] != INT8)


def multiplies(layer: Any) -> str:
    """The type in which the kernel of a layer that `shapes` left multiplies: torch's INT4 kernel turns weights into bfloat16 in
    registers. The tied head, which INT4 puts in INT8, is multiplied as that."""
    return "bf16" if hasattr(layer, "int4") else "int8"


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Quantize the Linear layers under ``prefixes`` in place, by ``scheme``: int8-dynamic, int8-weights or int4-weights.

    With ``tied``, an embedding whose matrix a chosen layer shares reads the rows of that layer's INT8 matrix; without, it stays
    beside it as it was. INT4 takes layers whose rows are a multiple of ``group_size`` (32, 64 or 128) long; of a matrix that an
    embedding shares it makes dynamic INT8 with ``tied``, and leaves it alone without.

    Raises:
        VlmgateError: no layer was found, so the step would have done nothing; or a parameter is unknown.
    """
    heads = tied_heads(model, prefixes)
    layers = _layers(model, prefixes, parameters, heads)
    for name, (layer, scheme) in layers.items():
        put(model, name, TorchaoLinear(scheme, quantized(scheme, layer.weight, parameters["group_size"]), layer.bias))
    for table, head in heads.items() if parameters["tied"] else ():
        matrix: Any = model.get_submodule(head).weight
        put(model, table, RowsOf(head, matrix.qdata, matrix.scale.flatten()))


def shapes(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """What `apply` leaves, as shapes only: one byte a weight and four a row; or half a byte a weight and four a group (scale
    and zero point in bfloat16); biases as they are; a tied embedding without tensors of its own."""
    heads = tied_heads(model, prefixes)
    for name, (layer, scheme) in _layers(model, prefixes, parameters, heads).items():
        stored = _four(layer, parameters["group_size"]) if scheme == INT4 else _eight(layer)
        put(model, name, Stored(**stored, **({} if layer.bias is None else {"bias": layer.bias.detach()})))
    for table in heads if parameters["tied"] else ():
        put(model, table, nn.Module())


def _four(layer: Any, group_size: int) -> dict[str, Tensor]:
    rows, columns = layer.weight.shape
    groups = torch.empty(rows, columns // group_size, dtype=torch.bfloat16, device="meta")
    values = torch.empty(rows, columns // 2, dtype=torch.uint8, device="meta")
    return {"int4": values, "scale": groups, "zero": groups.clone()}


def _eight(layer: Any) -> dict[str, Tensor]:
    values = torch.empty(layer.weight.shape, dtype=torch.int8, device="meta")
    return {"int8": values, "scale": torch.empty(len(values), device="meta")}


def _layers(
    model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any], heads: Mapping[str, str]
) -> dict[str, tuple[Any, str]]:
    """The Linear layers that the step quantizes, by name, each with its scheme."""
    scheme, group = parameters["scheme"], parameters["group_size"]
    if scheme not in SCHEMES:
        raise VlmgateError(f"torchao: unknown scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    layers = {name: (layer, scheme) for name, layer in chosen(model, prefixes, nn.Linear)}
    if scheme == INT4:
        if group not in GROUP_SIZES:
            raise VlmgateError(f"torchao: group_size is {group}; the INT4 kernel takes {', '.join(map(str, GROUP_SIZES))}")
        shared = {name: (layers[name][0], DYNAMIC) for name in heads.values()} if parameters["tied"] else {}
        fits = {name: found for name, found in layers.items() if not found[0].in_features % group}
        layers = {name: found for name, found in fits.items() if name not in heads.values()} | shared
    if not any(found[1] == scheme for found in layers.values()):
        raise VlmgateError(f"torchao: no Linear layer for {scheme} in the chosen parts, so the step changed nothing")
    return layers
