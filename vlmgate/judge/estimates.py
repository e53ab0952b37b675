"""How each kind of line gets its estimate: from block values, bytes, per-image statistics or the baseline."""

import math
from collections.abc import Sequence
from dataclasses import replace

from vlmgate.judge.energy import energy
from vlmgate.judge.evidence import (
    PLACEBO,
    Evidence,
    against_another,
    contaminated,
    differing,
    group_of,
    placebo,
    speed_values,
    unmeasured,
)
from vlmgate.judge.levels import SKIP, Levels, two_levels
from vlmgate.judge.paired import holds_no, lacking
from vlmgate.judge.quality import quality
from vlmgate.judge.speed import speed
from vlmgate.spec import Against, Better, CaseRecord, Estimate, Metric, Question, Threshold
from vlmgate.stats import as_ratio, t_interval

__all__ = ["PLACEBO", "Evidence", "contaminated", "estimate", "group_of", "placebo", "speed_values"]

ON_A_DEVICE = (Question.MEMORY, Question.ENERGY)
MEMORY_RESOLUTION = 0.02  # least half-width of a peak, however many processes agree; benchmarks print their spread


def estimate(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """The estimate that is held against the line (None if there is none), and why it cannot decide (or an empty string)."""
    if why := _incomparable(evidence, line, metric) or elsewhere(evidence, line, metric):
        return None, why
    try:
        return _measured(evidence, line, metric, levels)
    except ValueError as error:  # nan, inf, zero or unpaired values; one broken case must not take the verdicts of the others
        return None, f"the measurement is broken ({error}); run it again"


def _measured(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    match metric.question:
        case Question.LATENCY:
            return speed(evidence, line, levels)
        case Question.QUALITY if not metric.exact:
            return quality(evidence, line, metric, levels)
        case Question.ENERGY:
            return energy(evidence, line, levels)
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
    if evidence.baseline is None and evidence.run.other:
        return f"{SKIP}{lacking(evidence)}"
    if evidence.baseline is None:
        return f"{SKIP}no baseline yet: promote a good run with `vlmgate promote {evidence.run.name} --cases '{record.id}'`"
    if metric.question is not Question.SIZE and (other := differing(record, evidence.run, evidence.baseline)):
        if evidence.run.other:
            return f"{SKIP}{evidence.run.other.label} was measured with other {other}"
        return f"{SKIP}the baseline was measured with other {other}; promote a run with these settings"
    if metric.question is Question.LATENCY and (other := against_another(record, evidence.baseline)):
        return f"{SKIP}the baseline was measured with another {other}; promote a run with this one"
    return ""


def elsewhere(evidence: Evidence, line: Threshold, metric: Metric) -> str:
    """Why memory or energy cannot be compared with the reference's, or an empty string: it runs on another device."""
    reference = evidence.reference
    if reference is None or not across_devices(line, metric, _device(evidence.record), _device(reference)):
        return ""
    return f"{SKIP}{reference.variant}, the reference, runs on another device, whose memory and energy are not this one's"


def across_devices(line: Threshold, metric: Metric, device: str, of_reference: str) -> bool:
    """Whether a line holds what a case takes of its device against what the reference takes of another one."""
    return line.against is Against.REFERENCE and metric.question in ON_A_DEVICE and device != of_reference


def _device(record: CaseRecord) -> str:
    """What a case runs on: cpu or cuda."""
    return str(record.recipe.get("device", "cpu"))


def _memory(evidence: Evidence, line: Threshold, metric: Metric, levels: Levels) -> tuple[Estimate | None, str]:
    """Bytes of one fresh process or several; the share saved against the reference, or now ÷ then."""
    now = evidence.record.memory.get(metric.name, ())
    if not now:
        return None, "no peak was measured"
    if line.against is Against.LIMIT:
        return two_levels(lambda level: as_ratio(_log_bytes(now, level)), levels, Better.LOWER), ""
    side = evidence.reference if line.against is Against.REFERENCE else evidence.baseline
    other = side.memory.get(metric.name, ()) if side else ()
    if not other:
        return None, _nothing_there(evidence, line, metric)

    def ratio(level: float) -> Estimate:  # now ÷ other: lower is better
        a, b = _log_bytes(now, level), _log_bytes(other, level)
        half, centre = math.hypot(a.high - a.centre, b.high - b.centre), a.centre - b.centre
        return as_ratio(Estimate(centre, centre - half, centre + half, min(a.n, b.n), level, a.signature))

    found = two_levels(ratio, levels, Better.LOWER)
    if line.against is Against.BASELINE:
        return found, ""
    return replace(found, centre=1 - found.centre, low=1 - found.high, high=1 - found.low), ""


def _nothing_there(evidence: Evidence, line: Threshold, metric: Metric) -> str:
    if line.against is Against.BASELINE:
        return holds_no(evidence, metric.name)
    return f"the reference has no {metric.name} to compare with"


def _log_bytes(values: Sequence[float], level: float) -> Estimate:
    """Interval on ln bytes, never narrower than that of one process: a few that happen to agree say little of the spread."""
    if not all(0 < value < math.inf for value in values):
        raise ValueError(f"a peak is a number of bytes above zero, not {', '.join(map(str, values))}")
    logs = [math.log(value) for value in values]
    found = t_interval(logs, level)
    equal = max(logs) == min(logs)
    if not equal and found.high - found.centre >= MEMORY_RESOLUTION:
        return found
    low, high, n = found.centre - MEMORY_RESOLUTION, found.centre + MEMORY_RESOLUTION, len(logs)
    how = "one process" if n == 1 else f"{n} {'equal ' if equal else ''}processes"
    return Estimate(found.centre, low, high, n, level, f"{how}, ±{MEMORY_RESOLUTION:.0%}")


def _exact(evidence: Evidence, line: Threshold, metric: Metric) -> tuple[Estimate | None, str]:
    value = evidence.record.exact.get(metric.name, math.nan)
    if not math.isfinite(value):
        return None, unmeasured(evidence.record.exact, metric.name)
    if metric.unit == "B" and value <= 0:  # nothing that was saved is as small, but it would hold every limit
        return None, f"{metric.name} is {value:g} bytes, expected more than none; measure it again"
    if line.against is not Against.LIMIT:
        side = evidence.reference if line.against is Against.REFERENCE else evidence.baseline
        other = side.exact.get(metric.name, math.nan) if side else math.nan
        if not math.isfinite(other):
            return None, _nothing_there(evidence, line, metric)
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
