"""2:4 pruning: exactly two zeros in every four along a row, the two smallest, and never in a matrix an embedding shares."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vlmgate.artefacts import load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import two_of_four

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]
HEAD = "text_decoder.cls.predictions.decoder"


def test_the_two_smallest_of_four_go() -> None:
    gone = two_of_four.smallest_two(torch.tensor([[1.0, -4.0, 2.0, 3.0, 0.0, 0.0, 0.0, -9.0]]))
    assert gone[:, :4].tolist() == [[True, False, True, False]]
    assert int(gone[:, 4:].sum()) == 2, "exactly two of equals"
    assert not gone[0, 7]


def test_every_four_of_every_matrix_but_the_tied_one(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain, pruned = load_reference(tiny_checkpoint, tiny_model), load_reference(tiny_checkpoint, tiny_model)
    two_of_four.apply(pruned, EVERYWHERE, {})
    for name, layer in pruned.named_modules():
        if type(layer) is not nn.Linear:
            continue
        old = plain.get_submodule(name).weight
        if name == HEAD:
            assert torch.equal(layer.weight, old)
            continue
        fours, before = layer.weight.reshape(-1, 4), old.reshape(-1, 4).abs()
        assert bool(((fours == 0).sum(1) == 2).all()), name
        stayed = fours != 0
        assert torch.equal(layer.weight[layer.weight != 0], old[layer.weight != 0])
        assert bool((before.masked_fill(stayed, 0).amax(1) <= before.masked_fill(~stayed, 9.0).amin(1)).all())


def test_rows_that_are_no_multiple_of_four_stay() -> None:
    model = nn.ModuleDict({"a": nn.Linear(6, 3), "b": nn.Linear(8, 3)})
    two_of_four.apply(model, ["a", "b"], {})
    assert not bool((model["a"].weight == 0).any())
    assert int((model["b"].weight == 0).sum()) == 12
    with pytest.raises(VlmgateError, match=r"^two_of_four: no Linear layer in the chosen parts, so the step"):
        two_of_four.apply(model, ["a"], {})
    assert two_of_four.missing({}) == ""
