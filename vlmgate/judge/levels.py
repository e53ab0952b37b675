"""The errors that a line may spend, and one interval whose two ends are placed with two errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from vlmgate.spec import Better, Estimate
from vlmgate.stats import coverage, line_level, look_levels

FAMILY_ERROR = 0.01  # a false `fail` anywhere among the noisy lines of a family
PASS_ERROR = 0.05  # a false `pass` on one line, over all looks
LOOKS = (6, 12, 24)  # blocks; never before 6: at 3 an interval errs up to 3.4 times as often as it says (docs/validation.md)
SKIP = "skip: "  # starts a reason why nothing was asked here, as against an answer that is missing


@dataclass(frozen=True)
class Levels:
    """One-sided errors that a line may spend: on a false `fail` and on a false `pass`."""

    fail: float
    good: float


def levels_of(lines: int, looks: tuple[int, ...], look: int | None) -> Levels:
    """The errors that one of ``lines`` lines may spend at this look (all of it where there are no looks)."""
    fail = line_level(FAMILY_ERROR, max(lines, 1))
    if look is None:
        return Levels(fail, PASS_ERROR)
    return Levels(look_levels(fail, looks)[look], look_levels(PASS_ERROR, looks)[look])


def two_levels(interval: Callable[[float], Estimate], levels: Levels, better: Better) -> Estimate:
    """One interval whose good end is placed with the `fail` error and whose bad end with the `pass` error."""
    wide, narrow = interval(coverage(levels.fail)), interval(coverage(levels.good))
    low, high = (narrow.low, wide.high) if better is Better.HIGHER else (wide.low, narrow.high)
    return replace(wide, low=low, high=high, level=1 - levels.fail - levels.good)
