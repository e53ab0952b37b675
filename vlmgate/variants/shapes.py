"""Shapes that the configuration does not tell: what structured pruning left of a model, as plain values and back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.variants.attention import PlainAttention


def differences(model: nn.Module, skeleton: nn.Module) -> dict[str, Any]:
    """How ``model`` differs from the ``skeleton`` that its configuration describes, apart from the shapes of its tensors.

    Returns:
        ``lists``: list of modules → its length; ``attentions``: module → numbers of a `PlainAttention`; ``attributes``:
        module → attribute → whole number or list of them, such as numbers of heads.
    """
    twins = dict(skeleton.named_modules())
    found: dict[str, Any] = {"lists": {}, "attentions": {}, "attributes": {}}
    for name, module in model.named_modules():
        twin = twins.get(name)
        if isinstance(module, PlainAttention):
            found["attentions"][name] = module.numbers()
        elif isinstance(module, nn.ModuleList) and isinstance(twin, nn.ModuleList) and len(module) != len(twin):
            found["lists"][name] = len(module)
        elif type(module) is type(twin) and not isinstance(module, nn.Linear):
            theirs = vars(twin)
            mine = {k: v for k, v in vars(module).items() if k[0] != "_" and k in theirs and _plain(v) and theirs[k] != v}
            if mine:
                found["attributes"][name] = mine
    return {kind: values for kind, values in found.items() if values}


def reshape(skeleton: nn.Module, shapes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Give an uninitialised model, in place, the ``shapes`` that `differences` found and those of the stored tensors."""
    for name, length in shapes.get("lists", {}).items():
        stack: Any = skeleton.get_submodule(name)
        del stack[length:]
    for name, numbers in shapes.get("attentions", {}).items():
        parent, _, child = name.rpartition(".")
        owner = skeleton.get_submodule(parent)
        setattr(owner, child, PlainAttention.of(owner.get_submodule(child), **numbers))
    for name, values in shapes.get("attributes", {}).items():
        for attribute, value in values.items():
            setattr(skeleton.get_submodule(name), attribute, value)
    for name, layer in skeleton.named_modules():
        stored = tensors.get(f"{name}.weight")
        if isinstance(layer, nn.Linear) and stored is not None and stored.shape != layer.weight.shape:
            layer.out_features, layer.in_features = stored.shape
            layer.weight = nn.Parameter(torch.empty(stored.shape), requires_grad=False)
            if layer.bias is not None:
                layer.bias = nn.Parameter(torch.empty(stored.shape[0]), requires_grad=False)


def _plain(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, int) and not isinstance(each, bool) for each in values)
