"""BLIP captioning as two graphs for exporters: an encoder run once an image, and a decoder step with a key/value cache.

transformers has no exporter for it. The encoder ends with the keys and values that the cross-attention of every decoder layer
takes from the image, so that they are projected once and not once a token.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from vlmgate.models.graphs import Graphs


def heads(states: Tensor, size: int) -> Tensor:
    """B × n × (heads · size) → B × heads × n × size."""
    return states.view(states.shape[0], states.shape[1], -1, size).transpose(1, 2)


def merged(context: Tensor) -> Tensor:
    """B × heads × n × size → B × n × (heads · size)."""
    return context.transpose(1, 2).flatten(2)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, seen: Tensor | None = None) -> Tensor:
    """Attention of one token (query: B × heads × size × 1), spelled out, with the key on the left so that nobody has to turn it.

    As one operator, OpenVINO 2026.4 on AVX-512 gives wrong results once key and value come from an input and are 16 long.
    ``seen`` (n, bool) says which keys count; without it all do.

    Returns:
        B × heads × 1 × size.
    """
    weights = ((key @ query) * scale).squeeze(-1).unsqueeze(-2)
    if seen is not None:
        weights = torch.where(seen, weights, torch.finfo(weights.dtype).min)
    context: Tensor = weights.softmax(-1) @ value
    return context


def together(attention: Any) -> nn.Linear:
    """The three projections of a self-attention as one."""
    parts = [attention.query, attention.key, attention.value]
    joined = nn.Linear(parts[0].in_features, sum(part.out_features for part in parts))
    joined.weight = nn.Parameter(torch.cat([part.weight for part in parts]).detach())
    joined.bias = nn.Parameter(torch.cat([part.bias for part in parts]).detach())
    joined.joins = tuple(map(id, parts))  # type: ignore[assignment]  # who counts must know whose weights these are
    return joined


def thirds(joined: nn.Linear, states: Tensor) -> list[Tensor]:
    """What a projection gives that is three in one, by three products."""
    biases = [None] * 3 if joined.bias is None else joined.bias.chunk(3)
    return [linear(states, weight, bias) for weight, bias in zip(joined.weight.chunk(3), biases, strict=True)]


class Encoder(nn.Module):
    """Pixels (B × 3 × H × W) → key and value (B × heads × patches × size) of the cross-attention of every decoder layer.

    Where ``apart`` is set, query, key and value of the image are three products and not one that is cut in three: for runtimes
    that would copy the parts, and quantize them in a pass of their own.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.apart = False
        self.vision: Any = model.vision_model
        self.cross: Any = nn.ModuleList(layer.crossattention.self for layer in model.text_decoder.bert.encoder.layer)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        states = self.vision.embeddings(pixels)
        for layer in self.vision.encoder.layers:
            attention = layer.self_attn
            normed = layer.layer_norm1(states)
            mixed = thirds(attention.qkv, normed) if self.apart else attention.qkv(normed).chunk(3, -1)
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

    Gives the logits (B × vocabulary) and, per layer, key and value (B × heads × length + 1 × size). Where ``fixed`` is set,
    caches have room for tokens that are still to come and keep their length: the token's key and value go to its position, and
    what lies behind it is not looked at.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.fixed = False
        self.embeddings = model.text_decoder.bert.embeddings
        self.layers = model.text_decoder.bert.encoder.layer
        self.head = model.text_decoder.cls
        self.projections = nn.ModuleList(together(layer.attention.self) for layer in self.layers)

    def forward(self, ids: Tensor, position: Tensor, *held: Tensor) -> tuple[Tensor, ...]:
        words = self.embeddings.word_embeddings(ids) + self.embeddings.position_embeddings(position)
        states = self.embeddings.LayerNorm(words)
        past, image = held[: len(held) // 2], held[len(held) // 2 :]
        here, seen = None, None
        if self.fixed:
            slots = torch.arange(past[0].shape[2])
            here, seen = (slots == position)[:, None], slots <= position
        present: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            own, other = layer.attention.self, layer.crossattention.self
            size, count, width = own.attention_head_size, own.num_attention_heads, own.all_head_size
            # One token: a view turns rows into heads, and every length but that of the caches is known when it is exported.
            query, *new = self.projections[number](states).view(-1, 3 * count, size, 1).split(count, 1)
            new, old = [each.view(-1, count, 1, size) for each in new], past[2 * number : 2 * number + 2]
            if here is not None:
                key, value = (torch.where(here, *each) for each in zip(new, old, strict=True))
            else:
                key, value = (torch.cat(each, 2) for each in zip(old, new, strict=True))
            context = attend(query, key, value, size**-0.5, seen)
            states = layer.attention.output(context.view(-1, 1, width), states)
            query = other.query(states).view(-1, other.num_attention_heads, other.attention_head_size, 1)
            context = attend(query, image[2 * number], image[2 * number + 1], other.attention_head_size**-0.5)
            states = layer.crossattention.output(context.view(-1, 1, other.all_head_size), states)
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
