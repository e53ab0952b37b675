"""Packed modules, torch's own and other libraries', as plain tensors and back: artefacts are safetensors, never a pickle."""

import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import Embedding as PackedEmbedding
from torch.ao.nn.quantized.dynamic import Linear as PackedLinear

ROWS = "rows of "  # begins what the layout says of a RowsOf
MAKERS: dict[str, str] = {  # first word of a layout → module whose ``make(layout, tensors, shape)`` gives a `Packed` again
    "bnb-int8": "vlmgate.variants.bnb",
    "bnb-4bit": "vlmgate.variants.bnb",
    "torchao": "vlmgate.variants.torchao_linear",
}


class Packed(nn.Module, ABC):
    """Takes the place of a Linear layer with weights of 8 bits or fewer, in the form that a library other than torch has."""

    @abstractmethod
    def plain(self) -> tuple[str, dict[str, Tensor]]:
        """(layout, tensors): all that must be stored. The layout's first word is a key of MAKERS; a bias is called ``bias``."""

    @abstractmethod
    def count(self) -> tuple[int, int]:
        """(zeros, all) over its weights, the bias left out; two weights of 4 bits in a byte are two."""


PACKED = (PackedLinear, PackedEmbedding, Packed)


class RowsOf(nn.Module):
    """An embedding that reads rows of a packed Linear layer's INT8 matrix (one scale a row), for a head tied to it.

    The matrix is stored once. In memory the Linear layer holds a copy that is packed for its kernel, which cannot be read by row.
    """

    def __init__(self, head: str, int8: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("int8", int8, persistent=False)
        self.register_buffer("scale", scale.float(), persistent=False)

    @classmethod
    def packed(cls, head: str, layer: Any) -> "RowsOf":
        """Of a packed layer called ``head``, whose zero points are all 0."""
        weight = layer.weight()
        return cls(head, weight.int_repr(), weight.q_per_channel_scales())

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids of any shape → float rows (… × columns)."""
        rows: Tensor = self.int8[ids].float() * self.scale[ids].unsqueeze(-1)  # type: ignore[index]
        return rows


@contextmanager
def packing(engine: str) -> Iterator[None]:
    """Let torch pack weights for this engine (its own choice when empty) while the block lasts, without its warnings.

    That this is deprecated is recorded in docs/decisions.md, and would be the last line in the log of many a killed worker.
    """
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine or before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.quantized.engine = before


def chosen(model: nn.Module, prefixes: Sequence[str], kind: type[nn.Module]) -> Iterator[tuple[str, Any]]:
    """Modules of exactly ``kind`` whose name lies under one of the prefixes."""
    for name, module in model.named_modules():
        if type(module) is kind and any(name == p or name.startswith(p + ".") for p in prefixes):
            yield name, module


def tied_heads(model: nn.Module, prefixes: Sequence[str]) -> dict[str, str]:
    """Embedding → Linear layer under ``prefixes`` that has the same matrix."""
    heads = {id(layer.weight): name for name, layer in chosen(model, prefixes, nn.Linear)}
    tables = ((name, module) for name, module in model.named_modules() if type(module) is nn.Embedding)
    return {name: heads[id(table.weight)] for name, table in tables if id(table.weight) in heads}


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` in the place of the one called ``name``."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def unique_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Plain tensors of the state by name; those that share storage (tied weights) once, under the first of their names."""
    named: dict[int, tuple[str, Tensor]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):
            named.setdefault(id(value), (name, value))
    return dict(named.values())


class Stored(nn.Module):
    """Stands for a packed module where only shapes count: holds the (meta) tensors that `tensors_of` would give for it."""

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, value in tensors.items():
            self.register_buffer(name, value)


class Shape(Stored):
    """What torch's packed form of ``layer`` stores: one byte a weight, scales, zero points, the bias."""

    def __init__(self, layer: Any, per_row: bool, *, zero_points: bool) -> None:
        rows, kind = layer.weight.shape[0], torch.float32 if per_row else torch.float64
        sizes = {"scale": torch.empty(rows if per_row else 1, dtype=kind, device="meta")}
        if zero_points:
            sizes["zero_point"] = torch.empty(
                rows if per_row else 1, dtype=torch.float32 if per_row else torch.int64, device="meta"
            )
        if getattr(layer, "bias", None) is not None:
            sizes["bias"] = layer.bias.detach()
        super().__init__(int8=torch.empty(layer.weight.shape, dtype=torch.int8, device="meta"), **sizes)


def tensors_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All weights of ``model`` as plain tensors, and ``layout``: packed module name → what it is.

    A packed module ``m`` of torch becomes ``m.int8`` (int8 or uint8, out × in), ``m.scale``, ``m.zero_point`` (where not all
    are 0) and ``m.bias``; a `Packed` says itself what it becomes.
    Tensors that share storage (tied weights) are listed once, under the first of their names. A `RowsOf` has no tensors.
    """
    packed = {name: module for name, module in model.named_modules() if isinstance(module, PACKED)}
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor) and not _inside(name, packed) and id(value) not in seen:
            seen.add(id(value))
            tensors[name] = value.detach().contiguous()
    layout = {}
    for name, module in packed.items():
        layout[name], parts = _unpack(module)
        tensors |= {f"{name}.{part}": value.contiguous() for part, value in parts.items()}
    layout |= {name: f"{ROWS}{module.head}" for name, module in model.named_modules() if isinstance(module, RowsOf)}
    return tensors, layout


def restore(model: nn.Module, tensors: dict[str, Tensor], layout: dict[str, str], engine: str = "") -> list[str]:
    """Fill an uninitialised ``model`` in place from what `tensors_of` gave, packed for ``engine``; returns the (tied) names still
    empty. What is packed is taken out of ``tensors``, so that no more than one matrix is held twice."""
    of: defaultdict[str, list[str]] = defaultdict(list)  # packed module, or "" → names of its tensors
    for name in tensors:
        of[_inside(name, layout)].append(name)
    dense = {name: tensors[name] for name in of[""]}
    missing = model.load_state_dict(dense, strict=False, assign=True).missing_keys
    for name, kind in sorted(layout.items(), key=lambda entry: not entry[1].startswith(ROWS)):  # before their heads are packed
        parent, _, child = name.rpartition(".")
        owner = model.get_submodule(parent)
        if kind.startswith(ROWS):
            head = kind.removeprefix(ROWS)
            setattr(owner, child, RowsOf(head, tensors[f"{head}.int8"], tensors[f"{head}.scale"]))
            continue
        parts = {key.removeprefix(f"{name}."): tensors.pop(key) for key in of[name]}
        shape = owner.get_submodule(child)
        if library := MAKERS.get(kind.partition(" ")[0]):
            setattr(owner, child, import_module(library).make(kind, parts, shape))
        else:
            with packing(engine):
                setattr(owner, child, _pack(kind, parts, shape))
    return [name for name in missing if not _inside(name, layout)]


def _inside(name: str, modules: Container[str]) -> str:
    """Which of ``modules`` a tensor lies in, the outermost; an empty string where it lies in none."""
    above = (name[:at] for at, sign in enumerate(name) if sign == ".")
    return next((each for each in above if each in modules), "")


def low_precision_weights(model: nn.Module) -> int:
    """How many weights are held in 8 bits or fewer."""
    return sum(_count(module)[1] for module in model.modules() if isinstance(module, PACKED))


def all_weights(model: nn.Module, tensors: dict[str, Tensor], layout: dict[str, str]) -> int:
    """How many weights (biases and norms too) the ``tensors`` stand for: scales are none, half a byte of 4 bits is one."""
    plain = (value.numel() for name, value in tensors.items() if not _inside(name, layout) or name.endswith(".bias"))
    return sum(plain) + low_precision_weights(model)


def linear_zeros(model: nn.Module) -> tuple[int, int]:
    """(zeros, all) over the weights of Linear layers, packed ones included."""
    packed = [_count(module) for module in model.modules() if isinstance(module, PackedLinear | Packed)]
    dense = [module.weight for module in model.modules() if type(module) is nn.Linear]
    counts = [*packed, *((int((weight == 0).sum()), weight.numel()) for weight in dense)]
    return sum(zeros for zeros, _ in counts), sum(weights for _, weights in counts)


def _count(module: Any) -> tuple[int, int]:
    """(zeros, all) of a packed module; torch's are symmetric where they are Linear, so that integer 0 is zero."""
    if isinstance(module, Packed):
        return module.count()
    values = _weight(module).int_repr()
    return int((values == 0).sum()), values.numel()


def _weight(module: Any) -> Tensor:
    return module.weight()  # type: ignore[no-any-return]


def _unpack(module: Any) -> tuple[str, dict[str, Tensor]]:
    if isinstance(module, Packed):
        return module.plain()
    weight = _weight(module)
    per_row = weight.qscheme() != torch.per_tensor_affine
    kind = ("embedding" if isinstance(module, PackedEmbedding) else "linear") + ("-per-row" if per_row else "")
    parts = {"int8": weight.int_repr()}
    if per_row:
        parts |= {"scale": _narrow(weight.q_per_channel_scales())}
        if bool(weight.q_per_channel_zero_points().any()):  # symmetric rows have none, which would be 8 bytes each
            parts["zero_point"] = weight.q_per_channel_zero_points()
    else:
        parts |= {"scale": torch.tensor(weight.q_scale(), dtype=torch.float64), "zero_point": torch.tensor(weight.q_zero_point())}
    if isinstance(module, PackedLinear) and module.bias() is not None:
        parts["bias"] = module.bias().detach().clone()
    return kind, parts


def _narrow(scale: Tensor) -> Tensor:
    """Scales as float32 where that is exact, as it is for all that come from float32 weights."""
    return scale.float() if torch.equal(scale.float().double(), scale.double()) else scale


def _pack(kind: str, parts: dict[str, Tensor], shape: nn.Module) -> nn.Module:
    """A packed module with the given weights; ``shape`` is the uninitialised float module it takes the place of."""
    if kind.endswith("-per-row"):
        scale = parts["scale"] if kind.startswith("embedding") else parts["scale"].double()
        zero_point = parts.get("zero_point", torch.zeros(len(scale), dtype=torch.int64))
        weight = torch._make_per_channel_quantized_tensor(parts["int8"], scale, zero_point, 0)
    else:
        weight = torch._make_per_tensor_quantized_tensor(parts["int8"], float(parts["scale"]), int(parts["zero_point"]))
    if isinstance(shape, nn.Embedding):
        embedding: nn.Module = PackedEmbedding(shape.num_embeddings, shape.embedding_dim, _weight=weight)
        return embedding
    linear = PackedLinear(1, 1)  # made at its size, it would first pack an empty matrix of that size, which takes as long
    linear.out_features, linear.in_features = parts["int8"].shape
    linear.set_weight_bias(weight, parts.get("bias"))
    return linear
