"""The drawing shows what the scene says: where, in which colour, in front or behind."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest

from vlmgate.datasets.build import JPEG, build_scenes
from vlmgate.datasets.coco import load_coco
from vlmgate.datasets.draw import draw_scene
from vlmgate.datasets.images import open_image
from vlmgate.datasets.scenes import BACKGROUNDS, CANVAS, COLOURS, SHAPES, Group, Item, Scene, sample_scene

SCENES = Path(__file__).parents[1] / "fixtures" / "scenes"
FILLED = set(SHAPES) - {"ring", "crescent"}  # shapes that cover their own centre


def test_one_scene_gives_the_same_pixels() -> None:
    for seed in (0, 7):
        image, owner = draw_scene(sample_scene(seed))
        again, same = draw_scene(sample_scene(seed))
        assert image.tobytes() == again.tobytes() and np.array_equal(owner, same)
        assert image.mode == "RGB" and image.size == (CANVAS, CANVAS) == owner.shape


def test_centres_show_their_group_in_its_colour() -> None:
    """In the committed files, as they are opened: the named colour is the nearest of all named ones."""
    checked = 0
    names = list(COLOURS)
    for example in load_coco(SCENES).examples:
        scene = sample_scene(example.id)
        pixels = np.asarray(open_image(example.image)).astype(float)
        for group in scene.groups:
            if group.texture != "plain" or group.shape not in FILLED:
                continue
            for item in group.items:
                x, y = round(item.x), round(item.y)
                seen = pixels[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
                assert math.dist(seen, COLOURS[group.colour]) < 60, (example, group)
                assert min(names, key=lambda name: math.dist(seen, COLOURS[name])) == group.colour, (example, group)
                checked += 1
    assert checked > 150


def test_every_item_can_be_seen() -> None:
    for seed in range(150):
        scene = sample_scene(seed)
        _, owner = draw_scene(scene)
        for number, group in enumerate(scene.groups, start=1):
            full = draw_scene(replace(scene, groups=(group,), relation=None))[1]
            assert (owner == number).sum() >= 0.5 * (full == 1).sum(), (seed, number)


def test_the_first_group_is_drawn_over_the_second() -> None:
    """The discs around the two always overlap; slim outlines (two diamonds, say) only touch in about 8 % of such scenes."""
    touching = []
    for seed in range(320):
        scene = sample_scene(seed)
        if scene.relation != "in front of":
            continue
        owner = draw_scene(scene)[1]
        front = draw_scene(replace(scene, groups=scene.groups[:1], relation=None))[1] == 1
        back = draw_scene(replace(scene, groups=scene.groups[1:], relation=None))[1] == 1
        assert (owner[front] == 1).all()
        touching.append(not (front & back).any())
        x, y = round(scene.groups[1].items[0].x), round(scene.groups[1].items[0].y)
        assert not front[y, x], seed  # the hidden one keeps its middle
    assert len(touching) > 30 and sum(touching) <= 0.1 * len(touching)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_corners_show_the_background(background: str) -> None:
    scene = Scene(3, background, "plain", (Group("circle", "red", "plain", "large", (Item(80, 80, 28, 0),)),), None)
    image, owner = draw_scene(scene)
    assert (owner[:20, :20] == 0).all()
    assert math.dist(np.asarray(image)[:20, :20].mean((0, 1)), BACKGROUNDS[background]) < 30


@pytest.mark.parametrize("texture", ["striped", "spotted", "checkered"])
def test_a_textured_shape_has_two_tones_and_a_plain_one_has_not(texture: str) -> None:
    def spread(name: str) -> float:
        scene = Scene(4, "white", "plain", (Group("square", "red", name, "large", (Item(80, 80, 28, 0),)),), None)
        image, owner = draw_scene(scene)
        return float(np.asarray(image)[owner == 1][:, 0].std())

    assert spread(texture) > 40 > 15 > spread("plain")


def test_rendering_again_gives_the_committed_pictures(tmp_path: Path) -> None:
    build_scenes(tmp_path / "again", images=3, first_seed=100)
    same_pillow = f"Pillow {PIL.__version__}\n" in (SCENES / "README.md").read_text(encoding="utf-8")
    same_numpy = f"NumPy {np.__version__};" in (SCENES / "README.md").read_text(encoding="utf-8")
    assert JPEG["quality"] == 92
    for seed in (100, 101, 102):
        new = tmp_path / "again" / "images" / f"{seed:06d}.jpg"
        old = SCENES / "images" / f"{seed:06d}.jpg"
        if same_pillow and same_numpy:
            assert new.read_bytes() == old.read_bytes()
        difference = np.asarray(open_image(new)).astype(int) - np.asarray(open_image(old))
        assert np.abs(difference).mean() < 4
        drawn = np.asarray(draw_scene(sample_scene(seed))[0]).astype(int)
        assert np.abs(drawn - np.asarray(open_image(old))).mean() < 6  # JPEG smooths the noise
