"""What is judged and how it ended: metrics, thresholds, waivers, estimates and verdicts (standard library only)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from vlmgate.spec.words import Against, Better, Change, Outcome, Question


@dataclass(frozen=True)
class Metric:
    """What is measured. ``quantity`` names the comparison with the reference: speed-up, reduction or retention."""

    name: str
    unit: str
    better: Better
    question: Question
    quantity: str
    exact: bool


@dataclass(frozen=True)
class Threshold:
    """One thing that must hold for the cases whose id matches ``cases`` (shell pattern)."""

    cases: str
    metric: str
    against: Against
    line: float
    reason: str
    catch: float | None = None  # against the baseline: the change it is meant to catch; None: twice the line


@dataclass(frozen=True)
class Waiver:
    """A known failure: cases (shell pattern on ids) and metric, the last day on which it is accepted, and why; ``against``
    narrows it to lines of that kind."""

    cases: str
    metric: str
    expected: Outcome
    until: date
    reason: str
    against: Against | None = None


@dataclass(frozen=True)
class StandardError:
    """How far a centre may lie off, as logarithms: ``value`` on ``df`` degrees of freedom, never taken below ``least``."""

    value: float
    df: float
    least: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """A centre with an interval. ``signature`` says how it was made, so that nobody compares unlike with unlike."""

    centre: float
    low: float
    high: float
    n: int
    level: float  # coverage of the interval, two-sided; 1.0 for exact values
    signature: str
    error: StandardError | None = None  # of block values; None: the value is exact, or its interval comes from draws


@dataclass(frozen=True)
class Verdict:
    """The answer to one threshold for one case, with its evidence."""

    case: str
    metric: str
    question: Question
    against: Against
    outcome: Outcome
    sentence: str
    line: float | None = None
    estimate: Estimate | None = None
    change: Change = Change.UNKNOWN
    reason: str = ""
    margin: float | None = None  # against the baseline: the change that counts; more than the line where runs spread more
    spent: tuple[float, ...] = ()  # one-sided errors used at this look: of a false `fail`, of a false `pass`
    confirm: str = ""  # of a line on speed or energy that fails: "needed", "confirmed" or "refuted" by new blocks
    confirmation: Estimate | None = None  # what the new blocks gave
    contaminated: bool = False  # the placebo moved, so that nothing was decided
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # example id → the baseline's caption and this one's
    since: tuple[str, ...] = ()  # against the baseline: what it was made with and this was not, such as "torch 2.12 → 2.13"
    detects: float | None = None  # of a line on speed or energy: the growth of time or joules beyond it, 0.08 being 8 %, that
    # blocks like these find in 9 of 10 runs; None where it fails, or nothing was measured
