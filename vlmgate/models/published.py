"""Configurations of published models that no family here runs, for what they would weigh: `vlmgate size` needs no more."""

from collections.abc import Mapping
from typing import Any

PUBLISHED: dict[str, Mapping[str, Any]] = {
    # https://huggingface.co/liuhaotian/llava-v1.5-7b: CLIP-L/336 for images, Vicuna-7B for text
    "llava-1.5-7b": {
        "model_type": "llava",
        "text_config": {
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "vocab_size": 32000,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 336,
            "patch_size": 14,
            "projection_dim": 768,
        },
    },
}
