"""Linear layers with weights in torchao's tensors, as plain tensors and back.

torchao hides INT8 or INT4 matrices behind tensors that call themselves float32. An artefact holds what they are made of: INT8
matrices as they are, INT4 ones as two values a byte in the order of the matrix, since the order that the kernel wants differs
between processors. Activations of INT4 layers are rounded to bfloat16, for which torch's CPU kernel is written: in float32 it
takes one value after the other. Source: https://github.com/pytorch/ao (0.18), ``Int8Tensor`` and
``Int4OpaqueTensor``.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.variants.packed import Packed

DYNAMIC, INT8, INT4 = "int8-dynamic", "int8-weights", "int4-weights"
ROWS_OF_A_TILE = 16  # _convert_weight_to_int4pack takes multiples of it


class TorchaoLinear(Packed):
    """``nn.Linear`` with a weight (out × in) of torchao's; ``scheme`` is DYNAMIC, INT8 or INT4."""

    def __init__(self, scheme: str, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.scheme = scheme
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(… × in) → (… × out), in the type of ``x``."""
        y = nn.functional.linear(x.to(self.weight.dtype), self.weight).to(x.dtype)
        return y if self.bias is None else y + self.bias

    def plain(self) -> tuple[str, dict[str, Tensor]]:
        """``int8`` (out × in), ``scale`` (out); or ``int4`` (out × in / 2, uint8), ``scale`` and ``zero`` (out × groups)."""
        parts = _plain4(self.weight) if self.scheme == INT4 else _plain8(self.weight)
        return f"torchao {self.scheme}", parts | ({} if self.bias is None else {"bias": self.bias.detach().clone()})

    def count(self) -> tuple[int, int]:
        """(zeros, all); a zero of INT4 is a value that its scale and zero point make 0."""
        return self._counts

    @cached_property
    def _counts(self) -> tuple[int, int]:
        _, parts = self.plain()
        values = parts["int8"] if "int8" in parts else floats(parts)
        return int((values == 0).sum()), values.numel()


def make(layout: str, tensors: dict[str, Tensor], shape: nn.Module) -> TorchaoLinear:
    """A layer from what `TorchaoLinear.plain` gave; ``shape``, the float layer whose place it takes, is not needed."""
    scheme = layout.removeprefix("torchao ")
    weight = _tensor4(tensors) if scheme == INT4 else _tensor8(tensors, scheme)
    return TorchaoLinear(scheme, weight, tensors.get("bias"))


def quantized(scheme: str, weight: Tensor, group_size: int) -> Tensor:
    """A float32 matrix (out × in) as torchao's tensor: INT8 with one scale a row (symmetric), or INT4 with a scale and a zero
    point in bfloat16 for ``group_size`` values of a row (asymmetric, as its kernel wants it)."""
    weight = weight.detach()
    if scheme != INT4:
        from torchao.quantization import Int8Tensor, PerRow

        return Int8Tensor.from_hp(weight, granularity=PerRow(), act_quant_kwargs=_activations(scheme))  # type: ignore[no-any-return]
    from torchao.prototype.quantization.int4 import Int4OpaqueTensor

    padded = nn.functional.pad(weight.bfloat16(), (0, 0, 0, -len(weight) % ROWS_OF_A_TILE))
    found: Any = Int4OpaqueTensor.from_hp(padded, [1, group_size])
    return Int4OpaqueTensor(found.qdata, found.scale_and_zero, [1, group_size], weight.shape)  # type: ignore[no-any-return]


def floats(parts: dict[str, Tensor]) -> Tensor:
    """The float32 matrix that INT4 ``parts`` stand for: (value − 8) × scale + zero, where a value is 0 to 15."""
    values, scale = unpacked(parts["int4"]), parts["scale"]
    grouped = (values.float() - 8).reshape(*scale.shape, -1)
    return (grouped * scale.float().unsqueeze(-1) + parts["zero"].float().unsqueeze(-1)).reshape(values.shape)


def packed(values: Tensor) -> Tensor:
    """Integers 0 to 15 (rows × columns) as bytes (rows × columns / 2), the first of two in the low bits."""
    values = values.to(torch.uint8)
    return values[:, ::2] | values[:, 1::2] << 4


def unpacked(int4: Tensor) -> Tensor:
    """The reverse of `packed`, as uint8."""
    return torch.stack((int4 & 15, int4 >> 4), dim=-1).flatten(1)


def _activations(scheme: str) -> Any:
    """How torchao quantizes activations: not at all, or in INT8 with one scale a token."""
    from torchao.quantization import PerRow
    from torchao.quantization.quantize_.workflows.int8.int8_tensor import QuantizeTensorToInt8Kwargs

    return QuantizeTensorToInt8Kwargs(granularity=PerRow()) if scheme == DYNAMIC else None


def _plain8(weight: Any) -> dict[str, Tensor]:
    return {"int8": weight.qdata, "scale": weight.scale.flatten()}


def _tensor8(tensors: dict[str, Tensor], scheme: str) -> Tensor:
    from torchao.quantization import Int8Tensor

    scale = tensors["scale"].unsqueeze(1)
    zero, block = torch.zeros_like(scale, dtype=torch.int8), [1, tensors["int8"].shape[1]]
    return Int8Tensor(  # type: ignore[no-any-return]
        tensors["int8"], scale, block, torch.float32, zero, act_quant_kwargs=_activations(scheme)
    )


def _plain4(weight: Any) -> dict[str, Tensor]:
    """Values in the order of the matrix: what the kernel itself makes of an identity, with scales of 1 and zero points of 0."""
    (rows, columns), group = weight.shape, weight.block_size[1]
    scale, zero = weight.scale_and_zero.unbind(-1)  # groups × padded rows
    plain = torch.stack((torch.ones_like(scale), torch.zeros_like(zero)), dim=-1)
    identity = torch.eye(columns, dtype=scale.dtype)
    values = torch.ops.aten._weight_int4pack_mm_for_cpu(identity, weight.qdata, group, plain).t() + 8
    return {
        "int4": packed(values[:rows]),
        **{name: part.t()[:rows].contiguous() for name, part in (("scale", scale), ("zero", zero))},
    }


def _tensor4(tensors: dict[str, Tensor]) -> Tensor:
    from torchao.prototype.quantization.int4 import Int4OpaqueTensor

    values, groups = unpacked(tensors["int4"]), tensors["scale"].shape[1]
    rows, columns = values.shape
    more = (0, 0, 0, -rows % ROWS_OF_A_TILE)
    qdata = torch.ops.aten._convert_weight_to_int4pack_for_cpu(nn.functional.pad(values.int(), more).contiguous(), 1)
    both = torch.stack([nn.functional.pad(tensors[name], more).t() for name in ("scale", "zero")], dim=-1).contiguous()
    return Int4OpaqueTensor(qdata, both, [1, columns // groups], torch.Size((rows, columns)))  # type: ignore[no-any-return]
