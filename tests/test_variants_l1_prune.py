"""L1 pruning: exactly so many zeros, the smallest ones, in the chosen parts, and never in a matrix an embedding shares."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vlmgate.artefacts import load_reference, transform
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import l1_prune

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]
HEAD = "text_decoder.cls.predictions.decoder"


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear}


@pytest.mark.parametrize("amount", [0.3, 0.5, 0.01, 0.99])
def test_every_matrix_loses_its_smallest_weights_and_keeps_the_others(
    tiny_checkpoint: Path, tiny_model: Model, amount: float
) -> None:
    plain, pruned = load_reference(tiny_checkpoint, tiny_model), load_reference(tiny_checkpoint, tiny_model)
    l1_prune.apply(pruned, EVERYWHERE, {"amount": amount})
    before, after = linears(plain), linears(pruned)
    assert list(before) == list(after)
    for name, layer in after.items():
        old, new = before[name].weight.detach(), layer.weight.detach()
        if name == HEAD:
            assert torch.equal(old, new)
            continue
        gone = new == 0
        assert int(gone.sum()) == round(amount * old.numel()), name
        assert torch.equal(old[~gone], new[~gone])
        assert float(old[gone].abs().max()) <= float(old[~gone].abs().min())
        assert isinstance(layer.weight, nn.Parameter), "no mask stays behind"
        assert "weight_orig" not in dict(layer.named_parameters())


def test_the_head_stays_tied_to_the_embedding(tiny_checkpoint: Path, tiny_model: Model) -> None:
    pruned = load_reference(tiny_checkpoint, tiny_model)
    l1_prune.apply(pruned, EVERYWHERE, {"amount": 0.3})
    assert pruned.get_submodule(HEAD).weight is pruned.text_decoder.bert.embeddings.word_embeddings.weight


def test_only_the_chosen_part_changes(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain, pruned = load_reference(tiny_checkpoint, tiny_model), load_reference(tiny_checkpoint, tiny_model)
    transform(pruned, tiny_model, Variant("x", (Step("l1_prune", {"parts": ("vision",), "amount": 0.3}),)))
    changed = [name for name, value in plain.state_dict().items() if not torch.equal(value, pruned.state_dict()[name])]
    assert changed
    assert all(name.startswith("vision_model.") and name.endswith(".weight") for name in changed)


@pytest.mark.parametrize("amount", [0, 1, -0.1, 1.5, float("nan")])
def test_an_amount_that_is_no_share_is_refused(amount: float) -> None:
    layer = nn.Sequential(nn.Linear(4, 4))
    before = layer[0].weight.detach().clone()
    with pytest.raises(VlmgateError, match=r"l1_prune: amount is .*; expected a share between 0 and 1"):
        l1_prune.apply(layer, ["0"], {"amount": amount})
    assert torch.equal(layer[0].weight, before)


def test_an_amount_too_small_for_any_matrix_is_refused_too() -> None:
    with pytest.raises(VlmgateError, match="changed nothing"):
        l1_prune.apply(nn.Sequential(nn.Linear(4, 4)), ["0"], {"amount": 0.01})
