"""Dynamic INT8: every Linear of the chosen parts is packed, nothing else, and weights move by at most half a step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vlmgate.artefacts import build_artefact, cannot_run, load_reference, transform
from vlmgate.artefacts.expected import carry_out, skeleton, weigh
from vlmgate.artefacts.load import read_card
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, int8_dynamic
from vlmgate.variants.packed import PACKED, PackedEmbedding, PackedLinear, RowsOf, tensors_of

HEAD = "text_decoder.cls.predictions.decoder"


def quantized(checkpoint: Path, model: Model, **parameters: Any) -> nn.Module:
    loaded: nn.Module = load_reference(checkpoint, model)
    step = Step("int8_dynamic", {"parts": tuple(BLIP_PARTS), "per_channel": False, "embeddings": False} | parameters)
    transform(loaded, model, Variant("x", (step,)))
    return loaded


def names(model: nn.Module, *kinds: type) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, kinds)}


@pytest.mark.parametrize("per_channel", [False, True])
def test_every_linear_is_packed_and_nothing_else(tiny_checkpoint: Path, tiny_model: Model, per_channel: bool) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    packed = quantized(tiny_checkpoint, tiny_model, per_channel=per_channel)
    assert names(packed, *PACKED) == names(plain, nn.Linear)
    assert HEAD in names(packed, PackedLinear)
    kept = packed.state_dict()
    for name, value in plain.state_dict().items():
        if name in kept and isinstance(kept[name], torch.Tensor) and not name.startswith(tuple(names(plain, nn.Linear))):
            assert torch.equal(kept[name], value), name


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_weight_moves_by_at_most_half_a_step(tiny_checkpoint: Path, tiny_model: Model, per_channel: bool) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    packed = quantized(tiny_checkpoint, tiny_model, per_channel=per_channel)
    for name in names(plain, nn.Linear):
        old, new = plain.get_submodule(name).weight.detach(), packed.get_submodule(name).weight()
        steps = new.q_per_channel_scales()[:, None] if per_channel else torch.tensor(new.q_scale())
        assert bool(((new.dequantize() - old).abs() <= steps * 0.501).all()), name
        assert int(new.int_repr().abs().max()) <= 128
        assert torch.equal(packed.get_submodule(name).bias(), plain.get_submodule(name).bias)


def test_rows_of_their_own_scale_are_nearer_to_the_truth(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    errors = []
    for per_channel in (False, True):
        packed = quantized(tiny_checkpoint, tiny_model, per_channel=per_channel)
        gaps = [packed.get_submodule(n).weight().dequantize() - plain.get_submodule(n).weight for n in names(plain, nn.Linear)]
        errors.append(sum(float(gap.detach().square().sum()) for gap in gaps))
    assert errors[1] < errors[0]


def test_embeddings_are_packed_when_asked_for(tiny_checkpoint: Path, tiny_model: Model) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    packed = quantized(tiny_checkpoint, tiny_model, per_channel=True, embeddings=True)
    assert names(packed, PackedEmbedding) == names(plain, nn.Embedding) != set()
    assert names(packed, PackedLinear) == names(plain, nn.Linear)


@pytest.mark.parametrize(("part", "prefix"), [("vision", "vision_model."), ("text", "text_decoder.")])
def test_only_the_chosen_part_is_packed(tiny_checkpoint: Path, tiny_model: Model, part: str, prefix: str) -> None:
    packed = quantized(tiny_checkpoint, tiny_model, parts=(part,))
    assert names(packed, *PACKED)
    assert all(name.startswith(prefix) for name in names(packed, *PACKED))
    plain, kept = load_reference(tiny_checkpoint, tiny_model).state_dict(), packed.state_dict()
    for name in plain:
        if not name.startswith(prefix):
            assert torch.equal(plain[name], kept[name]), name


def test_a_head_that_is_not_chosen_stays_tied(tiny_checkpoint: Path, tiny_model: Model) -> None:
    packed = quantized(tiny_checkpoint, tiny_model, parts=("vision",))
    embedding = packed.get_submodule("text_decoder.bert.embeddings.word_embeddings")
    assert packed.get_submodule(HEAD).weight is embedding.weight


@pytest.mark.parametrize("parts", [("projector",), ()])
def test_parts_without_a_linear_layer_are_an_error(tiny_checkpoint: Path, tiny_model: Model, parts: tuple[str, ...]) -> None:
    with pytest.raises(VlmgateError, match="int8_dynamic: no Linear layer in the chosen parts, so the step changed nothing"):
        quantized(tiny_checkpoint, tiny_model, parts=parts)


def test_doing_it_twice_is_an_error(tiny_checkpoint: Path, tiny_model: Model) -> None:
    once = quantized(tiny_checkpoint, tiny_model)
    with pytest.raises(VlmgateError, match="changed nothing"):
        int8_dynamic.apply(once, ["vision_model", "text_decoder"], {"per_channel": False, "embeddings": False})


def test_a_machine_without_an_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert int8_dynamic.missing({}) == ""
    monkeypatch.setattr(torch._C, "_supported_qengines", lambda: [0])  # 0 is torch's own code for "none"
    assert torch.backends.quantized.supported_engines == ["none"]
    for variant in VARIANTS.values():
        steps = [step.recipe for step in variant.steps]
        if variant.device == "cpu":
            assert ("no INT8 engine" in cannot_run(variant)) == ("int8_dynamic" in steps), variant.name


WORDS = "text_decoder.bert.embeddings.word_embeddings"


@pytest.mark.parametrize("embeddings", [False, True])
def test_a_tied_head_and_its_embedding_share_one_matrix(tiny_checkpoint: Path, tiny_model: Model, embeddings: bool) -> None:
    plain = load_reference(tiny_checkpoint, tiny_model)
    packed = quantized(tiny_checkpoint, tiny_model, tied=True, embeddings=embeddings)
    rows, head = packed.get_submodule(WORDS), packed.get_submodule(HEAD)
    assert isinstance(rows, RowsOf)
    ids = torch.tensor([[1, 5, 5], [0, 7, 2]])
    old, new = plain.get_submodule(WORDS)(ids), rows(ids)
    assert torch.equal(new, head.weight().dequantize()[ids]), "the embedding reads what the head multiplies"
    assert bool(((new - old).abs() <= rows.scale[ids].unsqueeze(-1) * 0.501).all())
    assert (names(packed, PackedEmbedding) != set()) is embeddings, "other embeddings are packed only when asked for"
    tensors, layout = tensors_of(packed)
    assert [key for key in tensors if key.startswith(WORDS)] == []
    assert layout[WORDS] == f"rows of {HEAD}"
    table = plain.get_submodule(WORDS).weight
    held = [key for key, value in tensors.items() if value.shape == table.shape]
    assert held == [f"{HEAD}.int8"], "stored once"
    assert tensors[held[0]].dtype == torch.int8


@pytest.mark.parametrize("embeddings", [False, True])
def test_tied_of_an_untied_head_quantizes_each_matrix_by_itself(
    tiny_checkpoint: Path, tiny_model: Model, embeddings: bool
) -> None:
    step = Step("int8_dynamic", {**VARIANTS["int8-dynamic-tied"].steps[0].parameters, "embeddings": embeddings})
    loaded = load_reference(tiny_checkpoint, tiny_model)
    loaded.get_submodule(HEAD).weight = nn.Parameter(loaded.get_submodule(HEAD).weight + 0.01)
    alike = skeleton(loaded.config)
    alike.get_submodule(HEAD).weight = nn.Parameter(torch.empty_like(alike.get_submodule(HEAD).weight))
    carry_out(alike, step, tiny_model.parts)
    transform(loaded, tiny_model, Variant("x", (step,)))
    assert isinstance(loaded.get_submodule(HEAD), PackedLinear)
    assert isinstance(loaded.get_submodule(WORDS), PackedEmbedding if embeddings else nn.Embedding)
    assert weigh(alike) == sum(value.numel() * value.element_size() for value in tensors_of(loaded)[0].values())


def test_tied_without_the_head_quantizes_the_chosen_part(tiny_checkpoint: Path, tiny_model: Model) -> None:
    packed = quantized(tiny_checkpoint, tiny_model, tied=True, parts=("vision",))
    assert names(packed, *PACKED) and all(name.startswith("vision_model.") for name in names(packed, *PACKED))


@pytest.mark.parametrize("engine", [name for name in torch.backends.quantized.supported_engines if name != "none"])
def test_every_engine_packs_and_multiplies(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, engine: str) -> None:
    before = torch.backends.quantized.engine
    step = Step("int8_dynamic", {**VARIANTS["int8-dynamic"].steps[0].parameters, "engine": engine})
    exact = build_artefact(tiny_model, Variant("x", (step,)), tiny_checkpoint, tmp_path / engine)
    assert (exact["reloads"], exact["low_precision_kernels"]) == (1.0, 1.0)
    assert read_card(tmp_path / engine)["engine"] == engine
    assert torch.backends.quantized.engine == before, "for this artefact only"


def test_an_engine_that_is_not_there_is_named() -> None:
    assert int8_dynamic.missing({"engine": torch.backends.quantized.engine}) == ""
    assert int8_dynamic.missing({"engine": "cuda"}).startswith("torch has no INT8 engine 'cuda' on this machine; it has ")
