"""How the next token is chosen: greedy, beam search or seeded top-k sampling, in the words of transformers' generate."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import torch

from vlmgate.spec import VlmgateError


def arguments(decoding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keyword arguments of ``generate`` for {} (greedy), {beams} or {top_k, temperature, seed}; sampling begins at its seed
    with every call."""
    if not decoding:
        return {"do_sample": False, "num_beams": 1}
    if "beams" in decoding:
        return {"do_sample": False, "num_beams": int(decoding["beams"])}
    torch.manual_seed(int(decoding["seed"]))
    return {
        "do_sample": True,
        "num_beams": 1,
        "top_k": int(decoding["top_k"]),
        "temperature": float(decoding["temperature"]),
        "top_p": 1.0,
    }


def check_decoding(generate: Callable[..., Any], decoding: Mapping[str, Any], name: str) -> None:
    """Refuse beams and sampling where ``generate`` (of a family or a backend called ``name``) has no ``decoding`` parameter.

    Raises:
        VlmgateError: it can only decode greedily, and something else was asked for.
    """
    if decoding and "decoding" not in signature(generate).parameters:
        asked = ", ".join(f"{key}: {value}" for key, value in decoding.items())
        raise VlmgateError(
            f"{name} decodes only greedily, and the settings ask for {asked}; take them out of the case's settings, or give "
            f"its generate() a parameter `decoding`"
        )
