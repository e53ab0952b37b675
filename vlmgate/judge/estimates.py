"""How each kind of line gets its estimate: from block values, bytes, per-image statistics or the baseline."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vlmgate.metrics import scores
from vlmgate.spec import Against, Baseline, Better, Block, CaseRecord, Estimate, Metric, Question, Run, Threshold
from vlmgate.stats import Prior, as_ratio, block_value, bootstrap_ratio, coverage, difference, log_time, t_interval

PLACEBO = "placebo"
BETWEEN_RUN_SD = 0.02  # assumed spread of a log ratio between runs until A/A runs of this case have measured it
PLACEBO_MARGIN = 0.015  # half of the default margin of 3 %
MEMORY_RESOLUTION = 0.02  # half-width for a peak seen in one process only; benchmarks print the spread of several
MIN_PRIOR_DF = 20
BOOTSTRAP_SEED = 20_260_000


@dataclass(frozen=True)
class Levels:
    """One-sided errors that a line may spend: on a false `fail` and on a false `pass`."""

    fail: float
    good: float


@dataclass(frozen=True)
class Evidence:
    """All that bears on one case."""

    run: Run
    record: CaseRecord
    reference: CaseRecord | None
    baseline: Baseline | None

    @property
    def blocks(self) -> list[Block]:
        group = group_of(self.record)
        return [block for block in self.run.blocks if block.model == group and self.record.variant in block.times]

    def look(self, looks: Sequence[int]) -> int:
        """Which look the blocks so far amount to (the last one that is not beyond them; the first when there are fewer)."""
        return max((i for i, size in enumerate(looks) if len(self.blocks) >= size), default=0)


def group_of(record: CaseRecord) -> str:
    """Cases of one model and dataset take turns in the same workers."""
    return f"{record.model}/{record.dataset}"


def estimate(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """The estimate that is held against the line, and why it cannot decide (or an empty string)."""
    if line.against is Against.REFERENCE and evidence.reference is None:
        return None, "skip: this is the reference itself"
    if (
        line.against is Against.REFERENCE
        and evidence.reference is not None
        and (evidence.reference.failure or evidence.reference.skip)
    ):
        return None, f"the reference {evidence.reference.id} was not measured, so there is nothing to compare with"
    match metric.question:
        case Question.LATENCY:
            return _speed(evidence, line, levels)
        case Question.QUALITY if not metric.exact:
            return _quality(evidence, line, metric, levels)
        case Question.MEMORY:
            return _memory(evidence, line, metric, levels)
        case _:
            return _exact(evidence, line, metric)


def speed_values(blocks: Sequence[Block], variant: str, reference: str | None) -> tuple[float, ...]:
    """One log speed-up a block: against the reference, or for the reference itself against the yardstick."""
    if reference is not None:
        return tuple(block_value(block.times[reference], block.times[variant]) for block in blocks if reference in block.times)
    return tuple(
        math.log(float(np.median(block.yardstick))) - log_time(block.times[variant]) for block in blocks if block.yardstick
    )


def placebo(blocks: Sequence[Block], reference: str, level: float = 0.95) -> Estimate | None:
    """The second, identical reference against the first, as a ratio; None when it did not run."""
    values = speed_values([block for block in blocks if PLACEBO in block.times], PLACEBO, reference)
    return as_ratio(t_interval(values, level)) if len(values) > 1 else None


def contaminated(found: Estimate | None) -> bool:
    """The placebo's mean lies outside the margin *and* its interval excludes one: something moved that must not."""
    return found is not None and abs(math.log(found.centre)) > PLACEBO_MARGIN and not found.low <= 1 <= found.high


def _speed(evidence: Evidence, line: Threshold, levels: Levels) -> tuple[Estimate | None, str]:
    blocks = evidence.blocks
    reference = evidence.reference.variant if evidence.reference else None
    values = speed_values(blocks, evidence.record.variant, reference)
    if not values:
        return None, "no block was measured; run without --benchmark-disable and with a larger --time-budget"
    dirty = contaminated(placebo(blocks, reference or evidence.record.variant, 1 - 2 * levels.good))
    why = (
        "contaminated: the placebo, a second copy of the reference, differs from it; quiet the machine and run again"
        if dirty
        else ""
    )
    prior = _prior(evidence.baseline)
    if line.against is Against.LIMIT:
        seconds = [log_time(block.times[evidence.record.variant]) for block in blocks]
        return _two_levels(lambda level: as_ratio(t_interval(seconds, level)), levels, Better.LOWER), why
    if line.against is Against.REFERENCE:
        return _two_levels(lambda level: as_ratio(t_interval(values, level, prior)), levels, Better.HIGHER), why
    if evidence.baseline is None:
        return (
            None,
            f"no baseline yet: promote a good run with `vlmgate promote {evidence.run.name} --cases '{evidence.record.id}'`",
        )
    if differing := _differing(evidence):
        return None, f"the baseline was measured with other {differing}; promote a run with these settings"
    then = evidence.baseline.blocks.get("time_per_caption", ())
    if len(then) < 2:
        return None, "the baseline holds no times for this case; promote a run that measured latency"
    return _two_levels(lambda level: as_ratio(difference(values, then, BETWEEN_RUN_SD, level, prior)), levels, Better.HIGHER), why


def _prior(baseline: Baseline | None) -> Prior | None:
    """The promoted spread of this case, when it rests on enough blocks."""
    values = baseline.blocks.get("time_per_caption", ()) if baseline else ()
    return Prior(float(np.std(values, ddof=1)), len(values) - 1) if len(values) > MIN_PRIOR_DF else None


def _two_levels(interval: Callable[[float], Estimate], levels: Levels, better: Better) -> Estimate:
    """One interval whose good end is placed with the `fail` error and whose bad end with the `pass` error."""
    wide, narrow = interval(coverage(levels.fail)), interval(coverage(levels.good))
    low, high = (narrow.low, wide.high) if better is Better.HIGHER else (wide.low, narrow.high)
    return replace(wide, low=low, high=high, level=1 - levels.fail - levels.good)


def _differing(evidence: Evidence) -> str:
    """Names of settings or data that differ from the baseline's, so that the two cannot be compared."""
    then, now = evidence.baseline, evidence.record
    if then is None:
        return ""
    fixed = ("batch", "new_tokens", "max_tokens", "threads", "images", "image_size")
    names = [name for name in fixed if getattr(then.settings, name) != getattr(now.settings, name)]
    if then.dataset != evidence.run.datasets.get(now.dataset):
        names.append("images (dataset sha256)")
    return ", ".join(names)


def _memory(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """Bytes of one fresh process or several; the share saved against the reference, or now against then."""
    now = evidence.record.memory.get(metric.name, ())
    if not now:
        return None, "no peak was measured"
    if line.against is Against.LIMIT:
        return _two_levels(lambda level: as_ratio(_log_bytes(now, level)), levels, Better.LOWER), ""
    if line.against is Against.REFERENCE:
        other: Sequence[float] = evidence.reference.memory.get(metric.name, ()) if evidence.reference else ()
    else:
        other = evidence.baseline.memory.get(metric.name, ()) if evidence.baseline else ()
    if not other:
        return None, "no baseline yet" if line.against is Against.BASELINE else "the reference has no peak to compare with"

    def ratio(level: float) -> Estimate:  # other ÷ now: higher is better
        a, b = _log_bytes(other, level), _log_bytes(now, level)
        half = math.hypot(a.high - a.centre, b.high - b.centre)
        centre = a.centre - b.centre
        return as_ratio(Estimate(centre, centre - half, centre + half, min(a.n, b.n), level, b.signature))

    found = _two_levels(ratio, levels, Better.HIGHER)
    if line.against is Against.BASELINE:
        return found, ""
    return replace(found, centre=1 - 1 / found.centre, low=1 - 1 / found.low, high=1 - 1 / found.high), ""


def _log_bytes(values: Sequence[float], level: float) -> Estimate:
    logs = [math.log(value) for value in values]
    if len(logs) > 1:
        return t_interval(logs, level)
    return Estimate(
        logs[0], logs[0] - MEMORY_RESOLUTION, logs[0] + MEMORY_RESOLUTION, 1, level, f"one process, ±{MEMORY_RESOLUTION:.0%}"
    )


def _quality(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    now = _statistics(evidence.record)
    if now is None:
        return None, "no caption was scored"
    if line.against is Against.LIMIT:
        value = evidence.record.scores[metric.name]
        return Estimate(value, value, value, len(now), 1.0, evidence.record.signature), ""
    if line.against is Against.BASELINE:
        return _score_since(evidence, metric)
    then = _statistics(evidence.reference) if evidence.reference else None
    if then is None:
        return None, "the reference has no scored captions to compare with"
    found = bootstrap_ratio(
        now,
        then,
        lambda stats, counts: scores.corpus(stats, counts)[metric.name],
        seed=BOOTSTRAP_SEED,
        level=coverage(levels.fail),
    )
    narrow = bootstrap_ratio(
        now,
        then,
        lambda stats, counts: scores.corpus(stats, counts)[metric.name],
        seed=BOOTSTRAP_SEED,
        level=coverage(levels.good),
    )
    if math.isnan(found.centre):
        return None, f"the reference scores zero on {metric.name}, so a retention is undefined"
    joined = replace(found, low=narrow.low, level=1 - levels.fail - levels.good)
    return replace(joined, signature=f"{found.signature} | {evidence.record.signature}"), ""


def _score_since(evidence: Evidence, metric: Metric) -> tuple[Estimate | None, str]:
    """Score now ÷ score of the baseline on the same images: exact, because both caption lists are fixed."""
    if evidence.baseline is None or metric.name not in evidence.baseline.scores:
        return None, "no baseline yet"
    if differing := _differing(evidence):
        return None, f"the baseline was measured with other {differing}; promote a run with these settings"
    then = evidence.baseline.scores[metric.name]
    ratio = evidence.record.scores[metric.name] / then if then else math.nan
    return Estimate(ratio, ratio, ratio, len(evidence.record.captions), 1.0, evidence.record.signature), ""


def _statistics(record: CaseRecord) -> NDArray[np.float64] | None:
    return np.asarray([record.quality[key] for key in sorted(record.quality)], np.float64) if record.quality else None


def _exact(evidence: Evidence, line: Threshold, metric: Metric) -> tuple[Estimate | None, str]:
    values = evidence.record.exact
    if metric.name not in values:
        return None, f"{metric.name} was not measured"
    value = values[metric.name]
    other: float | None = None
    if line.against is Against.REFERENCE and evidence.reference:
        other = evidence.reference.exact.get(metric.name)
        value = 1 - value / other if other else math.nan
    if line.against is Against.BASELINE:
        other = evidence.baseline.exact.get(metric.name) if evidence.baseline else None
        if other is None:
            return None, "no baseline yet"
        pair = (other, value) if metric.better is Better.LOWER else (value, other)
        value = pair[0] / pair[1] if pair[1] else math.nan
    return Estimate(value, value, value, 1, 1.0, "exact"), ""
