"""Pure statistics: block values, intervals, looks, bootstrap, permutation, power and history (no files, no clock, no torch).

Block values are natural logarithms of a ratio of times; ``as_ratio`` turns an interval on them into one on the ratio.
"""

from vlmgate.stats.history import Level, against_level, between_runs, sustained
from vlmgate.stats.images import Score, bootstrap_ratio, permutation_p
from vlmgate.stats.intervals import Prior, as_ratio, difference, half_widths, held_sd, moderated_sd, t_interval
from vlmgate.stats.levels import coverage, line_level, look_levels
from vlmgate.stats.planning import DETECTED, detectable, detectable_drop, needed, power
from vlmgate.stats.roofline import floor_seconds
from vlmgate.stats.values import Array, block_value, log_time

__all__ = [
    "DETECTED",
    "Array",
    "Level",
    "Prior",
    "Score",
    "against_level",
    "as_ratio",
    "between_runs",
    "block_value",
    "bootstrap_ratio",
    "coverage",
    "detectable",
    "detectable_drop",
    "difference",
    "floor_seconds",
    "half_widths",
    "held_sd",
    "line_level",
    "log_time",
    "look_levels",
    "moderated_sd",
    "needed",
    "permutation_p",
    "power",
    "sustained",
    "t_interval",
]
