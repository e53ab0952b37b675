"""torchao's INT8 and INT4: every chosen Linear is packed and no other, artefacts reload, an idle step is found out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from vlmgate.artefacts import artefact_key, build_artefact, cannot_run, load_artefact, load_reference, transform
from vlmgate.artefacts.expected import expected_bytes
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, torchao
from vlmgate.variants.packed import RowsOf, low_precision_weights
from vlmgate.variants.torchao_linear import TorchaoLinear

pytest.importorskip("torchao", reason="needs torchao: pip install 'vlmgate[torchao]'")

HEAD = "text_decoder.cls.predictions.decoder"
WORDS = "text_decoder.bert.embeddings.word_embeddings"
NAMES = ("torchao-int8-dynamic", "torchao-int8-weights", "torchao-int4-weights")


def small(name: str) -> Variant:
    """The variant with groups that fit the tiny model's matrices."""
    variant = VARIANTS[name]
    return replace(variant, steps=tuple(Step(s.recipe, {**s.parameters, "group_size": 32}) for s in variant.steps))


def step(**changes: Any) -> Variant:
    plain = {"parts": tuple(BLIP_PARTS), "scheme": "int8-dynamic", "tied": False, "group_size": 32}
    return Variant("x", (Step("torchao", plain | changes),))


def prepared(checkpoint: Path, model: Model, variant: Variant) -> nn.Module:
    loaded: nn.Module = load_reference(checkpoint, model)
    transform(loaded, model, variant)
    return loaded


def names(model: nn.Module, kind: type) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, kind)}


@pytest.mark.parametrize("name", NAMES)
def test_an_artefact_reloads_weighs_what_it_should_and_says_what_it_is(
    name: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    if why := cannot_run(small(name)):
        pytest.skip(why)
    exact = build_artefact(tiny_model, small(name), tiny_checkpoint, tmp_path / name)
    plain = load_reference(tiny_checkpoint, tiny_model)
    layers = [module.weight.numel() for module in plain.modules() if isinstance(module, nn.Linear)]
    assert exact["reloads"] == 1.0
    assert exact["weight_bytes"] == exact["expected_bytes"]
    assert exact["low_precision_share"] == pytest.approx(sum(layers) / sum(v.numel() for v in _stored(plain)), rel=0.01)
    assert exact.get("low_precision_kernels", 0.0) == float(name != "torchao-int8-weights")
    model = load_artefact(tmp_path / name).model
    assert names(model, TorchaoLinear) == names(plain, nn.Linear)
    assert isinstance(model.get_submodule(WORDS), RowsOf)
    rows, matrix = model.get_submodule(WORDS).int8, model.get_submodule(HEAD).weight.qdata
    assert rows.data_ptr() == matrix.data_ptr(), "one matrix in memory too"
    kinds = {value.dtype for value in load_file(tmp_path / name / "model.safetensors").values()}
    assert (torch.uint8 in kinds) is ("int4" in name)
    assert torch.int8 in kinds


def _stored(model: nn.Module) -> list[torch.Tensor]:
    """Parameters of a model as an artefact with a packed head has them: the head's bias twice, the tied matrix once."""
    return [*model.parameters(), model.get_submodule(HEAD).bias]


@pytest.mark.parametrize("part", ["vision", "text"])
def test_only_the_chosen_part_is_packed(part: str, tiny_checkpoint: Path, tiny_model: Model) -> None:
    found = names(prepared(tiny_checkpoint, tiny_model, step(parts=(part,))), TorchaoLinear)
    assert found
    assert all(name.startswith("vision_model." if part == "vision" else "text_decoder.") for name in found)


def test_without_tied_the_embedding_stays_beside_the_head(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    model = prepared(tiny_checkpoint, tiny_model, step())
    assert torch.equal(model.get_submodule(WORDS).weight, plain.get_submodule(WORDS).weight)
    assert isinstance(model.get_submodule(HEAD), TorchaoLinear)


def test_int4_leaves_what_it_cannot_take_and_the_tied_head(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = prepared(tiny_checkpoint, tiny_model, step(scheme="int4-weights", group_size=64))
    assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight
    left = {module.in_features for module in model.modules() if isinstance(module, nn.Linear)}
    assert left == {32}, "rows of 64 are packed, rows of 32 are shorter than a group"
    assert low_precision_weights(model) > 0


def test_int4_makes_int8_of_a_matrix_that_the_embedding_shares(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = prepared(tiny_checkpoint, tiny_model, step(scheme="int4-weights", tied=True))
    schemes = {name: module.scheme for name, module in model.named_modules() if isinstance(module, TorchaoLinear)}
    assert schemes.pop(HEAD) == "int8-dynamic"
    assert set(schemes.values()) == {"int4-weights"}


def test_tied_is_no_error_where_nothing_is(tiny_checkpoint: Path, tiny_model: Model) -> None:
    model = prepared(tiny_checkpoint, tiny_model, step(parts=("vision",), tied=True))
    assert model.get_submodule(HEAD).weight is model.get_submodule(WORDS).weight


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": ("projector",)}, "no Linear layer for int8-dynamic in the chosen parts, so the step changed nothing"),
        ({"scheme": "int4-weights", "group_size": 128}, "no Linear layer for int4-weights in the chosen parts, so the step"),
        ({"scheme": "int4-weights", "group_size": 48}, "group_size is 48; the INT4 kernel takes 32, 64, 128"),
        ({"scheme": "int3"}, "unknown scheme 'int3'; known: int8-dynamic, int8-weights, int4-weights"),
        ({"scheme": "int4-weights", "group_size": 128, "tied": True}, "no Linear layer for int4-weights in the chosen parts"),
    ],
)
def test_a_step_that_cannot_be_carried_out_is_an_error(
    changes: dict[str, Any], words: str, tiny_checkpoint: Path, tiny_model: Model
) -> None:
    loaded = load_reference(tiny_checkpoint, tiny_model)
    with pytest.raises(VlmgateError, match=f"^torchao: {words}"):
        transform(loaded, tiny_model, step(**changes))
    with pytest.raises(VlmgateError, match=f"^torchao: {words}"):
        expected_bytes(loaded.config, step(**changes), BLIP_PARTS)


def test_doing_it_twice_is_an_error(tiny_checkpoint: Path, tiny_model: Model) -> None:
    once = prepared(tiny_checkpoint, tiny_model, step())
    with pytest.raises(VlmgateError, match="changed nothing"):
        transform(once, tiny_model, step())


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_did_nothing_is_found_out(
    name: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchao, "apply", lambda *_: None)
    with pytest.raises(VlmgateError, match="torchao changed no weight of tiny"):
        build_artefact(tiny_model, small(name), tiny_checkpoint, tmp_path / "a")
    monkeypatch.setattr(torchao, "KEEPS_WEIGHTS", True, raising=False)  # and if nobody had looked:
    exact = build_artefact(tiny_model, small(name), tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_share"] == 0.0
    assert exact["weight_bytes"] > 1.01 * exact["expected_bytes"], "which fails without a threshold"
    assert exact.get("low_precision_kernels", 0.0) == 0.0


def test_the_batch_does_not_change_what_int8_says(tiny_checkpoint: Path, tiny_model: Model) -> None:
    """One scale a token: what shares the batch has no part in it."""
    model = prepared(tiny_checkpoint, tiny_model, step()).eval().get_submodule(HEAD)
    x = torch.randn(3, 4, 32) * torch.tensor([0.1, 1.0, 10.0])[:, None, None]
    with torch.inference_mode():
        assert torch.equal(model(x)[1:2], model(x[1:2]))


@pytest.mark.parametrize("name", NAMES)
def test_under_the_compiler_the_answer_stays(name: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    variant = small(f"{name}-compile")
    if why := cannot_run(variant):
        pytest.skip(why)
    torch._dynamo.reset()
    eager = replace(variant, steps=(variant.steps[0], Step("compiled", {"backend": "eager", "dynamic": True})))
    exact = build_artefact(tiny_model, eager, tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    assert exact.get("low_precision_kernels", 0.0) == float(name != "torchao-int8-weights")
    assert exact["compile_seconds"] > 0.0 and exact["compiled_graphs"] > 0


def test_what_it_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torchao.missing({"scheme": "int8-dynamic"}) == ""
    assert torchao.missing({"scheme": "int4-weights", "device": "cuda"}).startswith("torchao's INT4 weights for a CPU do not run")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    why = "torch's INT4 kernel is written for AVX2 and AVX512; this processor has DEFAULT"
    assert cannot_run(VARIANTS["torchao-int4-weights"]) == why
    monkeypatch.setattr(torchao, "find_spec", lambda name: None)
    for name in NAMES:
        assert cannot_run(VARIANTS[name]) == "needs torchao: pip install 'vlmgate[torchao]'"


def test_another_torchao_makes_another_artefact(
    tiny_checkpoint: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = artefact_key(tiny_model, step(), tiny_checkpoint)
    assert before["libraries"] == {"torchao": torchao.versions()}
    monkeypatch.setattr(torchao, "versions", lambda: {"torchao": "0.0"})
    assert artefact_key(tiny_model, step(), tiny_checkpoint) != before
    assert artefact_key(tiny_model, VARIANTS["int8-dynamic"], tiny_checkpoint)["libraries"] == {}
