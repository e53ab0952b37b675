"""docs/batch_effect.py counts captions that depend on what shares the batch, and no others."""

import importlib.util
from pathlib import Path
from typing import Any

from vlmgate.spec import Example

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("batch_effect", ROOT / "docs" / "batch_effect.py")
assert spec and spec.loader
batch_effect: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(batch_effect)

EXAMPLES = [Example(number, f"{number}.jpg", ("a red ball near a box",)) for number in range(9)]


class Says:
    """Says of an image whatever the function makes of it and of its batch."""

    def __init__(self, say: Any) -> None:
        self.say = say

    def caption(self, images: list[str]) -> list[str]:
        return [self.say(image, images) for image in images]


def differing(say: Any) -> tuple[int, int]:
    _, alone, company, *scores = batch_effect.row("x", Says(say), EXAMPLES, 3)
    assert len(scores) == 3
    return alone, company


def test_captions_of_an_image_alone_never_differ() -> None:
    assert differing(lambda image, images: f"a ball in {image}") == (0, 0)


def test_captions_that_depend_on_the_number_of_images_differ_from_those_alone_and_not_by_company() -> None:
    assert differing(lambda image, images: f"a ball of {len(images)}") == (9, 0)


def test_captions_that_depend_on_the_company_differ_both_ways() -> None:
    alone, company = differing(lambda image, images: f"a ball beside {' '.join(sorted(images))}")
    assert alone == 9 and company > 0


def test_shuffled_batches_hold_every_image_once() -> None:
    said = batch_effect.captions(Says(lambda image, images: image), EXAMPLES, 4, seed=0)
    assert said == {str(each.id): each.image for each in EXAMPLES}
