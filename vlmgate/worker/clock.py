"""How long a call takes: by the wall clock with the device synchronised, and on CUDA by events of the GPU too."""

import time
from collections.abc import Callable
from typing import Any


class Clock:
    """Times calls on one device. ``cuda`` is the module `torch.cuda`, or None for a CPU, where nothing needs to be waited for."""

    def __init__(self, device: str, cuda: Any = None) -> None:
        self.cuda = cuda if device.startswith("cuda") else None

    def time(self, call: Callable[[], object]) -> tuple[float, float | None]:
        """Seconds of one call: by the wall clock, and between two events on the GPU (None on a CPU).

        The wall clock is what a caller waits, launching of kernels included; the events leave out what the host does before
        the first kernel and after the last.
        """
        if self.cuda is None:
            began = time.perf_counter()
            call()
            return time.perf_counter() - began, None
        before, after = (self.cuda.Event(enable_timing=True) for _ in range(2))
        self.cuda.synchronize()
        began = time.perf_counter()
        before.record()
        call()
        after.record()
        self.cuda.synchronize()
        return time.perf_counter() - began, before.elapsed_time(after) / 1000  # it counts milliseconds


def clock_of(captioner: Any) -> Clock:
    """The clock for the device that a captioner runs on."""
    import torch

    return Clock(captioner.device, torch.cuda)
