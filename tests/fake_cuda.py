"""A GPU as `torch.cuda` shows it: events, waiting and peaks of memory."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest


class FakeCuda:
    """A GPU whose work takes 5 ms; it writes down what is asked of it. Its peak is 5 bytes, and 3 once it was reset."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.peak = 5
        cuda = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                cuda.log.append("record")

            def elapsed_time(self, end: "Event") -> float:
                assert self is not end
                return 5.0  # milliseconds

        self.Event = Event

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def max_memory_allocated(self) -> int:
        return self.peak

    def max_memory_reserved(self) -> int:
        return 2 * self.peak

    def reset_peak_memory_stats(self) -> None:
        self.peak = 3


def pretend(monkeypatch: pytest.MonkeyPatch, job: ModuleType, arm: str) -> None:
    """Let a worker's job, in this process, take one arm for one on a GPU: torch.cuda is a fake, and the CPU computes."""
    import torch

    fake, plain = FakeCuda(), job.load
    for name in ("Event", "synchronize", "max_memory_allocated", "max_memory_reserved", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))

    def load(asked: dict[str, Any], more: dict[str, Any]) -> Any:
        loaded = plain(asked, more)
        if asked["name"] != arm:
            return loaded
        there = replace(loaded, device="cuda")
        there.inputs = loaded.inputs  # for the device that there is
        return there

    monkeypatch.setattr(job, "load", load)
