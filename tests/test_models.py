"""The registry of models: names, parts and families hang together."""

import torch
from transformers import BlipForConditionalGeneration

from vlmgate.models import BLIP_PARTS, FAMILIES, MODELS, family
from vlmgate.models.blip import SHAPES, config
from vlmgate.spec import Source


def test_names_are_those_of_the_suite_and_every_family_has_its_module() -> None:
    assert set(MODELS) == {"scene-blip", "blip-base", "blip-large"}
    for name, model in MODELS.items():
        assert model.name == name
        assert model.about
        module = family(model.family)
        assert callable(module.build_random)
        assert callable(module.generate)
    assert {model.family for model in MODELS.values()} <= set(FAMILIES)


def test_random_models_have_a_published_shape() -> None:
    random = [model for model in MODELS.values() if model.source is Source.RANDOM]
    assert {model.location for model in random} == set(SHAPES)


def test_the_parts_name_modules_and_hold_every_weight() -> None:
    with torch.device("meta"):
        model = BlipForConditionalGeneration(config(MODELS["blip-base"].location))
    prefixes = [prefix for names in BLIP_PARTS.values() for prefix in names]
    modules = dict(model.named_modules())
    assert all(prefix in modules for prefix in prefixes)
    outside = [name for name, _ in model.named_parameters() if not name.startswith(tuple(f"{p}." for p in prefixes))]
    assert outside == []
