"""A small set of unusual image files, as users' folders hold them, with captions true once opened correctly."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlmgate.datasets.draw import draw_scene
from vlmgate.datasets.scenes import CANVAS, Group, Item, Scene, captions

MIDDLE = CANVAS / 2
STRIP = 40  # pixels, the short side of the very wide and the very tall image
Picture = tuple[Image.Image, dict[str, Any]]  # what is stored, and how it is saved


@dataclass(frozen=True)
class Awkward:
    """One file: its name, its captions, the image as it should be seen and how that image is stored."""

    file_name: str
    captions: tuple[str, ...]
    seen: Callable[[], Image.Image]
    store: Callable[[Image.Image], Picture]

    def save(self, path: Path) -> tuple[int, int]:
        """Write the file; returns width and height of the correctly opened image, in pixels."""
        image = self.seen()
        stored, options = self.store(image)
        stored.save(path, **options)
        return image.size


def _group(
    colour: str, shape: str, *places: tuple[float, float], size: str = "large", radius: float = 27, texture: str = "plain"
) -> Group:
    return Group(shape, colour, texture, size, tuple(Item(x, y, radius, 0.0) for x, y in places))


def _pair(seed: int, background: str, kind: str, first: Group, relation: str, second: Group) -> Scene:
    return Scene(seed, background, kind, (first, second), relation)


def _alone(seed: int, background: str, group: Group) -> Scene:
    return Scene(seed, background, "plain", (group,), None)


def _of(file_name: str, scene: Scene, store: Callable[[Image.Image], Picture]) -> Awkward:
    return Awkward(file_name, tuple(captions(scene)), lambda: draw_scene(scene)[0], store)


def _row(seed: int, background: str, groups: tuple[Group, ...], *, tall: bool = False) -> Image.Image:
    """One shape after another in a strip; an equal seed gives every piece the same background colour."""
    low, high = round(MIDDLE - STRIP / 2), round(MIDDLE + STRIP / 2)
    box = (low, 0, high, CANVAS) if tall else (0, low, CANVAS, high)
    pieces = [np.asarray(draw_scene(_alone(seed, background, group))[0].crop(box)) for group in groups]
    return Image.fromarray(np.concatenate(pieces, axis=0 if tall else 1))


def _tiny(seed: int, background: str, group: Group) -> Image.Image:
    """A large shape cut out and reduced to 24 × 24 pixels."""
    image = draw_scene(_alone(seed, background, group))[0]
    return image.crop((44, 44, 116, 116)).resize((24, 24), Image.Resampling.BOX)


def _jpeg(**more: Any) -> Callable[[Image.Image], Picture]:
    return lambda image: (image, {"format": "JPEG", "quality": 92, **more})


def _png(mode: str) -> Callable[[Image.Image], Picture]:
    return lambda image: (image.convert(mode, dither=Image.Dither.NONE), {"format": "PNG", "optimize": True})


def _turned(orientation: int, turn: Image.Transpose) -> Callable[[Image.Image], Picture]:
    """Stored turned by ``turn``, with the EXIF orientation (tag 0x0112) that undoes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return lambda image: (image.transpose(turn), {"format": "JPEG", "quality": 92, "exif": exif.tobytes()})


def _cmyk(image: Image.Image) -> Picture:
    return image.convert("CMYK"), {"format": "JPEG", "quality": 92}


def _palette(image: Image.Image) -> Picture:
    return image.quantize(64), {"format": "PNG", "optimize": True}


def _sixteen_bits(image: Image.Image) -> Picture:
    gray = np.asarray(image.convert("L"), np.uint16)
    return Image.fromarray(gray * np.uint16(257)), {"format": "PNG"}


def _cut_out(scene: Scene, mode: str) -> Callable[[Image.Image], Picture]:
    """Transparent where the background is, and black below: who drops the transparency sees black, not white."""

    def store(image: Image.Image) -> Picture:
        shown = draw_scene(scene)[1] > 0
        pixels = np.asarray(image) * shown[..., None]
        alpha = Image.fromarray(shown.astype(np.uint8) * 255)
        result = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
        result.putalpha(alpha)
        return result, {"format": "PNG", "optimize": True}

    return store


_ROTATED = _pair(101, "white", "plain", _group("red", "circle", (45, 80)), "left of", _group("blue", "star", (118, 80)))
_UPSIDE_DOWN = _pair(
    102,
    "beige",
    "lined",
    _group("green", "heart", (80, 42)),
    "above",
    _group("purple", "square", (80, 118), radius=15, size="small"),
)
_OVERLAP = _pair(
    103, "gray", "shaded", _group("yellow", "triangle", (100, 92)), "in front of", _group("blue", "circle", (68, 66), radius=30)
)
_CMYK = _pair(
    104, "white", "tiled", _group("orange", "diamond", (80, 44)), "above",
    _group("green", "cross", (48, 116), (80, 116), (112, 116), radius=14, size="small"),
)  # fmt: skip
_PALETTE = _pair(
    105, "navy", "plain", _group("pink", "ring", (114, 84)), "right of", _group("yellow", "hexagon", (44, 76), texture="striped")
)
_RGBA = _alone(106, "white", _group("red", "crescent", (80, 80), radius=30))
_LA = _alone(107, "white", _group("black", "heart", (80, 80), radius=30))
_WIDE = tuple(
    _group(colour, shape, (MIDDLE, MIDDLE), radius=15, size="small")
    for colour, shape in (("red", "circle"), ("blue", "star"), ("green", "square"), ("black", "heart"))
)
_TALL = tuple(
    _group(colour, shape, (MIDDLE, MIDDLE), radius=15, size="small")
    for colour, shape in (("yellow", "circle"), ("white", "star"), ("orange", "square"), ("turquoise", "heart"))
)

PICTURES: tuple[Awkward, ...] = (
    Awkward(
        "exif-orientation-6.jpg",
        tuple(captions(_ROTATED)),
        lambda: draw_scene(_ROTATED)[0].crop((0, 30, 160, 130)),  # not square: a missed turn shows in the size
        _turned(6, Image.Transpose.ROTATE_90),
    ),
    _of("exif-orientation-3.jpg", _UPSIDE_DOWN, _turned(3, Image.Transpose.ROTATE_180)),
    _of(
        "grayscale.jpg",
        _alone(108, "gray", _group("black", "star", (58, 60), radius=29)),
        lambda image: (image.convert("L"), {"format": "JPEG", "quality": 92}),
    ),
    _of("palette.png", _PALETTE, _palette),
    _of("rgba-transparent.png", _RGBA, _cut_out(_RGBA, "RGB")),
    _of("cmyk.jpg", _CMYK, _cmyk),
    _of("gray-16-bit.png", _alone(109, "black", _group("white", "cross", (96, 84))), _sixteen_bits),
    Awkward(
        "very-wide.jpg",
        (
            "a red circle, a blue star, a green square and a black heart in a row on a white background",
            "four shapes side by side: a red circle, a blue star, a green square and a black heart",
            "a very wide picture of a red circle left of a blue star, a green square and a black heart",
        ),
        lambda: _row(110, "white", _WIDE),
        _jpeg(),
    ),
    Awkward(
        "very-tall.jpg",
        (
            "a yellow circle above a white star, an orange square and a turquoise heart on a black background",
            "from top to bottom: a yellow circle, a white star, an orange square and a turquoise heart",
        ),
        lambda: _row(111, "black", _TALL, tall=True),
        _jpeg(),
    ),
    Awkward(
        "very-small.png",
        ("a red circle on a white background", "a plain white background with a red circle on it", "one red circle"),
        lambda: _tiny(112, "white", _group("red", "circle", (80, 80))),
        _png("RGB"),
    ),
    _of("progressive.jpg", _OVERLAP, _jpeg(progressive=True)),
    _of("gray-transparent.png", _LA, _cut_out(_LA, "L")),
    _of("1-bit.png", _alone(113, "white", _group("black", "triangle", (60, 98))), _png("1")),
)
