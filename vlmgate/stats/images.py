"""Scores over images: paired bootstrap and permutation from each image's sufficient statistics."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import special

from vlmgate.spec import Estimate
from vlmgate.stats.intervals import quantile
from vlmgate.stats.values import Array

Score = Callable[[Array, Array], Array]
"""``score(stats (N, F), counts (D, N)) -> (D,)``: one corpus score for each row of counts. Counts say how often an image is
taken, 0 included; a score that averages must divide by ``counts.sum(axis=1)``, never by ``len(stats)``."""

_CELLS = 2_000_000  # of a matrix of counts held at once: 16 MB in float64
_LEAST_IN_TAIL = 10  # draws beyond an end of the interval; with fewer the end itself is noise


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

    No verdict uses it, they rest on ``bootstrap_ratio``: it is a second opinion for Python programs. `vlmgate simulate` times it.
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
    return math.sqrt(n / (n - 1)) * float(quantile(float(n - 1), level)) if n > 1 else math.inf


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
