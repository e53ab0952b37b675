"""Calibration images: training scenes only, always the same, prepared as for captioning."""

from pathlib import Path

import pytest
import torch

from vlmgate.artefacts import load_processor
from vlmgate.backends import calibration
from vlmgate.datasets import scenes


def test_they_are_training_scenes_and_always_the_same(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    plain = scenes.sample_scene
    monkeypatch.setattr(calibration.scenes, "sample_scene", lambda seed: drawn.append(seed) or plain(seed))
    pixels = calibration.training_pixels(load_processor(tiny_checkpoint))
    first, again = list(pixels(3)), list(pixels(3))
    assert [value.shape for value in first] == [(1, 3, 32, 32)] * 3
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert len(drawn) == 6
    assert all(seed in scenes.TRAINING_SEEDS and seed not in scenes.EVALUATION_SEEDS for seed in drawn)
