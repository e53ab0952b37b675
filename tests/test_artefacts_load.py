"""Loading: a checkpoint or artefact that cannot be used is one sentence, and half precision is loaded in float32."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GitConfig, GitForCausalLM

from vlmgate.artefacts import (
    CARD,
    artefact_key,
    build,
    build_artefact,
    cannot_run,
    load,
    load_artefact,
    load_reference,
)
from vlmgate.artefacts.load import read_card
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import VARIANTS
from vlmgate.variants.packed import restore

ROOT = Path(__file__).resolve().parents[1]
RUNNABLE = [name for name, variant in VARIANTS.items() if variant.backend == "torch" and not cannot_run(variant)]
DENSE = [name for name in ("fp32", "pruned", "bf16") if name in RUNNABLE]
HEAD, WORDS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"


@pytest.fixture(scope="module")
def built(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Variant → (folder, exact metrics)."""
    folder = tmp_path_factory.mktemp("artefacts") / "fp32"
    return {"fp32": (folder, build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, folder))}


@pytest.fixture
def copied(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (None, ["is not an artefact", CARD, "clearing the cache"]),
        (b'{"version": ', ["is not an artefact", CARD]),
        (b"\xff\xfe", ["is not an artefact", CARD]),
        (b'{"version": 999, "exact": {}}', ["has artefact version 999", "this vlmgate reads 3: update vlmgate"]),
        (b"{}", ["has artefact version None", "make it again (vlmgate export MODEL VARIANT DIR), or clear the cache"]),
        (b"[]", ["has artefact version None"]),
        (
            b'{"version": 2, "model": "tiny", "variant": {"name": "int9"}}',
            ["has artefact version 2; this vlmgate reads 3: make it again (vlmgate export tiny int9 DIR)"],
        ),
        (b'{"version": 2, "made_by": "python remake.py"}', ["make it again (python remake.py)"]),
    ],
)
def test_a_folder_that_is_no_artefact_of_ours_is_refused(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, card: bytes | None, words: list[str]
) -> None:
    folder = Path(shutil.copytree(built["fp32"][0], tmp_path / "a"))
    (folder / CARD).unlink()
    calls = [lambda: load_artefact(folder)]
    if card is None:
        (folder / "config.json").unlink()  # with it, it would be a folder of save_pretrained
    else:
        (folder / CARD).write_bytes(card)
        calls.append(lambda: build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, folder))
    for call in calls:
        with pytest.raises(VlmgateError) as caught:
            call()
        assert str(caught.value).startswith(str(folder))
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_is_shipped_is_read_when_artefacts_are_made_otherwise(
    built: dict[str, Any], tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export is never made again, so a new version must not shut it out; one in the cache has another key and is."""
    before = artefact_key(tiny_model, VARIANTS["fp32"], tiny_checkpoint)
    for module in (build, load):
        monkeypatch.setattr(module, "ARTEFACT_VERSION", 4)
    assert artefact_key(tiny_model, VARIANTS["fp32"], tiny_checkpoint) != before
    assert load_artefact(built["fp32"][0]).model is not None
    assert read_card(ROOT / "fixtures" / "models" / "scene-blip-int4-qat")["version"] == 3
    monkeypatch.setattr(load, "OLDEST_READABLE", 4)
    words = r"has artefact version 3; this vlmgate reads 4: make it again \(python fixtures/models/qat_scene_blip.py\)"
    with pytest.raises(VlmgateError, match=words):
        read_card(ROOT / "fixtures" / "models" / "scene-blip-int4-qat")
    monkeypatch.setattr(load, "OLDEST_READABLE", 2)
    (tmp_path / CARD).write_text('{"version": 1}')
    with pytest.raises(VlmgateError, match="has artefact version 1; this vlmgate reads 2 to 4"):
        read_card(tmp_path)


def test_half_precision_checkpoints_are_loaded_in_float32(copied: Path, tiny_model: Model) -> None:
    half = {name: value.half() for name, value in load_file(copied / "model.safetensors").items()}
    save_file(half, copied / "model.safetensors", {"format": "pt"})
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    assert {value.dtype for value in load_reference(copied, tiny_model).parameters()} == {torch.float32}


def test_another_family_is_refused(tmp_path: Path, tiny_model: Model) -> None:
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = GitConfig(vision_config=shape | {"image_size": 16, "patch_size": 8}, vocab_size=20, **shape)
    GitForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(VlmgateError, match=rf"^tiny: {tmp_path} holds a git model where blip was expected$"):
        load_reference(tmp_path, tiny_model)


def missing_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["vision_model.embeddings.patch_embedding.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))


LOADING = {
    "a weight is missing": (missing_tensor, ["lacks 1 of the weights", "such as vision_model.embeddings.patch_embedding.weight"]),
    "weights of another shape": (
        other_shape,
        ["of the weights that its config.json describes", "another shape, such as "],
    ),
    "no model type": (lambda f: (f / "config.json").write_text("{}"), ["cannot load", "model_type"]),
    "an unknown model type": (lambda f: (f / "config.json").write_text('{"model_type": "none such"}'), ["cannot load"]),
    "cut off": (lambda f: os.truncate(f / "model.safetensors", 100_000), ["cannot load"]),
    "broken vocabulary": (lambda f: (f / "tokenizer.json").write_text('{"model": 3}'), ["cannot load the processor"]),
    "broken processor": (lambda f: (f / "processor_config.json").write_text('{"image_'), ["cannot load the processor"]),
}


@pytest.mark.parametrize("name", LOADING)
def test_a_checkpoint_that_cannot_be_used_is_one_sentence(copied: Path, tiny_model: Model, tmp_path: Path, name: str) -> None:
    damage, words = LOADING[name]
    damage(copied)
    with pytest.raises(VlmgateError) as caught:
        build_artefact(tiny_model, VARIANTS["fp32"], copied, tmp_path / "a")
    message = str(caught.value)
    assert str(copied) in message
    assert "\n" not in message
    assert len(message) < 600
    for word in words:
        assert word in message, message
    assert not (tmp_path / "a").exists()


def test_a_model_takes_no_memory_before_its_weights_are_read(built: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty model of FP32 beside the weights would be the peak of the heap, whatever the variant."""
    seen = []

    def spy(model: Any, *rest: Any) -> list[str]:
        seen.extend([all(p.is_meta for p in model.parameters()), any(b.is_meta for b in model.buffers())])
        return restore(model, *rest)

    monkeypatch.setattr(load, "restore", spy)
    captioner = load_artefact(built["fp32"][0])
    assert seen == [True, False]
    assert not any(tensor.is_meta for tensor in captioner.model.state_dict().values())
