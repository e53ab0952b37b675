"""Runs with --against: the speed of a case now over then, from workers of both sides within the same blocks."""

from collections.abc import Sequence

from vlmgate.judge.evidence import PLACEBO, Evidence, contaminated, group_of, placebo
from vlmgate.judge.levels import LOOKS, PASS_ERROR, SKIP
from vlmgate.spec import Block
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
    other, variant = evidence.run.other, evidence.record.variant
    assert other
    found = []
    for now in evidence.blocks:
        if then := _partner(now, other.blocks, group_of(evidence.record), variant):
            found.append((now, then))
    return found


def _partner(now: Block, blocks: Sequence[Block], group: str, variant: str) -> Block | None:
    place = (group, now.role, now.index)
    return next((then for then in blocks if (then.model, then.role, then.index) == place and variant in then.times), None)


def moved_there(evidence: Evidence) -> bool:
    """Whether the placebo of the other side moved, at the level of the look."""
    good = look_levels(PASS_ERROR, LOOKS)[evidence.look]
    return contaminated(placebo(partners(evidence), evidence.reference_variant, coverage(good)))
