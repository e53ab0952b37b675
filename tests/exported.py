"""What the tests of every backend ask of an exported captioner."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vlmgate.artefacts import Captioner, build_artefact, load_artefact, load_processor, load_reference
from vlmgate.backends.greedy import margins
from vlmgate.datasets import scenes
from vlmgate.datasets.coco import load_coco
from vlmgate.datasets.draw import draw_scene
from vlmgate.datasets.images import open_image
from vlmgate.models import MODELS, family
from vlmgate.spec import Model, Variant

FIXTURES = Path(__file__).parent.parent / "fixtures"
NEAR = 1e-4  # logits nearer than this are as good as each other


def pictures(number: int = 3) -> list[Any]:
    return [draw_scene(scenes.sample_scene(seed))[0] for seed in range(number)]


def briefly_calibrated(variant: Variant, **more: Any) -> Variant:
    """The variant, calibrated on three tokens of two images, with ``more`` parameters."""
    steps = tuple(replace(step, parameters={**step.parameters, "images": 2, "tokens": 3, **more}) for step in variant.steps)
    return replace(variant, steps=steps)


def same_as_transformers(captioner: Captioner, checkpoint: Path, model: Model) -> None:
    """Token for token, at fixed and at open length, alone and in a batch; the lengths pass 16 on the way."""
    theirs = Captioner(load_reference(checkpoint, model), load_processor(checkpoint), family(model.family), "cpu", torch.float32)
    inputs = theirs.inputs(pictures())
    assert torch.equal(captioner.inputs(pictures())["pixel_values"], inputs["pixel_values"])
    for least, most in ((20, 20), (0, 24), (3, 5)):
        expected = theirs.tokens(inputs, least=least, most=most)
        assert torch.equal(captioner.tokens(inputs, least=least, most=most), expected)
        alone = {"pixel_values": inputs["pixel_values"][:1]}
        expected = theirs.tokens(alone, least=least, most=most)
        assert torch.equal(captioner.tokens(alone, least=least, most=most), expected)
    assert captioner.caption(pictures()) == theirs.caption(pictures())


def searches_as_transformers(folder: Path, checkpoint: Path, model: Model) -> None:
    """Token for token with beams and with seeded sampling, at fixed and at open length, alone and in a batch."""
    kind, processor = family(model.family), load_processor(checkpoint)
    for decoding in ({"beams": 3}, {"top_k": 5, "temperature": 0.7, "seed": 3}):
        theirs = Captioner(load_reference(checkpoint, model), processor, kind, "cpu", torch.float32, None, decoding)
        ours, inputs = load_artefact(folder, None, decoding), theirs.inputs(pictures())
        greedy = load_artefact(folder).tokens(inputs, least=20, most=20)
        for least, most in ((20, 20), (0, 24)):
            found = ours.tokens(inputs, least=least, most=most)
            assert torch.equal(found, theirs.tokens(inputs, least=least, most=most))
            assert not torch.equal(found, greedy), "the settings must have changed something"
        alone = {"pixel_values": inputs["pixel_values"][:1]}
        assert torch.equal(ours.tokens(alone, least=20, most=20), theirs.tokens(alone, least=20, most=20))
        assert torch.equal(ours.tokens(alone, least=3, most=5), ours.tokens(alone, least=3, most=5))  # begins anew each time


def differences(captioner: Captioner, theirs: Captioner, images: list[Any], most: int = 24) -> list[tuple[int, int, float]]:
    """(image, position, distance of the two best logits there) of every caption that differs, where it first does."""
    found = []
    for number, image in enumerate(images):
        inputs = theirs.inputs([image])
        said, expected = (each.tokens(inputs, least=0, most=most)[0].tolist() for each in (captioner, theirs))
        if said != expected:
            position = next(at for at, pair in enumerate(zip(said, expected, strict=False)) if pair[0] != pair[1])
            gap = margins(captioner.model, inputs["pixel_values"].numpy(), said[: position + 1])[position]
            found.append((number, position, gap))
    return found


def same_on_the_evaluation_images(variant: Variant, folder: Path) -> None:
    """scene-blip on its 320 images: equal, or different first where two words were as good as each other."""
    assert torch.get_num_threads() == 1, "conftest.py sets it: with two, beside a busy neighbour, this took over five minutes"
    model, checkpoint = MODELS["scene-blip"], FIXTURES / "models" / "scene-blip"
    exact = build_artefact(model, variant, checkpoint, folder)
    assert exact["weight_bytes"] == pytest.approx(exact["expected_bytes"], rel=1e-3)
    theirs = Captioner(load_reference(checkpoint, model), load_processor(checkpoint), family(model.family), "cpu", torch.float32)
    images = [open_image(example.image) for example in load_coco(FIXTURES / "scenes").examples]
    found = differences(load_artefact(folder), theirs, images)
    print(
        f"{variant.name}: {len(images) - len(found)} of {len(images)} captions equal; image, position, gap of the others: {found}"
    )
    assert len(images) == 320
    assert all(gap <= NEAR for _, _, gap in found), found
