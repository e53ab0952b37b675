"""Timing with a recorded GPU: events beside the wall clock, the device waited for before and after."""

from fake_cuda import FakeCuda

from vlmgate.worker.clock import Clock


def test_on_a_gpu_the_device_is_waited_for_on_both_sides_and_events_are_read() -> None:
    cuda = FakeCuda()
    wall, events = Clock("cuda:0", cuda).time(lambda: cuda.log.append("call"))
    assert cuda.log == ["synchronize", "record", "call", "record", "synchronize"]
    assert wall > 0 and events == 0.005


def test_on_a_cpu_only_the_wall_clock_counts() -> None:
    cuda, called = FakeCuda(), []  # type: ignore[var-annotated]
    wall, events = Clock("cpu", cuda).time(lambda: called.append(1))
    assert (called, events, cuda.log) == ([1], None, []) and wall > 0
