"""A loaded model with its processor: images in, token ids or captions out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor

from vlmgate.spec import VlmgateError


@dataclass
class Captioner:
    """A loaded model with its processor. Calls take PIL images (RGB) and give token ids or strings."""

    model: Any
    processor: Any
    family: Any
    device: str
    dtype: torch.dtype
    image_size: int | None = None  # pixels; None: the checkpoint's own
    decoding: Mapping[str, Any] = field(default_factory=dict)  # {beams} or {top_k, temperature, seed}; empty: greedy

    def inputs(self, images: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Pixel values (B × 3 × H × W) on the model's device and in its type."""
        size = {"size": {"height": self.image_size, "width": self.image_size}} if self.image_size else {}
        pixels = self.processor.image_processor(images=list(images), return_tensors="pt", **size)["pixel_values"]
        return {"pixel_values": pixels.to(self.device, self.dtype)}

    def tokens(self, inputs: Mapping[str, torch.Tensor], *, least: int, most: int) -> torch.Tensor:
        """Token ids (B × n), n between ``least`` and ``most``; greedy unless ``decoding`` says otherwise."""
        extra = {"decoding": self.decoding} if self.decoding else {}
        with torch.inference_mode():
            ids: torch.Tensor = self.family.generate(self.model, dict(inputs), least=least, most=most, **extra)
        return ids

    def caption(self, images: Sequence[Image.Image], most: int = 24) -> list[str]:
        """One caption an image, decoded together as one batch."""
        ids = self.tokens(self.inputs(images), least=0, most=most)
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]

    def synchronise(self) -> None:
        """Wait until the device has finished; a no-op on the CPU."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


def load_processor(folder: Path) -> Any:
    """Tokenizer and image processor with the PIL backend, which needs no torchvision and is the same everywhere."""
    try:
        return AutoProcessor.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises plain Exception for a damaged file
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(f"cannot load the processor in {folder} ({type(error).__name__}: {why}); save it again") from error
