"""What the tables say, as plain unrounded numbers: one Row a case, one Group a table, and the count of gates."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean, median

from vlmgate.judge import LOOKS, PASS_ERROR, decided_share
from vlmgate.judge.anatomy import Anatomy, anatomy
from vlmgate.judge.evidence import PLACEBO, Evidence, contaminated, group_of, judged, placebo, speed_values
from vlmgate.spec import Block, CaseRecord, Estimate, Outcome, Run, Settings
from vlmgate.stats import as_ratio, coverage, log_time, look_levels, t_interval

LEVEL = 0.95  # two-sided coverage of the speed-up's interval in tables; a verdict's own interval stands in its sentence
WORST_FIRST = (Outcome.FAIL, Outcome.UNRESOLVED, Outcome.WAIVED, Outcome.PASS, Outcome.SKIP)


@dataclass(frozen=True)
class Row:
    """One case. Seconds, bytes and plain ratios; None (or a missing key) where something was not measured.

    Ratios are to the reference case of the same run, which itself has 1.
    """

    case: str
    model: str
    variant: str
    dataset: str
    reference: str  # variant name of the reference; "" for the reference itself
    seconds: float | None  # per image
    speed_up: Estimate | None  # time of the reference ÷ time of this, 95 %
    images_per_second: float | None
    peak_memory: float | None  # bytes of resident set
    memory_ratio: float | None
    size: float | None  # bytes on disk
    size_ratio: float | None
    scores: Mapping[str, float]  # metric → corpus score
    retention: Mapping[str, float]  # metric → score ÷ score of the reference
    verdict: Outcome | None  # the worst of the case; None where nothing was asked
    text: str  # why it was skipped, or how it failed
    anatomy: Anatomy | None = None  # of its latency; None where it was not timed
    peaks: tuple[float, ...] = ()  # bytes of resident set of each process, where several were measured
    gpu_memory: float | None = None  # bytes that torch allocated on the GPU at most, while it ran
    gpu_ratio: float | None = None
    compile_seconds: float | None = None  # that the first call takes longer, of what torch.compile compiles


@dataclass(frozen=True)
class Group:
    """The cases of one model and dataset, which took turns in the same workers: one table."""

    label: str  # the model, with its dataset where a model has several
    model: str
    dataset: str
    reference: str  # variant name of the reference
    settings: Settings
    rows: tuple[Row, ...]
    blocks: int
    placebo: Estimate | None  # a second copy of the reference against the first, as a ratio
    contaminated: bool
    yardstick: tuple[float, ...] = ()  # seconds, the median of each block's rounds


@dataclass(frozen=True)
class Counts:
    """How the gates of a run ended. Skipped ones asked nothing here, so they are no part of ``gates``."""

    passed: int
    failed: int
    unresolved: int
    skipped: int
    decided: int
    gates: int
    waived: int = 0

    @property
    def share(self) -> float | None:
        """Decided ÷ all gates; None where there was none."""
        return self.decided / self.gates if self.gates else None


def counts(run: Run) -> Counts:
    """How many verdicts of the run have each outcome, and how many are decided."""
    of = Counter(verdict.outcome for verdict in run.verdicts)
    decided, gates = decided_share(run.verdicts)
    return Counts(
        of[Outcome.PASS], of[Outcome.FAIL], of[Outcome.UNRESOLVED], of[Outcome.SKIP], decided, gates, of[Outcome.WAIVED]
    )


def rows(run: Run) -> list[Row]:
    """One row a case, in the order of the run; without figures of time where one of its times is no number above zero."""
    records = {record.id: record for record in run.cases}
    worst = _worst(run)
    return [_row(run, record, records.get(record.reference), worst.get(record.id)) for record in run.cases]


def groups(run: Run) -> list[Group]:
    """The rows of ``rows`` in one group a table, in the order of the run; each with its placebo."""
    members: dict[str, list[tuple[CaseRecord, Row]]] = {}
    for record, row in zip(run.cases, rows(run), strict=True):
        members.setdefault(group_of(record), []).append((record, row))
    datasets = Counter(group[0][0].model for group in members.values())
    return [_group(run, group, several=datasets[group[0][0].model] > 1) for group in members.values()]


def _row(run: Run, record: CaseRecord, reference: CaseRecord | None, worst: Outcome | None) -> Row:
    base = reference or (None if record.reference else record)  # a reference is its own; a lost one gives no ratios
    blocks = _sound(Evidence(run, record, reference, None).blocks, record.variant, base.variant if base else "")
    seconds = _seconds(record, blocks)
    memory, size = _memory(record), _positive(record.exact.get("size"))
    on_gpu = _memory(record, "cuda_peak")
    return Row(
        case=record.id,
        model=record.model,
        variant=record.variant,
        dataset=record.dataset,
        reference=reference.variant if reference else record.reference,
        seconds=seconds,
        speed_up=_speed_up(record, base, blocks),
        images_per_second=1 / seconds if seconds else None,
        peak_memory=memory,
        memory_ratio=_ratio(memory, _memory(base) if base else None),
        size=size,
        size_ratio=_ratio(size, _positive(base.exact.get("size")) if base else None),
        scores=record.scores,
        retention=_retention(record, base),
        verdict=worst or _without_gates(record),
        text=record.skip or _failure(record),
        anatomy=anatomy(record, blocks),
        peaks=_peaks(record),
        gpu_memory=on_gpu,
        gpu_ratio=_ratio(on_gpu, _memory(base, "cuda_peak") if base else None),
        compile_seconds=record.exact.get("compile_seconds"),
    )


def _sound(blocks: list[Block], *arms: str) -> list[Block]:
    """The blocks; none of them where an arm has a time that is no number above zero, which its verdicts call broken."""
    times = (t for block in blocks for arm in arms for image in block.times.get(arm, ()) for t in image)
    return blocks if all(0 < t < math.inf for t in times) else []


def _seconds(record: CaseRecord, blocks: Sequence[Block]) -> float | None:
    """Seconds per image: exp of the mean over blocks of ``log_time``, as it is judged."""
    logs = [log_time(block.times[record.variant]) for block in blocks]
    return math.exp(fmean(logs)) if logs else None


def _speed_up(record: CaseRecord, base: CaseRecord | None, blocks: Sequence[Block]) -> Estimate | None:
    if base is record:
        return Estimate(1.0, 1.0, 1.0, len(blocks), 1.0, "the reference itself") if blocks else None
    values = speed_values(blocks, record.variant, base.variant) if base else ()
    return as_ratio(t_interval(values, LEVEL)) if values else None


def _memory(record: CaseRecord, name: str = "peak_memory") -> float | None:
    """A peak in bytes (the resident set's), the geometric mean over processes as it is judged."""
    values = record.memory.get(name, ())
    if not values or not all(map(_positive, values)):
        return None
    return values[0] if len(values) == 1 else geometric_mean(values)


def _peaks(record: CaseRecord) -> tuple[float, ...]:
    values = record.memory.get("peak_memory", ())
    return values if len(values) > 1 and all(map(_positive, values)) else ()


def _positive(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value is not None and reference else None


def _retention(record: CaseRecord, base: CaseRecord | None) -> dict[str, float]:
    known = {name: _positive(score) for name, score in base.scores.items()} if base else {}
    return {name: score / then for name, score in record.scores.items() if (then := known.get(name))}


def _worst(run: Run) -> dict[str, Outcome]:
    """Case id → the worst outcome among its verdicts."""
    found: dict[str, Outcome] = {}
    for verdict in run.verdicts:
        found[verdict.case] = min(found.get(verdict.case, verdict.outcome), verdict.outcome, key=WORST_FIRST.index)
    return found


def _without_gates(record: CaseRecord) -> Outcome | None:
    if record.failure:
        return Outcome.FAIL
    return Outcome.SKIP if record.skip else None


def _failure(record: CaseRecord) -> str:
    failure = record.failure
    return f"{failure.kind} while {failure.stage}: {failure.message}" if failure else ""


def _group(run: Run, members: Sequence[tuple[CaseRecord, Row]], several: bool) -> Group:
    first = members[0][0]
    reference = next((record for record, _ in members if not record.reference), None)
    name = reference.variant if reference else first.reference.split("/")[1]  # deselected, but it ran as an arm
    blocks = judged(run.blocks, group_of(first), name)
    # the level at which judging looks at the placebo, so that the word here and the verdicts agree
    look = Evidence(run, reference or first, None, None).look
    found = placebo(_sound(blocks, name, PLACEBO), name, coverage(look_levels(PASS_ERROR, LOOKS)[look]))
    return Group(
        label=f"{first.model} on {first.dataset}" if several else first.model,
        model=first.model,
        dataset=first.dataset,
        reference=name,
        settings=first.settings,
        rows=tuple(row for _, row in members),
        blocks=len(blocks),
        placebo=found,
        contaminated=_contaminated(run, {record.id for record, _ in members}, found),
        yardstick=tuple(t for block in blocks if block.yardstick and 0 < (t := median(block.yardstick)) < math.inf),
    )


def _contaminated(run: Run, cases: Collection[str], found: Estimate | None) -> bool:
    """By the placebo alone, or as a verdict says, which may know its promoted spread."""
    return contaminated(found) or any(v.contaminated for v in run.verdicts if v.case in cases)


def threads(number: int) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number} thread{'s' * (number != 1)}"
