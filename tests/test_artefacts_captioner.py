"""A captioner: sizes of images, numbers of tokens, captions as text."""

from pathlib import Path
from typing import Any

import pytest

from vlmgate.artefacts import (
    build_artefact,
    cannot_run,
    load_artefact,
)
from vlmgate.datasets import scenes
from vlmgate.datasets.draw import draw_scene
from vlmgate.spec import Model
from vlmgate.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[1]
RUNNABLE = [name for name, variant in VARIANTS.items() if variant.backend == "torch" and not cannot_run(variant)]
DENSE = [name for name in ("fp32", "pruned", "bf16") if name in RUNNABLE]
HEAD, WORDS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"


@pytest.fixture(scope="module")
def built(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Variant → (folder, exact metrics)."""
    root = tmp_path_factory.mktemp("artefacts")
    names = ("fp32", "int8-dynamic")
    return {n: (root / n, build_artefact(tiny_model, VARIANTS[n], tiny_checkpoint, root / n)) for n in names}


def images(number: int = 3) -> list[Any]:
    return [draw_scene(scenes.sample_scene(seed))[0] for seed in range(number)]


def test_images_of_another_size(built: dict[str, Any]) -> None:
    for name in ("fp32", "int8-dynamic"):
        big, own = load_artefact(built[name][0], image_size=64), load_artefact(built[name][0])
        assert big.inputs(images(2))["pixel_values"].shape == (2, 3, 64, 64)
        assert own.inputs(images(2))["pixel_values"].shape == (2, 3, 32, 32)
        assert big.tokens(big.inputs(images(2)), least=4, most=4).shape == (2, 4)
        assert len(big.caption(images(2))) == 2
        own.synchronise()


def test_captions_are_text_without_special_tokens_and_at_most_so_long(built: dict[str, Any]) -> None:
    captioner = load_artefact(built["fp32"][0])
    for caption in captioner.caption(images(), most=5):
        assert caption == caption.strip()
        assert not any(mark in caption for mark in "[]")
        assert len(caption.split()) <= 5
