"""torchao's tensors as plain tensors and back: the same products, INT4 in the order of the matrix, rows of any number."""

import pytest
import torch
from torch import nn

from vlmgate.variants.torchao_linear import DYNAMIC, INT4, INT8, TorchaoLinear, floats, make, packed, quantized, unpacked

pytest.importorskip("torchao", reason="needs torchao: pip install 'vlmgate[torchao]'")


def layer(scheme: str, rows: int = 48, columns: int = 64, *, bias: bool = True) -> tuple[nn.Linear, TorchaoLinear]:
    torch.manual_seed(0)
    plain = nn.Linear(columns, rows, bias=bias)
    return plain, TorchaoLinear(scheme, quantized(scheme, plain.weight, 32), plain.bias)


@pytest.mark.parametrize("scheme", [DYNAMIC, INT8, INT4])
@pytest.mark.parametrize(("rows", "bias"), [(48, True), (73, False)])
def test_a_layer_comes_back_from_plain_tensors(scheme: str, rows: int, bias: bool) -> None:
    plain, low = layer(scheme, rows, bias=bias)
    layout, tensors = low.plain()
    assert layout == f"torchao {scheme}"
    assert {type(value) for value in tensors.values()} == {torch.Tensor}, "nothing of torchao's"
    again = make(layout, tensors, plain)
    x = torch.randn(2, 3, 64)
    with torch.inference_mode():
        assert torch.equal(low(x), again(x))
        assert low(x).dtype == torch.float32
        error = (low(x) - plain(x)).norm() / plain(x).norm()
    assert 0.0 < float(error) < (0.15 if scheme == INT4 else 0.02)
    assert again.count()[1] == low.count()[1] == rows * 64


def test_int8_tensors_have_one_scale_a_row() -> None:
    plain, low = layer(DYNAMIC)
    tensors = low.plain()[1]
    assert {name: (tuple(value.shape), value.dtype) for name, value in tensors.items()} == {
        "int8": ((48, 64), torch.int8),
        "scale": ((48,), torch.float32),
        "bias": ((48,), torch.float32),
    }
    gap = (tensors["int8"] * tensors["scale"][:, None] - plain.weight).abs()
    assert bool((gap <= tensors["scale"][:, None] * 0.501).all())


def test_int4_values_are_stored_in_the_order_of_the_matrix() -> None:
    plain, low = layer(INT4, rows=73)
    tensors = low.plain()[1]
    assert {name: (tuple(value.shape), value.dtype) for name, value in tensors.items()} == {
        "int4": ((73, 32), torch.uint8),
        "scale": ((73, 2), torch.bfloat16),
        "zero": ((73, 2), torch.bfloat16),
        "bias": ((73,), torch.float32),
    }
    step = tensors["scale"].float().repeat_interleave(32, dim=1)
    assert bool(((floats(tensors) - plain.weight).abs() <= step * 0.6).all()), "half a step, and what bfloat16 rounds"
    x = torch.randn(5, 64)
    with torch.inference_mode():
        assert torch.allclose(low(x), nn.functional.linear(x, floats(tensors), plain.bias), atol=0.02)


def test_two_values_share_a_byte() -> None:
    values = torch.arange(16).reshape(2, 8)
    assert packed(values).tolist() == [[0x10, 0x32, 0x54, 0x76], [0x98, 0xBA, 0xDC, 0xFE]]
    assert torch.equal(unpacked(packed(values)), values)


@pytest.mark.parametrize("scheme", [DYNAMIC, INT4])
def test_zeros_are_counted_in_what_the_weights_stand_for(scheme: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(16, 64)
    weight[:4] = 0.0
    zeros, every = TorchaoLinear(scheme, quantized(scheme, weight, 32), None).count()
    assert every == 16 * 64
    assert zeros >= 4 * 64
