"""Images to calibrate static quantization on: training scenes only, never an image that anything is evaluated on."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from vlmgate.datasets import scenes
from vlmgate.datasets.draw import draw_scene

Pixels = Callable[[int], Iterator[torch.Tensor]]


def training_pixels(processor: Any) -> Pixels:
    """A function that gives n training images (1 × 3 × H × W each), always the same, as the processor prepares them."""

    def pixels(number: int) -> Iterator[torch.Tensor]:
        for seed in range(scenes.TRAINING_SEEDS.start, scenes.TRAINING_SEEDS.start + number):
            image, _ = draw_scene(scenes.sample_scene(seed))
            yield processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]

    return pixels
