"""The grammar: reproducible, varied, and every caption true of the scene graph."""

import math
from collections import Counter
from pathlib import Path

import pytest

from vlmgate.datasets.coco import load_coco, load_graphs
from vlmgate.datasets.scenes import (
    BACKGROUNDS,
    CANVAS,
    COLOURS,
    EVALUATION_SEEDS,
    INVERSE,
    MIN_CONTRAST,
    SHAPES,
    TRAINING_SEEDS,
    Group,
    Item,
    Scene,
    captions,
    mentions,
    objects_right,
    sample_scene,
)

SCENES = Path(__file__).parents[1] / "fixtures" / "scenes"
SAMPLE = [sample_scene(seed) for seed in range(1500)]


def test_one_seed_gives_one_scene() -> None:
    assert sample_scene(12345) == sample_scene(12345)
    assert len({repr(scene.groups) for scene in SAMPLE}) == len(SAMPLE)


def test_no_evaluation_seed_is_a_training_seed() -> None:
    assert EVALUATION_SEEDS.stop <= TRAINING_SEEDS.start
    assert all(scene_id in EVALUATION_SEEDS and scene_id not in TRAINING_SEEDS for scene_id in load_graphs(SCENES))


def test_committed_captions_are_varied() -> None:
    dataset = load_coco(SCENES)
    first = Counter(example.references[0] for example in dataset.examples)
    assert len(dataset.examples) >= 320
    assert len(first) >= 200
    assert max(first.values()) <= 0.02 * len(dataset.examples)
    assert all(len(example.references) == 5 == len(set(example.references)) for example in dataset.examples)


def test_committed_captions_and_graphs_belong_to_the_seeds() -> None:
    graphs = load_graphs(SCENES)
    for example in load_coco(SCENES).examples:
        scene = sample_scene(graphs[example.id]["seed"])
        assert list(example.references) == captions(scene)
        assert [g["colour"] for g in graphs[example.id]["groups"]] == [g.colour for g in scene.groups]
        assert graphs[example.id]["groups"][0]["items"][0]["x"] == scene.groups[0].items[0].x


def test_the_grammar_uses_all_it_has() -> None:
    groups = [group for scene in SAMPLE for group in scene.groups]
    assert {group.colour for group in groups} == set(COLOURS)
    assert {group.shape for group in groups} == set(SHAPES)
    assert {len(group.items) for group in groups} == {1, 2, 3, 4}
    assert {scene.background for scene in SAMPLE} == set(BACKGROUNDS)
    assert {scene.relation for scene in SAMPLE} == {None, *INVERSE} - {"behind"}


def test_items_are_inside_the_canvas_and_stand_out() -> None:
    for scene in SAMPLE:
        for group in scene.groups:
            assert math.dist(COLOURS[group.colour], BACKGROUNDS[scene.background]) > MIN_CONTRAST
            for item in group.items:
                assert item.radius <= item.x <= CANVAS - item.radius
                assert item.radius <= item.y <= CANVAS - item.radius


def test_relations_are_true_of_the_coordinates() -> None:
    for scene in SAMPLE:
        if scene.relation is None:
            continue
        one, two = scene.groups[0].items, scene.groups[1].items
        match scene.relation:
            case "left of":
                assert max(a.x for a in one) < min(b.x for b in two), scene
            case "right of":
                assert min(a.x for a in one) > max(b.x for b in two), scene
            case "above":
                assert max(a.y for a in one) < min(b.y for b in two), scene
            case "below":
                assert min(a.y for a in one) > max(b.y for b in two), scene
            case "in front of":
                gap = math.dist((one[0].x, one[0].y), (two[0].x, two[0].y))
                assert gap < one[0].radius + two[0].radius, scene  # they do overlap


def test_items_of_one_group_do_not_hide_each_other() -> None:
    for scene in SAMPLE:
        for group in scene.groups:
            for index, a in enumerate(group.items):
                for b in group.items[index + 1 :]:
                    assert math.dist((a.x, a.y), (b.x, b.y)) > 1.6 * a.radius, scene


def scene_of(first: Group, second: Group | None = None, relation: str | None = None) -> Scene:
    return Scene(1, "gray", "plain", (first, second) if second else (first,), relation)


ONE = Group("star", "orange", "plain", "large", (Item(40, 80, 25, 0),))
THREE = Group("cross", "red", "striped", "small", tuple(Item(120, y, 13, 0) for y in (40, 80, 120)))


def test_captions_word_for_word() -> None:
    assert captions(scene_of(ONE, THREE, "left of")) == [
        "a large orange star left of three small striped red crosses on a plain gray background",
        "three small striped red crosses right of a large orange star on a plain gray background",
        "there is a big orange star left of three little striped red crosses",
        "a plain gray background with a large orange star and three small red crosses",
        "an orange star left of three striped red crosses on a gray background",
    ]
    assert captions(scene_of(THREE))[1] == "there are three little striped red crosses on a gray background"


def test_every_caption_of_a_scene_names_its_objects() -> None:
    for scene in SAMPLE:
        texts = captions(scene)
        assert len(set(texts)) == 5
        assert all(objects_right(scene.graph(), text) for text in texts)


def test_mentions_ignore_the_colour_of_the_background() -> None:
    assert mentions("two red crosses on a plain white background") == [("red", "cross")]
    assert mentions("a plain white background with two red crosses on it") == [("red", "cross")]


@pytest.mark.parametrize(
    "wrong",
    [
        "a large red star left of three small striped orange crosses on a plain gray background",  # colours swapped
        "a large orange cross left of three small striped red stars on a plain gray background",  # shapes swapped
        "a large pink star left of three small striped red crosses on a plain gray background",
        "a large orange star on a plain gray background",  # one missing
        "a large orange star left of three red crosses and a blue ring on a plain gray background",  # one too many
        "a large orange star left of a large orange star on a plain gray background",
        "",
    ],
)
def test_objects_right_rejects_what_is_wrong(wrong: str) -> None:
    graph = scene_of(ONE, THREE, "left of").graph()
    assert objects_right(graph, captions(scene_of(ONE, THREE, "left of"))[0])
    assert not objects_right(graph, wrong)
