"""Finding MLPs, attentions and stacks by the names of their matrices, and how many of them stay."""

from pathlib import Path

import pytest
import torch
import vlms
from tiny import NEURONS, save_tiny_blip
from torch import nn
from transformers import AutoConfig

from vlmgate.artefacts import build_artefact, cannot_run, load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, structure
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


WIDTH, TEN, HEAD_DIM = 80, 10, 8
TIED, NF4 = VARIANTS["int8-dynamic-tied"].steps, VARIANTS["bnb-nf4"].steps


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of ten layers with ten heads each, so that every tenth can go."""
    folder = save_tiny_blip(tmp_path_factory.mktemp("ten") / "checkpoint", width=WIDTH, layers=TEN, heads=TEN)
    return Model("ten", "blip", Source.LOCAL, str(folder), BLIP_PARTS)


def taken(step: str, amount: float, *more: Step) -> Variant:
    parameters = {"neurons": {"multiple": 1}, "heads": {"grouped": "auto"}, "layers": {}}[step]
    first = Step(step, {"parts": ("vision", "text"), "amount": amount, **parameters})
    return Variant(f"{step}-{amount:.0%}", (first, *more))


def gone(model: nn.Module, step: str, amount: float) -> int:
    """Parameters that go, by hand: one of each neuron, head and layer times how many of them."""
    if step == "neurons":  # a row with its bias, and a column
        return (NEURONS - structure.kept(NEURONS, amount)) * (2 * WIDTH + 1) * 2 * TEN
    number = round(TEN * amount)
    if step == "heads":  # of vision, self and cross attention: three times rows with a bias, and columns
        return number * HEAD_DIM * (4 * WIDTH + 3) * 3 * TEN
    layers = (model.get_submodule(f"{name}.1") for name in ("vision_model.encoder.layers", "text_decoder.bert.encoder.layer"))
    return number * sum(value.numel() for layer in layers for value in layer.parameters())


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("step", ["neurons", "heads", "layers"])
def test_a_tenth_to_seven_tenths_go_from_matrices_configuration_and_file(
    ten: Model, step: str, amount: float, tmp_path: Path
) -> None:
    reference = load_reference(Path(ten.location), ten)
    whole = sum(value.numel() for value in reference.parameters())
    exact = build_artefact(ten, taken(step, amount), Path(ten.location), tmp_path / "a")
    assert exact["parameters"] == whole - gone(reference, step, amount)
    assert exact["weight_bytes"] == exact["expected_bytes"] == 4 * exact["parameters"]
    assert exact["reloads"] == 1.0
    file = (tmp_path / "a" / "model.safetensors").stat().st_size
    assert exact["weight_bytes"] < file < 4 * whole
    config = AutoConfig.from_pretrained(tmp_path / "a")
    for part in (config.vision_config, config.text_config):
        assert part.num_hidden_layers == (round(TEN * (1 - amount)) if step == "layers" else TEN)
        assert part.intermediate_size == (structure.kept(NEURONS, amount) if step == "neurons" else NEURONS)


@pytest.mark.parametrize("steps", [TIED, NF4], ids=["int8", "nf4"])
@pytest.mark.parametrize("step", ["neurons", "heads", "layers"])
def test_what_is_left_is_packed(ten: Model, step: str, steps: tuple[Step, ...], tmp_path: Path) -> None:
    packed = Variant("packed", steps)
    if why := cannot_run(packed):
        pytest.skip(why)
    whole = build_artefact(ten, packed, Path(ten.location), tmp_path / "whole")
    exact = build_artefact(ten, taken(step, 0.7, *steps), Path(ten.location), tmp_path / "a")
    reference = load_reference(Path(ten.location), ten)
    assert exact["parameters"] == whole["parameters"] - gone(reference, step, 0.7)
    assert exact["weight_bytes"] == exact["expected_bytes"] < whole["weight_bytes"]
    assert exact["reloads"] == 1.0
    assert exact.get("low_precision_kernels", 1.0) == 1.0
