"""What bears on one case: its blocks by their role, its looks, the promoted spreads, and whether the placebo moved."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlmgate.judge.beside import baselines_beside
from vlmgate.judge.levels import LOOKS, PASS_ERROR
from vlmgate.spec import Baseline, Block, CaseRecord, Estimate, Question, Run, reference_change, setting_changes
from vlmgate.stats import Prior, as_ratio, block_value, coverage, log_time, look_levels, t_interval

# role of blocks → of those that were measured because the placebo moved in these
AGAIN = {"look": "retry", "confirm": "reconfirm"}
TIMED = (Question.LATENCY, Question.ENERGY)  # what blocks measure
PLACEBO = "placebo"
TIME = "time_per_caption"
PLACEBO_MARGIN = 0.015  # half of the default margin of 3 %
MIN_PRIOR_DF = 20
LEAST_SPREAD = 1e-9  # of logarithms: no clock or meter is as steady, so a smaller spread is none that was measured


@dataclass(frozen=True)
class Evidence:
    """All that bears on one case."""

    run: Run
    record: CaseRecord
    reference: CaseRecord | None
    baseline: Baseline | None
    calm: Prior | None = None  # promoted spread of the placebo
    roles: tuple[str, ...] = ("look",)  # with "confirm": the blocks that were measured to confirm a fail

    @property
    def blocks(self) -> list[Block]:
        """The blocks of this case that count: those of the looks, or those that replace contaminated ones."""
        group, variant = group_of(self.record), self.record.variant
        return [block for role in self.roles for block in judged(self.run.blocks, group, variant, role)]

    @property
    def count(self) -> int:
        """How many blocks the looks count: where not all arms fit into one worker, several share an index and the reference."""
        return len({(block.role, block.index) for block in self.blocks})

    @property
    def look(self) -> int:
        """Which look the blocks so far amount to (the last one that is not beyond them; the first when there are fewer)."""
        return max((i for i, size in enumerate(LOOKS) if self.count >= size), default=0)

    @property
    def reference_variant(self) -> str:
        """The variant of the reference; of a reference its own."""
        return self.record.reference.split("/")[1] if self.record.reference else self.record.variant


def group_of(record: CaseRecord) -> str:
    """Cases of one model and dataset take turns in the same workers."""
    return f"{record.model}/{record.dataset}"


def judged(blocks: Sequence[Block], group: str, variant: str, role: str = "look") -> list[Block]:
    """The blocks of a group in which ``variant`` ran: of the looks or the confirming ones, or where all of these were measured
    once more the new ones. A second try that was cut short replaces nothing: fewer blocks would count than were measured."""
    mine = [block for block in blocks if block.model == group and variant in block.times]
    first, again = ([block for block in mine if block.role == each] for each in (role, AGAIN[role]))
    return again if len(again) >= len(first) else first


def speed_values(blocks: Sequence[Block], variant: str, reference: str | None) -> tuple[float, ...]:
    """One log speed-up a block: against the reference, or for the reference itself against the yardstick."""
    if reference is not None:
        return tuple(block_value(block.times[reference], block.times[variant]) for block in blocks if reference in block.times)
    return tuple(
        math.log(float(np.median(block.yardstick))) - log_time(block.times[variant]) for block in blocks if block.yardstick
    )


def differing(record: CaseRecord, run: Run, then: Baseline | None) -> str:
    """Settings or data that differ from the baseline's, so that the two cannot be compared."""
    if then is None:
        return ""
    return ", ".join(
        setting_changes(then.settings, record.settings, same_images=then.dataset == run.datasets.get(record.dataset))
    )


def against_another(record: CaseRecord, then: Baseline | None) -> str:
    """The reference, where that of the baseline was another: speeds against two references cannot be compared."""
    return ", ".join(reference_change(then.reference, record.reference)) if then else ""


def prior_of(record: CaseRecord, run: Run, baseline: Baseline | None, metric: str = TIME) -> Prior | None:
    """The promoted spread of a case, when it rests on enough blocks that were measured as these are."""
    values = baseline.blocks.get(metric, ()) if baseline else ()
    if len(values) <= MIN_PRIOR_DF or differing(record, run, baseline) or (metric == TIME and against_another(record, baseline)):
        return None
    spread = float(np.std(values, ddof=1))
    return Prior(spread, len(values) - 1) if spread > LEAST_SPREAD else None


def placebo(blocks: Sequence[Block], reference: str, level: float = 0.95, calm: Prior | None = None) -> Estimate | None:
    """The second, identical reference against the first, as a ratio; None without two blocks of it, or one and a known spread."""
    values = speed_values([block for block in blocks if PLACEBO in block.times], PLACEBO, reference)
    return as_ratio(t_interval(values, level, calm)) if len(values) > (0 if calm else 1) else None


def contaminated(found: Estimate | None) -> bool:
    """The placebo's mean lies outside the margin *and* its interval excludes one: something moved that must not.

    An interval too wide to tell is no contamination; it calls for more blocks.
    """
    return found is not None and abs(math.log(found.centre)) > PLACEBO_MARGIN and not found.low <= 1 <= found.high


def unmeasured(values: Mapping[str, float], name: str) -> str:
    """Why a case has no number under ``name``: it is nan or infinite, or there is none."""
    found = values.get(name)
    return f"{name} was not measured" if found is None else f"{name} is {found}, expected a finite number; measure it again"


def moved(evidence: Evidence) -> bool:
    """Whether the placebo moved in the blocks of this case, at the level of its look."""
    good = look_levels(PASS_ERROR, LOOKS)[evidence.look]
    return contaminated(placebo(evidence.blocks, evidence.reference_variant, coverage(good), evidence.calm))


def evidence_of(run: Run, baselines: Mapping[str, Baseline]) -> list[Evidence]:
    """The evidence on every case of a run, in the order of its cases; with --against the other side stands for the baselines."""
    baselines = baselines_beside(run) if run.other else baselines
    records = {record.id: record for record in run.cases}
    found = []
    for record in run.cases:
        reference = records.get(record.reference)
        root = reference or record
        calm = prior_of(root, run, baselines.get(root.id), PLACEBO)
        found.append(Evidence(run, record, reference, baselines.get(record.id), calm))
    return found
