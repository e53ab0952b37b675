"""BLIP captioning as two graphs for exporters: an encoder run once an image, and a decoder step with a key/value cache.

transformers has no exporter for it. The encoder ends with the keys and values that the cross-attention of every decoder layer
takes from the image, so that they are projected once and not once a token.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vlmgate.models.graphs import Graphs


def heads(states: Tensor, size: int) -> Tensor:
    """B × n × (heads · size) → B × heads × n × size."""
    return states.view(states.shape[0], states.shape[1], -1, size).transpose(1, 2)


def merged(context: Tensor) -> Tensor:
    """B × heads × n × size → B × n × (heads · size)."""
    return context.transpose(1, 2).flatten(2)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of one token, spelled out, with the key on the left so that nobody has to turn it.

    As one operator, OpenVINO 2026.4 on AVX-512 gives wrong results once key and value come from an input and are 16 long.
    """
    scores = (key @ query.transpose(-1, -2)).transpose(-1, -2) * query.shape[-1] ** -0.5
    context: Tensor = scores.softmax(-1) @ value
    return context


def together(attention: Any) -> nn.Linear:
    """The three projections of a self-attention as one."""
    parts = [attention.query, attention.key, attention.value]
    joined = nn.Linear(parts[0].in_features, sum(part.out_features for part in parts))
    joined.weight = nn.Parameter(torch.cat([part.weight for part in parts]).detach())
    joined.bias = nn.Parameter(torch.cat([part.bias for part in parts]).detach())
    joined.joins = tuple(map(id, parts))  # type: ignore[assignment]  # who counts must know whose weights these are
    return joined


class Encoder(nn.Module):
    """Pixels (B × 3 × H × W) → key and value (B × heads × patches × size) of the cross-attention of every decoder layer."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision: Any = model.vision_model
        self.cross: Any = nn.ModuleList(layer.crossattention.self for layer in model.text_decoder.bert.encoder.layer)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        states = self.vision.embeddings(pixels)
        for layer in self.vision.encoder.layers:
            attention = layer.self_attn
            mixed = attention.qkv(layer.layer_norm1(states)).chunk(3, -1)
            query, key, value = (heads(each, attention.head_dim) for each in mixed)
            context = scaled_dot_product_attention(query, key, value)
            states = attention.projection(merged(context)) + states
            states = layer.mlp(layer.layer_norm2(states)) + states
        states = self.vision.post_layernorm(states)
        given: list[Tensor] = []
        for cross in self.cross:
            given += [heads(project(states), cross.attention_head_size) for project in (cross.key, cross.value)]
        return tuple(given)


class Step(nn.Module):
    """One token: ids (B × 1), its position (1), then per layer past key and value, then per layer the image's key and value.

    Gives the logits (B × vocabulary) and, per layer, key and value (B × heads × length + 1 × size).
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.embeddings = model.text_decoder.bert.embeddings
        self.layers = model.text_decoder.bert.encoder.layer
        self.head = model.text_decoder.cls
        self.projections = nn.ModuleList(together(layer.attention.self) for layer in self.layers)

    def forward(self, ids: Tensor, position: Tensor, *held: Tensor) -> tuple[Tensor, ...]:
        words = self.embeddings.word_embeddings(ids) + self.embeddings.position_embeddings(position)
        states = self.embeddings.LayerNorm(words)
        past, image = held[: len(held) // 2], held[len(held) // 2 :]
        present: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            size = layer.attention.self.attention_head_size
            query, new_key, new_value = (heads(each, size) for each in self.projections[number](states).chunk(3, -1))
            key = torch.cat([past[2 * number], new_key], 2)
            value = torch.cat([past[2 * number + 1], new_value], 2)
            context = attend(query, key, value)
            states = layer.attention.output(merged(context), states)
            query = heads(layer.crossattention.self.query(states), layer.crossattention.self.attention_head_size)
            context = attend(query, image[2 * number], image[2 * number + 1])
            states = layer.crossattention.output(merged(context), states)
            states = layer.output(layer.intermediate(states), states)
            present += [key, value]
        return (self.head(states).flatten(1), *present)


def graphs(model: Any) -> Graphs:
    """Both graphs of a loaded BLIP, with all that a decoding loop and an exporter must know of them."""
    text, side = model.config.text_config, model.config.vision_config.image_size
    own = [layer.attention.self for layer in model.text_decoder.bert.encoder.layer]
    caches = [(module.key.out_features // module.attention_head_size, module.attention_head_size) for module in own]
    return Graphs(
        encoder=Encoder(model).eval(),
        step=Step(model).eval(),
        side=side,
        caches=[cache for cache in caches for _ in ("key", "value")],
        start=text.bos_token_id,
        end=text.sep_token_id,
        pad=text.pad_token_id,
        positions=text.max_position_embeddings,
    )
