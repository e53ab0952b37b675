"""The registry of variants and of the recipes they are made of (recipes import torch only when asked for)."""

from importlib import import_module
from typing import Any

from vlmgate.spec import Step, Variant

ALL_PARTS = ("vision", "projector", "text")

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("fp32", about="the unmodified model in float32: the reference"),
        Variant(
            "int8-dynamic",
            (Step("int8_dynamic", {"parts": ALL_PARTS, "per_channel": False, "embeddings": False}),),
            about="dynamic INT8 of every Linear layer (torch quantize_dynamic, one scale a matrix)",
        ),
        Variant(
            "int8-dynamic-embed",
            (Step("int8_dynamic", {"parts": ALL_PARTS, "per_channel": True, "embeddings": True}),),
            about="dynamic INT8 with one scale a row, embeddings in INT8 too",
        ),
        Variant(
            "pruned",
            (Step("l1_prune", {"parts": ALL_PARTS, "amount": 0.3}),),
            about="L1 unstructured pruning: the smallest weights of every Linear layer set to zero",
        ),
        Variant(
            "pruned-int8",
            (
                Step("l1_prune", {"parts": ALL_PARTS, "amount": 0.3}),
                Step("int8_dynamic", {"parts": ALL_PARTS, "per_channel": False, "embeddings": False}),
            ),
            about="L1 pruning, then dynamic INT8",
        ),
        Variant("bf16", (Step("cast", {"dtype": "bfloat16"}),), dtype="bfloat16", about="bfloat16 on the CPU"),
        Variant("fp32-cuda", device="cuda", about="the unmodified model in float32 on an NVIDIA GPU: the CUDA tier's reference"),
        Variant(
            "fp16-cuda",
            (Step("cast", {"dtype": "float16"}),),
            device="cuda",
            dtype="float16",
            about="float16 on an NVIDIA GPU",
        ),
    )
}

RECIPES: dict[str, str] = {
    "int8_dynamic": "vlmgate.variants.int8_dynamic",
    "l1_prune": "vlmgate.variants.l1_prune",
    "cast": "vlmgate.variants.cast",
    "slowed": "vlmgate.variants.slowed",
}


def recipe(name: str) -> Any:
    """The module of a recipe: ``missing(parameters) -> str``, ``apply(model, prefixes, parameters)``, optionally ``attach``."""
    return import_module(RECIPES[name])
