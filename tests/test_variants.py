"""The registry of variants: recipes that exist, defaults that the issue names, and no word about model families."""

from dataclasses import asdict

import pytest
from torch import nn

from vlmgate.spec import Variant, VlmgateError
from vlmgate.variants import ALL_PARTS, RECIPES, VARIANTS, recipe
from vlmgate.variants.cast import DTYPES


def test_the_promised_variants_are_there() -> None:
    assert {"fp32", "int8-dynamic", "int8-dynamic-embed", "pruned", "pruned-int8", "bf16", "fp16-cuda"} <= set(VARIANTS)
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert all(variant.about for variant in VARIANTS.values())


def test_the_reference_has_no_step_and_the_defaults_are_those_of_the_documentation() -> None:
    assert VARIANTS["fp32"] == Variant("fp32", about=VARIANTS["fp32"].about)
    assert [step.parameters["amount"] for step in VARIANTS["pruned"].steps] == [0.3]
    assert [step.recipe for step in VARIANTS["pruned-int8"].steps] == ["l1_prune", "int8_dynamic"], "pruned first"
    plain = {"parts": ALL_PARTS, "per_channel": True, "embeddings": True, "tied": False, "engine": ""}
    assert VARIANTS["int8-dynamic-embed"].steps[0].parameters == plain
    assert {variant.device for variant in VARIANTS.values()} == {"cpu", "cuda"}


def test_what_is_cast_runs_in_that_type() -> None:
    for variant in VARIANTS.values():
        casts = [s.parameters["dtype"] for s in variant.steps if s.recipe == "cast" and "parts" not in s.parameters]
        assert variant.dtype in DTYPES
        assert casts == ([] if variant.dtype == "float32" else [variant.dtype]), variant.name


def test_every_step_has_a_recipe_with_the_same_three_words() -> None:
    assert {step.recipe for variant in VARIANTS.values() for step in variant.steps} <= set(RECIPES)
    for name in RECIPES:
        module = recipe(name)
        assert isinstance(module.missing({}), str)
        assert callable(module.apply)
    assert {name for name in RECIPES if hasattr(recipe(name), "attach")} >= {"slowed", "hog", "cast", "compiled"}
    assert {name for name in RECIPES if hasattr(recipe(name), "SHRINKS")} == {"neurons", "heads", "layers"}
    assert {name for name in RECIPES if hasattr(recipe(name), "LOW_PRECISION_KERNELS")} >= {"int8_dynamic"}


def test_variants_go_through_json_unchanged_apart_from_lists() -> None:
    import json

    for variant in VARIANTS.values():
        fields = json.loads(json.dumps(asdict(variant)))
        assert fields["steps"] == [
            {"recipe": s.recipe, "parameters": json.loads(json.dumps(s.parameters))} for s in variant.steps
        ]


@pytest.mark.parametrize("variant", ["int8-dynamic", "int8-dynamic-embed", "pruned", "pruned-int8"])
def test_a_step_that_finds_nothing_to_change_says_so(variant: str) -> None:
    step = VARIANTS[variant].steps[0]
    for model in (nn.Sequential(nn.Conv2d(3, 4, 2)), nn.Sequential(nn.Linear(4, 4))):
        with pytest.raises(
            VlmgateError, match=rf"^{step.recipe}: no Linear layer in the chosen parts, so the step changed nothing"
        ):
            recipe(step.recipe).apply(model, ["elsewhere"], step.parameters)
