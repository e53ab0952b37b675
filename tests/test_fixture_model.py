"""scene-blip keeps what its card promises: it captions, it looks at the image, and damage to its weights shows."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from vlmgate.datasets.coco import load_coco

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "fixtures" / "models" / "scene-blip"


@pytest.fixture(scope="module")
def evaluation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluate_scene_blip", ROOT / "fixtures" / "models" / "evaluate_scene_blip.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scores(evaluation: ModuleType) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = evaluation.evaluate(FOLDER, load_coco(ROOT / "fixtures" / "scenes"))
    return found


def test_it_captions(scores: dict[str, dict[str, float]]) -> None:
    own = scores["scene-blip, FP32"]
    assert own["bleu_4"] >= 0.75
    assert own["cider"] >= 4.5
    assert own["objects_right"] >= 0.75


def test_it_looks_at_the_image(scores: dict[str, dict[str, float]]) -> None:
    assert scores["control: images shuffled"]["bleu_4"] <= 0.35
    assert scores["control: blank image"]["bleu_4"] <= 0.35


def test_growing_damage_lowers_cider_in_order(evaluation: ModuleType, scores: dict[str, dict[str, float]]) -> None:
    ciders = [scores["scene-blip, FP32"]["cider"]]
    ciders += [scores[f"damaged: {damage:.0%} of weights zero"]["cider"] for damage in evaluation.DAMAGE]
    assert len(ciders) == 4
    assert ciders == sorted(ciders, reverse=True)
    assert ciders[-1] < 0.5 * ciders[0]


def test_the_card_shows_these_scores(scores: dict[str, dict[str, float]]) -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    row = next(line for line in card.splitlines() if line.startswith("| scene-blip, FP32"))
    printed = [float(cell) for cell in row.split("|")[2:7]]
    own = scores["scene-blip, FP32"]
    expected = [own[name] for name in ("bleu_4", "cider", "rouge_l", "objects_right", "word_for_word")]
    assert printed == pytest.approx(expected, abs=0.03)  # other processors round differently, and a caption may flip


def test_it_is_small_and_never_a_pickle() -> None:
    files = list(FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".md"}
