"""Scenes: a seeded grammar of coloured shapes, and five ways to say what is in each one.

A scene is one or two *groups* of equal shapes on a textured background, with a spatial relation between
the groups. Everything follows from one integer seed. Evaluation seeds are 0 … 999,999; training seeds start at
10,000,000, so no evaluation scene can be a training scene by construction of the range.
"""

import math
import random
from dataclasses import asdict, dataclass, replace
from typing import Any

CANVAS = 160  # pixels, square
EVALUATION_SEEDS = range(0, 1_000_000)
TRAINING_SEEDS = range(10_000_000, 2_000_000_000)

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 36, 36),
    "orange": (243, 136, 26),
    "yellow": (240, 215, 40),
    "green": (44, 150, 60),
    "turquoise": (48, 205, 195),
    "blue": (38, 84, 226),
    "purple": (128, 44, 170),
    "pink": (246, 130, 186),
    "brown": (122, 74, 34),
    "white": (248, 248, 248),
    "black": (18, 18, 18),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (242, 242, 240),
    "gray": (136, 138, 140),
    "black": (28, 28, 30),
    "beige": (224, 204, 164),
    "navy": (24, 34, 84),
}
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "hexagon", "ring", "heart", "crescent")
PLURALS = {"cross": "crosses"}
TEXTURES = ("plain", "striped", "spotted", "checkered")
BACKGROUND_KINDS = ("plain", "shaded", "grainy", "lined", "tiled")
SIZES = {"small": (12.5, 15.5), "large": (24.0, 30.0)}
COUNTS = ("zero", "one", "two", "three", "four")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above", "in front of": "behind"}
RELATIONS = tuple(INVERSE)
SYNONYMS = {"small": "little", "large": "big"}
MIN_CONTRAST = 105.0  # RGB distance between an object and its background


@dataclass(frozen=True)
class Item:
    """One drawn shape: centre and radius in pixels, rotation in degrees."""

    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True)
class Group:
    """Equal shapes, named together in a caption."""

    shape: str
    colour: str
    texture: str
    size: str
    items: tuple[Item, ...]

    def words(self, *, size: bool = True, texture: bool = True, synonyms: bool = False) -> str:
        """The noun phrase without its article, e.g. ``large striped red circle``."""
        plural = PLURALS.get(self.shape, self.shape + "s")
        parts = [SYNONYMS[self.size] if synonyms else self.size] if size else []
        parts += [self.texture] if texture and self.texture != "plain" else []
        return " ".join([*parts, self.colour, self.shape if len(self.items) == 1 else plural])

    def phrase(self, *, size: bool = True, texture: bool = True, synonyms: bool = False) -> str:
        """The noun phrase with article or count, e.g. ``an orange star``, ``three small red rings``."""
        words = self.words(size=size, texture=texture, synonyms=synonyms)
        if len(self.items) > 1:
            return f"{COUNTS[len(self.items)]} {words}"
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class Scene:
    """What is in one image; the drawing and all captions are functions of this and the seed."""

    seed: int
    background: str
    background_kind: str
    groups: tuple[Group, ...]  # drawn last to first, so that groups[0] is in front
    relation: str | None

    def graph(self) -> dict[str, Any]:
        """The scene graph as plain JSON values."""
        return asdict(self)


def sample_scene(seed: int) -> Scene:
    """Draw the scene that belongs to ``seed``."""
    rng = random.Random(seed)
    background = rng.choice(tuple(BACKGROUNDS))
    kind = rng.choice(BACKGROUND_KINDS)
    first = _attributes(rng, background, taken=None)
    if rng.random() < 0.3:
        count = rng.choices((1, 2, 3, 4), (55, 15, 15, 15))[0]
        groups: tuple[Group, ...] = (replace(first, items=_cluster(rng, first.size, count)),)
        return Scene(seed, background, kind, groups, None)
    second = _attributes(rng, background, taken=first)
    relation = rng.choice(RELATIONS)
    if relation == "in front of":
        second = replace(second, size="large")
        groups = _overlapping(rng, first, second)
    else:
        groups = _side_by_side(rng, first, second, relation)
    return Scene(seed, background, kind, groups, relation)


def captions(scene: Scene) -> list[str]:
    """Five different reference captions, the canonical one (the training target) first."""
    back = f"{scene.background_kind} {scene.background} background"
    one = scene.groups[0]
    be = "is" if len(one.items) == 1 else "are"
    if scene.relation is None:
        return [
            f"{one.phrase()} on a {back}",
            f"there {be} {one.phrase(synonyms=True)} on a {scene.background} background",
            f"{one.phrase(size=False)} on a {back}",
            f"a picture of {one.phrase(texture=False)} on a {back}",
            f"a {back} with {one.phrase()} on it",
        ]
    two, relation = scene.groups[1], scene.relation
    return [
        f"{one.phrase()} {relation} {two.phrase()} on a {back}",
        f"{two.phrase()} {INVERSE[relation]} {one.phrase()} on a {back}",
        f"there {be} {one.phrase(synonyms=True)} {relation} {two.phrase(synonyms=True)}",
        f"a {back} with {one.phrase(texture=False)} and {two.phrase(texture=False)}",
        f"{one.phrase(size=False)} {relation} {two.phrase(size=False)} on a {scene.background} background",
    ]


def mentions(caption: str) -> list[tuple[str, str]]:
    """(colour, shape) pairs a caption names, in order; what `objects_right` compares."""
    singular = {PLURALS.get(shape, shape + "s"): shape for shape in SHAPES} | {shape: shape for shape in SHAPES}
    found, colour = [], None
    for word in caption.split():
        if word in COLOURS:
            colour = word
        elif word in singular:
            if colour is not None:
                found.append((colour, singular[word]))
            colour = None
    return found


def objects_right(graph: dict[str, Any], caption: str) -> bool:
    """Whether colour and shape of every object are right: nothing missing, nothing invented."""
    return sorted(mentions(caption)) == sorted((group["colour"], group["shape"]) for group in graph["groups"])


def _attributes(rng: random.Random, background: str, taken: Group | None) -> Group:
    """A group without items, in a colour that stands out and differs from the other group's."""
    ground = BACKGROUNDS[background]
    visible = [name for name, rgb in COLOURS.items() if math.dist(rgb, ground) > MIN_CONTRAST]
    colour = rng.choice([name for name in visible if taken is None or name != taken.colour])
    texture = rng.choices(TEXTURES, (55, 15, 15, 15))[0]
    return Group(rng.choice(SHAPES), colour, texture, rng.choice(tuple(SIZES)), ())


def _item(rng: random.Random, x: float, y: float, radius: float) -> Item:
    """An item near (x, y), kept inside the canvas."""
    low, high = radius + 1, CANVAS - radius - 1
    return Item(
        round(min(max(x, low), high), 2),
        round(min(max(y, low), high), 2),
        round(radius, 2),
        round(rng.uniform(-14, 14), 2),
    )


def _radius(rng: random.Random, size: str, count: int) -> float:
    """A radius for one of ``count`` equal items; four large ones in a row must fit on the canvas."""
    radius = rng.uniform(*SIZES[size])
    return min(radius, {1: 30.0, 2: 30.0, 3: 24.5, 4: 18.5}[count])


def _cluster(rng: random.Random, size: str, count: int) -> tuple[Item, ...]:
    """``count`` items over the whole canvas, none touching another."""
    radius = rng.uniform(*SIZES[size])
    if count == 1:
        return (_item(rng, rng.uniform(0, CANVAS), rng.uniform(0, CANVAS), radius),)
    cells = rng.sample([(CANVAS * (0.27 + 0.46 * i), CANVAS * (0.27 + 0.46 * j)) for i in (0, 1) for j in (0, 1)], count)
    return tuple(_item(rng, x + rng.uniform(-6, 6), y + rng.uniform(-6, 6), radius) for x, y in cells)


def _side_by_side(rng: random.Random, first: Group, second: Group, relation: str) -> tuple[Group, ...]:
    """Two groups on either side of the middle; groups of several stand in a line across the relation."""
    counts = [rng.choices((1, 2, 3, 4), (76, 10, 8, 6))[0] for _ in range(2)]
    ends = [0.27, 0.73] if relation in ("left of", "above") else [0.73, 0.27]
    middle = rng.uniform(0.36, 0.64)
    groups = []
    for group, count, end in zip((first, second), counts, ends, strict=True):
        size = "small" if count > 2 else group.size
        radius = _radius(rng, size, count)
        step = max(2 * radius + rng.uniform(3, 7), 33.0)
        start = CANVAS * (middle if count == 1 else 0.5) - step * (count - 1) / 2 + rng.uniform(-7, 7)
        items = []
        for index in range(count):
            along, across = start + step * index, CANVAS * end + rng.uniform(-8, 8)
            x, y = (across, along) if relation in ("left of", "right of") else (along, across)
            items.append(_item(rng, x, y, radius))
        groups.append(replace(group, size=size, items=tuple(items)))
    return tuple(groups)


def _overlapping(rng: random.Random, first: Group, second: Group) -> tuple[Group, ...]:
    """The first shape hides a part of the second, a large one, and never its middle."""
    back = _item(rng, rng.uniform(40, 120), rng.uniform(40, 120), rng.uniform(27, 30))
    radius = rng.uniform(*SIZES[first.size])
    reach = (0.82 if first.size == "small" else 0.84) * (back.radius + radius * 0.62)
    turn = math.atan2(CANVAS / 2 - back.y, CANVAS / 2 - back.x) + rng.uniform(-1.1, 1.1)
    front = _item(rng, back.x + reach * math.cos(turn), back.y + reach * math.sin(turn), radius)
    return replace(first, items=(front,)), replace(second, items=(back,))
