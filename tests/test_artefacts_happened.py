"""A step that changes nothing is an error, whichever recipe it is of and whatever the other steps of the variant do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vlmgate.artefacts import cannot_run, load_reference, transform
from vlmgate.artefacts.happened import keeps_weights, state_of
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import RECIPES, VARIANTS, recipe

KEEP = {"compiled", "graph", "slowed", "hog"}
INFLATED = Variant("inflated", (Step("inflated", {"share": 0.2}),))
NAMES = (
    *("int8-dynamic", "pruned", "pruned-2of4", "neurons-30", "heads-25", "layers-25", "bnb-int8", "bnb-nf4"),
    *("torchao-int8-dynamic", "bf16", "mixed-bf16-vision-int8-text"),
)
COMBINED = ("pruned-int8", "neurons-30-int8", "heads-25-nf4", "layers-25-int8", "mixed-bf16-vision-int8-text")


def small(name: str) -> Variant:
    """The variant at the size of the tiny model: of two heads or layers a quarter is none, and rows are 32 long."""
    changes = {"heads": {"amount": 0.5}, "layers": {"amount": 0.5}, "torchao": {"group_size": 32}}
    variant = (VARIANTS | {"inflated": INFLATED})[name]
    return replace(
        variant, steps=tuple(replace(s, parameters={**s.parameters, **changes.get(s.recipe, {})}) for s in variant.steps)
    )


def test_every_recipe_is_tried_here_or_keeps_all_weights_on_purpose() -> None:
    tried = {step.recipe for name in (*NAMES, "inflated") for step in small(name).steps}
    assert tried | KEEP | {"artefact"} == set(RECIPES), "an artefact is never carried out"
    assert {name for name in RECIPES if keeps_weights(recipe(name))} == KEEP


@pytest.mark.parametrize(("name", "idle"), [(n, 0) for n in (*NAMES, "inflated")] + [(n, i) for n in COMBINED for i in (0, 1)])
def test_a_step_that_changes_nothing_is_an_error(
    name: str, idle: int, tiny_checkpoint: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = small(name)
    if why := cannot_run(variant):
        pytest.skip(why)
    broken = variant.steps[idle].recipe
    monkeypatch.setattr(recipe(broken), "apply", lambda *_: None)
    with pytest.raises(VlmgateError, match=f"^{name}: {broken} changed no weight of tiny, so it did not happen"):
        transform(load_reference(tiny_checkpoint, tiny_model), tiny_model, variant)


def test_who_says_that_it_keeps_them_may() -> None:
    class Attaching:
        attach = None

    class Loud(Attaching):
        KEEPS_WEIGHTS = False

    found: list[Any] = [Attaching(), Loud(), object()]
    assert [keeps_weights(each) for each in found] == [True, False, False]


def test_values_types_shapes_and_names_are_seen() -> None:
    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.BatchNorm1d(4)})

    plain, seen = state_of(net()), []
    assert plain == state_of(net())
    changed: Any = net()
    changed["a"].weight.data[1, 2] = 0
    seen.append(state_of(changed))
    seen.append(state_of(net().bfloat16()))
    changed = net()
    changed["b"].running_mean += 1
    seen.append(state_of(changed))
    changed = net()
    changed["a"] = nn.Linear(3, 5)
    seen.append(state_of(changed))
    del changed["a"]
    seen.append(state_of(changed))
    assert all(each != plain for each in seen)
