"""The decoding loop: the end token, the least and the most tokens, padding, and where it refuses."""

import numpy as np
import pytest
import torch

from vlmgate.backends.greedy import generate, margins
from vlmgate.spec import VlmgateError

GRAPHS = {"side": 4, "start": 7, "end": 3, "pad": 0, "positions": 12}


class Scripted:
    """Says what its script says: [row][position] → the best token; the second best is always the one after it."""

    graphs = GRAPHS

    def __init__(self, *script: list[int]) -> None:
        self.script, self.heard = np.array(script), []

    def look(self, pixels: np.ndarray) -> None:
        self.heard = []

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        self.heard.append(ids.tolist())
        logits = np.zeros((len(ids), 8), np.float32)
        rows = np.arange(len(ids))
        logits[rows, self.script[:, position] + 1] = 1.0
        logits[rows, self.script[:, position]] = 1.5
        return logits


def inputs(batch: int = 1, side: int = 4) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.zeros(batch, 3, side, side)}


def test_it_begins_with_the_start_token_hears_what_it_said_and_stops_at_the_most() -> None:
    runner = Scripted([1, 2, 4, 5, 6])
    assert generate(runner, inputs(), least=0, most=3).tolist() == [[1, 2, 4]]
    assert runner.heard == [[7], [1], [2]]


def test_a_text_that_has_ended_is_padded_until_all_have() -> None:
    runner = Scripted([1, 3, 1, 1, 1], [1, 1, 1, 3, 1])
    assert generate(runner, inputs(2), least=0, most=5).tolist() == [[1, 3, 0, 0], [1, 1, 1, 3]]


def test_the_end_cannot_come_before_the_least_tokens() -> None:
    """The second best comes instead: 4."""
    assert generate(Scripted([3, 3, 3, 1]), inputs(), least=2, most=4).tolist() == [[4, 4, 3]]
    assert generate(Scripted([3, 3, 3, 3]), inputs(), least=4, most=4).tolist() == [[4, 4, 4, 4]]


def test_it_refuses_images_of_another_size_and_more_tokens_than_positions() -> None:
    with pytest.raises(VlmgateError, match="take images of 4 pixels, not 5"):
        generate(Scripted([1]), inputs(side=5), least=0, most=1)
    with pytest.raises(VlmgateError, match="13 new tokens asked for, but the model has 12"):
        generate(Scripted([1]), inputs(), least=0, most=13)


def test_margins_are_how_far_the_best_is_above_the_second_best() -> None:
    runner = Scripted([1, 2, 3])
    assert margins(runner, np.zeros((1, 3, 4, 4)), [5, 6]) == [0.5, 0.5]
    assert runner.heard == [[7], [5]]
