"""Tiny random models of other families, from transformers' own configuration classes: LLaVA, Qwen2.5-VL and PaliGemma."""

from typing import Any

import torch

PARTS = {
    "llava": {
        "vision": ("model.vision_tower",),
        "projector": ("model.multi_modal_projector",),
        "text": ("model.language_model",),
    },
    "qwen": {"vision": ("model.visual",), "text": ("model.language_model",)},
    "paligemma": {
        "vision": ("model.vision_tower",),
        "projector": ("model.multi_modal_projector",),
        "text": ("model.language_model",),
    },
}
NAMES = tuple(PARTS)
IMAGE = 5  # id of the image token


def build(name: str, layers: int = 4) -> Any:
    """A model of 4 layers and width 64: LLaVA 8 heads on 4 keys, Qwen2.5-VL 8 on 2, PaliGemma 8 on 1 (all text)."""
    torch.manual_seed(0)
    model = {"llava": _llava, "qwen": _qwen, "paligemma": _paligemma}[name](layers)
    return model.eval()


def inputs(name: str) -> dict[str, torch.Tensor]:
    """One image and a prompt of three tokens after it."""
    generator = torch.Generator().manual_seed(1)
    if name == "qwen":  # 8 × 8 patches of 2 × 14 × 14, merged 2 × 2
        pixels = {
            "pixel_values": torch.randn((64, 3 * 2 * 14 * 14), generator=generator),
            "image_grid_thw": torch.tensor([[1, 8, 8]]),
        }
        tokens = 16
    else:
        pixels, tokens = {"pixel_values": torch.randn((1, 3, 28, 28), generator=generator)}, 4
    ids = torch.tensor([[1, *[IMAGE] * tokens, 7, 8, 9]])
    more = {"mm_token_type_ids": (ids == IMAGE).int()} if name == "qwen" else {}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels, **more}


def generate(model: Any, name: str, new: int = 4) -> torch.Tensor:
    """Exactly ``new`` greedy tokens."""
    with torch.inference_mode():
        ids = model.generate(**inputs(name), max_new_tokens=new, min_new_tokens=new, do_sample=False)
    return ids[:, -new:]  # type: ignore[no-any-return]


TEXT = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 8, "max_position_embeddings": 128}
VISION = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 8, "image_size": 28, "patch_size": 14}


def _llava(layers: int) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    text = LlamaConfig(**TEXT, num_hidden_layers=layers, num_key_value_heads=4, eos_token_id=2, pad_token_id=0)
    vision = CLIPVisionConfig(**VISION, num_hidden_layers=layers, projection_dim=32)
    return LlavaForConditionalGeneration(
        LlavaConfig(text_config=text, vision_config=vision, image_token_index=IMAGE, image_token_id=IMAGE, image_seq_length=4)
    )


def _qwen(layers: int) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = TEXT | {
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {
        "depth": layers,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_heads": 4,
        "out_hidden_size": 64,
        "window_size": 56,
        "fullatt_block_indexes": [1, 3],
    }
    tokens = {"image_token_id": IMAGE, "video_token_id": 6, "vision_start_token_id": 3, "vision_end_token_id": 4}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens))


def _paligemma(layers: int) -> Any:
    from transformers import GemmaConfig, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    text = GemmaConfig(**TEXT, head_dim=8, num_hidden_layers=layers, num_key_value_heads=1, eos_token_id=2, pad_token_id=0)
    vision = SiglipVisionConfig(**VISION, num_hidden_layers=layers, vision_use_head=False)
    return PaliGemmaForConditionalGeneration(
        PaliGemmaConfig(text_config=text, vision_config=vision, image_token_index=IMAGE, projection_dim=64, hidden_size=64)
    )
