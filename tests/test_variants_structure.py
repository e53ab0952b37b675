"""Finding MLPs, attentions and stacks by the names of their matrices, and how many of them stay."""

from pathlib import Path

import pytest
import torch
import vlms
from torch import nn

from vlmgate.artefacts import load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import structure
from vlmgate.variants.structure import ATTENTIONS, MLPS, blocks, stacks

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]


def test_every_block_of_the_tiny_model_is_found(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    attentions = [block.name for block in blocks(model, EVERYWHERE, ATTENTIONS)]
    assert len([name for name in attentions if name.startswith("vision_model.")]) == 2
    assert len([name for name in attentions if name.endswith(".crossattention")]) == 2
    assert len(attentions) == 6, "self and cross attention in the text part"
    assert len(list(blocks(model, EVERYWHERE, MLPS))) == 4
    assert [(name, len(stack)) for name, stack in stacks(model, EVERYWHERE)] == [
        ("vision_model.encoder.layers", 2),
        ("text_decoder.bert.encoder.layer", 2),
    ]
    assert list(blocks(model, ["text"], MLPS)) == [], "a prefix ends at a dot"


@pytest.mark.parametrize("name", vlms.NAMES)
def test_every_block_of_other_families_is_found(name: str) -> None:
    model = vlms.build(name, layers=2)
    for part in ("vision", "text"):
        prefixes = vlms.PARTS[name][part]
        assert len(list(blocks(model, prefixes, MLPS))) == 2
        assert len(list(blocks(model, prefixes, ATTENTIONS))) == 2
        assert [len(stack) for _, stack in stacks(model, prefixes)] == [2]


def test_a_block_with_a_layer_of_another_kind_is_left_alone() -> None:
    class Special(nn.Linear):
        pass

    model = nn.ModuleDict({"m": nn.ModuleDict({"fc1": Special(2, 4), "fc2": nn.Linear(4, 2)})})
    assert list(blocks(model, ["m"], MLPS)) == []


@pytest.mark.parametrize(
    ("number", "amount", "multiple", "stay"),
    [(10, 0.3, 1, 7), (64, 0.3, 8, 48), (64, 0.25, 8, 48), (12, 0.25, 1, 9), (4, 0.1, 1, 4), (4, 0.99, 1, 1), (12, 0.3, 64, 12)],
)
def test_how_many_stay(number: int, amount: float, multiple: int, stay: int) -> None:
    assert structure.kept(number, amount, multiple) == stay


@pytest.mark.parametrize("amount", [0, 1, -0.1, float("nan")])
def test_an_amount_is_a_share(amount: float) -> None:
    with pytest.raises(VlmgateError, match=r"^x: amount is .*; expected a share between 0 and 1"):
        structure.share({"amount": amount}, "x")


def test_the_most_important_stay_in_their_old_order() -> None:
    assert structure.best(torch.tensor([1.0, 9.0, 3.0, 7.0]), 2).tolist() == [1, 3]


def test_the_configuration_of_a_block_is_that_of_its_nearest_ancestor(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    for part, config in (("vision_model", model.config.vision_config), ("text_decoder", model.config.text_config)):
        (block, *_) = blocks(model, [part], MLPS)
        found = structure.configs(model, block.name)
        assert any(each is config for each in found)
        assert {type(each) for each in found} == {type(config)}
