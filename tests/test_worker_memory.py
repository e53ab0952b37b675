"""Peaks of memory, by a real worker on a tiny model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_cuda import FakeCuda, pretend
from jobs import SPIKE, in_this_process, job

from vlmgate.measure import run_job
from vlmgate.protocol import Message
from vlmgate.worker import memory
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
    cuda = FakeCuda()
    assert cuda_peaks("cuda", "load", cuda) == {"load": 5, "load_reserved": 10}
    assert cuda_peaks("cuda", "run", cuda) == {"run": 3, "run_reserved": 6}
    assert cuda_peaks("cpu", "run", cuda) == {}


def test_the_peaks_of_an_arm_on_a_gpu_are_those_of_loading_and_of_running(
    tricks: Path, arm: Callable[..., Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, memory, "fp16-cuda")
    data = in_this_process(memory.memory, job(tricks, plugins=[], arms=[arm("fp16-cuda", "fp32")]))[-1]["data"]
    assert (data["cuda_load_peak"], data["cuda_load_peak_reserved"]) == (5, 10)
    assert (data["cuda_peak"], data["cuda_peak_reserved"]) == (3, 6)
    on_cpu = in_this_process(memory.memory, job(tricks, plugins=[], arms=[arm("fp32")]))[-1]["data"]
    assert not [name for name in on_cpu if name.startswith("cuda")]
