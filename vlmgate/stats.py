"""Pure statistics: block values, intervals, looks, bootstrap, permutation and power (no files, no clock, no torch).

Block values are natural logarithms of a ratio of times; ``as_ratio`` turns an interval on them into one on the ratio.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import special

from vlmgate.spec import Estimate

Array = npt.NDArray[np.float64]
Score = Callable[[Array, Array], Array]
"""``score(stats (N, F), counts (D, N)) -> (D,)``: one corpus score for each row of counts. Counts say how often an image is
taken, 0 included; a score that averages must divide by ``counts.sum(axis=1)``, never by ``len(stats)``."""

_CELLS = 2_000_000  # of a matrix of counts held at once: 16 MB in float64
_LEAST_IN_TAIL = 10  # draws beyond an end of the interval; with fewer the end itself is noise


@dataclass(frozen=True)
class Prior:
    """A spread known from before: standard deviation ``sd`` on ``df`` degrees of freedom (infinite: taken as exact)."""

    sd: float
    df: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sd) and self.sd >= 0 and self.df > 0):
            raise ValueError(f"a prior needs a finite sd >= 0 and df > 0, not sd {self.sd} on {self.df} df")


def block_value(reference: npt.ArrayLike, variant: npt.ArrayLike) -> float:
    """The log speed-up of one block: mean over images of the median over rounds of ln t_reference − ln t_variant.

    Both are (images, rounds) in seconds and paired cell by cell. Raises ValueError for different or empty shapes and for
    times that are not finite and positive.
    """
    before, after = _log_times(reference), _log_times(variant)
    if before.shape != after.shape:
        raise ValueError(f"reference and variant must be paired by image and round: shapes {before.shape} and {after.shape}")
    return float(np.median(before - after, axis=1).mean())


def log_time(times: npt.ArrayLike) -> float:
    """Mean over images of the median over rounds of ln t; ``times`` (images, rounds) in seconds. Raises as ``block_value``."""
    return float(np.median(_log_times(times), axis=1).mean())


def _log_times(times: npt.ArrayLike) -> Array:
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim != 2 or not seconds.size:
        raise ValueError(f"times must be [image][round] with at least one of each, not of shape {seconds.shape}")
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise ValueError("times must be finite and above zero")
    return np.log(seconds)


def moderated_sd(values: npt.ArrayLike, prior: Prior | None = None) -> tuple[float, float]:
    """The spread of ``values`` (B,) drawn towards the prior, and its degrees of freedom.

    s² = (d0·s0² + (B−1)·s_B²) / (d0 + B − 1) on d0 + B − 1 df: Smyth 2004, Linear models and empirical Bayes methods
    (limma, ``squeezeVar``). Without a prior: the sample's own, (nan, 0) below two values. Raises ValueError for nan or inf.
    """
    x = _finite(values)
    df = max(x.size - 1, 0)
    own = float(x.var(ddof=1)) if df else 0.0
    if prior is None:
        return (math.sqrt(own), float(df)) if df else (math.nan, 0.0)
    share = df / (prior.df + df)
    return math.sqrt((1 - share) * prior.sd**2 + share * own), prior.df + df


def t_interval(values: npt.ArrayLike, level: float, prior: Prior | None = None) -> Estimate:
    """Two-sided interval of coverage ``level`` on the mean of ``values`` (B,), Student's t or moderated t.

    Infinite where nothing is known of the spread (fewer than two values, no prior), and with a centre of nan without any
    value. Values that are all equal give width zero unless there is a prior. Raises ValueError for nan or inf.
    """
    x = _finite(values)
    sd, df = moderated_sd(x, prior)
    if prior is None:
        signature = f"t, {x.size} blocks, df {df:g}"
    else:
        signature = f"moderated t, {x.size} blocks, prior sd {prior.sd:.4g} on {prior.df:g} df"
    error = sd / math.sqrt(x.size) if x.size else math.nan
    return _around(float(x.mean()) if x.size else math.nan, error, df, x.size, level, signature)


def difference(
    now_values: npt.ArrayLike,
    base_values: npt.ArrayLike,
    between_sd: float,
    level: float,
    prior: Prior | None = None,
    between_df: float = math.inf,
) -> Estimate:
    """Interval on mean(now) − mean(base), with variance s²(1/n + 1/m) + 2·between_sd² (two runs, each with its own shift).

    s is one spread for both sides. A prior is taken to hold the baseline's blocks already (promotion makes it from them), so
    only ``now`` is added to it; without one s is pooled over both, which is the same as a prior made from ``base``.
    ``between_sd`` is the spread from run to run net of the blocks', on ``between_df`` df (A/A runs − 1). The two variances are
    put together on the df of Satterthwaite 1946. Raises ValueError for nan or inf; too few values give an infinite interval.
    """
    now, base = _finite(now_values), _finite(base_values)
    sd, df = moderated_sd(now, prior or (Prior(*moderated_sd(base)) if base.size > 1 else None))
    signature = f"difference, {now.size} and {base.size} blocks, between-run sd {between_sd:.4g}"
    if prior is not None:
        signature = f"moderated {signature}, prior sd {prior.sd:.4g} on {prior.df:g} df"
    if not (now.size and base.size):
        return _around(math.nan, math.nan, df, now.size, level, signature)
    within, between = sd**2 * (1 / now.size + 1 / base.size), 2 * between_sd**2
    if df and between:
        wobble = within**2 / df + between**2 / between_df
        df = (within + between) ** 2 / wobble if wobble else math.inf
    return _around(float(now.mean() - base.mean()), math.sqrt(within + between), df, now.size, level, signature)


def as_ratio(estimate: Estimate) -> Estimate:
    """An interval on logarithms as one on the ratio itself; verdicts are the same on either."""
    with np.errstate(over="ignore"):
        centre, low, high = (float(np.exp(x)) for x in (estimate.centre, estimate.low, estimate.high))
    return Estimate(centre, low, high, estimate.n, estimate.level, f"ratio, {estimate.signature}")


def _finite(values: npt.ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"values must be one row of numbers, not of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: a nan or inf stands for a broken measurement, which is no estimate")
    return x


def _quantile(df: float | Array, level: float) -> Array:
    """The t quantile at the upper end of a two-sided interval."""
    if not 0 < level < 1:
        raise ValueError(f"level is a coverage between 0 and 1, not {level}")
    return np.asarray(np.where(np.isinf(df), special.ndtri((1 + level) / 2), special.stdtrit(df, (1 + level) / 2)))


def _around(centre: float, error: float, df: float, n: int, level: float, signature: str) -> Estimate:
    half = float(_quantile(df, level)) * error if df and not math.isnan(error) else math.inf
    if math.isnan(centre):
        return Estimate(centre, -math.inf, math.inf, n, level, signature)
    return Estimate(centre, centre - half, centre + half, n, level, signature)


def look_levels(alpha: float, looks: tuple[int, ...] = (6, 12, 24)) -> tuple[float, ...]:
    """The error each look may use so that all looks together err with at most ``alpha``; ``looks`` in blocks so far.

    The Pocock-type spending function of Lan & DeMets 1983, alpha·ln(1 + (e − 1)·t), at t = blocks ÷ last look. Each increment
    is used as that look's nominal level: the union bound (Bonferroni) makes the sum hold under any dependence between looks,
    and for a t on few df, at the price of a little power against the exact multivariate boundaries.
    """
    if not 0 < alpha < 1 or not looks or looks[0] <= 0 or any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"looks need 0 < alpha < 1 and a growing number of blocks, not {alpha} and {looks}")
    spent = [alpha * math.log1p((math.e - 1) * blocks / looks[-1]) for blocks in looks]
    return tuple(b - a for a, b in pairwise([0.0, *spent]))


def line_level(alpha: float, lines: int) -> float:
    """Bonferroni: the error one of ``lines`` lines may use so that the family errs with at most ``alpha``."""
    return alpha / max(lines, 1)


def coverage(error: float) -> float:
    """The level of the two-sided interval each of whose ends errs with ``error``."""
    return 1 - 2 * error


def bootstrap_ratio(
    variant: npt.ArrayLike, reference: npt.ArrayLike, score: Score, *, level: float, draws: int = 10_000, seed: int = 0
) -> Estimate:
    """Interval on score(variant) ÷ score(reference) over the same resampled images, from (N, F) statistics of each image.

    The expanded percentile interval of Hesterberg 2015 (What Teachers Should Know About the Bootstrap): tails set from
    z = √(N/(N−1))·t on N − 1 df, so that few images do not make it too narrow. Where fewer than 10 draws would lie beyond an
    end it is log ratio ± z × bootstrap sd instead (on the ratio itself if a draw is zero), and the signature says so.
    Resamples whose reference scores zero count against both ends. Reference zero or undefined on all images: centre nan and
    an infinite interval. Statistics equal on every image: exactly 1. Raises ValueError for nan, inf or unequal shapes.
    """
    new, old = _paired(variant, reference)
    n, z = len(new), _expanded(len(new), level)
    ratio = float(_ratios(new, old, score, np.ones((1, n)))[0]) if n else math.nan
    if math.isnan(ratio):
        return Estimate(math.nan, -math.inf, math.inf, n, level, f"ratio undefined: no score to divide by, {n} images")
    if np.array_equal(new, old):
        return Estimate(1.0, 1.0, 1.0, n, level, f"equal statistics on all {n} images")
    ratios = np.concatenate([_ratios(new, old, score, counts) for counts in _resamples(n, draws, seed)])
    how, low, high = _ends(ratio, ratios, z)
    signature = f"paired bootstrap, {how}, {draws} draws over {n} images, seed {seed}"
    return Estimate(ratio, min(low, ratio), max(high, ratio), n, level, signature)


def permutation_p(variant: npt.ArrayLike, reference: npt.ArrayLike, score: Score, *, draws: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the difference in score when the arms of each image are swapped at random; statistics (N, F).

    (k + 1) ÷ (draws + 1), never zero: Phipson & Smyth 2010. An undefined score counts as extreme. Raises as ``bootstrap_ratio``.
    """
    new, old = _paired(variant, reference)
    n, both, rng = len(new), np.concatenate([new, old]), np.random.default_rng(seed)
    kept = np.ones((1, n))
    seen, zero = score(both, np.hstack([kept, 0 * kept])), score(both, np.hstack([0 * kept, kept]))
    bound = abs(seen - zero)[0] - 1e-9 * max(abs(seen[0]), abs(zero[0]))  # sums in another order are still ties
    extreme = 0
    for rows in _chunks(draws, 2 * n):
        keep = rng.integers(0, 2, size=(rows, n)).astype(np.float64)
        gap = score(both, np.hstack([keep, 1 - keep])) - score(both, np.hstack([1 - keep, keep]))
        extreme += int((~(np.abs(gap) < bound)).sum())
    return (extreme + 1) / (draws + 1)


def _paired(variant: npt.ArrayLike, reference: npt.ArrayLike) -> tuple[Array, Array]:
    new, old = np.asarray(variant, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if new.ndim != 2 or new.shape != old.shape:
        raise ValueError(f"both arms need statistics (images, F) of the same images, not shapes {new.shape} and {old.shape}")
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        raise ValueError("statistics of an image must be finite")
    return new, old


def _chunks(rows: int, width: int) -> Iterator[int]:
    step = max(1, _CELLS // max(width, 1))
    return (min(step, rows - start) for start in range(0, rows, step))


def _resamples(n: int, draws: int, seed: int) -> Iterator[Array]:
    """Multinomial counts, (rows, n) at a time; counting drawn indices is several times as fast as ``rng.multinomial``."""
    rng = np.random.default_rng(seed)
    for rows in _chunks(draws, n):
        cells = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _ratios(new: Array, old: Array, score: Score, counts: Array) -> Array:
    top, bottom = score(new, counts), score(old, counts)
    ratios: Array = np.divide(top, bottom, out=np.full(len(counts), np.nan), where=bottom > 0)
    return ratios


def _expanded(n: int, level: float) -> float:
    return math.sqrt(n / (n - 1)) * float(_quantile(float(n - 1), level)) if n > 1 else math.inf


def _ends(ratio: float, ratios: Array, z: float) -> tuple[str, float, float]:
    """How the interval was made, and its two ends."""
    tail, undefined = float(special.ndtr(-z)), np.isnan(ratios)
    if len(ratios) * tail >= _LEAST_IN_TAIL:
        low = np.quantile(np.where(undefined, -np.inf, ratios), tail, method="lower")
        high = np.quantile(np.where(undefined, np.inf, ratios), 1 - tail, method="higher")
        return "expanded percentile", float(low), float(high)
    if undefined.any() or math.isinf(z):
        return "no tail (too few images score)", -math.inf, math.inf
    if ratio > 0 and (ratios > 0).all():
        reach = math.exp(min(z * float(np.log(ratios).std(ddof=1)), 700.0))  # e^700 is near the largest float
        return "normal tail on the log ratio", ratio / reach, ratio * reach
    reach = z * float(ratios.std(ddof=1))
    return "normal tail on the ratio", ratio - reach, ratio + reach


def blocks_needed(sd: float, df_prior: float, distance: float, level: float, most: int = 400) -> int | None:
    """The fewest blocks (in all) whose half-width lies below ``distance``, at spread ``sd``; None beyond ``most``.

    ``df_prior`` is 0 without a prior. A truth that lies ``distance`` from the line is then decided about every second time;
    ``power`` says how often for another number of blocks.
    """
    n = np.arange(1, most + 1)
    df = df_prior + n - 1
    enough = (df > 0) & (_quantile(np.maximum(df, 1e-9), level) * sd / np.sqrt(n) < distance)
    return int(n[enough][0]) if enough.any() else None


def power(sd: float, df: float, blocks: int, distance: float, level: float) -> float:
    """How often an interval over ``blocks``, on ``df`` df, clears a line ``distance`` away from the truth (non-central t)."""
    if blocks < 1 or df <= 0:
        return 0.0
    if sd == 0:
        return float(distance > 0)
    return float(1 - special.nctdtr(df, distance * math.sqrt(blocks) / sd, float(_quantile(df, level))))


def detectable_drop(estimate: Estimate) -> float:
    """The smallest drop below 1 that an interval on a ratio as wide (relatively) as this one would have shown: 0.03 is 3 %.

    1 where the interval is infinite or undefined: only a total loss would have been seen.
    """
    if not (math.isfinite(estimate.high) and estimate.centre > 0):
        return 1.0
    return 1 - estimate.centre / estimate.high
