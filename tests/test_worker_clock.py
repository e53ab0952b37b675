"""Timing with a recorded GPU: events beside the wall clock, the device waited for before and after."""

from vlmgate.worker.clock import Clock


class FakeCuda:
    """A GPU whose work takes 5 ms; it writes down what is asked of it."""

    def __init__(self) -> None:
        self.log: list[str] = []
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


def test_on_a_gpu_the_device_is_waited_for_on_both_sides_and_events_are_read() -> None:
    cuda = FakeCuda()
    wall, events = Clock("cuda:0", cuda).time(lambda: cuda.log.append("call"))
    assert cuda.log == ["synchronize", "record", "call", "record", "synchronize"]
    assert wall > 0 and events == 0.005


def test_on_a_cpu_only_the_wall_clock_counts() -> None:
    cuda, called = FakeCuda(), []  # type: ignore[var-annotated]
    wall, events = Clock("cpu", cuda).time(lambda: called.append(1))
    assert (called, events, cuda.log) == ([1], None, []) and wall > 0
