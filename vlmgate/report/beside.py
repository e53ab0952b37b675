"""The table of a run with --against: in what the two sides differ, and every case now against the other side."""

import math
from collections.abc import Callable

from vlmgate.judge.beside import side_name
from vlmgate.judge.figures import LABELS
from vlmgate.judge.since import changed_beside
from vlmgate.spec import Against, Estimate, Question, Run

Line = tuple[str, ...]
Figure = Callable[[float], str]  # `terminal.significant`: a number for a cell
MISSING = "—"


def sides(run: Run) -> str:
    """``against ~/old: onnxruntime 1.22.1 → 1.32.0``, and whether a commit has libraries of its own; empty without --against."""
    if run.other is None:
        return ""
    name = side_name(run.other.label, own_libraries=run.other.info.get("own_libraries") is not False)
    return f"against {name}: {', '.join(changed_beside(run)) or 'the same commit and libraries'}"


def columns(run: Run, figure: Figure) -> tuple[Line, list[Line]]:
    """Head and body: of each case with a tolerance, now ÷ there; of time it is the speed, so that more is better. Empty without
    --against, and where nothing was compared."""
    found: dict[str, dict[str, str]] = {}
    for verdict in run.verdicts if run.other else ():
        if verdict.against is Against.BASELINE and verdict.estimate:
            name = (
                "speed" if verdict.question is Question.LATENCY else LABELS.get(verdict.metric, verdict.metric.replace("_", " "))
            )
            found.setdefault(verdict.case, {})[name] = _cell(verdict.estimate, figure)
    names = tuple(dict.fromkeys(name for cells in found.values() for name in cells))
    return ("now ÷ there", *names), [(case, *(cells.get(name, MISSING) for name in names)) for case, cells in found.items()]


def _cell(found: Estimate, figure: Figure) -> str:
    """``1.02 (0.97 to 1.13)``; an exact value alone."""
    if not all(map(math.isfinite, (found.low, found.high))):
        return f"{figure(found.centre)} (not known)"
    ends = f" ({figure(found.low)} to {figure(found.high)})" if found.low < found.high else ""
    return f"{figure(found.centre)}{ends}"
