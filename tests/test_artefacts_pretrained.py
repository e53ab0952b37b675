"""Folders of save_pretrained: what is loaded is what is stored, or a sentence says why not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlmgate.artefacts.pretrained import load_pretrained, read_model
from vlmgate.spec import VlmgateError


def test_weights_and_family_are_those_of_the_folder(tiny_checkpoint: Path) -> None:
    model = read_model(tiny_checkpoint, "tiny", "blip", torch.float32)
    stored = load_file(tiny_checkpoint / "model.safetensors")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in stored.items())
    captioner = load_pretrained(tiny_checkpoint)
    assert (captioner.device, captioner.dtype) == ("cpu", torch.float32)
    with pytest.raises(VlmgateError, match="holds a blip model where llava was expected"):
        read_model(tiny_checkpoint, "tiny", "llava")


def test_lost_weights_are_a_sentence(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "broken"))
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.endswith("fc1.weight"))
    save_file({name: value for name, value in weights.items() if name != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(VlmgateError, match=f"lacks 1 of the weights .* such as {lost}"):
        load_pretrained(folder)


def test_a_quantization_that_would_be_skipped_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "broken"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "no-such-method"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(VlmgateError, match="asks for quant_method no-such-method, which transformers does not know"):
        load_pretrained(folder)
