"""Why a measured case is not fit to become a baseline, or to count as another occasion of one, as phrases."""

from collections.abc import Mapping, Sequence

from vlmgate.record.occasions import TIME
from vlmgate.spec import Baseline, CaseRecord, Outcome, Question, Run, reference_change, setting_changes

LEAST_BLOCKS = 24  # of a timed case: with 3, a slow-down of 10 % is found in 11 % of runs at a spread of 4.5 %; with 24 in 99 %
LEAST_REPEATED = 2  # blocks of another occasion: one alone has no spread to take off


def unfit(run: Run, record: CaseRecord, values: Mapping[str, Sequence[float]], old: Baseline | None) -> list[str]:
    """Why a case is not fit to be a baseline; ``values`` are its block values by metric, ``old`` is what it would replace."""
    bad = (Outcome.FAIL, Outcome.WAIVED, Outcome.UNRESOLVED)  # a waiver excuses a run until its date, a baseline has none
    found = broken(run, record)
    found += [f"{v.outcome} {v.metric} against {v.against}" for v in run.verdicts if v.case == record.id and v.outcome in bad]
    timed = {TIME: (), **values} if Question.LATENCY in record.questions else values  # asked, and perhaps in no block at all
    few = [f"{len(block)} blocks of {metric}" for metric, block in timed.items() if len(block) < LEAST_BLOCKS]
    if few and {Question.LATENCY, Question.ENERGY} & {*record.questions}:
        found.append(f"{few[0]} where {LEAST_BLOCKS} are needed, which --top-up measures")
    lost = [metric for metric in old.blocks if not values.get(metric)] if old else []
    lost += [metric for metric in old.scores if metric not in record.scores] if old else []
    lost += [metric for metric in old.memory if metric not in record.memory] if old else []
    if lost:
        found.append(f"it did not measure {lost[0]}, which the baseline holds")
    return list(dict.fromkeys(found))


def unlike(run: Run, record: CaseRecord, values: Mapping[str, Sequence[float]], baseline: Baseline | None) -> list[str]:
    """Why a case is no other occasion of ``baseline``. A missed or undecided line is no reason: leaving such runs out would
    make the spread between runs look smaller than it is."""
    if baseline is None:
        return ["it has no baseline yet: promote a run first"]
    found = broken(run, record)
    seen = {baseline.run, *(str(entry["run"]) for entry in baseline.occasions)}
    if run.name in seen:
        found.append("this run counts already")
    if other := other_than(run, record, baseline):
        found.append(f"it was measured with other {', '.join(other)}")
    if any(len(values.get(metric, ())) < LEAST_REPEATED for metric in baseline.blocks):
        found.append(f"it has fewer than {LEAST_REPEATED} blocks")
    return found


def other_than(run: Run, record: CaseRecord, baseline: Baseline) -> list[str]:
    """Settings, images and reference of a case that are not those of ``baseline``, so that their speeds cannot be compared."""
    same = run.datasets.get(record.dataset) == baseline.dataset
    changes = setting_changes(baseline.settings, record.settings, same_images=same)
    return [*changes, *reference_change(baseline.reference, record.reference)]


def broken(run: Run, record: CaseRecord) -> list[str]:
    """Why a case's measurements are no measurements."""
    found = [] if run.status == "complete" else [f"the run is {run.status}"]
    return [*found, f"{record.failure.kind} while {record.failure.stage}"] if record.failure else found
