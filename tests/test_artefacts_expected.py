"""The closed form of every recipe, held against the bytes of real artefacts, and worked out by hand for a model of 7 B."""

from pathlib import Path

import llava
import pytest
from transformers import AutoConfig

from vlmgate.artefacts import build_artefact
from vlmgate.artefacts.expected import expected_bytes, parts_of, skeleton
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS

NAMES = ("fp32", "int8-dynamic", "int8-dynamic-embed", "int8-dynamic-rows", "int8-dynamic-tied", "int8-dynamic-text")
MORE = ("pruned-int8", "pruned-2of4", "neurons-30-int8", "fp16", "mixed-bf16-vision-int8-text")
BNB = ("bnb-int8-vision", "bnb-nf4-double", "bnb-fp4", "pruned-nf4")
HALVES = {  # the tiny model has two heads and two layers, of which a quarter is nothing
    "heads-50": Variant("heads-50", (Step("heads", {"parts": ("vision", "text"), "amount": 0.5, "grouped": "auto"}),)),
    "layers-50": Variant("layers-50", (Step("layers", {"parts": ("vision", "text"), "amount": 0.5}),)),
}


@pytest.mark.parametrize("name", [*NAMES, *MORE, *BNB, *HALVES])
def test_the_closed_form_is_what_an_artefact_holds(name: str, tiny_model: Model, tiny_checkpoint: Path, tmp_path: Path) -> None:
    if name in BNB:
        pytest.importorskip("bitsandbytes")
    variant = (VARIANTS | HALVES)[name]
    exact = build_artefact(tiny_model, variant, tiny_checkpoint, tmp_path / name)
    assert exact["expected_bytes"] == exact["weight_bytes"]


def test_a_forgotten_tensor_is_no_part_of_the_recipe(tiny_model: Model, tiny_checkpoint: Path, tmp_path: Path) -> None:
    variant = Variant("inflated", (Step("inflated", {"share": 0.2}),))
    exact = build_artefact(tiny_model, variant, tiny_checkpoint, tmp_path / "inflated")
    assert exact["weight_bytes"] == pytest.approx(1.2 * exact["expected_bytes"], rel=1e-4)


def test_a_recipe_that_does_not_fit_has_no_closed_form(tiny_checkpoint: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_checkpoint)
    huge = Variant("huge", (Step("heads", {"amount": 0.01, "grouped": "auto"}),))
    with pytest.raises(VlmgateError, match="less than one head"):
        expected_bytes(config, huge, BLIP_PARTS)


def test_llava_7b_without_its_weights(tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(llava.write_config(tmp_path))
    model = skeleton(config)
    assert sum(value.numel() for value in model.parameters()) == llava.PARAMETERS
    parts = parts_of(model)
    assert {part: [name.rpartition(".")[2] for name in names] for part, names in parts.items()} == {
        "vision": ["vision_tower"],
        "projector": ["multi_modal_projector"],
        "text": ["language_model", "lm_head"],
    }
    assert expected_bytes(config, VARIANTS["bf16"], parts) == 2 * llava.PARAMETERS
    # Vicuna: 32 layers of 4 × 4096² (attention) + 3 × 4096 × 11008 (MLP) and an untied head; a scale and zero point a matrix
    text = 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096
    layers = 32 * 7 + 1
    assert expected_bytes(config, VARIANTS["int8-dynamic-text"], parts) == 4 * llava.PARAMETERS - 3 * text + 16 * layers


def test_llava_7b_in_8_and_4_bits_of_bitsandbytes(tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(llava.write_config(tmp_path))
    parts, whole = parts_of(skeleton(config)), 4 * llava.PARAMETERS
    vision, rows = 24 * (4 * 1024**2 + 2 * 1024 * 4096), 24 * (5 * 1024 + 4096)  # CLIP-L: a byte a weight, a scale a row
    assert expected_bytes(config, VARIANTS["bnb-int8-vision"], parts) == whole - 3 * vision + 4 * rows
    text = 32 * (
        4 * 4096**2 + 3 * 4096 * 11008
    )  # the head has a matrix of its own, and stays as it is like transformers' lm_head
    every, layers = vision + text + 1024 * 4096 + 4096**2, 24 * 6 + 32 * 7 + 2
    scales = every // 64 * 4 + layers * 64
    assert expected_bytes(config, VARIANTS["bnb-nf4"], parts) == whole - 4 * every + every // 2 + scales
    double = every // 64 + every // 64 // 256 * 4 + layers * (64 + 1024 + 4)
    assert expected_bytes(config, VARIANTS["bnb-nf4-double"], parts) == whole - 4 * every + every // 2 + double
