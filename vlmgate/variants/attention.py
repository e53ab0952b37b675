"""Plain attention over one fused matrix, for modules whose own code takes the width of a head from the width of the model."""

from typing import Any

import torch
from torch import Tensor, nn


class PlainAttention(nn.Module):
    """Full attention with ``heads`` heads of ``head_dim``, the same operations (no fused kernel) as what it takes the place of,
    so that a speed-up comes from the heads that went and from nothing else."""

    def __init__(self, qkv: nn.Module, projection: nn.Module, heads: int, head_dim: int) -> None:
        super().__init__()
        self.qkv, self.projection = qkv, projection
        self.heads, self.head_dim = heads, head_dim

    @classmethod
    def of(cls, module: nn.Module, heads: int, head_dim: int) -> "PlainAttention":
        """In the place of ``module``, with its two matrices."""
        return cls(module.get_submodule("qkv"), module.get_submodule("projection"), heads, head_dim)

    def numbers(self) -> dict[str, int]:
        """What `of` needs besides the module."""
        return {"heads": self.heads, "head_dim": self.head_dim}

    def forward(self, hidden_states: Tensor, **unused: Any) -> tuple[Tensor, Tensor]:
        """(B × T × width) → output of the same shape, and the attention's probabilities (B × heads × T × T)."""
        batch, length, _ = hidden_states.shape
        mixed = self.qkv(hidden_states).reshape(batch, length, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = mixed[0], mixed[1], mixed[2]
        scores = torch.matmul(query, key.transpose(-1, -2)) * self.head_dim**-0.5
        probabilities = nn.functional.softmax(scores, dim=-1)
        context = torch.matmul(probabilities, value).permute(0, 2, 1, 3).reshape(batch, length, self.heads * self.head_dim)
        return self.projection(context), probabilities
