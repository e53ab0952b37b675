"""Draw a scene with Pillow: textured shapes on a textured background, with sensor noise.

The same scene and seed give the same pixels with the same Pillow and NumPy releases.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vlmgate.datasets.scenes import BACKGROUNDS, CANVAS, COLOURS, Group, Item, Scene

Pixels = NDArray[np.float32]
OVERSAMPLE = 3  # masks are drawn larger and reduced, for smooth edges


def draw_scene(scene: Scene) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Render ``scene``.

    Returns:
        The image (RGB, CANVAS × CANVAS) and a map (uint8, CANVAS × CANVAS) of the group each pixel shows:
        0 background, 1 the first group, 2 the second.
    """
    rng = np.random.default_rng(scene.seed)
    pixels = _background(scene, rng)
    owner = np.zeros((CANVAS, CANVAS), np.uint8)
    for index in reversed(range(len(scene.groups))):
        group = scene.groups[index]
        base = np.asarray(COLOURS[group.colour], np.float32) + rng.normal(0, 7, 3).astype(np.float32)
        for item in group.items:
            _paint(pixels, owner, group, item, base, index + 1, rng)
    pixels += rng.normal(0, rng.uniform(1, 5), pixels.shape).astype(np.float32)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.8))))
    return image, owner


def _background(scene: Scene, rng: np.random.Generator) -> Pixels:
    base = np.asarray(BACKGROUNDS[scene.background], np.float32) + rng.normal(0, 5, 3).astype(np.float32)
    ys, xs = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    ramp = np.cos(angle) * xs + np.sin(angle) * ys
    sign = -1.0 if base.mean() > 128 else 1.0
    match scene.background_kind:
        case "shaded":
            shade = (ramp - ramp.min()) / np.ptp(ramp) * rng.uniform(55, 80)
        case "grainy":
            coarse = rng.normal(0, 1, (CANVAS // 2, CANVAS // 2)).astype(np.float32)
            shade = np.kron(coarse, np.ones((2, 2), np.float32)) * rng.uniform(17, 26)
        case "lined":
            shade = (np.sin(ramp * (2 * math.pi / rng.uniform(9, 14))) > 0.35) * rng.uniform(24, 38)
        case "tiled":
            cell = rng.uniform(11, 17)
            shade = ((xs // cell + ys // cell) % 2) * rng.uniform(20, 34)
        case _:
            shade = np.zeros_like(xs)
    return np.asarray(base[None, None, :] + sign * shade[..., None], np.float32)


def _paint(
    pixels: Pixels,
    owner: NDArray[np.uint8],
    group: Group,
    item: Item,
    base: Pixels,
    number: int,
    rng: np.random.Generator,
) -> None:
    """Paint one item into ``pixels`` and ``owner``, in place."""
    left, top = math.floor(item.x - item.radius - 2), math.floor(item.y - item.radius - 2)
    side = math.ceil(2 * item.radius + 4)
    mask = _mask(group.shape, item, left, top, side)
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    light = 1 + 0.12 * ((xs + ys) / side - 1) * rng.uniform(-1, 1)
    fill = base[None, None, :] * light[..., None]
    pattern = _texture(group.texture, xs, ys, item.radius, rng)
    other = base * 0.42 + (150 if base.mean() < 90 else 0)
    fill = np.where(pattern[..., None], other[None, None, :], fill)
    y0, y1, x0, x1 = max(top, 0), min(top + side, CANVAS), max(left, 0), min(left + side, CANVAS)
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    alpha = mask[cut][..., None]
    region = pixels[y0:y1, x0:x1]
    region += alpha * (fill[cut] - region)
    owner[y0:y1, x0:x1][mask[cut] > 0.5] = number


def _texture(name: str, xs: Pixels, ys: Pixels, radius: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where the second tone of a textured shape goes; periods grow with the shape so that all stay visible."""
    period = max(5.0, radius * rng.uniform(0.36, 0.46))
    match name:
        case "striped":
            angle = rng.uniform(0, math.pi)
            return np.asarray(((np.cos(angle) * xs + np.sin(angle) * ys) % period) < period * 0.45)
        case "spotted":
            return np.asarray(np.hypot(xs % period - period / 2, ys % period - period / 2) < period * 0.3)
        case "checkered":
            return np.asarray((xs // period + ys // period) % 2 == 0)
        case _:
            return np.zeros(xs.shape, np.bool_)


def _mask(shape: str, item: Item, left: int, top: int, side: int) -> Pixels:
    """Coverage of the shape in its box, 0 … 1."""
    mask = Image.new("L", (side * OVERSAMPLE, side * OVERSAMPLE), 0)
    pen = ImageDraw.Draw(mask)
    centre = ((item.x - left) * OVERSAMPLE, (item.y - top) * OVERSAMPLE)
    radius = item.radius * OVERSAMPLE

    def disc(x: float, y: float, r: float, value: int) -> None:
        pen.ellipse((x - r, y - r, x + r, y + r), fill=value)

    turn = math.radians(item.angle)
    if shape in ("circle", "ring", "crescent"):
        disc(*centre, radius * 0.97, 255)
        if shape == "ring":
            disc(*centre, radius * 0.52, 0)
        if shape == "crescent":
            disc(centre[0] + radius * 0.5 * math.cos(turn), centre[1] + radius * 0.5 * math.sin(turn), radius * 0.78, 0)
    else:
        cos, sin = math.cos(turn), math.sin(turn)
        pen.polygon(
            [(centre[0] + radius * (x * cos - y * sin), centre[1] + radius * (x * sin + y * cos)) for x, y in OUTLINES[shape]],
            fill=255,
        )
    return np.asarray(mask.resize((side, side), Image.Resampling.BOX), np.float32) / np.float32(255)


def _regular(corners: int, start: float, radii: tuple[float, ...] = (1.0,)) -> list[tuple[float, float]]:
    steps = [(start + 360 * i / corners, radii[i % len(radii)]) for i in range(corners)]
    return [(r * math.cos(math.radians(a)), r * math.sin(math.radians(a))) for a, r in steps]


def _heart() -> list[tuple[float, float]]:
    turns = [2 * math.pi * i / 48 for i in range(48)]
    return [
        (
            math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16 - 0.1,
        )
        for t in turns
    ]


_ARM = 0.34
OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": [(0, -0.95), (0.95, 0.75), (-0.95, 0.75)],
    "star": _regular(10, -90, (1.0, 0.42)),
    "diamond": [(0, -1), (0.68, 0), (0, 1), (-0.68, 0)],
    "cross": [(sx * x, sy * y) for sx, sy, corner in ((1, 1, 0), (-1, 1, 1), (-1, -1, 0), (1, -1, 1))
              for x, y in ([(0.95, _ARM), (_ARM, _ARM), (_ARM, 0.95)] if corner == 0 else
                           [(_ARM, 0.95), (_ARM, _ARM), (0.95, _ARM)])],
    "hexagon": _regular(6, 0),
    "heart": _heart(),
}  # fmt: skip
