"""The figures of a sentence: the name of a quantity, its value in the unit that readers expect, its interval.

They are rounded, and what lies far off is cut short, for reading only: verdicts and evidence hold every digit.
"""

import math

from vlmgate.judge.drift import DRIFT
from vlmgate.judge.evidence import Evidence
from vlmgate.spec import Against, Estimate, Metric, Question, Threshold

LABELS = {
    "time_per_caption": "time per caption",
    "peak_memory": "peak memory",
    "heap_peak": "heap peak",
    "cuda_peak": "peak of GPU memory",
    "bleu_4": "BLEU-4",
    "cider": "CIDEr",
    "energy_per_caption": "energy per caption (above idle)",
}
UNITS = {  # of what is independent: one, several
    Question.LATENCY: ("block", "blocks"),
    Question.ENERGY: ("block", "blocks"),
    Question.QUALITY: ("image", "images"),
}
FAR = 1_000  # times: speed-ups beyond it, and ends of an interval as far from its centre, say only that nothing is known
MOST = 10  # ×100 %: changes and shares beyond it


def what(evidence: Evidence, line: Threshold, metric: Metric) -> str:
    """The name of the quantity that is compared."""
    label = label_of(line, metric)
    if line.against is Against.LIMIT or (line.against is Against.BASELINE and evidence.run.other):  # named after "against"
        return label
    if line.against is Against.BASELINE:
        return f"{label} since {'the best level that was held' if metric.name == DRIFT.name else 'the baseline'}"
    return {"speed-up": "speed-up", "reduction": f"{label} reduction", "retention": f"{label} retention"}.get(
        metric.quantity, label
    )


def label_of(line: Threshold, metric: Metric) -> str:
    """The quantity in words. Against a baseline times are compared as speeds, so that more is better."""
    if line.against is Against.BASELINE and metric.question is Question.LATENCY:
        return "speed"
    return LABELS.get(metric.name, metric.name.replace("_", " "))


def value(number: float, line: Threshold, metric: Metric) -> str:
    """A number in the unit that readers expect. Beyond 1,000 times or ±1,000 % it is ``over`` or ``under`` that."""
    if math.isnan(number):
        return "undefined"
    if line.against is Against.BASELINE:
        return share(number - 1, "+")
    if line.against is Against.REFERENCE:
        return _times(number) if metric.quantity == "speed-up" else share(number)
    if metric.unit == "B":
        return f"{number / 1e6:.4g} MB"
    return f"{number:.4g}" + (f" {metric.unit}" if metric.unit else "")


def interval(found: Estimate, line: Threshold, metric: Metric) -> str:
    """``(1.46× to 1.55×, 6 blocks)``; empty where the value is exact."""
    if found.low == found.high:
        return ""
    unit = UNITS.get(metric.question, ("process", "processes"))[found.n != 1]
    return f" ({_end(found, found.low, line, metric)} to {_end(found, found.high, line, metric)}, {found.n} {unit})"


def _end(found: Estimate, end: float, line: Threshold, metric: Metric) -> str:
    """An end of an interval on a value with a unit has no scale but its centre."""
    if line.against is not Against.LIMIT or found.centre / FAR <= end <= found.centre * FAR:
        return value(end, line, metric)
    return "any higher" if end > found.centre else "any lower"


def share(number: float, sign: str = "") -> str:
    """``12.3%``; beyond ±1,000 % it is ``over`` or ``under`` that."""
    if abs(number) <= MOST:
        return f"{number:{sign}.1%}"
    return f"{'over' if number > 0 else 'under'} {math.copysign(MOST, number):{sign},.0%}"


def _times(number: float) -> str:
    if 1 / FAR <= number <= FAR:
        return f"{number:.3g}×"
    return f"over {FAR:,}×" if number > FAR else f"under {1 / FAR:g}×"
