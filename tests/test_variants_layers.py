"""Dropping layers: which ones go, what else must be told of it, and that the shorter model is the one without them."""

from pathlib import Path

import pytest
import torch
import vlms

from vlmgate.artefacts import load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import layers

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]


@pytest.mark.parametrize(
    ("number", "keep", "stay"),
    [
        (12, 9, [0, 1, 3, 4, 5, 7, 8, 10, 11]),
        (4, 3, [0, 1, 3]),
        (4, 2, [0, 3]),
        (4, 1, [0]),
        (2, 1, [0]),
    ],
)
def test_which_layers_stay(number: int, keep: int, stay: list[int]) -> None:
    assert layers.spread(number, keep) == stay


def test_a_layer_that_does_nothing_leaves_no_trace() -> None:
    plain, pruned = vlms.build("llava"), vlms.build("llava")
    for model in (plain, pruned):
        for stack in (model.model.language_model.layers, model.model.vision_tower.encoder.layers):
            for name, value in stack[2].named_parameters():
                if name.split(".")[-2] in ("o_proj", "down_proj", "out_proj", "fc2"):
                    value.data.zero_()  # what it adds is nothing
    layers.apply(pruned, [p for names in vlms.PARTS["llava"].values() for p in names], {"amount": 0.25})
    text, vision = pruned.config.text_config, pruned.config.vision_config
    assert (text.num_hidden_layers, vision.num_hidden_layers) == (3, 3)
    assert [layer.self_attn.layer_idx for layer in pruned.model.language_model.layers] == [0, 1, 2], "places in the cache"
    # LLaVA takes the output of the last vision layer but one, which is now another one: compare the text part
    ids = torch.tensor([[1, 7, 8, 9]])
    with torch.inference_mode():
        before, after = (model.model.language_model(input_ids=ids).last_hidden_state for model in (plain, pruned))
    assert torch.allclose(before, after, atol=1e-5)
    assert vlms.generate(pruned, "llava").shape == (1, 4)


@pytest.mark.parametrize("name", vlms.NAMES)
def test_other_families_run_without_a_quarter_of_their_layers(name: str) -> None:
    model = vlms.build(name)
    layers.apply(model, [p for names in vlms.PARTS[name].values() for p in names], {"amount": 0.25})
    assert model.config.text_config.num_hidden_layers == 3
    assert vlms.generate(model, name).shape == (1, 4)
    if name == "qwen":  # blocks 1 and 3 had full attention, block 2 went
        assert model.model.visual.fullatt_block_indexes == model.config.vision_config.fullatt_block_indexes == [1, 2]
        assert len(model.config.text_config.layer_types) == 3


def test_the_cache_of_a_shorter_model_is_its_own(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    layers.apply(model, EVERYWHERE, {"amount": 0.5})
    assert (model.config.text_config.num_hidden_layers, model.config.vision_config.num_hidden_layers) == (1, 1)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        cached = model.generate(pixel_values=pixels, max_new_tokens=6, min_new_tokens=6)
        plain = model.generate(pixel_values=pixels, max_new_tokens=6, min_new_tokens=6, use_cache=False)
    assert torch.equal(cached, plain)


def test_nothing_to_change_is_an_error(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    for prefixes, amount, sentence in (
        (["elsewhere"], 0.5, "no stack of layers in the chosen parts, so the step changed nothing"),
        (EVERYWHERE, 0.25, "amount 0.25 is less than one layer of every stack, so the step changed nothing"),
        (EVERYWHERE, 2, "amount is 2; expected a share between 0 and 1"),
    ):
        with pytest.raises(VlmgateError, match=f"^layers: {sentence}"):
            layers.apply(model, prefixes, {"amount": amount})
    assert layers.missing({}) == ""
