"""Runs with --against: the speed of a case now over then, from workers of both sides within the same blocks; moved placebos."""

from collections.abc import Mapping

from vlmgate.judge.evidence import PLACEBO, Evidence, contaminated, evidence_of, group_of, moved, placebo
from vlmgate.judge.levels import LOOKS, PASS_ERROR, SKIP
from vlmgate.spec import Baseline, Block, Run
from vlmgate.stats import coverage, log_time, look_levels


def lacking(evidence: Evidence) -> str:
    """Why the other side says nothing of a case."""
    other, case = evidence.run.other, evidence.record.id
    assert other
    record = next((record for record in other.cases if record.id == case), None)
    if record is None:
        return f"{other.label} has no such case"
    why = record.skip or (f"{record.failure.kind}: {record.failure.message}" if record.failure else "it was not measured")
    return f"{other.label} cannot run it: {why}"


def holds_no(evidence: Evidence, metric: str) -> str:
    """Why there is no earlier value of a metric to compare with, on the other side or in the baseline."""
    if evidence.run.other:
        return f"{SKIP}{evidence.run.other.label} has no {metric} to compare with"
    return f"{SKIP}the baseline holds no {metric}; promote a run that measured it"


def paired(evidence: Evidence) -> tuple[float, ...]:
    """One log speed a block, now over then: ln t(then) − ln t(now) of the case itself. Neither side's reference nor a yardstick
    comes in, as either may have changed too; that the two workers of a block run one right after the other, in turn first and
    second, is what takes the machine out."""
    pairs = _pairs(evidence)
    variant = evidence.record.variant
    return tuple(log_time(then.times[variant]) - log_time(now.times[variant]) for now, then in pairs)


def partners(evidence: Evidence) -> list[Block]:
    """The blocks of the other side that belong to those of the case."""
    return [then for _, then in _pairs(evidence) if PLACEBO in then.times and evidence.reference_variant in then.times]


def _pairs(evidence: Evidence) -> list[tuple[Block, Block]]:
    """Each block with the one that was measured right beside it; of several workers with the same role and index, all of which
    have the reference, the one with the same variants. Each is used once."""
    other, group, variant = evidence.run.other, group_of(evidence.record), evidence.record.variant
    assert other
    left = [block for block in other.blocks if block.model == group and variant in block.times]
    found = []
    for now in evidence.blocks:
        beside = (i for i, then in enumerate(left) if _beside(now, then, evidence.reference_variant))
        if (place := next(beside, None)) is not None:
            found.append((now, left.pop(place)))
    return found


def _beside(now: Block, then: Block, reference: str) -> bool:
    """Whether two workers had the same turn. One in which all variants failed can only be told by its place."""
    if (now.role, now.index) != (then.role, then.index):
        return False
    mine, theirs = (block.times.keys() - {reference, PLACEBO} for block in (now, then))
    return not mine or not theirs or bool(mine & theirs)


def moved_there(evidence: Evidence) -> bool:
    """Whether the placebo of the other side moved, at the level of the look."""
    good = look_levels(PASS_ERROR, LOOKS)[evidence.look]
    return contaminated(placebo(partners(evidence), evidence.reference_variant, coverage(good)))


def contaminated_groups(run: Run, baselines: Mapping[str, Baseline]) -> set[str]:
    """Groups (model/dataset) in which a placebo moved for any case that was timed, on this side or on the other."""
    return {group_of(each.record) for each in evidence_of(run, baselines) if each.blocks and moved_or_broken(each)}


def moved_or_broken(evidence: Evidence) -> bool:
    """Whether a placebo moved, on either side; not where it cannot be told, because its times are broken."""
    try:
        return moved(evidence) or (evidence.run.other is not None and moved_there(evidence))
    except ValueError:  # nan, inf or zero among the times: the verdicts say so
        return False
