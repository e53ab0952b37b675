"""Intervals on block values: Student's t, the moderated t, and the difference of two runs."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from vlmgate.spec import Estimate, StandardError
from vlmgate.stats.values import Array, finite


@dataclass(frozen=True)
class Prior:
    """A spread known from before: standard deviation ``sd`` on ``df`` degrees of freedom (infinite: taken as exact)."""

    sd: float
    df: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sd) and self.sd >= 0 and self.df > 0):
            raise ValueError(f"a prior needs a finite sd >= 0 and df > 0, not sd {self.sd} on {self.df} df")


def moderated_sd(values: npt.ArrayLike, prior: Prior | None = None) -> tuple[float, float]:
    """The spread of ``values`` (B,) drawn towards the prior, and its degrees of freedom.

    s² = (d0·s0² + (B−1)·s_B²) / (d0 + B − 1) on d0 + B − 1 df: Smyth 2004, Linear models and empirical Bayes methods
    (limma, ``squeezeVar``). Without a prior: the sample's own, (nan, 0) below two values. Raises ValueError for nan or inf.
    """
    x = finite(values)
    sd, df = _squeezed(x, prior.sd if prior else None, prior.df if prior else 0.0)
    return float(sd), df


def _squeezed(values: Array, prior_sd: npt.ArrayLike | None, prior_df: float) -> tuple[Array, float]:
    """``moderated_sd`` of each row of ``values`` (…, B), with a prior spread for each."""
    df = max(values.shape[-1] - 1, 0)
    own = values.var(axis=-1, ddof=1) if df else np.zeros(values.shape[:-1])
    if prior_sd is None:
        return (np.sqrt(own), float(df)) if df else (own + math.nan, 0.0)
    share = df / (prior_df + df)
    return np.sqrt((1 - share) * np.square(prior_sd) + share * own), prior_df + df


def held_sd(values: npt.ArrayLike, prior: Prior | None = None) -> tuple[float, float]:
    """``moderated_sd``, but never below the prior's: what intervals are made of.

    Where processes fall into layout modes, a few blocks of the common mode give a mean off to one side *and* a low spread.
    With the promoted spread as the least, an end errs at most twice as often as it says on such blocks, from 6 blocks on
    (docs/validation.md, "Simulated").
    """
    sd, df = moderated_sd(values, prior)
    return (max(sd, prior.sd), df) if prior else (sd, df)


def half_widths(
    values: Array,
    level: float,
    prior_sd: npt.ArrayLike | None = None,
    prior_df: float = 0.0,
    least_sd: float = 0.0,
    *,
    held: bool = True,
) -> Array:
    """Half the width of ``t_interval`` for each row of ``values`` (…, B), B > 0, with a prior spread for each row.

    ``held=False`` leaves the moderated spread as it is, even below the prior's.
    """
    sd, df = _squeezed(values, prior_sd, prior_df)
    if not df:
        return np.full(values.shape[:-1], math.inf)
    spread = sd if prior_sd is None or not held else np.maximum(sd, prior_sd)
    known = float(quantile(math.inf, level)) * least_sd
    widths: Array = np.maximum(quantile(df, level) * spread, known) / math.sqrt(values.shape[-1])
    return widths


def t_interval(values: npt.ArrayLike, level: float, prior: Prior | None = None, least_sd: float = 0.0) -> Estimate:
    """Two-sided interval of coverage ``level`` on the mean of ``values`` (B,), Student's t or moderated t (``held_sd``).

    Never narrower than the normal interval of a spread known to be ``least_sd``: what is assumed while nothing is promoted.
    Infinite where nothing is known of the spread (fewer than two values, no prior), and with a centre of nan without any
    value. Values that are all equal give width zero unless there is a prior or least spread. Raises ValueError for nan or inf.
    """
    x = finite(values)
    if prior is None:
        signature = f"t, {x.size} blocks, df {max(x.size - 1, 0)}"
    else:
        signature = f"moderated t, {x.size} blocks, prior sd {prior.sd:.4g} on {prior.df:g} df"
    if least_sd:
        signature += f", no narrower than for an sd of {least_sd:.4g}"
    if not x.size:
        return _between(math.nan, math.inf, 0, level, signature)
    half = float(half_widths(x, level, prior.sd if prior else None, prior.df if prior else 0.0, least_sd))
    sd, df = held_sd(x, prior)
    error = StandardError(sd / math.sqrt(x.size), df, least_sd / math.sqrt(x.size)) if df else None
    return _between(float(x.mean()), half, x.size, level, signature, error)


def difference(
    now_values: npt.ArrayLike,
    base_values: npt.ArrayLike,
    between_sd: float,
    level: float,
    prior: Prior | None = None,
    between_df: float = math.inf,
    least_sd: float = 0.0,
) -> Estimate:
    """Interval on mean(now) − mean(base), with variance s²(1/n + 1/m) + 2·between_sd² (two runs, each with its own shift).

    s is one spread for both sides. A prior is taken to hold the baseline's blocks already (promotion makes it from them), so
    only ``now`` is added to it (``held_sd``); without one s is pooled over both, which is the moderated spread of a prior made
    from ``base``. ``between_sd`` is the spread from run to run net of the blocks', on ``between_df`` df (A/A runs − 1). The two
    variances are put together on the df of Satterthwaite 1946. Never narrower than the normal interval of an s known to be
    ``least_sd``. Raises ValueError for nan or inf; too few values give an infinite interval.
    """
    now, base = finite(now_values), finite(base_values)
    sd, df = held_sd(now, prior) if prior else moderated_sd(now, Prior(*moderated_sd(base)) if base.size > 1 else None)
    signature = f"difference, {now.size} and {base.size} blocks, between-run sd {between_sd:.4g}"
    if prior is not None:
        signature = f"moderated {signature}, prior sd {prior.sd:.4g} on {prior.df:g} df"
    if least_sd:
        signature += f", no narrower than for an sd of {least_sd:.4g}"
    if not (now.size and base.size):
        return around(math.nan, math.nan, df, now.size, level, signature)
    share, between = 1 / now.size + 1 / base.size, 2 * between_sd**2
    centre, within = float(now.mean() - base.mean()), sd**2 * share
    error, joined = math.sqrt(within + between), joined_df((within, df), (between, between_df))
    least = math.sqrt(least_sd**2 * share + between) if least_sd else 0.0
    return around(centre, error, joined, now.size, level, signature, least)


def joined_df(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances (variance, df): Satterthwaite 1946. Zero where one of the df is."""
    if not all(df for _, df in parts):
        return 0.0
    wobble = sum(variance**2 / df for variance, df in parts)
    return sum(variance for variance, _ in parts) ** 2 / wobble if wobble else max(df for _, df in parts)


def as_ratio(estimate: Estimate) -> Estimate:
    """An interval on logarithms as one on the ratio itself; verdicts are the same on either."""
    with np.errstate(over="ignore"):
        centre, low, high = (float(np.exp(x)) for x in (estimate.centre, estimate.low, estimate.high))
    return replace(estimate, centre=centre, low=low, high=high, signature=f"ratio, {estimate.signature}")


def quantile(df: float | Array, level: float) -> Array:
    """The t quantile at the upper end of a two-sided interval."""
    if not 0 < level < 1:
        raise ValueError(f"level is a coverage between 0 and 1, not {level}")
    return np.asarray(np.where(np.isinf(df), special.ndtri((1 + level) / 2), special.stdtrit(df, (1 + level) / 2)))


def around(centre: float, error: float, df: float, n: int, level: float, signature: str, least: float = 0.0) -> Estimate:
    """The t interval of a standard error on ``df`` degrees of freedom; infinite where there are none or no error is known.

    Never narrower than the normal interval of a standard error that is known to be ``least``.
    """
    if not df or math.isnan(error):
        return _between(centre, math.inf, n, level, signature)
    half = max(float(quantile(df, level)) * error, float(quantile(math.inf, level)) * least)
    return _between(centre, half, n, level, signature, StandardError(error, df, least))


def _between(centre: float, half: float, n: int, level: float, signature: str, error: StandardError | None = None) -> Estimate:
    if math.isnan(centre):
        return Estimate(centre, -math.inf, math.inf, n, level, signature)
    return Estimate(centre, centre - half, centre + half, n, level, signature, error)
