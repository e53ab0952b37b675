"""Memory on purpose: held while the model runs, given back after, and tokens stay the same."""

import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from vlmgate.spec import VlmgateError
from vlmgate.variants import hog

SIZE = 30_000_000


def test_every_call_holds_the_bytes_and_gives_them_back() -> None:
    seen = []

    def tokens(inputs: Any, *, least: int, most: int) -> tuple[Any, int, int]:
        seen.append(tracemalloc.get_traced_memory()[0])
        return inputs, least, most

    captioner = SimpleNamespace(tokens=tokens)
    hog.attach(captioner, {"bytes": SIZE})
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert captioner.tokens("pixels", least=1, most=2) == ("pixels", 1, 2)
        assert captioner.tokens("pixels", least=3, most=4) == ("pixels", 3, 4)
        assert all(held - before >= SIZE for held in seen) and len(seen) == 2
        assert tracemalloc.get_traced_memory()[0] - before < SIZE / 10
    finally:
        tracemalloc.stop()


def test_no_bytes_are_no_hog() -> None:
    with pytest.raises(VlmgateError, match="bytes is 0; expected a number of bytes"):
        hog.apply(nn.Linear(2, 2), [], {"bytes": 0})
