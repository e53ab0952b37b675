"""Plain attention: with all heads it is what it takes the place of."""

from pathlib import Path

import torch

from vlmgate.artefacts import load_reference
from vlmgate.spec import Model
from vlmgate.variants.attention import PlainAttention


def test_with_all_heads_it_is_the_attention_it_takes_the_place_of(tiny_checkpoint: Path, tiny_model: Model) -> None:
    theirs = load_reference(tiny_checkpoint, tiny_model).vision_model.encoder.layers[0].self_attn
    ours = PlainAttention.of(theirs, 2, 16)
    states = torch.randn(2, 5, 32)
    with torch.inference_mode():
        for mine, expected in zip(ours(hidden_states=states, anything=None), theirs(states), strict=True):
            assert torch.equal(mine, expected)
    assert ours.numbers() == {"heads": 2, "head_dim": 16}
    assert {name for name, _ in ours.named_parameters()} == {name for name, _ in theirs.named_parameters()}
