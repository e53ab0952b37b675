"""A GPU as `torch.cuda` shows it: events and waiting."""


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
