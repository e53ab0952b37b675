"""LLM.int8: every Linear of the chosen parts but the output layer, half a step of error, outliers in floats, kernels counted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vlmgate.artefacts import build_artefact, load_reference, transform
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, bnb_int8
from vlmgate.variants.bnb import Int8

pytest.importorskip("bitsandbytes")
HEAD, WORDS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"
PLAIN = {"parts": tuple(BLIP_PARTS), "threshold": 6.0, "head": False, "emulate": False}


def quantized(checkpoint: Path, model: Model, **parameters: Any) -> nn.Module:
    loaded: nn.Module = load_reference(checkpoint, model)
    transform(loaded, model, Variant("x", (Step("bnb_int8", PLAIN | parameters),)))
    return loaded.eval()


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear}


def packed(model: nn.Module) -> dict[str, Int8]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Int8)}


def test_the_registered_step_has_these_parameters() -> None:
    assert VARIANTS["bnb-int8"].steps[0].parameters == {**PLAIN, "parts": ("vision", "projector", "text")}


def test_every_linear_but_the_output_layer_is_packed(tiny_checkpoint: Path, tiny_model: Model) -> None:
    before = set(linears(load_reference(tiny_checkpoint, tiny_model)))
    model = quantized(tiny_checkpoint, tiny_model)
    assert set(packed(model)) == before - {HEAD} and set(linears(model)) == {HEAD}
    assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight, "still tied"
    assert set(packed(quantized(tiny_checkpoint, tiny_model, head=True))) == before


def test_an_output_layer_with_a_matrix_of_its_own_stays_too() -> None:
    import vlms

    model = vlms.build("llava", layers=1)
    head = model.get_output_embeddings()
    assert head.weight is not model.get_input_embeddings().weight
    bnb_int8.apply(model, ["lm_head", "model.language_model"], PLAIN)
    assert model.lm_head is head and packed(model)
    with pytest.raises(VlmgateError, match="changed nothing"):
        bnb_int8.apply(model, ["lm_head"], PLAIN)


@pytest.mark.parametrize(("part", "prefix"), [("vision", "vision_model."), ("text", "text_decoder.")])
def test_only_the_chosen_part_is_packed(tiny_checkpoint: Path, tiny_model: Model, part: str, prefix: str) -> None:
    found = packed(quantized(tiny_checkpoint, tiny_model, parts=(part,)))
    assert found and all(name.startswith(prefix) for name in found)


def test_a_weight_moves_by_at_most_half_a_step(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain = linears(load_reference(tiny_checkpoint, tiny_model))
    for name, layer in packed(quantized(tiny_checkpoint, tiny_model)).items():
        step = layer.scale[:, None] / 127
        gap = (layer.layer.weight * step - plain[name].weight).detach().abs()
        assert bool((gap <= step * 0.501 + plain[name].weight.abs() * 2**-11).all()), f"{name}: it goes by float16"
        assert torch.equal(layer.layer.bias, plain[name].bias)


def test_outliers_of_the_activations_stay_in_floats() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 64)
    x[1, 7] = 60.0
    errors = []
    for threshold in (0.0, 6.0):
        net = nn.Sequential(nn.Linear(64, 96)).eval()
        with torch.inference_mode():
            wanted = net(x)
            bnb_int8.apply(net, ["0"], PLAIN | {"threshold": threshold})
            errors.append(float((net(x) - wanted)[1].square().mean()))
    assert errors[1] < errors[0] / 4, "one large value no longer takes the steps of its row"


def test_what_cannot_be_done_is_a_sentence(tiny_checkpoint: Path, tiny_model: Model) -> None:
    with pytest.raises(VlmgateError, match="bnb_int8: threshold is -1; expected 0"):
        quantized(tiny_checkpoint, tiny_model, threshold=-1)
    with pytest.raises(VlmgateError, match="bnb_int8: no Linear layer in the chosen parts, so the step changed nothing"):
        quantized(tiny_checkpoint, tiny_model, parts=())
    once = quantized(tiny_checkpoint, tiny_model)
    with pytest.raises(VlmgateError, match="changed nothing"):
        bnb_int8.apply(once, ["vision_model", "text_decoder"], PLAIN)


@pytest.mark.parametrize("emulate", [False, True])
def test_kernels_are_counted_where_they_are_promised(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, emulate: bool
) -> None:
    step = Step("bnb_int8", PLAIN | {"emulate": emulate})
    exact = build_artefact(tiny_model, Variant("x", (step,)), tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0 and exact["expected_bytes"] == exact["weight_bytes"]
    assert ("low_precision_kernels" in exact) is not emulate
    if not emulate:  # without AVX-512 the products run in floats, and no name of an operator makes INT8 of them
        assert exact["low_precision_kernels"] > 0.9 if bnb_int8.multiplies_int8() else exact["low_precision_kernels"] == 0.0


def test_a_processor_that_would_multiply_floats_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert "no AVX-512, so bitsandbytes would multiply INT8 matrices in float32" in bnb_int8.missing({"device": "cpu"})
    assert bnb_int8.missing({"device": "cuda"}) == bnb_int8.missing({"emulate": True}) == ""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert bnb_int8.missing({}) == ""
