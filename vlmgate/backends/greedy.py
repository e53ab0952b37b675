"""Decoding with an exported encoder and decoder step by the rules of transformers' ``generate``: greedy in a loop of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vlmgate.spec import VlmgateError


class Runner(Protocol):
    """Two loaded graphs."""

    graphs: Mapping[str, Any]  # what `vlmgate.models.graphs.Graphs.card` gave

    def look(self, pixels: np.ndarray) -> None:
        """Run the encoder on pixels (B × 3 × side × side) and forget all earlier tokens."""

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Logits (B × vocabulary) after the tokens ids (B) at ``position``; what is returned may be written to."""

    def spread(self, times: int) -> None:
        """Go on with so many rows for each image, before the first step."""

    def reorder(self, index: np.ndarray) -> None:
        """Let each row go on from the caches of the row whose number is in ``index``."""


def generate(
    runner: Runner, inputs: Mapping[str, Tensor], *, least: int, most: int, decoding: Mapping[str, Any] | None = None
) -> Tensor:
    """Token ids (B × n) without the start token, n at most ``most``; greedy unless ``decoding`` says otherwise.

    The end token cannot come before ``least`` tokens; a text that has ended is filled with padding until all have.

    Raises:
        VlmgateError: images of another size than the graphs were exported for, or more tokens than there are positions.
    """
    graphs, pixels = runner.graphs, inputs["pixel_values"].numpy()
    if pixels.shape[-2:] != (graphs["side"], graphs["side"]):
        raise VlmgateError(
            f"the graphs of this artefact take images of {graphs['side']} pixels, not {pixels.shape[-1]}; "
            "leave image_size out of the settings or use a torch variant"
        )
    if most > graphs["positions"]:
        raise VlmgateError(f"{most} new tokens asked for, but the model has {graphs['positions']} positions; ask for fewer")
    runner.look(pixels)
    if decoding:
        from vlmgate.backends import searched  # loads transformers' generation, which greedy decoding does without

        return searched.generate(runner, len(pixels), least=least, most=most, decoding=decoding)
    ids = np.full(len(pixels), graphs["start"], np.int64)
    alive = np.ones(len(pixels), bool)
    said: list[np.ndarray] = []
    for position in range(most):
        logits = runner.step(ids, position)
        if position < least:
            logits[:, graphs["end"]] = -np.inf
        ids = np.where(alive, logits.argmax(-1), graphs["pad"])
        said.append(ids)
        alive &= ids != graphs["end"]
        if not alive.any():
            break
    return torch.from_numpy(np.stack(said, 1))


def margins(runner: Runner, pixels: np.ndarray, tokens: Sequence[int]) -> list[float]:
    """For one image and each given token: how far the best logit is above the second best, with the tokens before it said."""
    runner.look(pixels)
    found, last = [], runner.graphs["start"]
    for position, token in enumerate(tokens):
        best = np.sort(runner.step(np.array([last]), position)[0])[-2:]
        found.append(float(best[1] - best[0]))
        last = token
    return found
