"""Where a model's MLPs, attentions and stacks of layers are, found by the names of their matrices, and how these shrink."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.spec import VlmgateError

# Incoming matrices (rows are neurons) and the outgoing one (columns are neurons), relative to the module that holds them.
MLPS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gate_proj", "up_proj"), "down_proj"),
    (("w1", "w3"), "w2"),
    (("fc1",), "fc2"),
    (("linear_fc1",), "linear_fc2"),
    (("intermediate.dense",), "output.dense"),
)
# Query, key and value (or all three in one matrix) and the output projection.
ATTENTIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("q_proj", "k_proj", "v_proj"), "o_proj"),
    (("q_proj", "k_proj", "v_proj"), "out_proj"),
    (("self.query", "self.key", "self.value"), "output.dense"),
    (("attention.query", "attention.key", "attention.value"), "output.dense"),
    (("qkv",), "proj"),
    (("qkv",), "projection"),
)
HEAD_DIM = ("head_dim", "attention_head_size")
HEADS = ("num_heads", "num_attention_heads")


@dataclass(frozen=True)
class Block:
    """An MLP or an attention: its name, the module that holds it, incoming matrices and the outgoing one."""

    name: str
    module: nn.Module
    incoming: tuple[nn.Linear, ...]
    outgoing: nn.Linear

    @property
    def owners(self) -> tuple[nn.Module, ...]:
        """The module and its direct children, one of which holds the numbers of heads."""
        return (self.module, *self.module.children())

    def number(self, names: Sequence[str]) -> int:
        """The first whole number that an owner has under one of these names; 0 without one."""
        found = (getattr(owner, name, None) for name in names for owner in self.owners)
        return next((value for value in found if isinstance(value, int)), 0)


def blocks(model: nn.Module, prefixes: Sequence[str], patterns: tuple[tuple[tuple[str, ...], str], ...]) -> Iterator[Block]:
    """Every block under the prefixes whose matrices are all plain Linear layers (not packed, not replaced)."""
    for name, module in model.named_modules():
        if any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes):
            for incoming, outgoing in patterns:
                found = [_child(module, path) for path in (*incoming, outgoing)]
                if all(type(layer) is nn.Linear for layer in found):
                    yield Block(name, module, tuple(found[:-1]), found[-1])
                    break


def stacks(model: nn.Module, prefixes: Sequence[str]) -> Iterator[tuple[str, nn.ModuleList]]:
    """The lists of layers under the prefixes: every entry holds an attention or an MLP. Of nested ones the outermost."""
    inside = [block.name for block in blocks(model, prefixes, MLPS + ATTENTIONS)]
    found: list[str] = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or any(name.startswith(f"{outer}.") for outer in found):
            continue
        starts = [f"{name}.{child}" for child, _ in module.named_children()]
        if starts and all(any(f"{each}.".startswith(f"{start}.") for each in inside) for start in starts):
            found.append(name)
            yield name, module


def kept(number: int, amount: float, multiple: int = 1) -> int:
    """How many of ``number`` stay when the share ``amount`` goes, rounded up to a multiple; at least one of it."""
    return min(number, max(1, ceil(round(number * (1 - amount), 9) / multiple)) * multiple)


def share(parameters: Mapping[str, Any], recipe: str) -> float:
    """The parameter ``amount``; VlmgateError unless it lies between 0 and 1."""
    amount = float(parameters["amount"])
    if not 0 < amount < 1:
        raise VlmgateError(f"{recipe}: amount is {amount:g}; expected a share between 0 and 1")
    return amount


def keep_rows(layer: nn.Linear, rows: Tensor) -> None:
    """Leave only these outputs of a Linear layer."""
    layer.weight = nn.Parameter(layer.weight.detach()[rows].clone(), requires_grad=False)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[rows].clone(), requires_grad=False)
    layer.out_features = len(rows)


def keep_columns(layer: nn.Linear, columns: Tensor) -> None:
    """Leave only these inputs of a Linear layer."""
    layer.weight = nn.Parameter(layer.weight.detach()[:, columns].clone(), requires_grad=False)
    layer.in_features = len(columns)


def best(importance: Tensor, number: int) -> Tensor:
    """Indices of the ``number`` most important ones, in their old order."""
    return torch.topk(importance, number).indices.sort().values


def configs(model: Any, name: str) -> list[Any]:
    """The configurations that the module ``name`` was made from: that of its nearest ancestor that has one, wherever the
    model holds it (sub-models get copies)."""
    nearest = next((c for path in _upwards(name) if (c := getattr(model.get_submodule(path), "config", None)) is not None), None)
    return [config for config in _all_configs(model) if type(config) is type(nearest)]


def _upwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""


def _all_configs(model: nn.Module) -> list[Any]:
    """Every configuration object, once: those of the modules and those nested in them."""
    waiting = [config for module in model.modules() if (config := getattr(module, "config", None)) is not None]
    found: dict[int, Any] = {}
    while waiting:
        config = waiting.pop()
        if id(config) not in found:
            found[id(config)] = config
            nested = (getattr(config, name, None) for name in getattr(config, "sub_configs", {}))
            waiting += [each for each in nested if each is not None]
    return list(found.values())


def _child(module: nn.Module, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, "_modules", {}).get(name)  # type: ignore[assignment]
    return module
