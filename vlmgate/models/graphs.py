"""A captioner as two graphs: an encoder run once an image and a decoder step run once a token. Families make them."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Graphs:
    """Encoder: pixels → what each decoder layer needs of the image. Step: id, position, caches, image → logits, caches.

    They are made of the model's own modules; one that takes the place of several has their ids as ``joins``. With ``step.fixed``
    set, caches come with room for later tokens and keep their length, for runtimes that plan anew whenever a length changes; with
    ``encoder.apart`` set, what the model projects together and then cuts apart are products of their own.
    """

    encoder: Any  # (pixels B × 3 × side × side) → image tensors, two a layer
    step: Any  # (ids B × 1, position 1, caches, image tensors) → (logits B × vocabulary, caches)
    side: int  # pixels of the images that the encoder takes
    caches: list[tuple[int, int]]  # (heads, size) of every cache, key and value of each layer in turn
    start: int  # token ids
    end: int
    pad: int
    positions: int  # longest text, start token included

    def card(self) -> dict[str, Any]:
        """What a decoding loop needs, as JSON values."""
        names = ("side", "start", "end", "pad", "positions")
        return {name: getattr(self, name) for name in names} | {"caches": [list(cache) for cache in self.caches]}

    def example(self, batch: int = 2, length: int = 3) -> tuple[torch.Tensor, ...]:
        """Inputs for `step` on noise: an image's tensors come from the encoder itself."""
        noise = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            image = self.encoder(torch.randn((batch, 3, self.side, self.side), generator=noise))
        past = [torch.randn((batch, heads, length, size), generator=noise) for heads, size in self.caches]
        ids = torch.full((batch, 1), self.start)
        return (ids, torch.tensor([length]), *past, *(value.clone() for value in image))

    def names(self) -> tuple[list[str], list[str], list[str]]:
        """Names of the past caches, of the image's tensors and of the caches that a step gives."""
        layers = [f"{part}.{number}" for number in range(len(self.caches) // 2) for part in ("key", "value")]
        return [f"past.{each}" for each in layers], [f"image.{each}" for each in layers], [f"present.{each}" for each in layers]
