"""Peaks of memory, by a real worker on a tiny model."""

from collections.abc import Callable
from pathlib import Path

from jobs import SPIKE, job

from vlmgate.measure import run_job
from vlmgate.protocol import Message
from vlmgate.worker.memory import cuda_peaks


def test_memory_tells_the_peak_of_loading_from_that_of_running(tricks: Path, arm: Callable[..., Message]) -> None:
    answer = run_job("memory", job(tricks, arms=[arm("spike")]))
    assert answer.failure is None
    data = answer.arms["spike"]
    assert data["load_peak"] > data["resident_before"] + SPIKE  # the spike lies in the loading peak …
    assert data["resident_before"] <= data["peak_memory"] < data["load_peak"] - SPIKE / 2  # … and not in the running one
    assert SPIKE < data["heap_peak"] < 2 * SPIKE  # memray sees both together


def test_the_proportional_set_counts_shared_pages_in_parts(tricks: Path, arm: Callable[..., Message]) -> None:
    data = run_job("memory", job(tricks, arms=[arm("fp32")])).arms["fp32"]
    assert data["resident_before"] / 4 < data["proportional_set"] <= data["peak_memory"]


def test_peaks_on_a_gpu_are_allocated_and_reserved_and_begin_anew() -> None:
    class FakeCuda:
        peak = 5

        def max_memory_allocated(self) -> int:
            return self.peak

        def max_memory_reserved(self) -> int:
            return 2 * self.peak

        def reset_peak_memory_stats(self) -> None:
            self.peak = 3

    cuda = FakeCuda()
    assert cuda_peaks("cuda", "load", cuda) == {"load": 5, "load_reserved": 10}
    assert cuda_peaks("cuda", "run", cuda) == {"run": 3, "run_reserved": 6}
    assert cuda_peaks("cpu", "run", cuda) == {}
