"""Shapes that no configuration tells: found, plain enough for JSON, and given back to a fresh model."""

import copy
import json
from typing import Any

import pytest
import torch
import vlms
from transformers import AutoModelForImageTextToText
from transformers.initialization import no_init_weights

from vlmgate.variants import int8_dynamic, recipe
from vlmgate.variants.packed import restore, tensors_of
from vlmgate.variants.shapes import differences, reshape


def fresh(config: Any) -> Any:
    with no_init_weights():
        return AutoModelForImageTextToText.from_config(copy.deepcopy(config), dtype=torch.float32).eval()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", vlms.NAMES)
@pytest.mark.parametrize("step", ["neurons", "heads", "layers"])
def test_a_pruned_model_comes_back(name: str, step: str, packed: bool) -> None:
    model = vlms.build(name, layers=4 if step == "layers" else 2)
    prefixes = [prefix for names in vlms.PARTS[name].values() for prefix in names]
    recipe(step).apply(model, prefixes, {"amount": 0.5})
    if packed:
        int8_dynamic.apply(model, prefixes, {"per_channel": True, "embeddings": False})
    shapes = json.loads(json.dumps(differences(model, fresh(model.config))))
    tensors, layout = tensors_of(model)
    other = fresh(model.config)
    stored = {key: value.clone() for key, value in tensors.items()}
    reshape(other, shapes, stored)
    if restore(other, stored, layout):
        other.tie_weights()
    assert torch.equal(vlms.generate(other, name), vlms.generate(model, name))
    with torch.inference_mode():
        assert torch.equal(other(**vlms.inputs(name)).logits, model(**vlms.inputs(name)).logits)
    if step != "heads":
        assert shapes == {}, "the configuration tells it all"


def test_without_the_shapes_it_does_not_come_back() -> None:
    model = vlms.build("qwen", layers=2)
    recipe("heads").apply(model, ["model.visual", "model.language_model"], {"amount": 0.5})
    assert differences(model, fresh(model.config))["attributes"]["model.visual.blocks.0.attn"] == {"num_heads": 2}
    other, (tensors, layout) = fresh(model.config), tensors_of(model)
    with pytest.raises(RuntimeError, match="size mismatch"):
        restore(other, tensors, layout)


def test_a_list_that_is_shorter_than_its_configuration_says() -> None:
    model = vlms.build("llava", layers=3)
    del model.model.language_model.layers[2:]
    shapes = differences(model, fresh(model.config))
    assert shapes == {"lists": {"model.language_model.layers": 2}}
    other = fresh(model.config)
    reshape(other, shapes, {})
    assert len(other.model.language_model.layers) == 2
