"""What the bank says about noise: block values of this method beside medians of one process after the other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from pytest_benchmark.utils import parse_compare_fail
from scipy import stats as distributions

from vlmgate.judge.evidence import PLACEBO, speed_values
from vlmgate.selftest.arms import INT8, INT8_COPY, INT8_SLOW, REFERENCE, SHARES
from vlmgate.selftest.bank import Bank
from vlmgate.selftest.rates import Rate, rate
from vlmgate.selftest.tables import Table
from vlmgate.spec import Block
from vlmgate.stats import t_interval

RULE = "median:5%"  # as in pytest-benchmark's own --benchmark-compare-fail
TWO_MODES = 0.555  # Sarle's coefficient of a uniform distribution; two separate modes lie above, a normal one at 0.333
_parse: Any = parse_compare_fail  # pytest-benchmark has no type information
_CHECK = _parse(RULE)
PAIRS = {  # what is compared → (variant, reference)
    "placebo against fp32": (PLACEBO, REFERENCE),
    "second INT8 against INT8": (INT8_COPY, INT8),
    "INT8 against fp32": (INT8, REFERENCE),
}


@dataclass(frozen=True)
class Shape:
    """Of block values (natural logarithms) around their mean."""

    n: int
    mean: float
    sd: float
    low: float  # 5 % quantile, less the mean
    high: float  # 95 %
    skewness: float
    kurtosis: float  # 0 for normal values
    bimodality: float  # Sarle's coefficient, corrected for n (SAS, Knapp 2007)


def shape_of(values: npt.ArrayLike) -> Shape:
    """The shape of at least four values. Raises ValueError for fewer."""
    x = np.asarray(values, dtype=np.float64)
    n = x.size
    if n < 4:
        raise ValueError(f"a shape needs at least 4 values, not {n}")
    mean, sd = float(x.mean()), float(x.std(ddof=1))
    low, high = (float(q) - mean for q in np.quantile(x, [0.05, 0.95]))
    skewness, kurtosis = (float(f(x, bias=False)) for f in (distributions.skew, distributions.kurtosis))
    bimodality = (skewness**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    return Shape(n, mean, sd, low, high, skewness, kurtosis, bimodality)


def pooled_median(blocks: Sequence[Block], arm: str) -> float:
    """The median of all rounds of all images of an arm, as pytest-benchmark pools the rounds of a test; seconds."""
    return median(t for block in blocks for rounds in block.times[arm] for t in rounds)


def rule_fails(now: float, before: float) -> bool:
    """pytest-benchmark's own check of a median against that of the run before."""
    return bool(_CHECK.fails({"median": now}, {"median": before}))


def one_after_the_other(medians: Sequence[float]) -> Rate:
    """How often a process is flagged against the process before; both ran the same code, so each flag is a false alarm."""
    return rate(rule_fails(now, before) for before, now in pairwise(medians))


def noise_tables(bank: Bank) -> list[Table]:
    """This method, medians of its processes one after the other, and whether the injected slow-downs are what they claim; for at
    least four blocks."""
    what = (
        f"Medians of the bank's own processes, each against the one before ({len(bank.blocks[0].times)} arms took turns in each)"
    )
    return [_method(bank.blocks), naive_table(bank_medians(bank.blocks), what), _honesty(bank.blocks)]


def bank_medians(blocks: Sequence[Block]) -> dict[str, list[float]]:
    """Arm → the median of each process, in the order in which they ran."""
    return {arm: [pooled_median([block], arm) for block in blocks] for arm in (REFERENCE, INT8)}


def _method(blocks: Sequence[Block]) -> Table:
    rows = []
    for words, (variant, reference) in PAIRS.items():
        shape = shape_of(speed_values(blocks, variant, reference))
        modes = "maybe" if shape.bimodality > TWO_MODES else "no"
        ends = f"{_percent(shape.low)} to {_percent(shape.high)}"
        figures = [f"{shape.skewness:.2f}", f"{shape.kurtosis:.2f}", f"{shape.bimodality:.2f} ({modes})"]
        rows.append([words, shape.n, f"{math.exp(shape.mean):.3f}×", f"{shape.sd * 100:.2f} %", ends, *figures])
    return Table(
        f"Block values of this method, {len(blocks)} blocks",
        ["comparison", "n", "speed-up", "sd", "5 to 95 %", "skewness", "excess kurtosis", "bimodality (two modes?)"],
        rows,
        [f"Bimodality is Sarle's coefficient; above {TWO_MODES} two modes are likely, a normal distribution has 0.333."],
    )


def naive_table(medians: Mapping[str, Sequence[float]], title: str) -> Table:
    """Each process's median against the one before: the spread between processes and the false alarms of the 5 % rule."""
    rows = []
    for arm, values in medians.items():
        logs = np.log(values)
        steps = np.abs(np.diff(logs))
        row = [arm, len(values), f"{median(values) * 1000:.1f} ms", f"{logs.std(ddof=1) * 100:.2f} %"]
        rows.append([*row, f"{(math.exp(steps.max()) - 1) * 100:.0f} %", str(one_after_the_other(values))])
    head = ["arm", "processes", "median", "sd of ln median", "largest step", f"flagged by {RULE}, same code"]
    return Table(title, head, rows)


def _honesty(blocks: Sequence[Block]) -> Table:
    rows = []
    for arm, share, origin in [*((arm, share, REFERENCE) for arm, share in SHARES.items()), (INT8_SLOW, 0.10, INT8)]:
        found = t_interval([-value for value in speed_values(blocks, arm, origin)], 0.95)
        centre, low, high = (math.exp(x) - 1 for x in (found.centre, found.low, found.high))
        rows.append([arm, origin, f"{share:.0%}", f"{_percent(centre)} ({_percent(low)} to {_percent(high)})"])
    return Table("Slow-downs on purpose", ["arm", "of", "asked for", "measured (95 %)"], rows)


def _percent(share: float) -> str:
    return f"{share * 100:+.1f} %"
