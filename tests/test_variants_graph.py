"""The step that a backend reads leaves the torch model alone."""

import torch
from torch import nn

from vlmgate.variants import recipe


def test_it_changes_no_weight() -> None:
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    recipe("graph").apply(model, [""], {"precision": "bf16"})
    assert torch.equal(model.weight, before)
    assert recipe("graph").missing({}) == ""
