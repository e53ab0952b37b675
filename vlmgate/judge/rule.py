"""The rule: where the line lies on the scale of the estimate, on which side of it an interval lies, and what has changed."""

from vlmgate.spec import Against, Better, Change, Estimate, Metric, Outcome, Question, Threshold


def goal(line: Threshold, metric: Metric, margin: float | None = None) -> tuple[float, Better]:
    """The line on the scale of the estimate, and on which side of it the good lies; ``margin`` replaces a tolerance."""
    tolerance = line.line if margin is None else margin
    if line.against is Against.REFERENCE:
        return line.line, Better.HIGHER  # speed-up, reduction, retention
    if line.against is Against.BASELINE:  # now ÷ baseline
        return (1 - tolerance, Better.HIGHER) if _more_is_better(metric) else (1 + tolerance, Better.LOWER)
    return line.line, metric.better


def _more_is_better(metric: Metric) -> bool:
    """On the scale on which a case is compared with its baseline: of time it is the speed."""
    return metric.better is Better.HIGHER or metric.question is Question.LATENCY


def decide(estimate: Estimate, line: float, better: Better) -> Outcome:
    """`pass` when the whole interval is on the good side of the line, `fail` when wholly on the bad side. Nothing is rounded."""
    if not (estimate.low <= estimate.high):  # NaN included
        return Outcome.UNRESOLVED
    if better is Better.HIGHER:
        if estimate.low >= line:
            return Outcome.PASS
        return Outcome.FAIL if estimate.high < line else Outcome.UNRESOLVED
    if estimate.high <= line:
        return Outcome.PASS
    return Outcome.FAIL if estimate.low > line else Outcome.UNRESOLVED


def change(estimate: Estimate, line: Threshold, metric: Metric, margin: float | None = None) -> Change:
    """What happened since the baseline; the estimate is now ÷ baseline."""
    if line.against is not Against.BASELINE:
        return Change.UNKNOWN
    tolerance = line.line if margin is None else margin
    fell, rose = estimate.high < 1 - tolerance, estimate.low > 1 + tolerance
    if fell or rose:
        return Change.IMPROVED if rose is _more_is_better(metric) else Change.REGRESSED
    return Change.UNCHANGED if 1 - tolerance <= estimate.low and estimate.high <= 1 + tolerance else Change.UNKNOWN
