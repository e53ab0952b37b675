"""What the constants of exported graphs should weigh, from shapes alone: each weight that they use, once, as it is stored."""

from typing import Any

import torch
from torch import nn

from vlmgate.artefacts.expected import Parts, carry_out, skeleton
from vlmgate.backends import backend
from vlmgate.models import family
from vlmgate.spec import Variant

FLOAT = 4  # bytes


def graph_bytes(config: Any, name: str, variant: Variant, parts: Parts) -> float | None:
    """Bytes of the weights of both graphs of a model of the family ``name``; None where family or backend do not tell.

    What is compressed takes the bytes that the backend's ``stored`` names, all else is float32. Where activations are smoothed
    before they are quantized (SmoothQuant, https://arxiv.org/abs/2211.10438) each of them has a number a column, but for the
    product with the embedding's matrix. What an exporter adds of its own (shapes, single scales) must stay below the 1 % that is
    allowed.
    """
    module, made = backend(variant.backend), family(name)
    stored = module.stored(variant) if hasattr(module, "stored") and hasattr(made, "graphs") else None
    if stored is None:
        return None
    model = skeleton(config)
    for step in variant.steps:
        carry_out(model, step, parts)
    with torch.device("meta"):
        graphs = made.graphs(model)
        calls = {
            "encoder": (graphs.encoder, (torch.empty(1, 3, graphs.side, graphs.side),)),
            "step": (graphs.step, _step(graphs)),
        }
    used: dict[int, nn.Parameter] = {}
    low: dict[int, float] = {}  # id of a weight → its bytes
    smoothed = 0.0
    for graph, (root, inputs) in calls.items():
        called = _called(root, inputs)
        tables = {id(each.weight) for each, _ in called if isinstance(each, nn.Embedding)}
        words = words_of(root)
        for each, _ in called:
            used |= {id(value): value for value in each.parameters(recurse=False)}
            if (kind := kind_of(each, words)) in stored[graph]:
                a_weight, a_row = stored[graph][kind]
                low[id(each.weight)] = a_weight * each.weight.numel() + a_row * each.weight.shape[0]
        matrices = [(each, given) for each, given in called if kind_of(each, words) in ("matrix", "head")]
        given = {id(given): given.shape[-1] for each, given in matrices if id(each.weight) not in tables}
        smoothed += stored[graph]["smoothing"][0] * sum(given.values()) if "smoothing" in stored[graph] else 0.0
    return sum(low.get(each, FLOAT * value.numel()) for each, value in used.items()) + smoothed


def _step(graphs: Any) -> tuple[torch.Tensor, ...]:
    """Inputs of a step on the meta device, one token long."""
    image = graphs.encoder(torch.empty(1, 3, graphs.side, graphs.side))
    past = [torch.empty(1, heads, 1, size) for heads, size in graphs.caches]
    return (torch.empty((1, 1), dtype=torch.long), torch.empty(1, dtype=torch.long), *past, *image)


def _called(root: nn.Module, inputs: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """(module, what it is first given) of all that a call runs: modules that only lie there are not exported."""
    seen: list[tuple[Any, Any]] = []

    def note(module: nn.Module, given: tuple[Any, ...]) -> None:
        seen.append((module, given[0] if given else None))

    hooks = [each.register_forward_pre_hook(note) for each in root.modules()]
    try:
        with torch.no_grad(), torch.device("meta"):
            root(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def words_of(graph: nn.Module) -> int:
    """Rows of a graph's first table, which is that of the words; 0 without one."""
    return next((each.num_embeddings for each in graph.modules() if isinstance(each, nn.Embedding)), 0)


def kind_of(module: Any, words: int) -> str:
    """What a module does with a matrix of its own: ``matrix`` (product), ``head`` (product that gives the logits of all words),
    ``conv`` or ``embedding``; empty without one."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
        return ""
    if isinstance(module, nn.Embedding):
        return "embedding"
    return "conv" if weight.ndim > 2 else "head" if weight.shape[0] == words else "matrix"
