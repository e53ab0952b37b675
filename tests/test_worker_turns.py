"""The rules of taking turns, of warming up, and the yardstick."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from jobs import ROOT

from vlmgate.worker import turns
from vlmgate.worker.turns import WARMUP_CALLS, loading_order, schedule, warm_up

ARMS = ["fp32", "int8", "placebo"]


@pytest.mark.parametrize("images", [1, 4])
def test_each_round_takes_every_image_once_and_each_image_every_arm_once(images: int) -> None:
    turns = schedule(1, 5, images, ARMS)
    for start in range(0, len(turns), images):
        assert sorted(image for image, _ in turns[start : start + images]) == list(range(images))
    assert len(turns) == 5 * images
    assert all(sorted(order) == sorted(ARMS) for _, order in turns)  # a turn holds all arms of one image: they are adjacent


def test_every_arm_is_as_often_the_first_to_be_loaded() -> None:
    """What is loaded first gets other memory: were it always the reference, every speed-up would be off by that."""
    first = Counter(loading_order(seed, ARMS)[0] for seed in range(3000))
    assert first.keys() == set(ARMS) and all(900 < count < 1100 for count in first.values())
    assert loading_order(7, ARMS) == loading_order(7, ARMS) and sorted(loading_order(7, ARMS)) == ARMS


def test_orders_are_drawn_afresh_in_every_round() -> None:
    turns = schedule(1, 30, 4, ARMS)
    images = [tuple(image for image, _ in turns[start : start + 4]) for start in range(0, len(turns), 4)]
    assert len(set(images)) > 10  # of 24
    assert len({tuple(order) for image, order in turns if image == 0}) == 6  # all orders of three arms come up
    first = Counter(order[0] for _, order in turns)
    assert min(first.values()) > 20  # of 120: no arm is always first


def test_the_seed_makes_the_turns() -> None:
    assert schedule(1, 5, 4, ARMS) == schedule(1, 5, 4, ARMS)
    assert schedule(1, 5, 4, ARMS) != schedule(2, 5, 4, ARMS)


def calls_of(seconds: list[float]) -> Callable[[], float]:
    queue: Iterator[float] = iter(seconds)
    return lambda: next(queue)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ([1.0, 1.05, 9.0], 2),  # steady at once
        ([5.0, 2.0, 1.0, 1.02, 9.0], 4),  # the first calls are slow
        ([1.0, 3.0, 1.0, 1.0, 9.0], 4),  # two calls in a row must be steady, not one
        ([3.0, 3.0, 9.0], 2),
        ([2.0**-n for n in range(20)], WARMUP_CALLS),  # never steady: capped
    ],
)
def test_warming_up_ends_when_two_calls_are_near_the_fastest(seconds: list[float], kept: int) -> None:
    assert warm_up(calls_of(seconds)) == seconds[:kept]  # and nothing is thrown away


def test_the_yardstick_needs_no_torch() -> None:
    code = "import sys, vlmgate.worker.turns as w; print(w.measure_yardstick(1), w.measure_yardstick(2), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    one, two, torch = done.stdout.split()
    assert float(one) > 0 and float(two) > 0 and torch == "False"


@pytest.mark.parametrize("threads", [1, 3])
def test_the_yardstick_computes_on_as_many_threads_as_it_is_told(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Barrier(threads, timeout=20)  # which only so many threads at once get past
    pools: list[int] = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            pools.append(workers)
            super().__init__(workers, initializer=together.wait)

    monkeypatch.setattr(turns, "ThreadPoolExecutor", Pool)
    assert turns.measure_yardstick(threads) > 0 and pools == [threads]
