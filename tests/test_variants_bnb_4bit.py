"""NF4 and FP4: every Linear of the chosen parts but the output layer, errors within the code's gaps, half a byte a weight."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_variants_bnb import dequantized
from torch import nn

from vlmgate.artefacts import build_artefact, load_artefact, load_reference, transform
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, bnb_4bit
from vlmgate.variants.bnb import FourBit

pytest.importorskip("bitsandbytes")
HEAD, WORDS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"
PLAIN = {"parts": tuple(BLIP_PARTS), "quant_type": "nf4", "double_quant": False, "compute_dtype": "float32", "head": False}
GAPS = {"nf4": (1 - 0.6962) / 2, "fp4": (1 - 0.6667) / 2}  # half of the widest gap between two values of the code


def variant(**parameters: Any) -> Variant:
    return Variant("x", (Step("bnb_4bit", PLAIN | parameters),))


def quantized(checkpoint: Path, model: Model, **parameters: Any) -> nn.Module:
    loaded: nn.Module = load_reference(checkpoint, model)
    transform(loaded, model, variant(**parameters))
    return loaded.eval()


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear}


def packed(model: nn.Module) -> dict[str, FourBit]:
    return {name: module for name, module in model.named_modules() if isinstance(module, FourBit)}


def test_the_registered_steps_have_these_parameters() -> None:
    everywhere = {**PLAIN, "parts": ("vision", "projector", "text")}
    for name, changes in {"nf4": {}, "fp4": {"quant_type": "fp4"}, "nf4-double": {"double_quant": True}}.items():
        assert VARIANTS[f"bnb-{name}"].steps[0].parameters == everywhere | changes
        assert VARIANTS[f"bnb-{name}-cuda"].steps[1].parameters == everywhere | changes | {"compute_dtype": "float16"}


@pytest.mark.parametrize("parts", [("vision", "text"), ("vision",), ("text",)])
def test_every_linear_but_the_output_layer_is_packed(tiny_checkpoint: Path, tiny_model: Model, parts: tuple[str, ...]) -> None:
    prefixes = tuple(f"{prefix}." for part in parts for prefix in BLIP_PARTS[part])
    before = {name for name in linears(load_reference(tiny_checkpoint, tiny_model)) if name.startswith(prefixes)}
    model = quantized(tiny_checkpoint, tiny_model, parts=parts)
    assert set(packed(model)) == before - {HEAD} != set()
    assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight, "still tied"
    assert set(packed(quantized(tiny_checkpoint, tiny_model, parts=parts, head=True))) == before


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
def test_a_weight_moves_by_at_most_half_a_gap_of_the_code(
    tiny_checkpoint: Path, tiny_model: Model, quant_type: str, double: bool
) -> None:
    plain = linears(load_reference(tiny_checkpoint, tiny_model))
    model = quantized(tiny_checkpoint, tiny_model, quant_type=quant_type, double_quant=double)
    for name, layer in packed(model).items():
        blocks = plain[name].weight.detach().reshape(-1, 64)
        gap = (dequantized(layer).reshape(-1, 64) - blocks).abs() / blocks.abs().amax(dim=1, keepdim=True)
        assert float(gap.max()) <= GAPS[quant_type] + (0.1 if double else 0.001), name
        assert torch.equal(layer.layer.bias, plain[name].bias)


def test_half_a_byte_a_weight_and_its_scales(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    reference = load_reference(tiny_checkpoint, tiny_model)
    layers = {name: layer.weight.numel() for name, layer in linears(reference).items() if name != HEAD}
    few, parameters = sum(layers.values()), sum(value.numel() for value in reference.parameters())
    scales = {False: few / 64 * 4 + 64 * len(layers)}  # a float32 a block, the code of 16 a layer
    scales[True] = few / 64 + sum(-(-n // 64 // 256) for n in layers.values()) * 4 + (64 + 1024 + 4) * len(layers)
    for double in (False, True):
        exact = build_artefact(tiny_model, variant(double_quant=double), tiny_checkpoint, tmp_path / str(double))
        assert exact["weight_bytes"] == exact["expected_bytes"] == few / 2 + 4 * (parameters - few) + scales[double]
        assert exact["low_precision_share"] == pytest.approx(few / parameters, rel=1e-12)
        assert exact["bits_per_weight"] == pytest.approx(8 * exact["weight_bytes"] / parameters, rel=1e-12)
        assert exact["reloads"] == 1.0 and exact["parameters"] == parameters
        assert "low_precision_kernels" not in exact, "products run in floats, and none is promised"


def test_zeros_of_pruning_are_zeros_of_nf4(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    pruned = load_reference(tiny_checkpoint, tiny_model)
    steps = VARIANTS["pruned-nf4"].steps
    transform(pruned, tiny_model, Variant("x", steps[:1]))
    exact = build_artefact(tiny_model, VARIANTS["pruned-nf4"], tiny_checkpoint, tmp_path / "a")
    both = load_artefact(tmp_path / "a").model
    for name, layer in packed(both).items():
        assert bool((dequantized(layer)[pruned.get_submodule(name).weight == 0] == 0).all()), name
    assert exact["sparsity"] > 0.28


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_multiplies_in_another_type_and_gives_back_its_own(tiny_checkpoint: Path, tiny_model: Model, dtype: str) -> None:
    results = []
    for compute in ("float32", dtype):
        layer = packed(quantized(tiny_checkpoint, tiny_model, compute_dtype=compute))["vision_model.encoder.layers.0.mlp.fc1"]
        with torch.inference_mode():
            results.append(layer(torch.linspace(-1, 1, 32).repeat(2, 1)))
    assert results[1].dtype == torch.float32 and not torch.equal(*results)
    assert torch.allclose(*results, atol=0.02)


def test_what_cannot_be_done_is_a_sentence(tiny_checkpoint: Path, tiny_model: Model) -> None:
    for wrong, words in {
        "quant_type": "bnb_4bit: unknown quant_type 'int2'; known: fp4, nf4",
        "compute_dtype": "bnb_4bit: unknown compute_dtype 'int2'; known: bfloat16, float16, float32",
    }.items():
        with pytest.raises(VlmgateError, match=words):
            quantized(tiny_checkpoint, tiny_model, **{wrong: "int2"})
    with pytest.raises(VlmgateError, match="bnb_4bit: no Linear layer in the chosen parts, so the step changed nothing"):
        quantized(tiny_checkpoint, tiny_model, parts=())
    once = quantized(tiny_checkpoint, tiny_model)
    with pytest.raises(VlmgateError, match="changed nothing"):
        bnb_4bit.apply(once, ["vision_model", "text_decoder"], PLAIN)
