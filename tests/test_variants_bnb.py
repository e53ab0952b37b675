"""bitsandbytes' layers as plain tensors: bit for bit there and back, of any shape, weighed and counted right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vlmgate.artefacts import cannot_run
from vlmgate.spec import VlmgateError
from vlmgate.variants import VARIANTS, bnb, recipe
from vlmgate.variants.packed import linear_zeros, low_precision_weights, restore, tensors_of

pytest.importorskip("bitsandbytes")
FOUR = {"compute_dtype": "float32", "head": False}
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "int8": ("bnb_int8", {"threshold": 6.0, "head": False}),
    "int8 without outliers": ("bnb_int8", {"threshold": 0.0, "head": False}),
    "nf4": ("bnb_4bit", {"quant_type": "nf4", "double_quant": False, **FOUR}),
    "nf4 double": ("bnb_4bit", {"quant_type": "nf4", "double_quant": True, **FOUR}),
    "fp4": ("bnb_4bit", {"quant_type": "fp4", "double_quant": False, **FOUR}),
    "fp4 double": ("bnb_4bit", {"quant_type": "fp4", "double_quant": True, **FOUR}),
}
SHAPES = [
    (96, 64),
    (97, 64),
    (96, 32),
    (96, 96),
    (33, 32),
    (6, 8),
]  # rows × columns; the fused kernel of some processors takes the first


class Net(nn.Module):
    """An embedding and Linear layers of several shapes, one without a bias and one with a row of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 64)
        self.deep = nn.Sequential(nn.Linear(64, 96), nn.Linear(96, 8, bias=False), nn.Linear(8, 64), nn.LayerNorm(64))
        self.head = nn.Linear(64, 12)
        self.head.weight = self.words.weight
        self.deep[0].weight.detach()[3] = 0

    def tie_weights(self) -> None:
        self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.deep(self.words(ids)))
        return result


IDS = torch.arange(12).reshape(3, 4)


def quantized(name: str, **changes: Any) -> Net:
    torch.manual_seed(0)
    step, parameters = STEPS[name]
    net = Net().eval()
    recipe(step).apply(net, ["deep", "head"], parameters | changes)
    return net


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_model_comes_back_from_safetensors_bit_for_bit(tmp_path: Path, name: str, head: bool) -> None:
    net = quantized(name, head=head)
    assert isinstance(net.head, bnb.Packed) is head
    tensors, layout = tensors_of(net)
    assert sorted(layout) == ["deep.0", "deep.1", "deep.2", *(["head"] if head else [])]
    save_file(tensors, tmp_path / "net.safetensors")
    other = Net().eval()
    if restore(other, load_file(tmp_path / "net.safetensors"), layout):
        other.tie_weights()
    again, same = tensors_of(other)
    assert same == layout and again.keys() == tensors.keys()
    for key, value in tensors.items():
        assert value.dtype == again[key].dtype and torch.equal(value, again[key]), key
    with torch.inference_mode():
        assert torch.equal(net(IDS), other(IDS))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STEPS)
def test_a_layer_of_any_shape_runs_with_its_own_weights(name: str, shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    step, parameters = STEPS[name]
    net = nn.Sequential(nn.Linear(shape[1], shape[0])).eval()
    plain, x = net[0], torch.randn(2, 5, shape[1])
    recipe(step).apply(net, ["0"], parameters)
    assert isinstance(net[0], bnb.Packed)
    weights = dequantized(net[0])
    assert weights.shape == plain.weight.shape
    with torch.inference_mode():
        found, wanted = net(x), nn.functional.linear(x, weights, plain.bias)
    assert found.dtype == torch.float32
    assert float((found - wanted).abs().max()) < 0.02 * float(wanted.abs().max()), "INT8 activations, or bfloat16 on some CPUs"


def dequantized(layer: nn.Module) -> torch.Tensor:
    """The weights that the plain tensors stand for, worked out without the library."""
    assert isinstance(layer, bnb.Packed)
    layout, parts = layer.plain()
    if layout.startswith("bnb-int8"):
        return parts["int8"].float() * parts["scale"][:, None] / 127
    rows, columns = (int(word) for word in layout.split()[2:4])
    values = torch.stack([parts["packed"] >> 4, parts["packed"] & 15], dim=1).flatten()[: rows * columns]
    scale = parts["absmax"].float()
    if "nested_absmax" in parts:
        scale = parts["nested_code"][parts["absmax"].long()] * parts["nested_absmax"].repeat_interleave(256)[: len(scale)]
        scale = scale + parts["offset"]
    each = scale.repeat_interleave(64)[: rows * columns]
    return (parts["code"][values.long()] * each).reshape(rows, columns)


@pytest.mark.parametrize("shape", [*SHAPES, (3, 5)])
@pytest.mark.parametrize("name", STEPS)
def test_shapes_alone_say_what_a_layer_stores(name: str, shape: tuple[int, int]) -> None:
    step, parameters = STEPS[name]
    net, skeleton = nn.Sequential(nn.Linear(shape[1], shape[0])), nn.Sequential(nn.Linear(shape[1], shape[0], device="meta"))
    recipe(step).apply(net, ["0"], parameters)
    recipe(step).shapes(skeleton, ["0"], parameters)
    wanted = {key: (value.shape, value.dtype) for key, value in tensors_of(net)[0].items()}
    assert {key: (value.shape, value.dtype) for key, value in skeleton.state_dict().items()} == wanted
    assert low_precision_weights(net) == shape[0] * shape[1] == linear_zeros(net)[1]


@pytest.mark.parametrize("name", STEPS)
def test_zeros_stay_zeros_and_are_counted(name: str) -> None:
    torch.manual_seed(0)
    step, parameters = STEPS[name]
    net = nn.Sequential(nn.Linear(5, 3))  # 15 weights: the last half byte of 4-bit ones is padding
    with torch.no_grad():
        net[0].weight[1] = 0
        net[0].weight[0, :2] = 0
    recipe(step).apply(net, ["0"], parameters)
    weights = dequantized(net[0])
    assert bool((weights[1] == 0).all()) and bool((weights[0, :2] == 0).all())
    assert linear_zeros(net) == (int((weights == 0).sum()), 15)


def test_what_bitsandbytes_keeps_apart_moves_with_the_model() -> None:
    net = quantized("int8")
    wanted = net(IDS)
    layer, before = net.deep[0], net.deep[0].layer.weight.data_ptr()
    net._apply(torch.Tensor.clone)  # as moving to another device does with every parameter and buffer
    assert layer.layer.weight.data_ptr() != before
    assert layer.layer.state.CB.data_ptr() == layer.layer.weight.data_ptr()
    assert layer.layer.state.SCB is layer.scale
    assert torch.equal(net(IDS), wanted)


@pytest.mark.parametrize("store", [tensors_of, lambda net: net.state_dict()])
def test_weights_that_were_rearranged_for_a_processor_are_not_stored(store: Callable[[nn.Module], Any]) -> None:
    net = quantized("nf4 double")
    net.deep[0].layer.quant_state.packing_format_for_cpu = True  # as after a call on a processor with AVX512-BF16
    with pytest.raises(VlmgateError, match="store a model before its first call"):
        store(net)


def test_without_the_library_every_variant_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bnb.lacks() == "" and list(bnb.versions()) == ["bitsandbytes"]
    monkeypatch.setattr(bnb, "find_spec", lambda name: None)
    assert bnb.versions() == {}
    here = [variant for variant in VARIANTS.values() if variant.device == "cpu"]
    using = {variant.name for variant in here if any(step.recipe.startswith("bnb_") for step in variant.steps)}
    assert {variant.name for variant in here if "pip install 'vlmgate[bnb]'" in cannot_run(variant)} == using
    assert len(using) == 12 and "pruned-nf4" in using
