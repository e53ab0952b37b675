"""Estimates of energy: joules a caption of each block, against the reference's of the same block, a limit or the baseline."""

import math
from collections.abc import Sequence
from dataclasses import replace

from vlmgate.judge.evidence import Evidence, prior_of
from vlmgate.judge.levels import Levels, two_levels
from vlmgate.judge.paired import holds_no
from vlmgate.judge.speed import between_runs, footing
from vlmgate.spec import Against, Better, Block, Estimate, Threshold
from vlmgate.stats import as_ratio, difference, t_interval

ENERGY = "energy_per_caption"


def energy_values(blocks: Sequence[Block], variant: str, reference: str | None = None) -> tuple[float, ...]:
    """One logarithm a block: of joules a caption, or of joules ÷ the reference's. ValueError where a value is not above zero."""
    arms = [variant, *([reference] if reference else [])]
    found = [[block.energy[arm] for arm in arms] for block in blocks if all(arm in block.energy for arm in arms)]
    if odd := [value for values in found for value in values if not 0 < value < math.inf]:
        raise ValueError(f"{odd[0]:.3g} J a caption above the idle power; something else drew power while it was idle")
    return tuple(math.log(values[0]) - (math.log(values[1]) if reference else 0.0) for values in found)


def energy(evidence: Evidence, line: Threshold, levels: Levels) -> tuple[Estimate | None, str]:
    """The estimate (share saved, joules, or now ÷ then; None without one), and why it cannot decide.

    As for speed: a promoted spread or the assumed one is the least, and blocks in which the placebo moved decide nothing. What
    is promoted are joules, whose spread says nothing of that of a ratio to the reference's.
    """
    of = evidence.reference_variant if line.against is Against.REFERENCE else None
    values = energy_values(evidence.blocks, evidence.record.variant, of)
    if not values:
        return None, "no block measured energy; run without --benchmark-disable and with a larger --time-budget"
    prior = None if of else prior_of(evidence.record, evidence.run, evidence.baseline, ENERGY)
    least, why = footing(evidence, values, prior, "energy", "meter")
    if line.against is Against.BASELINE:
        then = evidence.baseline.blocks.get(ENERGY, ()) if evidence.baseline else ()
        if len(then) < 2:
            return None, holds_no(evidence, ENERGY)
        sd, df = between_runs(None)  # assumed: runs that measured energy are too few to know it
        return two_levels(
            lambda level: as_ratio(difference(values, then, sd, level, prior, df, least)), levels, Better.LOWER
        ), why
    found = two_levels(lambda level: as_ratio(t_interval(values, level, prior, least)), levels, Better.LOWER)
    if line.against is Against.LIMIT:
        return found, why
    return replace(found, centre=1 - found.centre, low=1 - found.high, high=1 - found.low), why
