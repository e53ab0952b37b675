"""Structured pruning of whole layers: spread over the depth, the first and the last one stay."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.structure import configs, kept, share, stacks

SHRINKS = True
DEPTHS = ("num_hidden_layers", "depth", "n_layer", "num_layers")
CHOSEN_LAYERS = ("fullatt_block_indexes", "deepstack_visual_indexes")  # lists of numbers of layers
NUMBER_OF_LAYER = ("layer_idx", "layer_num")  # by which a layer finds its place in the cache


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Take the share ``amount`` of the layers out of every stack under ``prefixes``, in place.

    Raises:
        VlmgateError: ``amount`` is no share, no stack of layers was found, or it is less than one layer of each.
    """
    amount = share(parameters, "layers")
    found = list(stacks(model, prefixes))
    if not found:
        raise VlmgateError("layers: no stack of layers in the chosen parts, so the step changed nothing")
    stay = {name: spread(len(stack), kept(len(stack), amount)) for name, stack in found}
    if all(len(stay[name]) == len(stack) for name, stack in found):
        raise VlmgateError(f"layers: amount {amount:g} is less than one layer of every stack, so the step changed nothing")
    for name, stack in found:
        depth, layers = len(stack), [stack[index] for index in stay[name]]
        del stack[len(layers) :]
        for place, layer in enumerate(layers):
            stack[place] = layer
            _renumber(layer, place)
        for holder in (model.get_submodule(name.rpartition(".")[0]), *configs(model, name)):
            _tell(holder, depth, stay[name])


def spread(number: int, keep: int) -> list[int]:
    """Which of ``number`` layers stay; those that go are spread evenly over the inner ones (if need be, all but the first)."""
    go = number - keep
    inner = range(1, number - 1) if go <= number - 2 else range(1, number)
    gone = {inner[int((i + 0.5) * len(inner) / go)] for i in range(go)}
    return [index for index in range(number) if index not in gone]


def _renumber(layer: nn.Module, place: int) -> None:
    for module in layer.modules():
        for name in NUMBER_OF_LAYER:
            if isinstance(getattr(module, name, None), int):
                setattr(module, name, place)


def _tell(holder: Any, depth: int, stay: Sequence[int]) -> None:
    """The new depth in a configuration or module, and the lists that have one entry a layer or name layers by number."""
    for name in DEPTHS:
        if getattr(holder, name, None) == depth:
            setattr(holder, name, len(stay))
    for name, value in list(vars(holder).items()):
        if not isinstance(value, list):
            continue
        if name in CHOSEN_LAYERS:
            setattr(holder, name, [stay.index(index) for index in value if index in stay])
        elif name == "layer_types" and len(value) == depth:
            setattr(holder, name, [value[index] for index in stay])
