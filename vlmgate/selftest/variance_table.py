"""The table of `docs/variance.py`: the spread between processes under each setting, with its interval."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats as distributions

from vlmgate.selftest.blocklog import Entry
from vlmgate.selftest.tables import Table
from vlmgate.selftest.variance import Way

LEVEL = 0.95
SPREADS = {
    "int8": "INT8 vs fp32",
    "int8 copy": "second INT8 vs INT8",
    "placebo": "placebo vs fp32",
    "fp32 time": "fp32 time",
    "int8 time": "INT8 time",
    "yardstick": "yardstick",
}
LEAST = 3  # blocks of a setting that make a spread


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Standard deviation with its 95 % interval by chi-square, for normal values; at least two."""
    sd, df = float(np.std(values, ddof=1)), len(values) - 1
    low, high = (sd * math.sqrt(df / distributions.chi2.ppf(q, df)) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return sd, low, high


def against(values: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """The standard deviation as a multiple of that of ``base``, with its 95 % interval by F; at least two values each."""
    ratio = float(np.std(values, ddof=1) / np.std(base, ddof=1))
    low, high = (ratio / math.sqrt(distributions.f.ppf(q, len(values) - 1, len(base) - 1)) for q in _ends())
    return ratio, low, high


def _ends() -> tuple[float, float]:
    return (1 + LEVEL) / 2, (1 - LEVEL) / 2


def variance_tables(entries: Sequence[Entry], ways: Sequence[Way]) -> list[Table]:
    """Spreads by setting, and what each setting does to the times themselves; settings with fewer than three blocks are named."""
    good = {way.name: [entry for entry in entries if entry.way == way.name and not entry.failed] for way in ways}
    enough = [way for way in ways if len(good[way.name]) >= LEAST]
    base = good.get("default", [])
    notes = [f"{way.name}: {_lacking(way, entries, len(good[way.name]))}" for way in ways if way not in enough]
    rows, levels = [], []
    for way in enough:
        mine = good[way.name]
        rows.append(
            [way.name, len(mine), *(_percent(spread(_column(mine, name))) for name in SPREADS), _times_default(mine, base)]
        )
        levels.append([way.name, way.about, *_levels(mine)])
    head = ["setting", "blocks", *SPREADS.values(), "INT8 vs fp32 ÷ default"]
    return [
        Table("Standard deviation between processes, in % (95 % by chi-square; of ln speed-up and ln time)", head, rows, notes),
        Table(
            "What a setting does to the times",
            ["setting", "what it is", "fp32 [ms]", "INT8 [ms]", "INT8 speed-up", "others"],
            levels,
        ),
    ]


def _column(entries: Sequence[Entry], name: str) -> list[float]:
    return [entry.values[name] for entry in entries]


def _percent(found: tuple[float, float, float]) -> str:
    sd, low, high = (100 * share for share in found)
    return f"{sd:.2f} ({low:.2f} to {high:.2f})"


def _times_default(mine: Sequence[Entry], base: Sequence[Entry]) -> str:
    if mine == base or len(base) < LEAST:
        return "1" if mine == base else "–"
    ratio, low, high = against(_column(mine, "int8"), _column(base, "int8"))
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})"


def _levels(mine: Sequence[Entry]) -> list[str]:
    """Geometric means of the times, the speed-up with its t-interval, and how busy the machine was with something else."""
    fp32, int8 = (1000 * math.exp(float(np.mean(_column(mine, name)))) for name in ("fp32 time", "int8 time"))
    gains = _column(mine, "int8")
    half = distributions.t.ppf((1 + LEVEL) / 2, len(gains) - 1) * np.std(gains, ddof=1) / math.sqrt(len(gains))
    busy = [entry.others for entry in mine if entry.others >= 0]
    others = f"{max(busy):.2f} cores at most" if busy else "not told"
    return [f"{fp32:.1f}", f"{int8:.1f}", f"{math.exp(float(np.mean(gains))):.3f}× ±{100 * float(half):.1f} %", others]


def _lacking(way: Way, entries: Sequence[Entry], count: int) -> str:
    failed = [entry.failed for entry in entries if entry.way == way.name and entry.failed]
    return way.missing or (f"failed: {failed[-1]}" if failed else f"{count} blocks, too few")
