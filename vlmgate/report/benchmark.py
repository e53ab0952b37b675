"""Hand measured times to pytest-benchmark by public means: a timer that replays them, and `benchmark.pedantic`.

Its table, --benchmark-autosave, --benchmark-json, --benchmark-compare and --benchmark-histogram then show our times.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any


class ReplayTimer:
    """A clock for one benchmark: each pair of readings lies as far apart as the next recorded duration (seconds).

    pytest-benchmark reads it once before and once after every round. Give it as ``@pytest.mark.benchmark(timer=…)``.
    """

    __name__ = "vlmgate.report.benchmark.ReplayTimer"

    def __init__(self) -> None:
        self.durations: list[float] = []
        self._now = 0.0
        self._readings = 0

    def __call__(self) -> float:
        self._readings += 1
        if self._readings % 2 == 0:
            self._now += self.durations[(self._readings // 2 - 1) % len(self.durations)] if self.durations else 0.0
        return self._now


def replay(benchmark: Any, timer: ReplayTimer, durations: Sequence[float], extra: Mapping[str, Any]) -> None:
    """Let the ``benchmark`` fixture see ``durations`` (seconds, one a round), with ``extra`` as its extra_info.

    Raises:
        TypeError: ``extra`` is not plain JSON (pytest-benchmark would silently save it as a string).
    """
    json.dumps(dict(extra), allow_nan=False)
    timer.durations = list(durations)
    benchmark.extra_info.update(extra)
    benchmark.pedantic(lambda: None, rounds=len(durations), iterations=1)


def show_nothing(benchmark: Any) -> None:
    """Let the ``benchmark`` fixture see that there is nothing to show, as under --benchmark-disable: it has no row in any table,
    and pytest-benchmark does not warn that it was forgotten."""
    benchmark.disabled = True
    benchmark.pedantic(lambda: None)
