"""What more blocks or images would decide, and what these could have seen."""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from vlmgate.spec import Estimate, StandardError
from vlmgate.stats.intervals import quantile
from vlmgate.stats.values import Array

_GRID = (np.arange(200) + 0.5) / 200  # probabilities at whose quantiles a variance is averaged
DETECTED = 0.9  # of runs: how often a slow-down is found that a verdict says could have been found


def power(sd: float, df_prior: float, blocks: int, distance: float, level: float) -> float:
    """How often an interval over ``blocks`` clears a line ``distance`` away from the truth, at spread ``sd``.

    No verdict uses it: the simulations hold it against what they count (`vlmgate simulate`, docs/validation.md).

    Without a prior (``df_prior`` 0) from the non-central t. With one, whose own spread is an estimate of ``sd`` on ``df_prior``
    df and the least that is used (``held_sd``), the normal probability averaged over both chi-square distributed variances.
    """
    df, quantiles = df_prior + blocks - 1, _GRID
    if blocks < 1 or df <= 0:
        return 0.0
    if sd == 0:
        return float(distance > 0)
    reach, away = float(quantile(df, level)), distance * math.sqrt(blocks) / sd
    if not df_prior:
        exact = float(1 - special.nctdtr(df, away, reach))
        if math.isfinite(exact):
            return exact
        return float(special.ndtr(away - reach * _wobble(df)).mean())  # SciPy gives nan far out
    before = special.chdtri(df_prior, quantiles)[:, None] / df_prior
    now = special.chdtri(max(blocks - 1, 1), quantiles)[None, :]
    held = np.sqrt(np.maximum((df_prior * before + (now if blocks > 1 else 0.0)) / df, before))
    return float(special.ndtr(away - reach * held).mean())


def detectable(error: StandardError, level: float, rate: float = DETECTED) -> float:
    """The growth (0.08: 8 %) of a time beyond its line that an interval on its logarithm finds in a share ``rate`` of runs.

    ``power`` turned round, for every interval with a standard error: the error seen is taken for the true one, and what later
    runs see of it wobbles with its degrees of freedom.
    """
    known, reach = float(quantile(math.inf, level)) * error.least, float(quantile(error.df, level))
    reaches = np.maximum(reach * error.value * _wobble(error.df), known)
    low, high = float(reaches.min()), float(reaches.max() + special.ndtri(rate) * error.value)
    for _ in range(50 if error.value else 0):  # halvings: beyond what a float tells apart
        middle = (low + high) / 2
        found = float(special.ndtr((middle - reaches) / error.value).mean())
        low, high = (middle, high) if found < rate else (low, middle)
    return math.expm1(min(high, 700.0))  # e^700 is near the largest float


@lru_cache(maxsize=256)  # most intervals rest on the same few degrees of freedom
def _wobble(df: float) -> Array:
    """Estimated ÷ true standard error, at equally likely values."""
    return np.sqrt(special.chdtri(df, _GRID) / df) if math.isfinite(df) else np.ones(1)


def needed(estimate: Estimate, line: float, most: int) -> int | None:
    """Blocks or images (in all) whose interval on a ratio would clear the ``line``, its width shrinking with their root.

    None beyond ``most``. Errors and degrees of freedom are taken as they are: fewer would do where more blocks raise those.
    None as well where the ratio or its interval is undefined. A truth at the estimate is then decided about every second time.
    """
    if not (line > 0 and estimate.centre > 0 and estimate.low > 0 and estimate.high < math.inf):
        return None
    distance = math.log(estimate.centre / line)
    half = math.log(estimate.centre / estimate.low if distance > 0 else estimate.high / estimate.centre)
    if half >= abs(distance) * math.sqrt(most / estimate.n):
        return None
    return max(estimate.n, math.floor(estimate.n * (half / distance) ** 2) + 1)


def detectable_drop(estimate: Estimate) -> float:
    """The smallest drop below 1 that an interval on a ratio as wide (relatively) as this one would have shown: 0.03 is 3 %.

    1 where the interval is infinite or undefined: only a total loss would have been seen.
    """
    if not (math.isfinite(estimate.high) and estimate.centre > 0):
        return 1.0
    return 1 - estimate.centre / estimate.high
