"""Stored runs: judged again by any suite and baselines, and what promotion keeps of their blocks."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from vlmgate.judge import judge_run
from vlmgate.judge.energy import ENERGY, energy_values
from vlmgate.judge.evidence import PLACEBO, TIME, evidence_of, placebo, speed_values
from vlmgate.judge.lines import NO_TIMING
from vlmgate.judge.paired import moved_or_broken
from vlmgate.judge.since import changed_since
from vlmgate.spec import Baseline, Run
from vlmgate.suite import Suite


def rejudged(run: Run, suite: Suite, baselines: Mapping[str, Baseline]) -> Run:
    """The run with verdicts by ``suite`` and ``baselines``: with those of its day, the verdicts it was stored with."""
    thresholds = {record.id: suite.thresholds_for(record.id) for record in run.cases}
    timing = not any(verdict.sentence.endswith(NO_TIMING) for verdict in run.verdicts)
    declared = suite.tiers[run.tier].questions if run.tier in suite.tiers else None
    verdicts = judge_run(run, thresholds, suite.metrics, baselines, timing=timing, waivers=suite.waivers, declared=declared)
    return replace(run, verdicts=verdicts)


def block_values(run: Run) -> dict[str, dict[str, tuple[float, ...]]]:
    """Case id → metric → block values as a baseline keeps them: log speed-up over the reference. A reference has its time
    against the yardstick, and that of the placebo against itself. Energy is kept as joules a caption."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for each in evidence_of(run, {}):
        record = each.record
        values: dict[str, tuple[float, ...]] = {}
        with suppress(ValueError):  # no time above zero: a broken measurement, which is not kept
            values[TIME] = speed_values(each.blocks, record.variant, each.reference_variant if record.reference else None)
            if not record.reference:
                blocks = [block for block in each.blocks if PLACEBO in block.times]
                values[PLACEBO] = speed_values(blocks, PLACEBO, record.variant)
        with suppress(ValueError):  # below the idle power: broken too
            values[ENERGY] = energy_values(each.blocks, record.variant)
        if kept := {metric: block for metric, block in values.items() if block}:
            found[record.id] = kept
    return found


def contaminated_cases(run: Run, baselines: Mapping[str, Baseline]) -> dict[str, list[str]]:
    """Case id → why its times are not to be trusted: the placebo, a second copy of the reference, differs from it."""
    found: dict[str, list[str]] = {}
    for each in evidence_of(run, baselines):
        if each.blocks and moved_or_broken(each) and (seen := placebo(each.blocks, each.reference_variant)):
            found[each.record.id] = [f"contaminated: the placebo is {seen.centre:.3f}× as fast as the reference it is a copy of"]
    return found


def changes(run: Run, baselines: Mapping[str, Baseline]) -> dict[str, list[str]]:
    """Case id → what is not as it was promoted; the commit aside, which also changes where nothing that is measured does."""
    found: dict[str, list[str]] = {}
    for record in run.cases:
        if baseline := baselines.get(record.id):
            phrases = [phrase for phrase in changed_since(baseline, run) if not phrase.startswith("commit ")]
            found |= {record.id: phrases} if phrases else {}
    return found
