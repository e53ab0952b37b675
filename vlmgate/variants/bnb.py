"""bitsandbytes' Linear layers of 8 and 4 bits: made from float ones, stored as plain tensors, put together again.

Sources: LLM.int8 (arXiv 2208.07339), NF4 and double quantization (QLoRA, arXiv 2305.14314), and the code of bitsandbytes 0.50.2.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from vlmgate.spec import VlmgateError
from vlmgate.variants.packed import Packed, Stored, chosen

NAME = "bitsandbytes"
BLOCK = 64  # weights that share an absmax, bitsandbytes' default
NESTED_BLOCK = 256  # absmax that share one in double quantization, fixed in bitsandbytes
FUSED_ROWS = 32  # the kernel for processors with AVX512-BF16 takes matrices of a multiple of so many rows and BLOCK columns
TYPES = ("nf4", "fp4")


def library() -> Any:
    """bitsandbytes."""
    quieten()
    return import_module("bitsandbytes")


def quieten() -> None:
    """Keep bitsandbytes from logging at every INT8 product that its float32 activations go by float16."""
    logging.getLogger(NAME).setLevel(logging.ERROR)


def lacks() -> str:
    """Why bitsandbytes cannot be used here, or an empty string."""
    return "" if find_spec(NAME) else f"needs {NAME}: pip install 'vlmgate[bnb]'"


def versions() -> Mapping[str, str]:
    """Of the library that packs the weights."""
    return {NAME: version(NAME)} if find_spec(NAME) else {}


def targets(model: nn.Module, prefixes: Sequence[str], head: bool) -> Iterator[tuple[str, nn.Linear]]:
    """The Linear layers under ``prefixes``; output layers and what shares its matrix with an embedding only with ``head``."""
    modules: list[Any] = list(model.modules())
    kept = {id(module.weight) for module in modules if isinstance(module, nn.Embedding)}
    for module in modules:
        found = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
        kept |= {id(found.weight)} if isinstance(found, nn.Linear) else set()
    return ((name, layer) for name, layer in chosen(model, prefixes, nn.Linear) if head or id(layer.weight) not in kept)


def replace(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new`` in the place of the module called ``name``."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)


class Int8(Packed):
    """A Linear8bitLt: INT8 rows of one float32 scale each (÷ 127); activations are quantized row by row when it runs."""

    def __init__(self, int8: Tensor, scale: Tensor, bias: Tensor | None, threshold: float) -> None:
        super().__init__()
        layer, (rows, columns) = library().nn.Linear8bitLt, int8.shape
        self.threshold = threshold
        self.layer = layer(columns, rows, bias is not None, has_fp16_weights=False, threshold=threshold, device="meta")
        self.layer.weight = library().nn.Int8Params(int8, requires_grad=False, has_fp16_weights=False)
        self.layer.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.register_buffer("scale", scale, persistent=False)
        self._join()
        self.eval()  # in training bitsandbytes multiplies floats

    def forward(self, x: Tensor) -> Tensor:
        """(… × columns) → (… × rows), of the same type."""
        return self.layer(x)  # type: ignore[no-any-return]

    def plain(self) -> tuple[str, dict[str, Tensor]]:
        """``int8`` (int8, rows × columns), ``scale`` (float32, rows) and ``bias``."""
        parts = {"int8": self.layer.weight.detach(), "scale": self.get_buffer("scale")}
        return f"bnb-int8 {self.threshold}", parts | _bias(self.layer)

    def count(self) -> tuple[int, int]:
        """(zeros, all) over the weights."""
        return int((self.layer.weight == 0).sum()), self.layer.weight.numel()

    def _apply(self, fn: Any, recurse: bool = True) -> "Int8":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._join()
        return self

    def _join(self) -> None:
        """Point to the matrix and its scales where bitsandbytes looks for them, which moving a model does not do."""
        self.layer.weight.CB = self.layer.weight.SCB = None
        self.layer.state.CB, self.layer.state.SCB = self.layer.weight.data, self.scale


class FourBit(Packed):
    """A Linear4bit: two weights a byte, which are dequantized a matrix at a time when it runs, or in a fused kernel."""

    def __init__(self, packed: Tensor, state: Any, bias: Tensor | None, compute: torch.dtype) -> None:
        super().__init__()
        rows, columns = state.shape
        layer = library().nn.Linear4bit(columns, rows, bias is not None, compute, state.nested, state.quant_type, device="meta")
        layer.weight = library().nn.Params4bit(
            packed, False, state, state.blocksize, state.nested, state.quant_type, module=layer, bnb_quantized=True
        )
        layer.quant_state = state
        layer.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        if rows % FUSED_ROWS:  # the fused kernel would stop with an AssertionError
            layer.support_avx512bf16_for_cpu = False
        self.layer, self.compute, self.whole = layer, compute, columns % state.blocksize == 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(… × columns) → (… × rows), of the same type."""
        if self.whole or x.device.type != "cpu":
            return self.layer(x)  # type: ignore[no-any-return]
        bias = None if self.layer.bias is None else self.layer.bias.to(self.compute)
        return nn.functional.linear(x.to(self.compute), self.matrix().to(self.compute), bias).to(x.dtype)

    def matrix(self) -> Tensor:
        """The weights, dequantized: as one row or as rows of one block, because bitsandbytes 0.50.2 takes wrong scales on a CPU
        where a row is no whole number of blocks (tests/test_variants_bnb.py)."""
        state, block = self._state(), self._state().blocksize
        flat, numel = copy(state), state.shape.numel()
        flat.shape = torch.Size((1, numel) if numel % block else (numel // block, block))
        return library().functional.dequantize_4bit(self.layer.weight.data, flat).reshape(state.shape)  # type: ignore[no-any-return]

    def plain(self) -> tuple[str, dict[str, Tensor]]:
        """``packed`` (uint8, half of the weights), ``absmax`` (one a block; float32 or, double quantized, uint8), ``code`` (16 of
        float32) and ``bias``; double quantized also ``nested_absmax``, ``nested_code`` (256) and ``offset``, all float32.

        Raises:
            VlmgateError: the layer ran, and bitsandbytes rearranged its weights for this processor with a loss.
        """
        state = self._state()
        if getattr(state, "packing_format_for_cpu", False):
            raise VlmgateError(f"{NAME} has rearranged 4-bit weights for this processor; store a model before its first call")
        parts = {"packed": self.layer.weight.detach().reshape(-1), "absmax": state.absmax, "code": state.code.clone()}
        if state.nested:
            nested = state.state2
            parts |= {"nested_absmax": nested.absmax, "nested_code": nested.code.clone(), "offset": state.offset.reshape(())}
        rows, columns = state.shape
        words = ("bnb-4bit", state.quant_type, rows, columns, state.blocksize, _word(state.dtype), _word(self.compute))
        return " ".join(str(word) for word in words), parts | _bias(self.layer)

    def count(self) -> tuple[int, int]:
        """(zeros, all) over the weights; of an odd number the last half byte is padding."""
        state, values = self._state(), self.layer.weight.detach().reshape(-1)
        weights = state.shape.numel()
        each = torch.bincount(values & 15, minlength=16) + torch.bincount(values >> 4, minlength=16)
        return int(each[(state.code == 0).nonzero().flatten()].sum()) - weights % 2, weights

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """As `plain`; bitsandbytes' own would rearrange weights that have run, in place and with a loss."""
        found = {} if destination is None else destination
        found |= {f"{prefix}{part}": value for part, value in self.plain()[1].items()}
        return found

    def _state(self) -> Any:
        return self.layer.quant_state


def four_bit(layer: nn.Linear, quant_type: str, double: bool, compute: torch.dtype) -> FourBit:
    """``layer`` in blocks of BLOCK weights; ``double``: their absmax in 8 bits too."""
    weight = layer.weight.detach().contiguous()
    packed, state = library().functional.quantize_4bit(weight, blocksize=BLOCK, compress_statistics=double, quant_type=quant_type)
    return FourBit(packed, state, layer.bias, compute)


def eight_bit(layer: nn.Linear, threshold: float) -> Int8:
    """``layer`` with one scale a row, from its float16 values as bitsandbytes does it; rows of zeros as zeros."""
    int8, scale, _ = library().functional.int8_vectorwise_quant(layer.weight.detach().half())
    int8[scale == 0] = 0  # 0 ÷ 0 there, which every processor makes something else of
    return Int8(int8, scale, layer.bias, threshold)


def make(layout: str, parts: dict[str, Tensor], shape: nn.Module) -> Packed:
    """The layer that `Packed.plain` took apart."""
    kind, *words = layout.split()
    if kind == "bnb-int8":
        return Int8(parts["int8"], parts["scale"], parts.get("bias"), float(words[0]))
    quant_type, rows, columns, block, dtype, compute = words
    state = library().functional.QuantState(
        parts["absmax"],
        torch.Size((int(rows), int(columns))),
        parts["code"],
        int(block),
        quant_type,
        getattr(torch, dtype),
        parts.get("offset"),
        _nested(parts),
    )
    return FourBit(parts["packed"].reshape(-1, 1), state, parts.get("bias"), getattr(torch, compute))


def stored_int8(layer: nn.Linear) -> Stored:
    """Shapes of what `Int8.plain` gives: a byte a weight, four a row, the bias as it is."""
    return Stored(**{"int8": _empty(layer.weight.shape, torch.int8), "scale": _empty(len(layer.weight))} | _bias(layer))


def stored_4bit(layer: nn.Linear, double: bool) -> Stored:
    """Shapes of what `FourBit.plain` gives: half a byte a weight, an absmax a block, the code; with ``double`` theirs too."""
    blocks = -(-layer.weight.numel() // BLOCK)
    parts = {"packed": _empty(-(-layer.weight.numel() // 2), torch.uint8), "code": _empty(16)}
    parts["absmax"] = _empty(blocks, torch.uint8 if double else torch.float32)
    if double:
        parts |= {"nested_absmax": _empty(-(-blocks // NESTED_BLOCK)), "nested_code": _empty(256), "offset": _empty(())}
    return Stored(**parts | _bias(layer))


def _nested(parts: Mapping[str, Tensor]) -> Any:
    if "nested_absmax" not in parts:
        return None
    return library().functional.QuantState(
        parts["nested_absmax"], code=parts["nested_code"], blocksize=NESTED_BLOCK, dtype=torch.float32
    )


def _bias(layer: Any) -> dict[str, Tensor]:
    return {} if layer.bias is None else {"bias": layer.bias.detach()}


def _empty(shape: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
