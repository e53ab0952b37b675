"""Search over a runner made of numbers: rows go on from the right row, and settings of transformers are obeyed."""

from typing import Any

import numpy as np
import pytest
import torch

from vlmgate.backends.searched import generate, parents

END, WORDS = 1, 6
# Log-probabilities of the next word after the last one: greedy says 2 3, and 3 4 together is likelier than 2 3.
NEXT = {0: {2: 0.5, 3: 0.4}, 2: {3: 0.4, 4: 0.3}, 3: {4: 0.9}, 4: {END: 0.9}}


class Numbers:
    """Keeps as its cache what each row has said, so that a wrong row would say something impossible."""

    def __init__(self, images: int) -> None:
        self.graphs = {"start": 0, "end": END, "pad": 5}
        self.past = np.arange(images)[:, None]  # each row begins with the number of its image
        self.images = images

    def spread(self, times: int) -> None:
        self.past = np.repeat(self.past, times, 0)

    def reorder(self, index: np.ndarray) -> None:
        self.past = self.past[index]

    def step(self, ids: np.ndarray, position: int) -> np.ndarray:
        assert self.past.shape[1] == position + 1
        assert self.past[:, 0].tolist() == np.repeat(np.arange(self.images), len(ids) // self.images).tolist()
        self.past = np.concatenate([self.past, ids[:, None]], 1)
        logits = np.full((len(ids), WORDS), np.log(0.01), np.float32)
        for row, word in enumerate(ids):
            for then, share in NEXT.get(int(word), {}).items():
                logits[row, then] = np.log(share)
        return logits


def test_beams_find_the_likelier_whole() -> None:
    found = generate(Numbers(2), 2, least=0, most=3, decoding={"beams": 2})
    assert found.tolist() == [[3, 4, END]] * 2


def test_the_end_does_not_come_too_early() -> None:
    found = generate(Numbers(1), 1, least=4, most=4, decoding={"beams": 2})
    assert found.shape == (1, 4) and END not in found[0, :3].tolist()


def test_sampling_keeps_to_the_likeliest_and_to_its_seed() -> None:
    def said(**more: Any) -> list[list[int]]:
        settings = {"top_k": 2, "temperature": 1.0, "seed": 0, **more}
        return [row[:1] for row in generate(Numbers(40), 40, least=1, most=1, decoding=settings).tolist()]

    assert {word for (word,) in said()} == {2, 3} and said() == said() and said() != said(seed=1)
    assert said(top_k=1) == [[2]] * 40


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([[0, 2], [0, 3]], [[0, 3], [0, 3]], [1, 1]),
        ([[0, 2], [0, 3]], [[0, 2], [0, 3]], [0, 1]),
        ([[0, 2], [0, 3], [0, 2], [0, 4]], [[0, 3], [0, 2], [0, 4], [0, 2]], [1, 0, 3, 2]),
    ],
)
def test_parents_by_hand(before: list[list[int]], now: list[list[int]], expected: list[int]) -> None:
    images = len(before) // 2
    assert parents(torch.tensor(before), torch.tensor(now), images).tolist() == expected
