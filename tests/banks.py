"""Banks of made-up blocks: log-normal times with a shift of each process, as real ones have, seeded."""

import math
from collections.abc import Mapping

import numpy as np

from vlmgate.judge.evidence import PLACEBO
from vlmgate.selftest import arms
from vlmgate.selftest.bank import FORMAT, Bank, Entry, Head, Sitting
from vlmgate.spec import Block, Environment, Settings

SETTINGS = Settings(threads=1, images=4, timed_images=2, rounds=3, blocks=24, new_tokens=4, max_tokens=8)
CENTRES = {  # seconds a caption
    "fp32": 0.06,
    PLACEBO: 0.06,
    "int8-dynamic": 0.05,
    "int8-copy": 0.05,
    "int8-slow10": 0.055,
    **{name: 0.06 * (1 + share) for name, share in arms.SHARES.items()},
}


def bank(blocks: int, sd: float = 0.01, seed: int = 0, centres: Mapping[str, float] = CENTRES) -> Bank:
    """A bank of ``blocks`` in which each arm's log time moves by ``sd`` from process to process and half of it within one."""
    rng = np.random.default_rng(seed)
    entries = tuple(entry(index, rng, sd, centres) for index in range(blocks))
    environment = Environment({"cpu": "Test CPU", "isa": "avx2", "cores": 2}, {}, "test")
    recipes = {name: {"name": name} for name in centres}
    return Bank(Head(FORMAT, "m", "d", "sha", "c", SETTINGS, recipes, environment, (Sitting("2026-01-01", {}),)), entries)


def entry(index: int, rng: np.random.Generator, sd: float, centres: Mapping[str, float]) -> Entry:
    shape = (SETTINGS.timed_images, SETTINGS.rounds)
    machine = rng.normal(0, 3 * sd)  # moves all arms of a process alike
    times = {
        name: tuple(map(tuple, (centre * np.exp(machine + rng.normal(0, sd) + rng.normal(0, sd / 2, shape))).tolist()))
        for name, centre in centres.items()
    }
    first = {name: (centre / 4,) * shape[0] for name, centre in centres.items()}
    warmup = {name: (2 * centre, centre) for name, centre in centres.items()}
    yard = (0.01 * math.exp(machine),) * shape[1]
    block = Block("m/d", index, 20_260 + index, tuple(range(shape[0])), times, first, warmup, yard, 4.0)
    return Entry(block, f"2026-01-01T00:{index // 60:02}:{index % 60:02}+00:00", 15.0, 0.1, 0)
