"""The rules of a block: whose turn it is, when warm-up ends, and the yardstick. Needs no torch."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

STEADY = 0.10  # warm-up ends when two calls in a row lie within this share of the fastest so far …
WARMUP_CALLS = 8  # … or after this many calls
YARDSTICK_SIDE = 320  # rows of the square float32 matrices whose products make the yardstick
YARDSTICK_PRODUCTS = 12


def schedule(seed: int, rounds: int, images: int, arms: list[str]) -> list[tuple[int, list[str]]]:
    """The turns of a block: (image, order of arms), the image order and each image's arm order drawn afresh each round."""
    rng = random.Random(seed)
    turns = []
    for _ in range(rounds):
        for image in rng.sample(range(images), images):
            turns.append((image, rng.sample(arms, len(arms))))
    return turns


def loading_order(seed: int, arms: list[str]) -> list[str]:
    """In which order the arms are loaded and warmed up, drawn apart from their turns."""
    return random.Random(f"loading {seed}").sample(arms, len(arms))


def warm_up(call: Callable[[], float]) -> list[float]:
    """Call until two calls in a row are within STEADY of the fastest, at most WARMUP_CALLS times."""
    seconds = [call(), call()]
    while len(seconds) < WARMUP_CALLS and max(seconds[-2:]) > (1 + STEADY) * min(seconds):
        seconds.append(call())
    return seconds


def measure_yardstick(threads: int) -> float:
    """Seconds for a fixed NumPy workload at the same thread count, independent of torch and of its thread pool."""
    import numpy as np

    matrix = np.full((YARDSTICK_SIDE, YARDSTICK_SIDE), 0.5, np.float32)

    def work(_: int) -> None:
        for _ in range(YARDSTICK_PRODUCTS):
            matrix @ matrix

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(threads)))
        return time.perf_counter() - began
