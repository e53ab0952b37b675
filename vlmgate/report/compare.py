"""Two stored runs side by side, case by case: speed, size, memory, scores and captions of the second against the first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from tabulate import tabulate

from vlmgate.judge.evidence import Evidence, evidence_of, speed_values
from vlmgate.judge.since import changed_between
from vlmgate.judge.speed import between_runs
from vlmgate.record import differences
from vlmgate.spec import Baseline, CaseRecord, Estimate, Run, setting_changes
from vlmgate.stats import as_ratio, difference

LEVEL = 0.95  # two-sided coverage of the interval on the speed
MOST_CAPTIONS = 3  # shown of each case whose captions changed
HEAD = ["case", "speed B ÷ A (95 %)", "size", "peak memory", "CIDEr", "captions changed", ""]


@dataclass(frozen=True)
class Pair:
    """One case in two runs. None where it was not measured in both, or cannot be compared; ``why`` then says so."""

    case: str
    speed: Estimate | None = None  # as a ratio, above 1: the second is faster
    size: float | None = None  # second ÷ first
    memory: float | None = None
    scores: Mapping[str, tuple[float, float]] | None = None
    captions: Mapping[str, tuple[str, str]] | None = None  # those that changed
    images: int = 0  # captioned in both
    why: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing of it is compared."""
        return bool(self.why) and self.size is None and self.captions is None


def pairs(then: Run, now: Run, baselines: Mapping[str, Baseline]) -> list[Pair]:
    """Every case of either run, in the order of the second. ``baselines`` know the spread between runs, where it was measured."""
    before, after = ({record.id: record for record in run.cases} for run in (then, now))
    return [
        _pair(then, now, before[case], after[case], baselines.get(case))
        if case in before and case in after
        else Pair(case, why=f"only in {(now if case in after else then).name}")
        for case in dict.fromkeys([*after, *before])
    ]


def _pair(then: Run, now: Run, a: CaseRecord, b: CaseRecord, baseline: Baseline | None) -> Pair:
    for run, record in ((then, a), (now, b)):
        if lacking := record.skip or (record.failure and f"{record.failure.kind} while {record.failure.stage}"):
            return Pair(a.id, why=f"{run.name}: {lacking}")
    why = _unlike(then, now, a, b)
    size = _ratio(a.exact.get("size"), b.exact.get("size"))
    machine = why or ("another environment" if then.environment.key != now.environment.key else "")
    pair = Pair(a.id, size=size, why=machine)
    if not why:
        changed = {key: (text, b.captions[key]) for key, text in a.captions.items() if b.captions.get(key, text) != text}
        scores = {name: (value, b.scores[name]) for name, value in a.scores.items() if name in b.scores}
        images = len(a.captions.keys() & b.captions.keys())
        pair = Pair(a.id, size=size, scores=scores, captions=changed, images=images, why=machine)
    if machine:
        return pair
    memory = _ratio(_mean(a, "peak_memory"), _mean(b, "peak_memory"))
    speed = _speed(then, now, a.id, between_runs(baseline))
    return Pair(a.id, speed, size, memory, pair.scores, pair.captions, pair.images)


def _unlike(then: Run, now: Run, a: CaseRecord, b: CaseRecord) -> str:
    names = setting_changes(a.settings, b.settings, same_images=then.datasets.get(a.dataset) == now.datasets.get(b.dataset))
    return f"other {', '.join(names)}" if names else ""


def _speed(then: Run, now: Run, case: str, between: tuple[float, float]) -> Estimate | None:
    """Difference of the block values, both errors and the spread between runs counted."""
    before, after = (next(found for found in evidence_of(run, {}) if found.record.id == case) for run in (then, now))
    try:
        values = [_values(each) for each in (before, after)]
    except ValueError:  # a time that is none: its verdicts say so
        return None
    if min(map(len, values)) < 2:
        return None
    return as_ratio(difference(values[1], values[0], between[0], LEVEL, None, between[1]))


def _values(each: Evidence) -> tuple[float, ...]:
    return speed_values(each.blocks, each.record.variant, each.reference_variant if each.record.reference else None)


def _mean(record: CaseRecord, metric: str) -> float | None:
    return fmean(record.memory[metric]) if record.memory.get(metric) else None


def _ratio(old: float | None, new: float | None) -> float | None:
    return new / old if old and new and math.isfinite(new / old) else None


def compare_runs(then: Run, now: Run, baselines: Mapping[str, Baseline]) -> str:
    """The comparison as text: what changed between the runs, a table, and the first captions that changed."""
    lines = [f"A  {then.name} ({then.tier}, {then.started})", f"B  {now.name} ({now.tier}, {now.started})"]
    if unlike := differences(then.environment.key, now.environment.key):
        lines.append(f"the environments differ ({'; '.join(unlike)}), so times and memory are not compared")
    found = pairs(then, now, baselines)
    shared = [pair.case for pair in found if not pair.why.startswith("only in")]
    changed = dict.fromkeys(phrase for case in shared for phrase in changed_between(then, now, case))
    lines.append(f"between them: {', '.join(changed) if changed else 'nothing that was recorded has changed'}")
    apart: dict[str, list[str]] = {}  # why nothing of a case is compared → the cases
    for pair in found:
        if pair.empty:
            apart.setdefault(pair.why, []).append(pair.case)
    rows = [_row(pair) for pair in found if not pair.empty]
    lines += ["", tabulate(rows, headers=HEAD, tablefmt="simple", disable_numparse=True)] if rows else []
    spoken = [line for pair in found for line in _captions(pair)]
    spoken += [f"not compared: {why}: {', '.join(cases)}" for why, cases in apart.items()]
    return "\n".join([*lines, *([""] if spoken else []), *spoken])


def _row(pair: Pair) -> list[str]:
    cider = (pair.scores or {}).get("cider")
    captions = f"{len(pair.captions)} of {pair.images}" if pair.captions is not None and pair.images else "–"
    return [
        pair.case,
        f"{pair.speed.centre:.3f} ({pair.speed.low:.3f} to {pair.speed.high:.3f})" if pair.speed else "–",
        f"{pair.size - 1:+.2%}" if pair.size else "–",
        f"{pair.memory - 1:+.1%}" if pair.memory else "–",
        f"{cider[0]:.3f} → {cider[1]:.3f}" if cider else "–",
        captions,
        f"not compared: {pair.why}" if pair.why else "",
    ]


def _captions(pair: Pair) -> list[str]:
    changed = list((pair.captions or {}).items())
    shown = [f"{pair.case} image {key}: {old!r} → {new!r}" for key, (old, new) in changed[:MOST_CAPTIONS]]
    rest = len(changed) - len(shown)
    return [*shown, f"{pair.case}: and {rest} more"] if rest else shown
