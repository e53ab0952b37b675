"""A BLIP so small that it loads and captions in milliseconds, saved to disk as a real checkpoint with a real processor."""

from pathlib import Path

SIDE, WIDTH, PATCH = 32, 32, 16
LAYERS, HEADS, NEURONS = 2, 2, 64


def save_tiny_blip(
    folder: Path,
    seed: int = 0,
    width: int = WIDTH,
    side: int = SIDE,
    layers: int = LAYERS,
    heads: int = HEADS,
    neurons: int = NEURONS,
) -> Path:
    """Write the checkpoint (seeded random weights, the scenes' words) to ``folder`` and return it; ``side`` in pixels."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    from vlmgate.datasets import scenes

    words = sorted({word for n in range(300) for line in scenes.captions(scenes.sample_scene(n)) for word in line.split()})
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    shape = {"hidden_size": width, "intermediate_size": neurons, "num_hidden_layers": layers, "num_attention_heads": heads}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    config = BlipConfig(
        text_config=shape | special | {"vocab_size": len(vocabulary), "encoder_hidden_size": width},
        vision_config=shape | {"image_size": side, "patch_size": PATCH, "initializer_range": 0.02},
    )
    torch.manual_seed(seed)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": side, "width": side}
    BlipProcessor(BlipImageProcessorPil(size=size), BertTokenizer(vocab=vocabulary)).save_pretrained(folder)
    return folder


PLUGIN = """
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source, Step, Variant

MODELS = {{"tiny": Model("tiny", "blip", Source.LOCAL, {folder!r}, BLIP_PARTS)}}
VARIANTS = {{"slow": Variant("slow", (Step("slowed", {{"share": 1.0}}),), about="twice as slow on purpose")}}
"""


def write_plugin(path: Path, checkpoint: Path) -> Path:
    """A user's plugin file that registers the tiny model under the name ``tiny`` and a slowed-down variant ``slow``."""
    path.write_text(PLUGIN.format(folder=str(checkpoint)), encoding="utf-8")
    return path
