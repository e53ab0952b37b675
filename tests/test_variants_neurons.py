"""Pruning neurons: the least important ones go by the published rule, matrices and configuration shrink, the model runs."""

from pathlib import Path

import pytest
import torch
import vlms
from torch import nn

from vlmgate.artefacts import load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import neurons
from vlmgate.variants.structure import MLPS, blocks

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = nn.Linear(2, 4), nn.Linear(2, 4), nn.Linear(4, 2)
        self.intermediate_size = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.down_proj(self.gate_proj(x) * self.up_proj(x))
        return result


def test_the_importance_of_a_gated_neuron_is_maximum_plus_absolute_minimum_of_both_rows() -> None:
    model = nn.ModuleDict({"mlp": Gated()})
    mlp = model["mlp"]
    with torch.no_grad():
        mlp.gate_proj.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 0.5], [-3.0, -1.0], [0.0, 0.1]]))
        mlp.up_proj.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, -4.0], [2.0, -1.0], [0.1, 0.1]]))
    (block,) = blocks(model, ["mlp"], MLPS)
    # the minimum's magnitude counts whatever its sign, so a row of equal signs counts both of its ends
    assert neurons.importance(block).tolist() == pytest.approx([3 + 2, 1 + 4, 2 + 3, 0.1 + 0.2])
    x = torch.randn(3, 2)
    mlp.down_proj.weight.data[:, 3] = 0  # what goes is a neuron that says nothing, so the answer stays
    expected = mlp(x)
    neurons.apply(model, ["mlp"], {"amount": 0.25})
    assert mlp.gate_proj.weight.shape == mlp.up_proj.weight.shape == (3, 2)
    assert mlp.down_proj.weight.shape == (2, 3)
    assert (mlp.gate_proj.out_features, mlp.down_proj.in_features, mlp.intermediate_size) == (3, 3, 3)
    assert torch.allclose(mlp(x), expected, atol=1e-6)


def test_without_a_gate_the_outgoing_column_counts_too(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain, pruned = load_reference(tiny_checkpoint, tiny_model), load_reference(tiny_checkpoint, tiny_model)
    neurons.apply(pruned, EVERYWHERE, {"amount": 0.3, "multiple": 8})
    before, after = list(blocks(plain, EVERYWHERE, MLPS)), list(blocks(pruned, EVERYWHERE, MLPS))
    assert len(before) == len(after) == 4
    for old, new in zip(before, after, strict=True):
        weights = [old.incoming[0].weight, old.outgoing.weight.T]
        score = sum((w.max(1).values + w.min(1).values.abs() for w in weights), torch.zeros(64))
        stay = score.topk(48).indices.sort().values  # 64 × 0.7 = 44.8, rounded up to a multiple of eight
        assert torch.equal(new.incoming[0].weight, old.incoming[0].weight[stay])
        assert torch.equal(new.incoming[0].bias, old.incoming[0].bias[stay])
        assert torch.equal(new.outgoing.weight, old.outgoing.weight[:, stay])
        assert torch.equal(new.outgoing.bias, old.outgoing.bias)
    assert pruned.config.vision_config.intermediate_size == pruned.config.text_config.intermediate_size == 48


def test_a_part_that_is_not_chosen_keeps_its_neurons(tiny_checkpoint: Path, tiny_model: Model) -> None:
    pruned = load_reference(tiny_checkpoint, tiny_model)
    neurons.apply(pruned, ["vision_model"], {"amount": 0.5})
    assert (pruned.config.vision_config.intermediate_size, pruned.config.text_config.intermediate_size) == (32, 64)
    assert {block.outgoing.in_features for block in blocks(pruned, ["text_decoder"], MLPS)} == {64}


@pytest.mark.parametrize("name", vlms.NAMES)
def test_other_families_run_and_their_configurations_shrink(name: str) -> None:
    model = vlms.build(name, layers=2)
    before = sum(value.numel() for value in model.parameters())
    neurons.apply(model, [p for names in vlms.PARTS[name].values() for p in names], {"amount": 0.5, "multiple": 8})
    assert model.config.text_config.intermediate_size == model.config.vision_config.intermediate_size == 48
    assert sum(value.numel() for value in model.parameters()) < before
    assert vlms.generate(model, name).shape == (1, 4)


def test_nothing_to_change_is_an_error(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    for prefixes, amount, multiple, sentence in (
        (["elsewhere"], 0.3, 1, "no MLP in the chosen parts, so the step changed nothing"),
        (EVERYWHERE, 0.001, 1, "amount 0.001 is less than 1 neurons of every MLP, so the step changed nothing"),
        (EVERYWHERE, 0.1, 32, "amount 0.1 is less than 32 neurons of every MLP, so the step changed nothing"),
        (EVERYWHERE, 0.0, 1, "amount is 0; expected a share between 0 and 1"),
    ):
        with pytest.raises(VlmgateError, match=f"^neurons: {sentence}"):
            neurons.apply(model, prefixes, {"amount": amount, "multiple": multiple})
    assert neurons.missing({}) == ""
