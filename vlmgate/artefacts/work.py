"""The work of a caption: operations by precision and the weight bytes to read, phase by phase, from shapes on the meta device.

A multiply-accumulate is two operations. They are counted by torch's FlopCounterMode
(https://docs.pytorch.org/docs/stable/generated/torch.utils.flop_counter.FlopCounterMode.html) in the two graphs that a family
gives: the encoder with the cross-attention's keys and values, run once a call, and the decoder step with a cache, run once a
token. Only matrix products and convolutions count.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vlmgate.artefacts.expected import Parts, carry_out, skeleton
from vlmgate.artefacts.expected_graphs import kind_of, words_of
from vlmgate.backends import TORCH, backend
from vlmgate.models import family
from vlmgate.spec import Variant, VlmgateError
from vlmgate.variants import recipe
from vlmgate.variants.artefact import folder_of
from vlmgate.variants.cast import DTYPES

TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
INT8 = "int8"
MATRIX, ACTIVATIONS = "matrix", "activations"  # kinds of products: with a constant matrix, and of two activations


@dataclass(frozen=True)
class Product:
    """What a call multiplies with one matrix: its kind, which modules of the model the matrix is made of, and how much."""

    kind: str
    names: tuple[str, ...]
    operations: int
    weights: int


Counted = tuple[list[Product], int]  # products with weights, and operations of those of two activations
Precise = Callable[[Product], list[tuple[str, float, float]]]  # (type, share of the product, bytes a weight)


def work(config: Any, name: str, parts: Parts, variant: Variant, settings: Mapping[str, int]) -> list[dict[str, Any]]:
    """The phases of one call of a variant of a model of the family ``name``.

    ``settings``: batch, beams, and tokens (exactly so many are said). A phase has ``name``, ``times`` (in a call), ``operations``
    (type of the products → operations each time, of the whole batch) and ``bytes`` (of the weights that it reads each time).
    Keys and values, which may stay in a cache, are no part of the bytes.

    Raises:
        VlmgateError: the variant is no recipe on a CPU, or the family has no graphs to count in.
    """
    if why := _unknown(name, variant):
        raise VlmgateError(why)
    model = _shrunk(config, variant, parts)
    batch, tokens = settings["batch"], settings["tokens"]
    with torch.device("meta"):
        graphs = family(name).graphs(model)
        pixels = torch.empty(batch, 3, graphs.side, graphs.side)
        names = {id(module): name for name, module in model.named_modules()}
        looked = count(graphs.encoder, (pixels,), names)
        inputs = [_inputs(graphs, pixels, batch * settings["beams"], at) for at in (0, tokens - 1)]
        steps = [count(graphs.step, each, names) for each in inputs]
    if variant.backend == TORCH:
        found = of_recipe(config, model, variant, parts), TYPES[DTYPES[variant.dtype]]
        how = {"encoder": found, "step": found}
    else:
        said = backend(variant.backend).precisions(variant)
        how = {graph: (_of_graph(each), each[ACTIVATIONS][0]) for graph, each in said.items()}
    # operations of a step rise evenly with its position, so that its first and its last tell the mean
    return [_phase("encoder", 1, [looked], *how["encoder"]), _phase("step", tokens, steps, *how["step"])]


def _unknown(name: str, variant: Variant) -> str:
    """Why the work of a variant cannot be told, or an empty string."""
    if variant.device != "cpu":
        return f"it runs on {variant.device}, and ceilings are those of the processor"
    if folder_of(variant):
        return "an artefact that is shipped as it is has no recipe to count by"
    if not hasattr(family(name), "graphs"):
        return f"the family {name} has no graphs() to count in"
    known = variant.backend == TORCH or hasattr(backend(variant.backend), "precisions")
    return "" if known else f"the backend {variant.backend} does not say in which precision it computes"


def _shrunk(config: Any, variant: Variant, parts: Parts) -> nn.Module:
    """The float model with only those steps carried out that take something out of it."""
    model = skeleton(config)
    for step in variant.steps:
        if getattr(recipe(step.recipe), "SHRINKS", False):
            carry_out(model, step, parts)
    return model


def _inputs(graphs: Any, pixels: torch.Tensor, width: int, position: int) -> tuple[torch.Tensor, ...]:
    """What a step takes for ``width`` texts at a position."""
    image = [each[:1].expand(width, *each.shape[1:]) for each in graphs.encoder(pixels[:1])]
    past = [torch.empty(width, heads, position, size) for heads, size in graphs.caches]
    return (torch.empty((width, 1), dtype=torch.long), torch.empty(1, dtype=torch.long), *past, *image)


def count(graph: nn.Module, inputs: tuple[Any, ...], names: Mapping[int, str]) -> Counted:
    """The products of a call of a graph on the meta device. ``names``: id of a module → its name in the model."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        graph(*inputs)
    root = type(graph).__name__
    found = {name.removeprefix(f"{root}."): sum(by.values()) for name, by in counter.get_flop_counts().items()}
    words, products = words_of(graph), []
    for name, module in graph.named_modules():
        if name in found and weighted(module):
            weight: Any = module.weight
            made_of = tuple(names[each] for each in getattr(module, "joins", (id(module),)))
            products.append(Product(kind_of(module, words), made_of, found[name], weight.numel()))
    return products, counter.get_total_flops() - sum(each.operations for each in products)


def weighted(module: Any) -> bool:
    """Whether a module multiplies with a float matrix of its own."""
    weight = getattr(module, "weight", None)
    tensor = isinstance(weight, torch.Tensor) and weight.ndim > 1 and weight.is_floating_point()
    return tensor and not isinstance(module, nn.Embedding)


def of_recipe(config: Any, model: nn.Module, variant: Variant, parts: Parts) -> Precise:
    """In which types matrices are multiplied and stored once the recipe is carried out on shapes."""
    after, promised = skeleton(config), dict[str, str]()
    for step in variant.steps:
        before = set(_weighted_names(after))
        carry_out(after, step, parts)
        module = recipe(step.recipe)
        kernels = getattr(module, "LOW_PRECISION_KERNELS", False)
        if kernels(step.parameters) if callable(kernels) else kernels:
            kind = getattr(module, "multiplies", lambda _: INT8)
            promised |= {name: kind(after.get_submodule(name)) for name in before - set(_weighted_names(after))}
    activations = TYPES[DTYPES[variant.dtype]]
    table: dict[str, tuple[str, int, int]] = {}
    for name in _weighted_names(model):
        there: Any = after.get_submodule(name)
        kind = promised[name] if name in promised else TYPES[there.weight.dtype] if weighted(there) else activations
        weight: Any = model.get_submodule(name).weight
        table[name] = (kind, _bytes(there), weight.numel())

    def precise(product: Product) -> list[tuple[str, float, float]]:
        made_of = [table[name] for name in product.names]
        whole = sum(weights for *_, weights in made_of)
        return [(kind, weights / whole, held / weights) for kind, held, weights in made_of]

    return precise


def _weighted_names(model: nn.Module) -> Iterator[str]:
    return (name for name, module in model.named_modules() if weighted(module))


def _bytes(module: Any) -> int:
    """Bytes of a matrix with what it needs to be read (scales, zero points), without the bias."""
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return sum(value.numel() * value.element_size() for name, value in held.items() if not name.endswith("bias"))


def _of_graph(said: Mapping[str, tuple[str, float]]) -> Precise:
    """The same from what a backend says of one of its graphs: kind → (type, bytes a weight)."""

    def precise(product: Product) -> list[tuple[str, float, float]]:
        kind, width = said.get(product.kind, said[MATRIX])
        return [(kind, 1.0, width)]

    return precise


def _phase(name: str, times: int, counted: Sequence[Counted], precise: Precise, activations: str) -> dict[str, Any]:
    """One phase from one or several counts of it, which are averaged.

    Products of two activations are of the narrowest float that anything of the phase is multiplied in.
    """
    operations: defaultdict[str, float] = defaultdict(float)
    products = [product for each, _ in counted for product in each]
    for product in products:
        for kind, share, _ in precise(product):
            operations[kind] += product.operations * share / len(counted)
    floats = {*operations, activations} - {INT8}
    narrow = next((kind for kind in ("bf16", "fp16") if kind in floats), "fp32")
    operations[narrow] += sum(rest for _, rest in counted) / len(counted)
    read = sum(each.weights * share * width for each in counted[0][0] for _, share, width in precise(each))
    return {"name": name, "times": times, "operations": {k: v for k, v in operations.items() if v}, "bytes": float(read)}
