"""The configuration of LLaVA-1.5-7B, as transformers' defaults have it: CLIP-L/336 for images, Vicuna-7B for text."""

import json
from pathlib import Path

PARAMETERS = 7_062_902_784


def write_config(folder: Path) -> Path:
    """A folder that holds nothing but its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "llava",
        "text_config": {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32000},
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336, "patch_size": 14}
        | {"intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "projection_dim": 768},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
