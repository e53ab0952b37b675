"""How much error a line and a look may spend: Bonferroni over lines, alpha spending over looks."""

import math
from itertools import pairwise


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
