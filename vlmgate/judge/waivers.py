"""Known failures that suite.yaml accepts until a date: which waiver bears on a line, and what a verdict says of it."""

from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase

from vlmgate.spec import Against, Outcome, Run, Waiver


def waiver_of(waivers: Sequence[Waiver], case: str, metric: str, against: Against) -> Waiver | None:
    """The waiver of a case, a metric and a kind of line, the last one listed; None without one."""
    fitting = (w for w in reversed(waivers) if w.metric == metric and w.against in (None, against))
    return next((w for w in fitting if fnmatchcase(case, w.cases)), None)


def in_force(waiver: Waiver | None, run: Run) -> bool:
    """Whether a fail of ``run`` is accepted: on the last day too, by the day of the run, so that judging again says the same."""
    return waiver is not None and day_of(run) <= waiver.until


def day_of(run: Run) -> date:
    """The day (UTC) on which a run started."""
    return date.fromisoformat(run.started[:10])


def waiver_phrase(waiver: Waiver | None, outcome: Outcome, run: Run) -> str:
    """What the sentence of a verdict adds; empty where no waiver bears on it."""
    if waiver is None:
        return ""
    if outcome is Outcome.WAIVED:
        return f"; waived until {waiver.until}: {waiver.reason}"
    if outcome is Outcome.FAIL:
        return f"; its waiver expired on {waiver.until} ({waiver.reason}): mend it, or renew the waiver with a reason"
    if outcome is Outcome.PASS:
        expired = "" if in_force(waiver, run) else ", which has expired,"
        return f"; the waiver until {waiver.until}{expired} can go from suite.yaml"
    return ""
