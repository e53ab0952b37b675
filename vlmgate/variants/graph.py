"""How a backend other than torch compresses and runs the exported graphs; the torch model itself is left as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

KEEPS_WEIGHTS = True  # of the torch model


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string; what the backend lacks, the backend says."""
    return ""


def apply(model: nn.Module, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Change nothing: the backend compresses its graphs when it builds them."""
