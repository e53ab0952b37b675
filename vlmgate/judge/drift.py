"""Slow drift: speed now against the best level that was held over three promotions, beside the last promoted one."""

from collections.abc import Mapping, Sequence
from typing import Any

from vlmgate.judge.evidence import TIME
from vlmgate.spec import Against, Baseline, Better, Metric, Outcome, Question, Threshold
from vlmgate.stats import Level, sustained

DRIFT = Metric("drift", "s", Better.LOWER, Question.LATENCY, "speed-up", exact=False)
REASON = "losses each below the tolerance add up"


def drift_lines(lines: Sequence[Threshold], baseline: Baseline | None, between_sd: float) -> list[Threshold]:
    """A line on drift for a case whose speed is held against its baseline, once three promotions give a sustained level."""
    since = [line for line in lines if line.metric == TIME and line.against is Against.BASELINE]
    if not since or sustained_level(baseline, between_sd) is None:
        return []
    line = since[-1]
    return [Threshold(line.cases, DRIFT.name, Against.BASELINE, line.line, REASON, line.catch)]


def sustained_level(baseline: Baseline | None, between_sd: float) -> Level | None:
    """The level of ``stats.sustained`` over the promotions that count; None for fewer than three.

    Promoting by force what had become too slow is how a slower level is accepted, so it starts the memory anew. So does promoting
    with other settings or images (``other``): levels from before are levels of something else.
    """
    levels: list[tuple[float, float | None, int]] = []
    for entry in baseline.history if baseline else ():
        if _accepts_a_loss(entry) or entry.get("other"):
            levels.clear()
        if level := entry.get("levels", {}).get(TIME):
            levels.append((level["mean"], level["sd"], level["n"]))
    try:
        return sustained(levels, between_sd)
    except ValueError:  # a file edited by hand into nonsense must not take the verdicts of the others
        return None


def _accepts_a_loss(entry: Mapping[str, Any]) -> bool:
    """Whether a promotion was forced although speed had fallen; forced for too few blocks, say, it accepts no loss."""
    missed, names = (Outcome.FAIL, Outcome.WAIVED), (TIME, DRIFT.name)
    lost = tuple(f"{outcome} {name} against {Against.BASELINE}" for outcome in missed for name in names)
    return bool(entry.get("forced")) and ("unfit" not in entry or any(phrase.startswith(lost) for phrase in entry["unfit"]))
