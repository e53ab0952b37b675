"""Estimates of speed: block values against a floor, a limit in seconds, or the promoted blocks of the baseline."""

import math
from collections.abc import Sequence

from vlmgate.judge.drift import DRIFT, sustained_level
from vlmgate.judge.evidence import LEAST_SPREAD, TIME, Evidence, moved, prior_of, speed_values
from vlmgate.judge.levels import SKIP, Levels, two_levels
from vlmgate.judge.paired import moved_there, paired
from vlmgate.spec import Against, Baseline, Better, Estimate, Threshold
from vlmgate.stats import Prior, against_level, as_ratio, difference, log_time, t_interval

BETWEEN_RUN_SD = 0.02  # assumed spread of a log ratio between runs until A/A runs of this case have measured it
ASSUMED_SD = 0.03  # least spread of a log ratio between blocks until enough of them have been promoted for this case
PROMOTED_SD = 0.015  # least spread that is taken for promoted blocks: 24 may all have missed a layout mode (docs/judging.md)
LEAST_RUNS = 5  # A/A runs whose spread is taken for that of this case
CONTAMINATED = "contaminated: the placebo, a second copy of the reference, differs from it; quiet the machine and run again"


def speed(evidence: Evidence, line: Threshold, levels: Levels) -> tuple[Estimate | None, str]:
    """The estimate (speed-up, seconds, or speed now ÷ then; None without one), and why it cannot decide."""
    blocks, record = evidence.blocks, evidence.record
    values = speed_values(blocks, record.variant, evidence.reference_variant if record.reference else None)
    if line.against is Against.LIMIT:
        values = tuple(log_time(block.times[record.variant]) for block in blocks)
    if not values:
        return None, "no block was measured; run without --benchmark-disable and with a larger --time-budget"
    prior = None if line.against is Against.LIMIT else prior_of(record, evidence.run, evidence.baseline)
    least, why = footing(evidence, values, prior)
    if line.against is Against.LIMIT:
        return two_levels(lambda level: as_ratio(t_interval(values, level, least_sd=least)), levels, Better.LOWER), why
    if line.against is Against.REFERENCE:
        return two_levels(lambda level: as_ratio(t_interval(values, level, prior, least)), levels, Better.HIGHER), why
    if evidence.run.other:
        return _beside(evidence, levels, why, least)
    if line.metric == DRIFT.name:
        return _since_level(evidence, values, prior, levels, least), why
    then = evidence.baseline.blocks.get(TIME, ()) if evidence.baseline else ()
    if len(then) < 2:
        return None, f"{SKIP}the baseline holds no times for this case; promote a run that measured latency"
    sd, df = between_runs(evidence.baseline)
    return two_levels(lambda level: as_ratio(difference(values, then, sd, level, prior, df, least)), levels, Better.HIGHER), why


def _beside(evidence: Evidence, levels: Levels, why: str, least: float) -> tuple[Estimate | None, str]:
    """Speed now over then, both sides measured in the same blocks: nothing lies between runs."""
    values = paired(evidence)
    if not values:
        return None, "the other side timed no block of it; run again"
    why = why or (CONTAMINATED if moved_there(evidence) else doubt(values, None))
    return two_levels(lambda level: as_ratio(t_interval(values, level, least_sd=least)), levels, Better.HIGHER), why


def _since_level(
    evidence: Evidence, values: Sequence[float], prior: Prior | None, levels: Levels, least: float
) -> Estimate | None:
    """Speed now ÷ the sustained level."""
    sd, df = between_runs(evidence.baseline)
    then = sustained_level(evidence.baseline, sd)
    if then is None:  # such a line is not asked
        return None
    return two_levels(lambda level: as_ratio(against_level(values, then, sd, level, prior, df, least)), levels, Better.HIGHER)


def between_runs(baseline: Baseline | None) -> tuple[float, float]:
    """Spread of a log speed from run to run and its degrees of freedom: measured by enough A/A runs, else the one assumed."""
    if measured := _measured(baseline):
        return measured
    return BETWEEN_RUN_SD, math.inf


def margin(line: Threshold, baseline: Baseline | None) -> float:
    """The loss of speed since the baseline that counts: the tolerance, or twice the measured spread between runs if larger."""
    measured = _measured(baseline)
    return max(line.line, -math.expm1(-2 * measured[0])) if measured else line.line


def _measured(baseline: Baseline | None) -> tuple[float, float] | None:
    if baseline is None or baseline.between_sd is None or baseline.between_runs < LEAST_RUNS:
        return None
    return (baseline.between_sd, baseline.between_runs - 1) if 0 <= baseline.between_sd < math.inf else None


def footing(
    evidence: Evidence, values: Sequence[float], prior: Prior | None, what: str = "time", meter: str = "clock"
) -> tuple[float, str]:
    """The least spread of an interval on block values, and why these values decide nothing ("" where they may)."""
    least = PROMOTED_SD if prior else ASSUMED_SD
    return least, CONTAMINATED if moved(evidence) else doubt(values, prior, what, meter)


def doubt(values: Sequence[float], prior: Prior | None, what: str = "time", meter: str = "clock") -> str:
    """Equal values give an interval without width, which would decide anything; only a promoted spread can stand in."""
    if prior or len(values) < 2 or max(values) - min(values) > LEAST_SPREAD:
        return ""
    return f"all {len(values)} blocks gave the same {what}, which no {meter} does; look at the blocks in run.json and run again"
