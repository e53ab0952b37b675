"""The INT4 artefact of fine-tuned scene-blip is what its card says, captions, and holds no pickle."""

from pathlib import Path

import pytest

from vlmgate.artefacts import cannot_run, figures, flaw, load_artefact
from vlmgate.datasets.coco import load_coco, load_graphs
from vlmgate.datasets.images import open_image
from vlmgate.datasets.scenes import objects_right
from vlmgate.variants.artefact import named

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "fixtures" / "models" / "scene-blip-int4-qat"
VARIANT = named("torchao-int4-qat", FOLDER, "../fixtures/models/scene-blip-int4-qat")


@pytest.fixture(autouse=True)
def runs_here() -> None:
    if why := cannot_run(VARIANT):
        pytest.skip(why)


def test_it_is_what_was_exported_and_four_bits() -> None:
    assert flaw(VARIANT) == ""
    found = figures(VARIANT, "blip")
    assert found["weight_bytes"] == found["expected_bytes"]
    assert found["low_precision_share"] > 0.95
    assert found["low_precision_kernels"] == 1.0
    assert found["bits_per_weight"] < 5.5
    assert found["size"] < 7_000_000
    assert {file.suffix for file in FOLDER.iterdir()} <= {".json", ".safetensors", ".md"}


def test_it_captions() -> None:
    data, graphs = load_coco(ROOT / "fixtures" / "scenes", limit=48), load_graphs(ROOT / "fixtures" / "scenes")
    texts = load_artefact(FOLDER).caption([open_image(Path(example.image)) for example in data.examples])
    right = [objects_right(graphs[example.id], text) for example, text in zip(data.examples, texts, strict=True)]
    assert sum(right) / len(right) > 0.7
