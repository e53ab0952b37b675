"""BLIP captioning: its published shapes with random weights, and how it is asked for a caption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from vlmgate.models import blip_graph
from vlmgate.models.decoding import arguments
from vlmgate.models.graphs import Graphs
from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

# Shapes of the published checkpoints: https://huggingface.co/Salesforce/blip-image-captioning-base (and -large), config.json.
SHAPES: dict[str, dict[str, dict[str, int]]] = {
    "Salesforce/blip-image-captioning-base": {
        "vision": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
        "text": {"encoder_hidden_size": 768},
    },
    "Salesforce/blip-image-captioning-large": {
        "vision": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
        "text": {"encoder_hidden_size": 1024},
    },
}
TEXT = {"vocab_size": 30524, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
SPECIAL_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, "[DEC]": 30522, "[ENC]": 30523}
INITIALIZER_RANGE = 0.02  # BlipConfig's own vision default is 1e-10, which would measure nothing
SEED = 0


def config(location: str) -> BlipConfig:
    """The configuration of a published checkpoint.

    Raises:
        VlmgateError: ``location`` is not in SHAPES.
    """
    if location not in SHAPES:
        raise VlmgateError(unknown("published BLIP shape", location, SHAPES))
    shape = SHAPES[location]
    vision = shape["vision"] | {"image_size": 384, "patch_size": 16, "initializer_range": INITIALIZER_RANGE}
    return BlipConfig(
        text_config=TEXT | shape["text"] | {"bos_token_id": 30522, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 102},
        vision_config=vision,
        image_text_hidden_size=256,
        projection_dim=512,
    )


def build_random(location: str, folder: Path) -> None:
    """Write a checkpoint of the published shape with seeded random weights (FP32, save_pretrained layout) to ``folder``."""
    torch.manual_seed(SEED)
    BlipForConditionalGeneration(config(location)).save_pretrained(folder)
    names = {token: number for number, token in enumerate(_vocabulary())}
    BlipProcessor(BlipImageProcessorPil(), BertTokenizer(vocab=names)).save_pretrained(folder)


def generate(
    model: Any, inputs: dict[str, torch.Tensor], *, least: int, most: int, decoding: Mapping[str, Any] | None = None
) -> torch.Tensor:
    """Token ids (B × ≤ most) without the start token, greedy unless ``decoding`` says otherwise; BLIP sets its own end and
    padding tokens.

    ``interpolate_pos_encoding`` is used only where the image is not of the checkpoint's own size.
    """
    size = model.config.vision_config.image_size
    resized = tuple(inputs["pixel_values"].shape[-2:]) != (size, size)
    extra = {"interpolate_pos_encoding": True} if resized else {}
    ids: torch.Tensor = model.generate(
        **inputs, min_new_tokens=least or None, max_new_tokens=most, **arguments(decoding), **extra
    )
    return ids[:, 1:]


def graphs(model: Any) -> Graphs:
    """The model as an encoder and a decoder step for backends other than torch."""
    return blip_graph.graphs(model)


def _vocabulary() -> list[str]:
    """30,524 distinct names with the special tokens where the published tokenizer has them."""
    words = [f"word{number}" for number in range(TEXT["vocab_size"])]
    for token, number in SPECIAL_IDS.items():
        words[number] = token
    return words
