"""A noisy fail counts when new blocks, measured for it alone, lie beyond the line, and so does the interval over all of them.

The second half holds the family error where processes fall into layout modes: blocks of a rare mode pull the mean, so that
more than half of six-block means lie on one side of it (docs/validation.md, "Simulated").
"""

from collections.abc import Iterable
from dataclasses import replace

from vlmgate.judge.estimates import estimate
from vlmgate.judge.evidence import AGAIN, TIMED, Evidence
from vlmgate.judge.levels import Levels
from vlmgate.judge.rule import decide
from vlmgate.judge.speed import CONTAMINATED
from vlmgate.spec import Better, Estimate, Metric, Outcome, Threshold, Verdict

CONFIRMING = 6  # new blocks, at least
NEEDED, CONFIRMED, REFUTED = "needed", "confirmed", "refuted"


def to_confirm(verdicts: Iterable[Verdict]) -> set[str]:
    """Ids of cases with a line on speed or energy that the looks miss and that no new blocks have confirmed or refuted yet; those
    in which the placebo moved are measured once more."""
    return {verdict.case for verdict in verdicts if verdict.confirm == NEEDED}


def confirm(
    evidence: Evidence, line: Threshold, metric: Metric, levels: Levels, number: float, better: Better
) -> tuple[str, Estimate | None, str]:
    """(state, what the new blocks gave, why they do not confirm) of a line that the looks miss; "" where it needs none."""
    if metric.exact or metric.question not in TIMED:
        return "", None, ""
    fresh = replace(evidence, roles=("confirm",))
    if fresh.count < CONFIRMING:
        return NEEDED, None, f"only {fresh.count} of the {CONFIRMING} new ones that were to confirm it were measured"
    found, why = estimate(fresh, line, metric, levels)
    if found is None or why:
        once_more = why == CONTAMINATED and not any(block.role in AGAIN.values() for block in fresh.blocks)
        return NEEDED if once_more else REFUTED, found, f"the {fresh.count} new blocks that were to confirm it cannot: {why}"
    beyond = found.centre < number if better is Better.HIGHER else found.centre > number
    if not beyond:
        return REFUTED, found, ""
    both, why = estimate(replace(evidence, roles=("look", "confirm")), line, metric, levels)
    if both is None or why:
        return REFUTED, found, f"all {found.n + len(evidence.blocks)} blocks together cannot: {why}"
    if decide(both, number, better) is not Outcome.FAIL:
        return REFUTED, found, f"the interval over all {both.n} blocks, old and new, reaches the good side of the line"
    return CONFIRMED, found, ""
