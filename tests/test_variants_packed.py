"""Packed INT8 modules as plain tensors: bit for bit there and back, tied weights once, and names that end at a dot."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vlmgate.variants import int8_dynamic, packed
from vlmgate.variants.packed import (
    Packed,
    PackedEmbedding,
    PackedLinear,
    Stored,
    all_weights,
    chosen,
    linear_zeros,
    low_precision_weights,
    restore,
    tensors_of,
)


class Net(nn.Module):
    """Embedding, a layer with and one without bias, a norm, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 8)
        self.deep = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 8, bias=False), nn.LayerNorm(8))
        self.head = nn.Linear(8, 12)
        self.tie_weights()

    def tie_weights(self) -> None:
        self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.deep(self.words(ids)))
        return result


IDS = torch.arange(12).reshape(3, 4)
CHOICES = {
    "dense": lambda net: None,
    "per tensor": lambda net: quantize(net, ["deep", "head"], per_channel=False, embeddings=False),
    "per row": lambda net: quantize(net, ["deep", "head"], per_channel=True, embeddings=False),
    "embedding": lambda net: quantize(net, ["deep", "head", "words"], per_channel=True, embeddings=True),
    "tied": lambda net: int8_dynamic.apply(net, ["deep", "head"], {"per_channel": False, "embeddings": False, "tied": True}),
    "a part": lambda net: quantize(net, ["deep"], per_channel=False, embeddings=False),
}


def quantize(net: nn.Module, prefixes: list[str], per_channel: bool, embeddings: bool) -> None:
    int8_dynamic.apply(net, prefixes, {"per_channel": per_channel, "embeddings": embeddings})


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.parametrize("name", CHOICES)
def test_a_model_comes_back_from_safetensors_bit_for_bit(net: Net, tmp_path: Path, name: str) -> None:
    change: Callable[[Net], None] = CHOICES[name]
    change(net)
    tensors, layout = tensors_of(net)
    save_file(tensors, tmp_path / "net.safetensors")
    other = Net().eval()
    if restore(other, load_file(tmp_path / "net.safetensors"), layout):
        other.tie_weights()
    with torch.inference_mode():
        assert torch.equal(net(IDS), other(IDS))
    again, same = tensors_of(other)
    assert same == layout
    assert again.keys() == tensors.keys()
    for key, value in tensors.items():
        assert value.dtype == again[key].dtype, key
        assert torch.equal(value, again[key]), key


def test_the_layout_says_what_each_module_is(net: Net) -> None:
    quantize(net, ["deep", "head", "words"], per_channel=True, embeddings=True)
    tensors, layout = tensors_of(net)
    assert layout == {
        "words": "embedding-per-row",
        "deep.0": "linear-per-row",
        "deep.1": "linear-per-row",
        "head": "linear-per-row",
    }
    assert {name: tuple(value.shape) for name, value in tensors.items() if name.startswith("deep.0.")} == {
        "deep.0.int8": (6, 8),
        "deep.0.scale": (6,),
        "deep.0.bias": (6,),
    }
    assert "deep.1.bias" not in tensors
    assert tensors["deep.0.scale"].dtype == torch.float32, "exact, at half of the bytes"
    assert (tensors["deep.0.int8"].dtype, tensors["words.int8"].dtype) == (torch.int8, torch.uint8)
    assert "deep.2.weight" in tensors
    assert isinstance(net.words, PackedEmbedding)
    assert isinstance(net.head, PackedLinear)


def test_one_scale_a_matrix_or_one_a_row(net: Net) -> None:
    quantize(net, ["deep"], per_channel=False, embeddings=False)
    tensors, layout = tensors_of(net)
    assert layout == {"deep.0": "linear", "deep.1": "linear"}
    assert tensors["deep.0.scale"].shape == ()
    assert float(tensors["deep.0.scale"]) == net.deep[0].weight().q_scale()


def test_tied_weights_are_stored_once_and_named_as_missing(net: Net) -> None:
    tensors, layout = tensors_of(net)
    assert layout == {}
    assert "words.weight" in tensors
    assert "head.weight" not in tensors
    other = Net()
    assert restore(other, tensors, layout) == ["head.weight"]
    other.tie_weights()
    assert torch.equal(other.head.weight, net.words.weight)


def test_quantizing_the_head_alone_leaves_the_embedding_as_it_was(net: Net) -> None:
    before = net.words.weight.detach().clone()
    quantize(net, ["head"], per_channel=False, embeddings=False)
    tensors, layout = tensors_of(net)
    assert torch.equal(tensors["words.weight"], before)
    scale = float(tensors["head.scale"])
    assert float((tensors["head.int8"] * scale - before).abs().max()) <= scale / 2 * 1.001
    assert restore(Net(), tensors, layout) == []
    assert not [name for name in tensors if name.startswith("head.")]  # or the file's copy would stay beside the packed one


def test_a_matrix_is_packed_once(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch packs an empty one of the same size first where a module is made at its size, which doubles the time of loading."""
    pack: Any = torch.ops.quantized.linear_prepack
    packed_sizes: list[int] = []

    def counting(weight: torch.Tensor, bias: Any) -> Any:
        packed_sizes.append(weight.numel())
        return pack(weight, bias)

    quantize(net, ["deep", "head"], per_channel=False, embeddings=False)
    tensors, layout = tensors_of(net)
    monkeypatch.setattr(torch.ops.quantized, "linear_prepack", counting)
    restore(Net(), tensors, layout)
    assert sorted(size for size in packed_sizes if size > 1) == [48, 48, 96]


def test_counts_of_low_precision_and_of_zeros(net: Net) -> None:
    assert low_precision_weights(net) == 0
    assert linear_zeros(net) == (0, 48 + 48 + 96)
    with torch.no_grad():
        net.deep[0].weight[:2] = 0
    assert linear_zeros(net) == (16, 192)
    quantize(net, ["deep", "words"], per_channel=False, embeddings=True)
    assert low_precision_weights(net) == 48 + 48 + 96
    zeros, weights = linear_zeros(net)
    assert weights == 192, "embeddings are no Linear layers, packed or not"
    assert zeros == 16 + int((net.deep[0].weight().int_repr()[2:] == 0).sum()) + int((net.deep[1].weight().int_repr() == 0).sum())


def test_a_prefix_ends_at_a_dot_and_a_subclass_is_another_thing() -> None:
    class Special(nn.Linear):
        """Such as the layers torch marks as not to be quantized."""

    model = nn.ModuleDict({"text": nn.Sequential(nn.Linear(2, 2), Special(2, 2)), "text_too": nn.Linear(2, 2)})
    assert [name for name, _ in chosen(model, ["text"], nn.Linear)] == ["text.0"]
    assert [name for name, _ in chosen(model, ["text_too"], nn.Linear)] == ["text_too"]
    assert [name for name, _ in chosen(model, ["text.0", "text_too"], nn.Linear)] == ["text.0", "text_too"]
    assert list(chosen(model, [], nn.Linear)) == []


class Signs(Packed):
    """A Linear layer of another library: eight signs a byte, one scale a matrix."""

    def __init__(self, signs: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.signs, self.scale, self.bias = signs, scale, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bits = self.signs.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8) & 1
        return nn.functional.linear(x, (bits.flatten(1) * 2.0 - 1.0) * self.scale, self.bias)

    def plain(self) -> tuple[str, dict[str, torch.Tensor]]:
        return "signs of 1", {"signs": self.signs, "scale": self.scale} | ({} if self.bias is None else {"bias": self.bias})

    def count(self) -> tuple[int, int]:
        return 0, 8 * self.signs.numel()


def make(layout: str, tensors: dict[str, torch.Tensor], shape: nn.Module) -> nn.Module:
    assert layout == "signs of 1" and isinstance(shape, nn.Linear)
    return Signs(tensors["signs"], tensors["scale"], tensors.get("bias"))


def test_a_form_of_another_library_comes_back_and_is_counted(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packed.MAKERS, "signs", __name__)
    signs = torch.randint(0, 256, (6, 1), dtype=torch.uint8)
    net.deep[0] = Signs(signs, torch.tensor(0.5), net.deep[0].bias.detach())
    tensors, layout = tensors_of(net)
    assert layout == {"deep.0": "signs of 1"}
    assert {name for name in tensors if name.startswith("deep.0.")} == {"deep.0.signs", "deep.0.scale", "deep.0.bias"}
    assert low_precision_weights(net) == 48
    assert linear_zeros(net) == (0, 48 + 48 + 96)
    assert all_weights(net, tensors, layout) == sum(value.numel() for value in Net().parameters())
    other = Net().eval()
    restore(other, tensors, layout)
    other.tie_weights()
    with torch.inference_mode():
        assert torch.equal(net(IDS), other(IDS))


def test_what_only_counts_as_shapes_is_stored_under_its_names() -> None:
    model = nn.Sequential(Stored(int4=torch.empty(3, 2, dtype=torch.uint8, device="meta"), scale=torch.empty(3, device="meta")))
    assert {name: value.nbytes for name, value in packed.unique_tensors(model).items()} == {"0.int4": 6, "0.scale": 12}


class Asked(dict[str, torch.Tensor]):
    """Tensors that count how many names were read from them in passing over all."""

    names = 0

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.names += 1
            yield name

    def items(self) -> Any:
        return [(name, self[name]) for name in self]


@pytest.mark.parametrize("depth", [2, 40])
def test_names_are_passed_over_once_and_not_for_each_packed_matrix(depth: int) -> None:
    """Large models have thousands; and 'deep.1' is no part of 'deep.10'."""
    torch.manual_seed(0)
    net, other = (nn.ModuleDict({"deep": nn.Sequential(*(nn.Linear(4, 4) for _ in range(depth)), nn.LayerNorm(4))}) for _ in "12")
    quantize(net, ["deep"], per_channel=False, embeddings=False)
    tensors, layout = tensors_of(net)
    asked, count = Asked(tensors), len(tensors)
    assert restore(other, asked, layout) == [] and len(layout) == depth
    assert asked.names == count
    x = torch.randn(3, 4)
    with torch.inference_mode():
        assert torch.equal(net["deep"](x), other["deep"](x))


def test_a_form_that_lacks_a_method_cannot_be_made() -> None:
    class Uncounted(Packed):
        def plain(self) -> tuple[str, dict[str, torch.Tensor]]:
            return "uncounted", {}

    with pytest.raises(TypeError, match=r"abstract method '?count"):
        Uncounted()  # type: ignore[abstract]
    with pytest.raises(TypeError, match=r"abstract methods '?count'?, '?plain"):
        Packed()  # type: ignore[abstract]
