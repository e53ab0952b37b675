"""Where the time goes: seconds by phase, told apart by what a worker says it is doing, and the parent's own CPU time."""

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from vlmgate.protocol import Message

START_UP, PREPARING, WARM_UP, MEASURING, QUALITY, MEMORY = "start-up", "preparing", "warm-up", "measuring", "quality", "memory"
JUDGING, WRITING, OTHER = "judging", "writing", "other"
PHASE_OF_JOB = {"prepare": PREPARING, "block": MEASURING, "caption": QUALITY, "memory": MEMORY}


def cpu_seconds() -> float:
    """CPU time of this process so far, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def phase_of(do: str, stage: str) -> str:
    """The phase to which a worker's stage counts. What memory loads is measured too, so it is no start-up."""
    if stage == "starting" or (stage in ("loading", "preparing images") and do in ("block", "caption")):
        return START_UP
    if do == "block" and stage.startswith("warming"):
        return WARM_UP
    return PHASE_OF_JOB.get(do, OTHER)


class Clock:
    """Adds up seconds by phase. ``now`` and ``cpu`` are the clocks it reads."""

    def __init__(self, now: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = cpu_seconds) -> None:
        self.now, self.cpu = now, cpu
        self.began = now()
        self.phases: dict[str, float] = {}
        self.watched = self.used = 0.0  # seconds during which a worker timed, and the parent's CPU seconds in them

    @property
    def seconds(self) -> float:
        """Wall time since the beginning."""
        return self.now() - self.began

    @property
    def parent_cpu(self) -> float:
        """The share of one core that the parent used while workers warmed up and measured."""
        return self.used / self.watched if self.watched else 0.0

    def whole(self) -> Mapping[str, float]:
        """All phases, with what is left of the wall time as "other"."""
        rest = self.seconds - sum(seconds for name, seconds in self.phases.items() if name != OTHER)
        return {**self.phases, OTHER: max(0.0, rest)}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time until the end of the ``with`` as spent on ``name``."""
        began = self.now()
        try:
            yield
        finally:
            self._add(name, self.now() - began)

    @contextmanager
    def job(self, do: str) -> Iterator[Callable[[Message], None]]:
        """Count a worker's job by the stages that it announces; gives what must hear its messages."""
        since, name, timing = self.now(), phase_of(do, "starting"), False
        began = cpu = 0.0

        def hear(message: Message) -> None:
            nonlocal since, name, timing, began, cpu
            if message["event"] != "stage" or (then := phase_of(do, message["stage"])) == name:
                return
            now = self.now()
            self._add(name, now - since)
            since, name = now, then
            if then == WARM_UP and not timing:
                timing, began, cpu = True, now, self.cpu()

        try:
            yield hear
        finally:
            self._add(name, self.now() - since)
            if timing:
                self.watched += self.now() - began
                self.used += self.cpu() - cpu

    def _add(self, name: str, seconds: float) -> None:
        self.phases[name] = self.phases.get(name, 0.0) + seconds
