"""Pruning heads: whole heads go by the norm of their output columns, groups of queries stay even, the model runs."""

from pathlib import Path
from typing import Any

import pytest
import torch
import vlms

from vlmgate.artefacts import load_reference
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import heads
from vlmgate.variants.attention import PlainAttention
from vlmgate.variants.structure import ATTENTIONS, blocks

EVERYWHERE = [prefix for names in BLIP_PARTS.values() for prefix in names]


def everywhere(name: str) -> list[str]:
    return [prefix for names in vlms.PARTS[name].values() for prefix in names]


def test_the_importance_of_a_head_is_the_norm_of_its_output_columns() -> None:
    layer = torch.nn.Linear(4, 2)
    layer.weight.data = torch.tensor([[3.0, 0.0, 1.0, 1.0], [0.0, 4.0, 1.0, 1.0]])
    assert heads.norms(layer, 2).tolist() == [5.0, 2.0]


@pytest.mark.parametrize(
    ("importance", "keys", "amount", "grouped", "queries", "groups"),
    [
        ([4, 1, 3, 2], 4, 0.5, "auto", [0, 2], [0, 2]),  # a key for every query
        ([4, 1, 3, 2], 4, 0.1, "auto", [0, 1, 2, 3], [0, 1, 2, 3]),
        ([4, 1, 3, 2, 9, 0], 2, 0.5, "auto", [3, 4, 5], [1]),  # 26 against 85: the second group stays whole
        ([4, 1, 3, 2, 9, 0], 2, 0.3, "within", [0, 1, 2, 3, 4, 5], [0, 1]),
        ([4, 1, 3, 2, 9, 0], 2, 0.4, "within", [0, 2, 3, 4], [0, 1]),  # one goes in each
        ([4, 1, 3, 2], 1, 0.5, "auto", [0, 2], [0]),  # one key: it stays
    ],
)
def test_which_heads_stay(
    importance: list[float], keys: int, amount: float, grouped: str, queries: list[int], groups: list[int]
) -> None:
    found = heads.choose(torch.tensor(importance, dtype=torch.float32), keys, amount, grouped)
    assert [each.tolist() for each in found] == [queries, groups]


def test_heads_that_say_nothing_can_go_without_a_trace(tiny_checkpoint: Path, tiny_model: Model) -> None:
    """Two heads of 16 in a width of 32; the output columns of one are zero, so the pruned model must answer as before."""
    plain, pruned = load_reference(tiny_checkpoint, tiny_model), load_reference(tiny_checkpoint, tiny_model)
    for model in (plain, pruned):
        for block in blocks(model, EVERYWHERE, ATTENTIONS):
            block.outgoing.weight.data[:, :16] = 0
    heads.apply(pruned, EVERYWHERE, {"amount": 0.5})
    assert {layer.in_features for layer in (b.outgoing for b in blocks(pruned, EVERYWHERE, ATTENTIONS))} == {16}
    assert sum(isinstance(module, PlainAttention) for module in pruned.modules()) == 2, "the vision part has a fused matrix"
    pixels, ids = torch.randn(2, 3, 32, 32), torch.tensor([[2, 7, 8], [2, 9, 6]])
    with torch.inference_mode():
        before, after = (model(pixel_values=pixels, input_ids=ids).logits for model in (plain, pruned))
        generated = [model.generate(pixel_values=pixels, max_new_tokens=5, min_new_tokens=5) for model in (plain, pruned)]
    assert torch.allclose(before, after, atol=1e-5)
    assert torch.equal(*generated)


@pytest.mark.parametrize(
    ("name", "grouped", "queries", "keys"),
    [
        ("llava", "auto", 4, 2),
        ("llava", "within", 4, 4),
        ("qwen", "auto", 4, 1),
        ("qwen", "within", 4, 2),
        ("paligemma", "auto", 4, 1),
    ],
)
def test_grouped_queries_stay_even(name: str, grouped: str, queries: int, keys: int) -> None:
    model = vlms.build(name, layers=2)
    heads.apply(model, everywhere(name), {"amount": 0.5, "grouped": grouped})
    text = list(blocks(model, vlms.PARTS[name]["text"], ATTENTIONS))
    assert len(text) == 2
    for block in text:
        query, key, value = block.incoming
        assert (query.out_features, key.out_features, value.out_features) == (8 * queries, 8 * keys, 8 * keys)
        assert block.outgoing.in_features == 8 * queries
        assert block.module.num_key_value_groups == queries // keys
    assert vlms.generate(model, name).shape == (1, 4)


def test_dropping_a_group_that_says_nothing_leaves_no_trace() -> None:
    plain, pruned = vlms.build("llava", layers=2), vlms.build("llava", layers=2)
    for model in (plain, pruned):
        for block in blocks(model, everywhere("llava"), ATTENTIONS):
            block.outgoing.weight.data[:, 16:32] = 0  # heads 2 and 3: the second key of the text part
    heads.apply(pruned, everywhere("llava"), {"amount": 0.25})
    with torch.inference_mode():
        before, after = (model(**vlms.inputs("llava")).logits for model in (plain, pruned))
    assert pruned.model.language_model.layers[0].self_attn.k_proj.out_features == 24
    assert torch.allclose(before, after, atol=1e-5)


def test_a_configuration_that_can_say_it_does() -> None:
    model = vlms.build("llava", layers=2)
    heads.apply(model, everywhere("llava"), {"amount": 0.5})
    text = model.config.text_config
    assert (text.num_attention_heads, text.num_key_value_heads, text.head_dim) == (4, 2, 8)


def test_nothing_to_change_is_an_error(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = load_reference(tiny_checkpoint, tiny_model)
    cases: tuple[tuple[list[str], dict[str, Any], str], ...] = (
        (["elsewhere"], {"amount": 0.5}, "no attention in the chosen parts, so the step changed nothing"),
        (EVERYWHERE, {"amount": 0.25}, "amount 0.25 is less than one head of every attention, so the step changed nothing"),
        (EVERYWHERE, {"amount": 1.0}, "amount is 1; expected a share between 0 and 1"),
        (EVERYWHERE, {"amount": 0.5, "grouped": "odd"}, "grouped is 'odd'; expected one of auto, whole, within"),
    )
    for prefixes, parameters, sentence in cases:
        with pytest.raises(VlmgateError, match=f"^heads: {sentence}"):
            heads.apply(model, prefixes, parameters)
    assert heads.missing({}) == ""
