"""What a reloaded artefact must show: the tokens it was saved with, and that it computes as its recipe promises."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image

from vlmgate.artefacts.captioner import Captioner
from vlmgate.backends import TORCH, backend, promises_bf16, promises_int8
from vlmgate.spec import Variant
from vlmgate.variants import recipe

FULL = "aten::linear"  # a product in the type of its operands; it calls one of the next, which compiled code calls by itself
INSIDE = ("aten::addmm", "aten::mm", "mkldnn::_linear_pointwise", "mkl::_mkl_linear")
COMPILED = "Torch-Compiled Region"  # begins the name of an event
LOW = (  # operators that multiply 8 bits or fewer
    "quantized::linear",
    "onednn::qlinear",
    "aten::_int_mm",
    "aten::_weight_int8pack_mm",
    "aten::_weight_int4pack_mm",
    "aten::_dyn_quant_matmul",
)
LOW_ON_CUDA = (*LOW, "bitsandbytes::int8_linear_matmul")  # on a CPU it calls aten::_int_mm, or multiplies floats
NOT_A_PRODUCT = ("prepack", "unpack")


def fixed_pixels(captioner: Captioner, number: int = 2) -> dict[str, torch.Tensor]:
    """Seeded noise images of the size that the captioner takes."""
    side = captioner.inputs([Image.new("RGB", (32, 32))])["pixel_values"].shape[-1]
    pixels = torch.randn((number, 3, side, side), generator=torch.Generator().manual_seed(0))
    return {"pixel_values": pixels.to(captioner.device, captioner.dtype)}


def low_precision_kernels(captioner: Captioner) -> float:
    """Share of the products with weight matrices that ran in 8 bits or fewer during one call, by their number (profiled).

    It is the second call: in the first one a compiler runs operators to trace them.
    """
    inputs = fixed_pixels(captioner)
    captioner.tokens(inputs, least=2, most=2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        captioner.tokens(inputs, least=2, most=2)
    counts = {event.key: event.count for event in seen.key_averages()}
    return low_share(counts, LOW_ON_CUDA if captioner.device.startswith("cuda") else LOW)


def low_share(counts: Mapping[str, int], kernels: tuple[str, ...] = LOW) -> float:
    """The share from how often each operator ran. Without compiled code only FULL counts: what else calls those INSIDE it is no
    product of its own, such as the outliers of LLM.int8."""
    low = sum(n for key, n in counts.items() if key.startswith(kernels) and not any(word in key for word in NOT_A_PRODUCT))
    compiled = any(key.startswith(COMPILED) for key in counts)
    full = max(counts.get(FULL, 0), sum(counts.get(key, 0) for key in INSIDE) if compiled else 0)
    return low / (low + full) if low + full else 0.0


def compiling(captioner: Captioner) -> dict[str, float]:
    """``compile_seconds``: what the first call takes beyond a later one, with an empty compiler cache; ``compiled_graphs``: how
    many the compiler made of the model meanwhile."""
    from torch._dynamo.utils import counters
    from torch._inductor.utils import fresh_cache

    torch._dynamo.reset()  # a model of the same shape would share what was compiled of another
    inputs, seconds, before = fixed_pixels(captioner), [], counters["stats"]["unique_graphs"]
    with fresh_cache():
        for _ in range(3):
            began = time.perf_counter()
            captioner.tokens(inputs, least=8, most=8)
            seconds.append(time.perf_counter() - began)
    graphs = counters["stats"]["unique_graphs"] - before
    return {"compile_seconds": max(0.0, seconds[0] - min(seconds[1:])), "compiled_graphs": float(graphs)}


def promised(variant: Variant, captioner: Captioner) -> dict[str, Any]:
    """The figures that only a call can give, of the recipes and backends that promise something about it."""
    if variant.backend != TORCH:
        return _of_backend(variant, captioner)
    modules = [recipe(step.recipe) for step in variant.steps]
    found = compiling(captioner) if any(getattr(module, "COMPILES", False) for module in modules) else {}
    if any(_promises_kernels(module, step.parameters) for module, step in zip(modules, variant.steps, strict=True)):
        found["low_precision_kernels"] = low_precision_kernels(captioner)
    return found


def _promises_kernels(module: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a recipe promises products in 8 bits or fewer: always, never, or depending on its parameters."""
    promise = getattr(module, "LOW_PRECISION_KERNELS", False)
    return bool(promise(parameters) if callable(promise) else promise)


def _of_backend(variant: Variant, captioner: Captioner) -> dict[str, float]:
    """What a backend says of a call, where its graphs are to be in INT8 or bfloat16 and it can tell: the least of a call with one
    image and a call with several, for which it may have other kernels."""
    module = backend(variant.backend)
    asked = {"low_precision_kernels": promises_int8(variant), "bf16_kernels": promises_bf16(variant)}
    told = [name for name, promise in asked.items() if promise and hasattr(module, name)]
    said = []
    for number in (1, 2) if told else ():
        captioner.tokens(fixed_pixels(captioner, number), least=2, most=2)
        said.append({name: float(getattr(module, name)(captioner.model)) for name in told})
    return {name: min(each[name] for each in said) for name in told}
