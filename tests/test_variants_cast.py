"""Casting: every weight changes its type, and a cast to the same type is an error."""

import copy

import pytest
import torch
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants import cast


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 8), nn.LayerNorm(8))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_every_weight_is_rounded_to_the_type(name: str) -> None:
    before, after = model(), model()
    cast.apply(after, [], {"dtype": name})
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert new.dtype == cast.DTYPES[name]
        assert torch.equal(new, old.to(cast.DTYPES[name]))
    assert cast.missing({"dtype": name}) == ""


def test_there_and_back_and_no_further() -> None:
    plain = model()
    with pytest.raises(VlmgateError, match="cast: every weight is float32 already, so the step changed nothing"):
        cast.apply(plain, [], {"dtype": "float32"})
    cast.apply(plain, [], {"dtype": "bfloat16"})
    with pytest.raises(VlmgateError, match="every weight is bfloat16 already"):
        cast.apply(plain, [], {"dtype": "bfloat16"})
    cast.apply(plain, [], {"dtype": "float32"})
    assert {value.dtype for value in plain.parameters()} == {torch.float32}


def test_an_unknown_type_is_refused_before_anything_is_touched() -> None:
    plain = model()
    before = copy.deepcopy(plain.state_dict())
    with pytest.raises(VlmgateError, match="cast: unknown dtype 'int4'; known: bfloat16, float16, float32"):
        cast.apply(plain, [], {"dtype": "int4"})
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())
