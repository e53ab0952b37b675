"""Run in another floating-point type: bfloat16 or float16 weights and activations, of the whole model or of chosen parts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "avx10", "bf16"}  # the last one is ARM's
CPUINFO = Path("/proc/cpuinfo")
KEEPS_WEIGHTS = False  # although it attaches something, too


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string. ``device`` is the variant's; ``emulate`` measures bfloat16 all the same."""
    wanted = parameters.get("dtype") == "bfloat16" and str(parameters.get("device", "cpu")).startswith("cpu")
    if not wanted or parameters.get("emulate") or has_bfloat16():
        return ""
    return (
        "this processor has no bfloat16 instructions (AVX512-BF16, AMX or ARM's), so torch would emulate them, slower than "
        "float32; set emulate: true for its step in suite.yaml to measure that"
    )


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself; true where the system does not say."""
    try:
        flags = set(CPUINFO.read_text(encoding="utf-8").split())
    except OSError:
        return True
    return bool(flags & BFLOAT16_FLAGS)


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Cast the whole model in place, or with ``parts`` the modules under ``prefixes``, which then take and give float32.

    Raises:
        VlmgateError: the type is not one of DTYPES, or the weights already have it (the step would do nothing).
    """
    dtype = DTYPES.get(parameters["dtype"])
    if dtype is None:
        raise VlmgateError(f"cast: {unknown('dtype', parameters['dtype'], DTYPES)}")
    parts = [model.get_submodule(prefix) for prefix in prefixes] if "parts" in parameters else [model]
    if all(value.dtype == dtype for part in parts for value in part.parameters()):
        raise VlmgateError(f"cast: every weight is {parameters['dtype']} already, so the step changed nothing")
    for part in parts:
        part.to(dtype)
    if "parts" in parameters:
        _join(model, dtype)


def attach(captioner: Any, parameters: Mapping[str, Any]) -> None:
    """Put the casts between the parts back when an artefact is loaded."""
    if "parts" in parameters:
        _join(captioner.model, DTYPES[parameters["dtype"]])


def _join(model: nn.Module, dtype: torch.dtype) -> None:
    """Let every outermost module whose weights are all of ``dtype`` take floats of any type and give float32."""
    inside: list[str] = []
    for name, module in model.named_modules():
        weights = list(module.parameters())
        if name and weights and all(w.dtype == dtype for w in weights) and not any(name.startswith(f"{o}.") for o in inside):
            inside.append(name)
            module.register_forward_pre_hook(lambda _, args, kwargs: (to(args, dtype), to(kwargs, dtype)), with_kwargs=True)
            module.register_forward_hook(lambda _, args, output: to(output, torch.float32))


def to(value: Any, dtype: torch.dtype) -> Any:
    """Floating-point tensors in any nesting of tuples, lists and mappings, cast; everything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(to(each, dtype) for each in value)
    if isinstance(value, dict):  # a model's output is one too; its keys are attributes, and setting them keeps both in step
        for key, each in list(value.items()):
            value[key] = to(each, dtype)
    return value
