"""How each kind of line gets its estimate: from block values, bytes, per-image statistics or the baseline."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from vlmgate.metrics import scores
from vlmgate.spec import Against, Baseline, Better, Block, CaseRecord, Estimate, Metric, Question, Run, Threshold
from vlmgate.stats import Prior, as_ratio, block_value, bootstrap_ratio, coverage, difference, log_time, t_interval

PLACEBO = "placebo"
BETWEEN_RUN_SD = 0.02  # assumed spread of a log ratio between runs until A/A runs of this case have measured it
PLACEBO_MARGIN = 0.015  # half of the default margin of 3 %
MEMORY_RESOLUTION = 0.02  # half-width for a peak seen in one process only; benchmarks print the spread of several
MIN_PRIOR_DF = 20
BOOTSTRAP_SEED = 20_260_000
SKIP = "skip: "  # starts a reason why nothing was asked here, as against an answer that is missing
Statistics = tuple[tuple[float, ...], ...]  # [image][field of scores.FIELDS]
LEAST_SPREAD = 1e-9  # of the logarithms of times: no clock is as steady, so a smaller spread is none that was measured


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
    """The estimate that is held against the line (None if there is none), and why it cannot decide (or an empty string)."""
    if why := _incomparable(evidence, line, metric):
        return None, why
    try:
        return _measured(evidence, line, metric, levels)
    except ValueError as error:  # nan, inf, zero or unpaired values; one broken case must not take the verdicts of the others
        return None, f"the measurement is broken ({error}); run it again"


def _measured(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    match metric.question:
        case Question.LATENCY:
            return _speed(evidence, line, levels)
        case Question.QUALITY if not metric.exact:
            return _quality(evidence, line, metric, levels)
        case Question.MEMORY:
            return _memory(evidence, line, metric, levels)
        case _:
            return _exact(evidence, line, metric)


def _incomparable(evidence: Evidence, line: Threshold, metric: Metric) -> str:
    """Why there is nothing to compare the case with, or an empty string."""
    record, reference = evidence.record, evidence.reference
    if line.against is Against.REFERENCE and not record.reference:
        return f"{SKIP}this is the reference itself"
    if line.against is Against.REFERENCE and (reference is None or reference.failure or reference.skip):
        return f"the reference {record.reference} was not measured, so there is nothing to compare with"
    if line.against is not Against.BASELINE:
        return ""
    if evidence.baseline is None:
        return f"{SKIP}no baseline yet: promote a good run with `vlmgate promote {evidence.run.name} --cases '{record.id}'`"
    if metric.question is not Question.SIZE and (differing := _differing(evidence)):
        return f"{SKIP}the baseline was measured with other {differing}; promote a run with these settings"
    return ""


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
    blocks, record, baseline = evidence.blocks, evidence.record, evidence.baseline
    reference = record.reference.split("/")[1] if record.reference else None
    values = speed_values(blocks, record.variant, reference)
    if line.against is Against.LIMIT:
        values = tuple(log_time(block.times[record.variant]) for block in blocks)
    if not values:
        return None, "no block was measured; run without --benchmark-disable and with a larger --time-budget"
    prior = _prior(evidence)
    why = _doubt(values, None if line.against is Against.LIMIT else prior)
    if contaminated(placebo(blocks, reference or record.variant, coverage(levels.good))):
        why = "contaminated: the placebo, a second copy of the reference, differs from it; quiet the machine and run again"
    if line.against is Against.LIMIT:
        return _two_levels(lambda level: as_ratio(t_interval(values, level)), levels, Better.LOWER), why
    if line.against is Against.REFERENCE:
        return _two_levels(lambda level: as_ratio(t_interval(values, level, prior)), levels, Better.HIGHER), why
    then = baseline.blocks.get("time_per_caption", ()) if baseline else ()
    if len(then) < 2:
        return None, f"{SKIP}the baseline holds no times for this case; promote a run that measured latency"
    return _two_levels(lambda level: as_ratio(difference(values, then, BETWEEN_RUN_SD, level, prior)), levels, Better.HIGHER), why


def _doubt(values: Sequence[float], prior: Prior | None) -> str:
    """Equal values give an interval without width, which would decide anything; only a promoted spread can stand in."""
    if prior or len(values) < 2 or max(values) - min(values) > LEAST_SPREAD:
        return ""
    return f"all {len(values)} blocks gave the same time, which no clock does; look at the times in run.json and run again"


def _prior(evidence: Evidence) -> Prior | None:
    """The promoted spread of this case, when it rests on enough blocks that were measured as these are."""
    values = evidence.baseline.blocks.get("time_per_caption", ()) if evidence.baseline else ()
    if len(values) <= MIN_PRIOR_DF or _differing(evidence):
        return None
    spread = float(np.std(values, ddof=1))
    return Prior(spread, len(values) - 1) if spread > LEAST_SPREAD else None


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
    fixed = ("batch", "new_tokens", "max_tokens", "threads", "images", "timed_images", "image_size")
    names = [name for name in fixed if getattr(then.settings, name) != getattr(now.settings, name)]
    if then.dataset != evidence.run.datasets.get(now.dataset):
        names.append("images (dataset sha256)")
    return ", ".join(names)


def _memory(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """Bytes of one fresh process or several; the share saved against the reference, or now ÷ then."""
    now = evidence.record.memory.get(metric.name, ())
    if not now:
        return None, "no peak was measured"
    if line.against is Against.LIMIT:
        return _two_levels(lambda level: as_ratio(_log_bytes(now, level)), levels, Better.LOWER), ""
    side = evidence.reference if line.against is Against.REFERENCE else evidence.baseline
    other = side.memory.get(metric.name, ()) if side else ()
    if not other:
        return None, _nothing_there(line, metric)

    def ratio(level: float) -> Estimate:  # now ÷ other: lower is better
        a, b = _log_bytes(now, level), _log_bytes(other, level)
        half, centre = math.hypot(a.high - a.centre, b.high - b.centre), a.centre - b.centre
        return as_ratio(Estimate(centre, centre - half, centre + half, min(a.n, b.n), level, a.signature))

    found = _two_levels(ratio, levels, Better.LOWER)
    if line.against is Against.BASELINE:
        return found, ""
    return replace(found, centre=1 - found.centre, low=1 - found.high, high=1 - found.low), ""


def _nothing_there(line: Threshold, metric: Metric) -> str:
    if line.against is Against.BASELINE:
        return f"{SKIP}the baseline holds no {metric.name}; promote a run that measured it"
    return f"the reference has no {metric.name} to compare with"


def _log_bytes(values: Sequence[float], level: float) -> Estimate:
    """Interval on ln bytes. Processes that agree to the byte say nothing of the spread, no more than one alone."""
    if not all(0 < value < math.inf for value in values):
        raise ValueError(f"a peak is a number of bytes above zero, not {', '.join(map(str, values))}")
    logs = [math.log(value) for value in values]
    if max(logs) > min(logs):
        return t_interval(logs, level)
    low, high, n = logs[0] - MEMORY_RESOLUTION, logs[0] + MEMORY_RESOLUTION, len(logs)
    how = "one process" if n == 1 else f"{n} equal processes"
    return Estimate(logs[0], low, high, n, level, f"{how}, ±{MEMORY_RESOLUTION:.0%}")


def _quality(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    record, reference = evidence.record, evidence.reference
    score = record.scores.get(metric.name, math.nan)
    if not record.quality or not math.isfinite(score):
        return None, "no caption was scored"
    if line.against is Against.LIMIT:
        return Estimate(score, score, score, len(record.quality), 1.0, record.signature), ""
    if line.against is Against.BASELINE:
        return _score_since(evidence, metric, score)
    if reference is None or not reference.quality:
        return None, "the reference has no scored captions to compare with"
    if record.quality.keys() != reference.quality.keys():
        return None, "the reference captioned other images; run both in one run with the same settings"
    now, then = _statistics(record), _statistics(reference)
    wide, narrow = (_retention(now, then, metric.name, coverage(level)) for level in (levels.fail, levels.good))
    if math.isnan(wide.centre):
        return None, f"the reference scores zero on {metric.name}, so a retention is undefined"
    signature = f"{wide.signature} | {record.signature}"
    return replace(wide, low=narrow.low, level=1 - levels.fail - levels.good, signature=signature), ""


@lru_cache(maxsize=1024)  # every look judges all lines again, and captions do not change between looks
def _retention(now: Statistics, then: Statistics, name: str, level: float) -> Estimate:
    return bootstrap_ratio(now, then, lambda stats, counts: scores.corpus(stats, counts)[name], level=level, seed=BOOTSTRAP_SEED)


def _score_since(evidence: Evidence, metric: Metric, score: float) -> tuple[Estimate | None, str]:
    """Score now ÷ score of the baseline on the same images: exact, because both caption lists are fixed."""
    then = evidence.baseline.scores.get(metric.name, math.nan) if evidence.baseline else math.nan
    if math.isnan(then):
        return None, f"{SKIP}the baseline holds no {metric.name}; promote a run that measured it"
    if not then:
        return None, f"the baseline scores zero on {metric.name}, so a change is undefined"
    ratio = score / then
    return Estimate(ratio, ratio, ratio, len(evidence.record.quality), 1.0, evidence.record.signature), ""


def _statistics(record: CaseRecord) -> Statistics:
    return tuple(tuple(record.quality[key]) for key in sorted(record.quality))


def _exact(evidence: Evidence, line: Threshold, metric: Metric) -> tuple[Estimate | None, str]:
    value = evidence.record.exact.get(metric.name, math.nan)
    if not math.isfinite(value):
        return None, f"{metric.name} was not measured"
    if line.against is not Against.LIMIT:
        side = evidence.reference if line.against is Against.REFERENCE else evidence.baseline
        other = side.exact.get(metric.name, math.nan) if side else math.nan
        if not math.isfinite(other):
            return None, _nothing_there(line, metric)
        if line.against is Against.REFERENCE and not other:
            return None, f"the reference's {metric.name} is zero, so no share of it is defined"
        value = _since(value, other) if line.against is Against.BASELINE else _share(value, other, metric)
    return Estimate(value, value, value, 1, 1.0, "exact"), ""


def _since(now: float, then: float) -> float:
    """Now ÷ then, where nothing is as much as nothing and something is endlessly more."""
    if now == then:
        return 1.0
    return now / then if then else math.inf


def _share(value: float, other: float, metric: Metric) -> float:
    """Of the reference: what is kept, or what is saved. 1 − value ÷ other would miss a line that the case stands on."""
    return value / other if metric.quantity == "retention" else (other - value) / other
