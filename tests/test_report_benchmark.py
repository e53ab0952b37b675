"""Times replayed through a real pytest-benchmark come out as they went in."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vlmgate.report.benchmark import ReplayTimer, replay

ROOT = Path(__file__).resolve().parents[1]
DURATIONS = [0.25, 0.5, 0.125, 4.0, 1e-6]
TESTS = """
import pytest
from vlmgate.report.benchmark import ReplayTimer, replay, show_nothing

TIMER, OTHER = ReplayTimer(), ReplayTimer()


@pytest.mark.benchmark(timer=TIMER, group="replayed")
def test_replayed(benchmark):
    replay(benchmark, TIMER, {durations}, {{"case": "a/b/c", "blocks": 2, "verdict": "pass"}})


@pytest.mark.benchmark(timer=OTHER)
def test_one(benchmark):
    replay(benchmark, OTHER, [3.5], {{}})


def test_not_timed(benchmark):
    show_nothing(benchmark)


@pytest.mark.benchmark(timer=OTHER)
def test_not_json(benchmark):
    with pytest.raises(TypeError):
        replay(benchmark, OTHER, [3.5], {{"path": object()}})
    assert not benchmark.extra_info
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What --benchmark-json holds, by test."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "test_it.py").write_text(TESTS.format(durations=DURATIONS), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-json=out.json", "test_it.py"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}  # it is no worker of xdist
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert "4 passed" in done.stdout, done.stdout
    assert "not used at all" in done.stdout + done.stderr  # of test_not_json, which shows that the warning is seen here
    assert "test_not_timed" not in done.stdout + done.stderr, "neither a row of the table nor a warning"
    return {one["name"]: one for one in json.loads((folder / "out.json").read_text(encoding="utf-8"))["benchmarks"]}


def test_times_are_those_recorded_in_their_order(saved: dict[str, Any]) -> None:
    stats = saved["test_replayed"]["stats"]
    assert stats["data"] == pytest.approx(DURATIONS, rel=1e-9)
    assert (stats["rounds"], stats["iterations"]) == (len(DURATIONS), 1)
    assert (stats["min"], stats["max"], stats["median"]) == pytest.approx((1e-6, 4.0, 0.25), rel=1e-9)


def test_a_single_time_is_enough(saved: dict[str, Any]) -> None:
    assert saved["test_one"]["stats"]["data"] == [3.5]


def test_extra_info_is_saved_as_json(saved: dict[str, Any]) -> None:
    assert saved["test_replayed"]["extra_info"] == {"case": "a/b/c", "blocks": 2, "verdict": "pass"}
    assert saved["test_replayed"]["group"] == "replayed"


def test_what_was_not_timed_is_not_saved(saved: dict[str, Any]) -> None:
    assert saved.keys() == {"test_replayed", "test_one"}


def test_only_public_names_of_pytest_benchmark_are_used() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "vlmgate").rglob("*.py")]
    assert not [found for source in sources for found in re.findall(r"benchmark\w*\._\w+", source)]


class Benchmark:
    """As much of the fixture as is asked for."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}
        self.calls = 0

    def pedantic(self, target: object, **more: object) -> None:
        self.calls += 1


@pytest.mark.parametrize("extra", [{"path": Path("x")}, {"deep": [{1, 2}]}, {"raw": b"x"}])
def test_extra_info_that_is_not_json_is_refused(extra: dict[str, Any]) -> None:
    benchmark, timer = Benchmark(), ReplayTimer()
    with pytest.raises(TypeError):
        replay(benchmark, timer, [1.0], extra)
    assert not benchmark.calls and not benchmark.extra_info and not timer.durations


def test_a_timer_without_times_stands_still() -> None:
    timer = ReplayTimer()
    assert {timer() for _ in range(4)} == {0.0}


def test_a_timer_begins_again_when_its_times_are_used_up() -> None:
    timer = ReplayTimer()
    timer.durations = [1.0, 2.0]
    readings = [timer() for _ in range(8)]
    assert [after - before for before, after in zip(readings[::2], readings[1::2], strict=True)] == [1.0, 2.0, 1.0, 2.0]
