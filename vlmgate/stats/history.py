"""Levels over time: the spread between runs, and the sustained level that slow drift cannot carry away."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vlmgate.spec import Estimate
from vlmgate.stats.intervals import Prior, around, held_sd, joined_df
from vlmgate.stats.values import Array, finite

WINDOW = 3  # promotions whose median counts as a level that was held
_NOISE = 4_000  # histories without any change from which the luck of the best is learnt
_SEED = 20_261_127

Promotion = tuple[float, float | None, int]
"""(mean, standard deviation, number) of the block values of one promoted run; the deviation is None for a single block."""


@dataclass(frozen=True)
class Level:
    """A level reached earlier, with its standard error (the between-run spread counted) and the df of that."""

    mean: float
    error: float
    df: float
    promotions: int
    signature: str


def between_runs(runs: Sequence[Promotion]) -> Prior | None:
    """The spread from run to run net of the blocks' own, from A/A ``runs`` (mean, sd, n); None for fewer than two.

    Method of moments in the one-way random-effects model: var(means) − mean(s²/n), not below zero, on runs − 1 df.
    """
    if len(runs) < 2:
        return None
    means = finite([mean for mean, _, _ in runs])
    net = float(means.var(ddof=1)) - float(np.mean([_within(runs) / n for _, _, n in runs]))
    return Prior(math.sqrt(max(net, 0.0)), len(runs) - 1)


def sustained(levels: Sequence[Promotion], between_sd: float = 0.0) -> Level | None:
    """The best running median of three promotions, oldest first, higher being better; None for fewer than three.

    The best of many medians is lucky, and more so with every promotion: taken as it stands it ratchets. So its luck is taken
    off: the best of as many noise histories without any change (normal, each promotion with its own error
    √(s²/n + between_sd²), s pooled over all) has a mean, which is subtracted, and a standard deviation, which is the error.
    Raises ValueError for nan, inf or no block.
    """
    if len(levels) < WINDOW:
        return None
    means = finite([mean for mean, _, _ in levels])
    if any(n < 1 for _, _, n in levels):
        raise ValueError("a promotion without block values has no level")
    within = _within(levels)
    errors = np.sqrt([within / n + between_sd**2 for _, _, n in levels])
    noise = _best(np.random.default_rng(_SEED).normal(size=(_NOISE, len(levels))) * errors)
    mean, df = float(_best(means) - noise.mean()), max(sum(n - 1 for _, _, n in levels), 1)
    signature = f"best running median of {WINDOW} in {len(levels)} promotions, less {noise.mean():.4g} for luck"
    return Level(mean, float(noise.std(ddof=1)), float(df), len(levels), signature)


def against_level(
    values: npt.ArrayLike,
    then: Level,
    between_sd: float,
    level: float,
    prior: Prior | None = None,
    between_df: float = math.inf,
    least_sd: float = 0.0,
) -> Estimate:
    """Interval on mean(values) − ``then``, with both errors and the between-run spread of the run that ``values`` come from.

    Never narrower than the normal interval of block values whose spread is known to be ``least_sd``.
    """
    now = finite(values)
    sd, df = held_sd(now, prior)
    signature = f"difference, {now.size} blocks, between-run sd {between_sd:.4g}, {then.signature}"
    if least_sd:
        signature += f", no narrower than for an sd of {least_sd:.4g}"
    if not now.size:
        return around(math.nan, math.nan, df, 0, level, signature)
    parts = ((sd**2 / now.size, df), (between_sd**2, between_df), (then.error**2, then.df))
    error = math.sqrt(sum(variance for variance, _ in parts))
    least = math.sqrt(least_sd**2 / now.size + between_sd**2 + then.error**2) if least_sd else 0.0
    return around(float(now.mean()) - then.mean, error, joined_df(*parts), now.size, level, signature, least)


def _within(levels: Sequence[Promotion]) -> float:
    """Variance of the block values, pooled over the runs; zero if no run has two blocks."""
    known = [(sd**2, n - 1) for _, sd, n in levels if sd is not None and n > 1]
    if not all(math.isfinite(variance) for variance, _ in known):
        raise ValueError("the spread of a run must be finite")
    return sum(v * df for v, df in known) / sum(df for _, df in known) if known else 0.0


def _best(means: Array) -> Array:
    """The highest running median of three along the last axis."""
    windows = np.lib.stride_tricks.sliding_window_view(means, WINDOW, axis=-1)
    highest: Array = np.median(windows, axis=-1).max(axis=-1)
    return highest
