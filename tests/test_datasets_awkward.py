"""The awkward set: every kind of file is what it claims, and its captions are true once it is opened correctly."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlmgate.datasets.awkward import PICTURES
from vlmgate.datasets.build import build_awkward
from vlmgate.datasets.coco import load_coco
from vlmgate.datasets.images import open_image
from vlmgate.datasets.scenes import BACKGROUNDS, COLOURS

AWKWARD = Path(__file__).parents[1] / "fixtures" / "awkward"
IMAGES = AWKWARD / "images"


def test_committed_set_holds_its_manifest_and_has_two_to_five_captions() -> None:
    dataset = load_coco(AWKWARD)
    assert len(dataset.examples) == len(PICTURES) >= 12
    for example, item in zip(dataset.examples, PICTURES, strict=True):
        assert Path(example.image).name == item.file_name
        assert example.references == item.captions
        assert 2 <= len(set(example.references)) == len(example.references) <= 5


def test_listed_sizes_are_those_of_the_opened_images() -> None:
    for row in json.loads((AWKWARD / "captions.json").read_text())["images"]:
        assert open_image(IMAGES / row["file_name"]).size == (row["width"], row["height"])


@pytest.mark.parametrize(
    ("name", "kind", "mode"),
    [
        ("exif-orientation-6.jpg", "JPEG", "RGB"),
        ("exif-orientation-3.jpg", "JPEG", "RGB"),
        ("grayscale.jpg", "JPEG", "L"),
        ("palette.png", "PNG", "P"),
        ("rgba-transparent.png", "PNG", "RGBA"),
        ("cmyk.jpg", "JPEG", "CMYK"),
        ("gray-16-bit.png", "PNG", "I;16"),
        ("very-wide.jpg", "JPEG", "RGB"),
        ("very-tall.jpg", "JPEG", "RGB"),
        ("very-small.png", "PNG", "RGB"),
        ("progressive.jpg", "JPEG", "RGB"),
        ("gray-transparent.png", "PNG", "LA"),
        ("1-bit.png", "PNG", "1"),
    ],
)
def test_each_file_is_of_its_kind(name: str, kind: str, mode: str) -> None:
    with Image.open(IMAGES / name) as image:
        assert (image.format, image.mode) == (kind, mode)
        if name.startswith("exif"):
            assert image.getexif()[0x0112] == int(name[-5])
        assert bool(image.info.get("progressive")) == (name == "progressive.jpg")


# The colour that the captions claim at a place of the opened image (x, y).
CLAIMS = [
    ("exif-orientation-6.jpg", (45, 50), "red"),
    ("exif-orientation-6.jpg", (118, 50), "blue"),
    ("exif-orientation-3.jpg", (80, 42), "green"),
    ("exif-orientation-3.jpg", (80, 118), "purple"),
    ("grayscale.jpg", (58, 60), "black"),
    ("grayscale.jpg", (140, 140), "gray"),
    ("palette.png", (114, 64), "pink"),
    ("palette.png", (114, 84), "navy"),
    ("rgba-transparent.png", (58, 80), "red"),
    ("rgba-transparent.png", (10, 10), "white"),
    ("cmyk.jpg", (80, 44), "orange"),
    ("cmyk.jpg", (48, 116), "green"),
    ("cmyk.jpg", (112, 116), "green"),
    ("gray-16-bit.png", (96, 84), "white"),
    ("gray-16-bit.png", (20, 20), "black"),
    ("very-wide.jpg", (80, 20), "red"),
    ("very-wide.jpg", (240, 20), "blue"),
    ("very-wide.jpg", (400, 20), "green"),
    ("very-wide.jpg", (560, 20), "black"),
    ("very-wide.jpg", (5, 5), "white"),
    ("very-tall.jpg", (20, 80), "yellow"),
    ("very-tall.jpg", (20, 240), "white"),
    ("very-tall.jpg", (20, 400), "orange"),
    ("very-tall.jpg", (20, 560), "turquoise"),
    ("very-tall.jpg", (5, 5), "black"),
    ("very-small.png", (12, 12), "red"),
    ("very-small.png", (1, 1), "white"),
    ("progressive.jpg", (100, 92), "yellow"),
    ("progressive.jpg", (60, 58), "blue"),
    ("gray-transparent.png", (80, 80), "black"),
    ("gray-transparent.png", (10, 10), "white"),
    ("1-bit.png", (60, 98), "black"),
    ("1-bit.png", (10, 10), "white"),
]


@pytest.mark.parametrize(("name", "place", "colour"), CLAIMS)
def test_captions_are_true_where_they_can_be_checked(name: str, place: tuple[int, int], colour: str) -> None:
    x, y = place
    seen = np.asarray(open_image(IMAGES / name))[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
    known = {**COLOURS, "gray": BACKGROUNDS["gray"], "navy": BACKGROUNDS["navy"]}
    assert min(known, key=lambda each: math.dist(seen, known[each])) == colour
    assert colour in " ".join(next(item.captions for item in PICTURES if item.file_name == name)).split(" ")


def test_every_picture_has_a_claim_checked() -> None:
    assert {name for name, _, _ in CLAIMS} == {item.file_name for item in PICTURES}


def test_colours_named_of_colourless_files_are_colourless() -> None:
    for name in ("grayscale.jpg", "gray-16-bit.png", "gray-transparent.png", "1-bit.png"):
        words = " ".join(next(item.captions for item in PICTURES if item.file_name == name)).split()
        named = {word for word in words if word in COLOURS or word in BACKGROUNDS}
        assert named and named <= {"black", "white", "gray"}


def test_naive_opening_would_make_captions_false() -> None:
    """The set can tell a careful loader from a careless one."""
    with Image.open(IMAGES / "rgba-transparent.png") as image:
        assert image.convert("RGB").getpixel((10, 10)) == (0, 0, 0)
    with Image.open(IMAGES / "exif-orientation-6.jpg") as image:
        assert image.size == (100, 160)
    with Image.open(IMAGES / "gray-16-bit.png") as image:
        assert np.asarray(image).max() > 60_000


def test_making_it_again_gives_the_same_pictures(tmp_path: Path) -> None:
    build_awkward(tmp_path / "again")
    for item in PICTURES:
        new, old = (np.asarray(open_image(folder / item.file_name)).astype(int) for folder in (tmp_path / "again/images", IMAGES))
        assert new.shape == old.shape and np.abs(new - old).mean() < 4
