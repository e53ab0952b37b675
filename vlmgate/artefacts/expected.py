"""What the tensors of an artefact should weigh: its recipe on shapes alone, on the meta device, without loading a weight."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText
from transformers.initialization import no_init_weights

from vlmgate.spec import Step, Variant
from vlmgate.variants import recipe
from vlmgate.variants.packed import unique_tensors

Parts = Mapping[str, tuple[str, ...]]
# Where parts are in models that no registry knows, by the last word of a module's name.
NAMES = {
    "vision": ("vision_tower", "vision_model", "visual"),
    "projector": ("multi_modal_projector", "connector", "mm_projector", "qformer", "language_projection"),
    "text": ("language_model", "text_model", "text_decoder", "lm_head"),
}


def skeleton(config: Any) -> nn.Module:
    """The model that a configuration describes, in float32, shapes only."""
    with torch.device("meta"), no_init_weights():
        model: Any = AutoModelForImageTextToText.from_config(deepcopy(config), dtype=torch.float32)
    model.tie_weights()
    return model  # type: ignore[no-any-return]


def expected_bytes(config: Any, variant: Variant, parts: Parts) -> float:
    """Bytes of all tensors that the variant's artefact holds; recipes with ``shapes`` say it themselves, others are applied.

    Raises:
        VlmgateError: the recipe does not fit the model (such as a part that it has not).
        Exception: whatever a recipe of a plugin meets that needs real weights: it has no closed form.
    """
    model = skeleton(config)
    for step in variant.steps:
        carry_out(model, step, parts)
    return weigh(model)


def carry_out(model: nn.Module, step: Step, parts: Parts) -> None:
    """One step of a recipe on the shapes of ``model``, in place."""
    chosen = [prefix for part in step.parameters.get("parts", tuple(parts)) for prefix in parts.get(part, ())]
    module = recipe(step.recipe)
    with torch.device("meta"):
        getattr(module, "shapes", module.apply)(model, chosen, step.parameters)


def weigh(model: nn.Module) -> float:
    """Bytes of all tensors that would be stored, tied ones once."""
    return float(sum(value.numel() * value.element_size() for value in unique_tensors(model).values()))


def parts_of(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Part → prefixes of module names, found by their last word; of nested ones the outermost."""
    found: dict[str, tuple[str, ...]] = {}
    taken: list[str] = []
    for name, _ in model.named_modules():
        part = next((part for part, words in NAMES.items() if name.rpartition(".")[2] in words), "")
        if part and not any(name.startswith(f"{outer}.") for outer in taken):
            taken.append(name)
            found[part] = (*found.get(part, ()), name)
    return found
